"""Copies of the pages that a test comes by, and what holds of all of them whatever they show.

To look at each page while it is there, a test would load axe and lay out every width once a page.
Here a page is only copied. At the end one frame shows all copies, one after another, each at every
width. axe is loaded once, and what is the same with scripts and without is shown only once.
"""

import os
from collections.abc import Sequence
from typing import Any

import pytest

from tests.server.browser import CRAMPED, CUT, SMALL, SPILLS, STICKS_OUT, WIDTHS, picture

# The page as it is now, its folds open, with what was typed. Nothing that is not shown is in it:
# neither scripts, which have done their work, nor marks that differ each time the page is loaded.
TAKE = """() => {
  const folded = [...document.querySelectorAll("details:not([open])")];
  for (const one of folded) one.open = true;
  const copy = document.documentElement.cloneNode(true);
  const main = document.querySelector("main").getBoundingClientRect();
  for (const one of folded) one.open = false;
  const fields = (root) => [...root.querySelectorAll("input, textarea, option")];
  const copied = fields(copy);
  fields(document).forEach((field, at) => {
    if (field.type === "hidden") copied[at].removeAttribute("value");
    else if (field.localName === "textarea") copied[at].textContent = field.value;
    else if (field.localName === "option") copied[at].toggleAttribute("selected", field.selected);
    else if (["checkbox", "radio"].includes(field.type))
      copied[at].toggleAttribute("checked", field.checked);
    else if (field.value && field.type !== "file") copied[at].setAttribute("value", field.value);
  });
  for (const one of copy.querySelectorAll("script")) one.remove();
  // Elements are in it only where scripts are switched off.
  for (const one of copy.querySelectorAll("noscript"))
    one.replaceWith(...(one.firstElementChild ? one.childNodes : []));
  copy.querySelector("body").removeAttribute("data-person");
  return {
    html: copy.outerHTML,
    path: location.pathname + location.search,
    lang: document.documentElement.lang,
    draft: document.querySelector(".draft") !== null,
    quirks: document.compatMode !== "CSS1Compat",
    width: innerWidth,
    height: innerHeight,
    theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light",
    main: [main.width, main.height],
  };
}"""

SHOW = """
const show = async (copy) => {
  history.replaceState(null, "", copy.path);
  document.open();
  document.write("<!doctype html>" + copy.html);
  document.close();
  const styles = [...document.querySelectorAll("link[rel=stylesheet]")];
  while (document.readyState !== "complete" || styles.some((one) => !one.sheet))
    await new Promise((done) => setTimeout(done, 5));
};
"""
# Measuring contrast is most of axe's time, and most words of a page are as on the page before: in
# elements of the same kind, in the same colours and size, on the same backgrounds. Those in
# which axe found nothing are not measured again.
AXED = """
window.good ??= new Set();
const axed = async (contrast) => {
  const kinds = new Map();
  const kind = (one) => {
    if (!one) return "";
    if (!kinds.has(one)) {
      const { backgroundColor, backgroundImage, opacity, filter, position } = getComputedStyle(one);
      kinds.set(one, [kind(one.parentElement), one.localName, one.getAttribute("class"),
        backgroundColor, backgroundImage, opacity, filter, position].join("|"));
    }
    return kinds.get(one);
  };
  const whole = (one) => {
    const { color, fontSize, fontWeight, fontStyle, textShadow } = getComputedStyle(one);
    return [kind(one), color, fontSize, fontWeight, fontStyle, textShadow].join("|");
  };
  const written = !contrast ? [] : [...document.querySelectorAll("body *")].filter((one) =>
    ["INPUT", "SELECT", "TEXTAREA"].includes(one.tagName) || [...one.childNodes].some(
      (node) => node.nodeType === Node.TEXT_NODE && node.data.trim()))
    .filter((one) => one.checkVisibility());
  const alike = new Map(written.map((one) => [whole(one), one]));
  const fresh = [...alike].filter(([how]) => !good.has(how)).map(([, one]) => one);
  for (const one of fresh) one.setAttribute("data-fresh", "");
  axe.configure({ rules: [{ id: "color-contrast", selector: "[data-fresh]" }] });
  const rules = { "color-contrast": { enabled: fresh.length > 0 } };
  const resultTypes = ["violations", "incomplete"];
  const { violations, incomplete } = await axe.run({ rules, resultTypes, elementRef: true });
  const doubtful = new Set([...violations, ...incomplete].flatMap(
    ({ id, nodes }) => (id === "color-contrast" ? nodes.map((node) => node.element) : [])));
  for (const one of fresh) {
    one.removeAttribute("data-fresh");
    if (!doubtful.has(one)) good.add(whole(one));
  }
  return violations;
};
"""
# Large text is twice the size that the pages have otherwise (WCAG 2.2, 1.4.4). A script sets it,
# because the pages' security policy allows no style within them.
EXAMINE = f"""async ([theme, sizes, layout, large, contrast]) => {{
  {SHOW}
  {AXED}
  const usual = {{
    "sticks out": {STICKS_OUT}, "is cramped": {CRAMPED}, "is small": {SMALL},
    "spills": {SPILLS}, "is cut": {CUT},
  }};
  const fits = {{ "sticks out": {STICKS_OUT}, "is cramped": {CRAMPED} }};
  const found = [];
  for (const copy of window.copies) {{
    const [axeWidth, axeTheme] = copy.axe;
    if (!layout && axeTheme !== theme) continue;
    await show(copy);
    for (const [width, height] of sizes) {{
      const looks = axeWidth === width && axeTheme === theme;
      if (!layout && !looks) continue;
      frameElement.style.width = `${{width}}px`;
      frameElement.style.height = `${{height}}px`;
      const tell = (what) =>
        found.push(`${{copy.path}} at ${{width}} pixels, ${{theme}}: ${{what}}`);
      const check = (size, checks) => {{
        for (const [what, all] of Object.entries(checks))
          for (const one of all()) tell(`${{size}} text ${{what}}: ${{one}}`);
      }};
      if (layout) {{
        check("usual", usual);
        const main = document.querySelector("main").getBoundingClientRect();
        if (width === copy.width
            && Math.abs(main.width - copy.main[0]) + Math.abs(main.height - copy.main[1]) > 1)
          tell(`the copy is ${{main.width}} x ${{main.height}}, the page was ${{copy.main}}`);
      }}
      if (layout && large.includes(width)) {{
        const root = document.documentElement;
        const twice = 2 * parseFloat(getComputedStyle(root).fontSize);
        root.style.setProperty("font-size", `${{twice}}px`, "important");
        check("large", fits);
        root.style.removeProperty("font-size");
      }}
      if (looks) {{
        for (const one of await axed(contrast))
          tell(`${{one.id}}: ${{one.nodes.slice(0, 3).map(node => node.html.slice(0, 120))}}`);
      }}
    }}
  }}
  return found;
}}"""
# The page around the frame that shows the copies. A frame has the colours of the page around it.
AROUND = (
    '<!doctype html><title>Copies</title><meta name="color-scheme" content="light dark">'
    '<iframe src="/copies-frame"></iframe>'
)


class Inspector:
    """Copies page after page, and finds what is wrong with them.

    Parameters
    ----------
    page
        The page of the browser that a test leads about.
    lang
        The language that every page is in.
    looks
        Widths and themes in which axe looks, one after another as the pages come: usually those
        of the page.
    large
        Widths at which the pages fit in large text too.
    contrast
        Whether axe measures the contrast of texts, which is most of its time.
    """

    def __init__(
        self,
        page: Any,
        lang: str,
        looks: Sequence[tuple[int, str]] = (),
        large: Sequence[int] = (768, 1280),
        contrast: bool = True,
    ) -> None:
        pytest.importorskip(
            "axe_playwright_python.base", reason="axe-playwright-python is not installed"
        )
        self.lang, self.looks, self.large, self.contrast = lang, looks, large, contrast
        self.complaints: list[str] = []
        self.copies: dict[str, dict[str, Any]] = {}
        self.follow(page)

    def follow(self, page: Any) -> None:
        """Copy pages of this page from now on."""
        self.page = page
        page.on(
            "console",
            lambda m: (
                self.complaints.append(m.text)
                if m.type == "error" and "status of 4" not in m.text
                else None
            ),
        )

    def look(self, name: str) -> None:
        """Take a copy of the page as it is now."""
        copy = self.page.evaluate(TAKE)
        if copy["lang"] != self.lang or copy["draft"] != (self.lang != "en") or copy["quirks"]:
            told = {key: copy[key] for key in ("lang", "draft", "quirks")}
            self.complaints.append(f"{copy['path']} is not as it should be: {told}")
        if copy["html"] not in self.copies:
            at = len(self.copies)
            copy["axe"] = self.looks[at % len(self.looks)] if self.looks else self.own(copy)
            self.copies[copy["html"]] = copy | {"name": name}

    @staticmethod
    def own(copy: dict[str, Any]) -> tuple[int, str]:
        """The width and the theme in which a page was copied."""
        return copy["width"], copy["theme"]

    def found(self) -> str:
        """What is wrong with the pages, a line each: at every width, and by axe."""
        from axe_playwright_python.base import AXE_SCRIPT

        # A window with scripts that is in nobody's session, whatever the test's own has.
        context = self.page.context.browser.new_context(reduced_motion="reduce")
        context.route(
            "**/copies-*", lambda route: route.fulfill(body=AROUND, content_type="text/html")
        )
        window = context.new_page()
        origin = "/".join(self.page.url.split("/", 3)[:3])
        window.goto(f"{origin}/copies-around")
        frame = window.frames[1]
        frame.evaluate("copies => { window.copies = copies; }", list(self.copies.values()))
        frame.evaluate(AXE_SCRIPT)
        heights = {copy["width"]: copy["height"] for copy in self.copies.values()}
        looks = {tuple(copy["axe"]) for copy in self.copies.values()}
        widths = sorted({*WIDTHS, *(width for width, _ in looks)})
        sizes = [(width, heights.get(width, 800)) for width in widths]
        themes = sorted({theme for _, theme in looks}, reverse=True) or ["light"]
        for theme in themes:
            window.emulate_media(color_scheme=theme)
            # Colours move nothing: one theme is enough to see what fits.
            how = [theme, sizes, theme == themes[0], list(self.large), self.contrast]
            self.complaints += frame.evaluate(EXAMINE, how)
        self.pictures(context, looks)
        context.close()
        return "\n".join(self.complaints)

    def pictures(self, context: Any, looks: set[tuple[int, str]]) -> None:
        """Screenshots of each copy, where SUFFRAGE_SCREENSHOTS names a folder."""
        if not os.environ.get("SUFFRAGE_SCREENSHOTS"):
            return
        window = context.new_page()
        window.goto("/".join([*self.page.url.split("/", 3)[:3], "copies-pictures"]))
        window.evaluate("copies => { window.copies = copies; }", list(self.copies.values()))
        others = {(width, "light") for width in {*WIDTHS} - {width for width, _ in looks}}
        for width, theme in sorted(looks | others):
            window.set_viewport_size({"width": width, "height": 800})
            window.emulate_media(color_scheme=theme)
            for n, copy in enumerate(self.copies.values()):
                window.evaluate(f"async (n) => {{ {SHOW} await show(window.copies[n]); }}", n)
                picture(window, f"{copy['name']}-{width}-{theme}")
