// Nothing here is needed: forms are sent and pages load without it. It saves a page load after each
// vote, keeps votes while there is no connection, says how many characters are left, and times comparisons.
"use strict";
(() => {
  const parse = (html) => new DOMParser().parseFromString(html, "text/html");

  function ready(root) {
    for (const area of root.querySelectorAll("textarea[data-most]")) {
      const said = root.querySelector("[data-count]");
      const most = Number(area.dataset.most);
      const tell = () => {
        said.textContent = `${most - [...area.value.trim()].length} ${said.dataset.count}`;
      };
      area.addEventListener("input", tell);
      tell();
    }
    for (const form of root.querySelectorAll("form[data-timed]")) {
      const since = performance.now();
      form.addEventListener("submit", () => {
        form.elements.took.value = String(Math.round(performance.now() - since));
      }, { capture: true });
    }
  }

  // A live region is read when it changes, not when it arrives filled.
  function say(words, waits = false) {
    let line = document.querySelector("main [role=status]");
    if (!line) {
      line = document.createElement("p");
      line.className = "status";
      line.setAttribute("role", "status");
      document.querySelector("main").prepend(line);
    }
    line.textContent = "";
    line.classList.toggle("waits", waits);
    setTimeout(() => { line.textContent = words; }, 60);
  }

  async function post(action, body) {
    const response = await fetch(action, { method: "POST", body, credentials: "same-origin" });
    if (response.status === 429 || response.status >= 500) throw new Error("not now");
    const page = parse(await response.text());
    if (!page.querySelector("main")) throw new Error("not one of our pages");
    return [page, response.url];
  }

  function show(page, url) {
    const fresh = page.querySelector("main");
    const status = fresh.querySelector("[role=status]");
    document.querySelector("main").replaceWith(fresh);
    document.title = page.title;
    history.replaceState(null, "", url);
    ready(fresh);
    if (status && status.textContent.trim()) say(status.textContent.trim());
    (fresh.querySelector("[data-problem]") || fresh.querySelector("[data-focus]") || fresh).focus();
    scrollTo(0, 0);
  }

  // Votes that could not be sent, by statement: a later one replaces an earlier one, and one that did
  // arrive is stored once however often it is sent. They are kept under a mark of the person who gave
  // them, and let go of as soon as a page is somebody else's or nobody's.
  const { person, kept: keptWords, again: againWords } = document.body.dataset;
  const base = location.pathname.split("/").slice(0, 3).join("/");
  const place = `suffrage-unsent:${base}`;
  let sending = false;

  function unsent() {
    try {
      const found = JSON.parse(localStorage.getItem(place));
      return found && found.person === person ? found.votes : {};
    } catch { return {}; }
  }

  function keep(votes) {
    try {
      if (Object.keys(votes).length) localStorage.setItem(place, JSON.stringify({ person, votes }));
      else localStorage.removeItem(place);
      return true;
    } catch { return false; }
  }

  function hold(form, button) {
    const vote = Object.fromEntries(new FormData(form, button));
    delete vote.csrf;
    if (!person || !vote.statement || !keep({ ...unsent(), [vote.statement]: vote })) return false;
    form.removeAttribute("aria-busy");
    say(keptWords, true);
    later();
    return true;
  }

  async function again() {
    const token = document.querySelector("input[name=csrf]");
    if (sending || !person || !token) return;
    sending = true;
    try {
      for (const [statement, vote] of Object.entries(unsent())) {
        const [page, url] = await post(`${base}/vote`, new URLSearchParams({ ...vote, csrf: token.value }));
        // Whose session has ended enters their code on this page; the other votes wait until then.
        if (page.querySelector("main input[name=code]")) { show(page, url); return; }
        const left = unsent();
        if (JSON.stringify(left[statement]) === JSON.stringify(vote)) delete left[statement];
        keep(left);
        const shown = document.querySelector("main input[name=statement]");
        if (!url.includes("recorded=") || (shown && shown.value === statement)) show(page, url);
        else say(againWords);
      }
    } finally { sending = false; }
  }

  function later() {
    setTimeout(() => again().catch(() => {}).then(() => { if (Object.keys(unsent()).length) later(); }), 10000);
  }

  if (person !== undefined) {
    keep(unsent());
    if (Object.keys(unsent()).length) { again().catch(() => say(keptWords, true)); later(); }
    addEventListener("online", () => again().catch(() => {}));
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (/\/(leave|withdraw)$/.test(form.action)) keep({});
    if (!form.matches("form[data-enhance]") || !event.submitter || form.dataset.sent) return;
    event.preventDefault();
    form.setAttribute("aria-busy", "true");
    const button = event.submitter;
    post(form.action, new URLSearchParams(new FormData(form, button))).then(
      ([page, url]) => show(page, url),
      () => {
        if (hold(form, button)) return;
        // Whatever went wrong, the plain way stays: acts are stored once however often they are sent.
        form.dataset.sent = "yes";
        form.requestSubmit(button);
      },
    );
  });

  // Paper has no folds. Newer browsers do this by the style sheet alone.
  const folded = () => document.querySelectorAll("details:not([open])");
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = [...folded()];
    for (const one of unfolded) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of unfolded) one.open = false; });

  ready(document);
  document.querySelector("[data-problem]")?.focus();
})();
