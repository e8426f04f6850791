// Finds the numbers with which SHA-256 of the mark (32 characters), the part (4 digits) and the number
// (8 hexadecimal digits) begins with enough zero bits. These 44 bytes are one block of the hash, so
// that no library and no secure context is needed. `store/puzzles.py` checks what is found.
"use strict";

// The fractional parts of the square and cube roots of the first primes (FIPS 180-4).
const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const fraction = (x) => (x - Math.floor(x)) * 2 ** 32 | 0;
const START = Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));
const ROUND = Int32Array.from(primes, (p) => fraction(Math.cbrt(p)));
const words = new Int32Array(64);

const turn = (x, n) => x >>> n | x << 32 - n;

// The first 32 bits of the hash of the block in words[0] to words[15].
function firstBits() {
  for (let i = 16; i < 64; i++) {
    const x = words[i - 15];
    const y = words[i - 2];
    words[i] = words[i - 16] + words[i - 7] + (turn(x, 7) ^ turn(x, 18) ^ x >>> 3)
      + (turn(y, 17) ^ turn(y, 19) ^ y >>> 10);
  }
  let a = START[0];
  let b = START[1];
  let c = START[2];
  let d = START[3];
  let e = START[4];
  let f = START[5];
  let g = START[6];
  let h = START[7];
  for (let i = 0; i < 64; i++) {
    const one = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (e & f ^ ~e & g) + ROUND[i] + words[i] | 0;
    const two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + (a & b ^ a & c ^ b & c) | 0;
    h = g; g = f; f = e; e = d + one | 0;
    d = c; c = b; b = a; a = one + two | 0;
  }
  return START[0] + a >>> 0;
}

// Four characters as one word.
const word = (text) => [...text].reduce((sum, ch) => sum << 8 | ch.charCodeAt(0), 0);
const hex = (n) => n.toString(16).padStart(8, "0");

onmessage = ({ data: [mark, zeroBits, parts] }) => {
  const below = 2 ** (32 - zeroBits);
  for (let i = 0; i < 8; i++) words[i] = word(mark.slice(4 * i, 4 * i + 4));
  let solution = "";
  for (let part = 0; part < parts; part++) {
    words[8] = word(String(part).padStart(4, "0"));
    words[11] = 1 << 31;
    words.fill(0, 12, 15);
    words[15] = 44 * 8;
    for (let n = 0; ; n++) {
      if (n % 65536 === 0) words[9] = word(hex(n).slice(0, 4));
      words[10] = word(hex(n).slice(4));
      if (firstBits() < below) { solution += hex(n); break; }
    }
  }
  postMessage(solution);
};
