// Nothing here is needed: forms are sent and pages load without it. It saves a page load after each
// vote, says how many characters are left, and times comparisons.
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

  async function send(form, button) {
    const body = new URLSearchParams(new FormData(form, button));
    const response = await fetch(form.action, { method: "POST", body, credentials: "same-origin" });
    const page = parse(await response.text());
    const fresh = page.querySelector("main");
    if (!fresh) throw new Error("not one of our pages");
    const status = fresh.querySelector("[role=status]");
    const words = status ? status.textContent : "";
    document.querySelector("main").replaceWith(fresh);
    document.title = page.title;
    history.replaceState(null, "", response.url);
    ready(fresh);
    // A live region is read when it changes, not when it arrives filled.
    if (status && words.trim()) {
      status.textContent = "";
      setTimeout(() => { status.textContent = words.trim(); }, 60);
    }
    (fresh.querySelector("[data-focus]") || fresh).focus();
    scrollTo(0, 0);
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("form[data-enhance]") || !event.submitter || form.dataset.sent) return;
    event.preventDefault();
    form.setAttribute("aria-busy", "true");
    const button = event.submitter;
    send(form, button).catch(() => {
      // Whatever went wrong, the plain way stays: acts are stored once however often they are sent.
      form.dataset.sent = "yes";
      form.requestSubmit(button);
    });
  });

  ready(document);
})();
