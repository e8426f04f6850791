// Keys in the queue of statements, and the focus on what comes next. Everything works without this.
"use strict";
(() => {
  const queue = document.getElementById("queue");
  if (!queue) return;
  const cards = [...queue.querySelectorAll("article")];
  const place = "suffrage-queue-place";
  const at = () => cards.findIndex((card) => card.contains(document.activeElement));
  const go = (index) => {
    const card = cards[Math.max(0, Math.min(index, cards.length - 1))];
    if (!card) return;
    card.focus();
    card.scrollIntoView({ block: "nearest" });
  };
  cards.forEach((card) => { card.tabIndex = 0; });
  queue.addEventListener("submit", () => {
    try { sessionStorage.setItem(place, String(Math.max(0, at()))); } catch { /* without storage */ }
  });
  // Keys count only while a statement itself has the focus, never while somebody writes or chooses.
  queue.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !event.target.matches("article")) return;
    const card = event.target;
    const press = (selector) => { const found = card.querySelector(selector); if (found) found.click(); };
    const keys = {
      j: () => go(at() + 1),
      k: () => go(at() - 1),
      a: () => press('button[value^="accepted:"]'),
      x: () => press('input[type="checkbox"]'),
      r: () => {
        const reason = card.querySelector("select");
        if (reason && !reason.value) reason.focus(); else press('button[value^="rejected:"]');
      },
    };
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  let before = null;
  try { before = sessionStorage.getItem(place); sessionStorage.removeItem(place); } catch { /* without storage */ }
  if (before !== null && new URLSearchParams(location.search).has("done")) go(Number(before) || 0);
})();
