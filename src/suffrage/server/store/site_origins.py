"""Origins: of the sites that may show a consultation's results in a frame."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from suffrage.errors import InputError

# A longer list would not fit into a header.
MOST_ORIGINS = 20
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_OWN_MACHINE = ("localhost", "127.0.0.1")


def origin_of(written: str) -> str:
    """Return the origin that somebody wrote, as browsers write it.

    Parameters
    ----------
    written : str
        Scheme, host and, where it is not the usual one, port. The host may have letters of any
        script. Plain http is for a trial on one's own machine only.

    Raises
    ------
    InputError
        It is no origin, or it says more than one, such as the path of a page.

    Examples
    --------
    >>> origin_of("https://WWW.Council.example:443/")
    'https://www.council.example'
    >>> origin_of("https://tāmaki.example:8443")
    'https://xn--tmaki-fwa.example:8443'
    """
    wrong = InputError(
        "“%(text)s” is not the address of a site; write it as https://www.example.org, without a "
        "page.",
        text=written.strip()[:80],
    )
    try:
        parts = urlsplit(written.strip())
        host = (parts.hostname or "").encode("idna").decode().lower()
        port = parts.port
    except (ValueError, UnicodeError):
        raise wrong from None
    more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    safe = parts.scheme == "https" or (parts.scheme == "http" and host in _OWN_MACHINE)
    if more or not safe or port == 0 or len(host) > 253 or not _HOST.fullmatch(host):
        raise wrong
    usual = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if port in (None, usual) else f":{port}")


def origins_of(text: str) -> list[str]:
    """Return the origins of a text with one per line, each once. Raises InputError.

    Examples
    --------
    >>> origins_of("https://a.example" + chr(10) + "https://a.example/")
    ['https://a.example']
    """
    found = list(dict.fromkeys(origin_of(line) for line in text.split()))
    if len(found) > MOST_ORIGINS:
        raise InputError("these are too many; write at most %(most)s sites.", most=MOST_ORIGINS)
    return found
