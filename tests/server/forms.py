"""Forms sent at every width, in the same session and with the same content."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.server.browser import STICKS_OUT

# A phone that is small, one that is usual, and a desk.
WIDTHS = (320, 390, 1280)

# Sends the form of a button, unless something is wrong with it: the page is wider than the screen,
# or a field cannot be seen or pressed, also where the page is scrolled to it.
SEND = f"""(button, sends) => {{
  const fields = [...button.form.elements].filter(
    (one) => one === button || one.matches("input:not([type=hidden]), select, textarea, button"));
  const wrong = ({STICKS_OUT})().concat(fields.filter((one) => {{
    if (!one.checkVisibility()) return one === button;
    one.scrollIntoView({{ block: "center", inline: "nearest", behavior: "instant" }});
    const box = one.getBoundingClientRect(), wide = document.documentElement.clientWidth;
    if (!box.width || !box.height || box.left < -0.5 || box.right > wide + 0.5) return true;
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return !(one.contains(top) || (one.labels && [...one.labels].some((l) => l.contains(top))));
  }}).map((one) => `out of reach: ${{one.outerHTML.slice(0, 90)}}`));
  if (sends && !wrong.length) button.click();
  return wrong;
}}"""


class Forms:
    """Sends the forms of a page, each kind of them at every width before it is sent for good.

    At the widths that are not the page's own the browser fills nothing in again. It sends the form
    as it stands, and is told to stay where it is: what arrives must be the same as at its own.

    Parameters
    ----------
    page
        The page of the browser that a test leads about.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.sent: set[str] = set()

    def press(self, button: Any) -> None:
        """Send a form that leads to a page."""
        with self.goes_out(button), self.page.expect_navigation():
            button.click()

    @contextmanager
    def goes_out(self, button: Any) -> Iterator[None]:
        """Send a form as it stands at other widths; within, it is to be sent at the page's own.

        There the page stays as it is, for the answer has none (status 204).
        """
        kind = _kind(button)
        if kind in self.sent:
            yield
            return
        self.sent.add(kind)
        page, size = self.page, self.page.viewport_size
        others = [width for width in WIDTHS if width != size["width"]]
        stays: list[Any] = []

        def stay(route: Any) -> None:
            if route.request.method == "POST":
                route.fulfill(status=204)
                stays.append(route.request)
            else:
                route.continue_()

        page.route("**/*", stay)
        for at, width in enumerate(others, 1):
            page.set_viewport_size({"width": width, "height": 800})
            self._try(button, sends=True)
            while len(stays) < at:
                page.wait_for_timeout(5)
        page.unroute("**/*", stay)
        sent = [_fields(request) for request in stays]
        page.set_viewport_size(size)
        self._try(button, sends=False)
        requests: list[Any] = []

        def note(request: Any) -> None:
            requests.append(request)

        page.on("request", note)
        yield
        page.remove_listener("request", note)
        own = _fields(next(one for one in requests if one.method == "POST"))
        # Where a file goes out for good, the browser does not show it again.
        assert all(other == (own or sent[0]) for other in sent), (kind, own, sent)

    def reaches(self, button: Any) -> None:
        """A form that a script sends, and that a page without content would keep: only look."""
        size = self.page.viewport_size
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 800})
            self._try(button, sends=False)
        self.page.set_viewport_size(size)

    def _try(self, button: Any, sends: bool) -> None:
        wrong = button.evaluate(SEND, sends)
        width = self.page.viewport_size["width"]
        assert wrong == [], f"{self.page.url} at {width} pixels: {wrong}"


def _kind(button: Any) -> str:
    """Whereto a form is sent, and for what: /admin/c/*/invitations mail."""
    told = button.evaluate(
        "b => [b.form.action, b.form.querySelector('[name=what]')?.value ?? '', b.name]"
    )
    path = re.sub(r"/admin/c/[^/]+", "/admin/c/*", urlsplit(told[0]).path)
    what = re.sub(r"^edit-.*", "edit", told[1])
    return " ".join(part for part in (path, what, told[2]) if part)


def _fields(request: Any) -> list[tuple[str, str]]:
    """The fields of a form, but for the time that somebody took. Of files only the names."""
    body = request.post_data or ""
    if "multipart" in request.headers.get("content-type", ""):
        return [(name, "") for name in re.findall(r'; name="([^"]*)"', body)]
    return [one for one in parse_qsl(body, keep_blank_values=True) if one[0] != "took"]
