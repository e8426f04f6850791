// Buttons that copy a text, keys in the queue of statements, and the focus on what comes next.
// Everything works without this.
"use strict";
(() => {
  for (const button of document.querySelectorAll("[data-copies]")) {
    const text = document.getElementById(button.dataset.copies);
    const said = button.parentElement.querySelector("[role=status]");
    button.parentElement.hidden = false;
    button.addEventListener("click", async () => {
      text.select();
      // Without https a page may only select the text, and its reader presses the keys.
      try { await navigator.clipboard.writeText(text.value); said.textContent = said.dataset.said; } catch { text.focus(); }
    });
  }
})();
(() => {
  // A page that waits asks whether the work is done, and goes on only then.
  const waits = document.getElementById("waits");
  if (!waits) return;
  const look = async () => {
    try {
      const found = await fetch(location.href, { cache: "no-store" });
      if (!found.ok || !(await found.text()).includes('id="waits"')) { location.replace(found.url); return; }
    } catch { /* the next look may reach the server */ }
    setTimeout(look, 1000 * waits.dataset.every);
  };
  setTimeout(look, 1000 * waits.dataset.every);
})();
(() => {
  // After a form that takes long was sent, it says so: the browser alone shows too little.
  for (const form of document.querySelectorAll("form[data-slow]")) {
    form.addEventListener("submit", () => {
      const said = form.querySelector("[role=status]");
      setTimeout(() => { said.textContent = form.dataset.slow; }, 1000);
    });
  }
})();
(() => {
  const queue = document.getElementById("queue");
  if (!queue) return;
  const cards = [...queue.querySelectorAll("article")];
  const place = "suffrage-queue-place";
  const off = "suffrage-keys-off";
  const store = (name, value) => { try { if (value === null) localStorage.removeItem(name); else localStorage.setItem(name, value); } catch { /* without storage */ } };
  const stored = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  let current = -1;
  const inside = () => cards.findIndex((card) => card.contains(document.activeElement));
  const at = () => (inside() >= 0 ? inside() : current);
  const go = (index) => {
    const card = cards[Math.max(0, Math.min(index, cards.length - 1))];
    if (!card) return;
    card.focus();
    card.scrollIntoView({ block: "nearest" });
  };
  cards.forEach((card, index) => {
    card.tabIndex = 0;
    card.addEventListener("focusin", () => {
      current = index;
      cards.forEach((other) => other.classList.toggle("current", other === card));
    });
  });
  queue.addEventListener("submit", () => {
    try { sessionStorage.setItem(place, String(Math.max(0, at()))); } catch { /* without storage */ }
  });
  // Whoever speaks to their computer, or presses keys by mistake, can switch them off.
  const on = document.getElementById("keys-on");
  if (on) {
    on.closest("details").hidden = false;
    on.checked = stored(off) !== "yes";
    on.addEventListener("change", () => store(off, on.checked ? null : "yes"));
  }
  // Keys count anywhere on the page, but never while somebody writes or chooses.
  const writes = (target) => target.matches("input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable]");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || (on && !on.checked) || writes(event.target)) return;
    const card = cards[at()];
    const press = (selector) => { const found = card.querySelector(selector); if (found) found.click(); };
    const acts = {
      j: () => go(at() + 1),
      k: () => go(at() - 1),
      a: () => press('button[value^="accepted:"]'),
      x: () => press('input[type="checkbox"]'),
      r: () => {
        const reason = card.querySelector("select");
        if (reason && !reason.value) reason.focus(); else press('button[value^="rejected:"]');
      },
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    // Before a statement is chosen a key only chooses the first: nobody decides on what they do not see.
    if (card || event.key === "j" || event.key === "k") act(); else go(0);
  });
  let before = null;
  try { before = sessionStorage.getItem(place); sessionStorage.removeItem(place); } catch { /* without storage */ }
  if (before !== null && new URLSearchParams(location.search).has("done")) go(Number(before) || 0);
})();
