"""Copies of the pages that a test comes by, and what holds of all of them whatever they show.

To look at each page while it is there, a test would load axe and lay out every width once a page.
Here a page is only copied. At the end one window shows all copies, one after another. It loads axe
once, changes its width four times, and shows only once what is the same with scripts and without.
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
# Large text is twice the size that the pages have otherwise (WCAG 2.2, 1.4.4). A script sets it,
# because the pages' security policy allows no style within them.
EXAMINE = f"""async ([width, theme, layout, large, contrast]) => {{
  {SHOW}
  const usual = {{
    "sticks out": {STICKS_OUT}, "is cramped": {CRAMPED}, "is small": {SMALL},
    "spills": {SPILLS}, "is cut": {CUT},
  }};
  const fits = {{ "sticks out": {STICKS_OUT}, "is cramped": {CRAMPED} }};
  const found = [];
  for (const copy of window.copies) {{
    const looks = copy.axe[0] === width && copy.axe[1] === theme;
    if (!layout && !looks) continue;
    await show(copy);
    const tell = (what) => found.push(`${{copy.path}} at ${{width}} pixels, ${{theme}}: ${{what}}`);
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
    if (layout && large) {{
      const root = document.documentElement;
      const twice = 2 * parseFloat(getComputedStyle(root).fontSize);
      root.style.setProperty("font-size", `${{twice}}px`, "important");
      check("large", fits);
      root.style.removeProperty("font-size");
    }}
    if (looks) {{
      const rules = {{ "color-contrast": {{ enabled: contrast }} }};
      const {{ violations }} = await axe.run({{ resultTypes: ["violations"], rules }});
      for (const one of violations)
        tell(`${{one.id}}: ${{one.nodes.slice(0, 3).map(node => node.html.slice(0, 120))}}`);
    }}
  }}
  return found;
}}"""


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
        window = context.new_page()
        address = self.page.url.split("/", 3)
        window.goto("/".join([*address[:3], ""]))
        window.evaluate("copies => { window.copies = copies; }", list(self.copies.values()))
        window.evaluate(AXE_SCRIPT)
        looks = {tuple(copy["axe"]) for copy in self.copies.values()}
        heights = {copy["width"]: copy["height"] for copy in self.copies.values()}
        for width in sorted({*WIDTHS, *(width for width, _ in looks)}):
            window.set_viewport_size({"width": width, "height": heights.get(width, 800)})
            themes = sorted(theme for wide, theme in looks if wide == width) or ["light"]
            for theme in themes:
                window.emulate_media(color_scheme=theme)
                layout = theme == themes[0]
                how = [width, theme, layout, width in self.large, self.contrast]
                self.complaints += window.evaluate(EXAMINE, how)
                self.pictures(window, f"{width}-{theme}")
        context.close()
        return "\n".join(self.complaints)

    def pictures(self, window: Any, at: str) -> None:
        """A screenshot of each copy, where SUFFRAGE_SCREENSHOTS names a folder."""
        if os.environ.get("SUFFRAGE_SCREENSHOTS"):
            for n, copy in enumerate(self.copies.values()):
                window.evaluate(f"async (n) => {{ {SHOW} await show(window.copies[n]); }}", n)
                picture(window, f"{copy['name']}-{at}")
