"""A consultation's own colour, made dark or light enough that everybody can read what is on it."""

from __future__ import annotations

# WCAG 2.2, 1.4.3: text against its background.
LEAST_CONTRAST = 4.5
WHITE, DARK_GROUND, DARK_INK = "#ffffff", "#10181a", "#06252b"


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour such as #0b4f5c, 0 for black and 1 for white.

    References
    ----------
    WCAG 2.2, relative luminance.
    """
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    red, green, blue = linear
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21.

    Examples
    --------
    >>> round(contrast("#000000", "#ffffff"), 1), round(contrast("#767676", "#ffffff"), 2)
    (21.0, 4.54)
    """
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def readable(colour: str, grounds: tuple[str, ...], towards: str) -> str:
    """Return the colour, mixed with as much of another as it needs to be read on the grounds."""
    for step in range(51):
        mixed = _mixed(colour, towards, step / 50)
        if all(contrast(mixed, ground) >= LEAST_CONTRAST for ground in grounds):
            return mixed
    return towards


def _mixed(one: str, other: str, share: float) -> str:
    pairs = ((int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def look_css(colour: str) -> str:
    """Return the style sheet that gives pages for participants a colour."""
    main = readable(colour, (WHITE, "#f3f6f6"), "#000000")
    strong = readable(_mixed(main, "#000000", 0.25), (WHITE,), "#000000")
    light = readable(colour, (DARK_GROUND, "#1a2528", DARK_INK), WHITE)
    lighter = _mixed(light, WHITE, 0.3)
    bar = _mixed(main, "#000000", 0.55)
    in_light = f"--main: {main}; --main-strong: {strong}; --link: {main}; --g0: {main};"
    in_dark = f"--main: {light}; --main-strong: {lighter}; --link: {light}; --g0: {light};"
    return (
        f":root {{ {in_light} }}\n"
        "@media (prefers-color-scheme: dark) {\n"
        f"  :root {{ {in_dark} }}\n"
        f"  .top {{ background: {bar}; }}\n"
        "}\n"
    )
