// Solves the puzzle of the form to start with in the background, from when the page is loaded. A
// form that is sent before that waits, and is sent as soon as the solution is there.
"use strict";
(() => {
  const form = document.querySelector("form[data-mark]");
  if (!form) return;
  const { solution } = form.elements;
  const line = form.querySelector("[role=status]");
  const worker = new Worker("/static/puzzle-worker.js");
  let waits = false;
  let failed = false;

  const go = () => { if (waits) form.requestSubmit(); };
  worker.addEventListener("message", ({ data }) => { solution.value = data; go(); });
  // Without a solution the server says what is wrong.
  worker.addEventListener("error", () => { failed = true; go(); });
  worker.postMessage([form.dataset.mark, Number(form.dataset.zeroBits), Number(form.dataset.parts)]);

  form.addEventListener("submit", (event) => {
    if (solution.value || failed) return;
    event.preventDefault();
    waits = true;
    form.setAttribute("aria-busy", "true");
    line.textContent = line.dataset.wait;
  });
})();
