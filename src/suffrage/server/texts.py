"""What people write: made safe to show, searched for personal details, compared with the rest."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

# Marks that turn the direction of what follows, or are not seen at all.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]"
)
# Joiners spell words in some scripts, and hide letters between Latin ones.
_JOINER = re.compile("(?<=[\x00-\u024f])[\u200c\u200d]+|[\u200c\u200d]+(?=[\x00-\u024f]|$)")
_MOST_MARKS = 3
_SPACE = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"[.!?\u061f\u06d4\u3002]+(?=\s)")
_DOUBLE_VOWEL = re.compile(r"([aeiou])\1")

# Words that begin with a capital, one or more.
_NAMES = r"[A-ZĀĒĪŌŪ][\w'’-]+(?:\s+[A-ZĀĒĪŌŪ][\w'’-]+)*"

_DETAILS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "email",
        re.compile(
            r"[\w.+-]+\s?(?:@|\(at\)|\[at\])\s?[\w-]+(?:\s?\.\s?|\s?\(dot\)\s?)\w{2,}", re.I
        ),
    ),
    (
        "link",
        re.compile(
            r"\b(?:https?://|www\.)\S+|\b[\w-]+\.(?:com|org|net|govt?|co|ac|nz|io)\b(?:/\S*)?", re.I
        ),
    ),
    ("handle", re.compile(r"(?<![\w@])@\w{3,}")),
    # New Zealand's national health index: old and new form.
    ("health number", re.compile(r"\b[A-HJ-NP-Z]{3}\s?(?:\d{4}|\d{2}[A-HJ-NP-Z]{2})\b")),
    ("tax number", re.compile(r"(?<![\d-])\d{2,3}[ -]\d{3}[ -]\d{3}(?![\d-])")),
    (
        "phone",
        re.compile(
            r"(?<!\w)(?:\+|00)\d{1,3}(?:[ ().-]?\d){6,12}(?!\d)"
            r"|(?<!\w)\(?0\d{1,2}\)?(?:[ .-]?\d){6,9}(?!\d)"
        ),
    ),
    ("long number", re.compile(r"(?<!\d)\d(?:[ -]?\d){8,}(?!\d)")),
    (
        "address",
        re.compile(
            r"\b\d{1,5}[a-z]?(?:/\d{1,5}[a-z]?)?\s+(?:[\w'’āēīōū-]+\s+){1,4}"
            r"(?:street|st|road|rd|avenue|ave|drive|dr|lane|ln|place|pl|crescent|cres|terrace|tce|"
            r"highway|hwy|way|close|court|ct|quay|parade|grove|boulevard|blvd)\b"
            r"|\bP\.?\s?O\.?\s?Box\s+\d+",
            re.I,
        ),
    ),
    (
        "name",
        re.compile(
            rf"\b(?i:my name is|i am called)\s+{_NAMES}"
            rf"|\b(?i:ko)\s+{_NAMES}\s+(?i:ahau|au|tōku ingoa|taku ingoa)\b"
        ),
    ),
    ("name", re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Sir|Dame)\.?\s+[A-ZĀĒĪŌŪ][\w'’-]+")),
)


def clean(text: str) -> str:
    """Return one line in Unicode's composed form, without control, direction and unseen characters.

    Macrons, joined emoji and every script stay; more than three marks on one letter do not.
    """
    text = "".join(
        " " if ch in "\t\n\r\x0b\x0c\x85\u2028\u2029" else ch
        for ch in text
        if ch in "\t\n\r\x0b\x0c\x85" or unicodedata.category(ch) not in ("Cc", "Cs", "Co", "Cn")
    )
    text = _JOINER.sub("", _UNSEEN.sub("", unicodedata.normalize("NFC", text)))
    kept: list[str] = []
    marks = 0
    for ch in text:
        marks = marks + 1 if unicodedata.combining(ch) else 0
        if marks <= _MOST_MARKS:
            kept.append(ch)
    return _SPACE.sub(" ", unicodedata.normalize("NFC", "".join(kept))).strip()


def without_hidden(text: str) -> str:
    """Return a text of a file without control, direction and unseen characters.

    Ends of lines and spaces stay, which `clean` makes one space.
    """
    kept = "".join(
        ch
        for ch in text
        if ch in "\t\n\r" or unicodedata.category(ch) not in ("Cc", "Cs", "Co", "Cn")
    )
    return _JOINER.sub("", _UNSEEN.sub("", kept))


def fold(text: str) -> str:
    """Return what spellings have in common: small letters, vowels once, no marks or punctuation.

    Examples
    --------
    >>> fold("Māori") == fold("Maaori") == fold("MAORI")
    True
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(ch if ch.isalnum() else " " for ch in plain if not unicodedata.combining(ch))
    return _DOUBLE_VOWEL.sub(r"\1", _SPACE.sub(" ", letters).strip())


def personal_details(text: str) -> list[str]:
    """Return the kinds of personal details that the text may hold, such as email or phone.

    This is a suspicion: it holds a statement back for a person to read, and refuses nothing.
    """
    return sorted({kind for kind, pattern in _DETAILS if pattern.search(text)})


@dataclass(frozen=True)
class Near:
    """A statement like the one that was written."""

    id: str
    text: str
    # 0 to 1; 1 where both are the same once folded.
    likeness: float


# A text of more characters is folded where it is read: so many begin it.
FOLDED_FROM, SHOWN_OF_FOLDED = 280, 200


def start_and_rest(text: str) -> tuple[str, str]:
    """Return what is shown of a text at once, and what is folded away: "" of a short one.

    A long one is cut after a sentence, or else after a word.

    Examples
    --------
    >>> start_and_rest("More trees.")
    ('More trees.', '')
    >>> start, rest = start_and_rest("Trees give shade. " * 20)
    >>> start.endswith("shade."), len(start) <= 200
    (True, True)
    """
    if len(text) <= FOLDED_FROM:
        return text, ""
    head = text[: SHOWN_OF_FOLDED + 1]
    ends = [found.end() for found in _SENTENCE_END.finditer(head)]
    at = ends[-1] if ends and ends[-1] > SHOWN_OF_FOLDED // 2 else head.rfind(" ")
    at = at if at > 0 else SHOWN_OF_FOLDED
    return text[:at].rstrip(), text[at:].strip()


def near_duplicates(
    text: str, others: Iterable[tuple[str, str]], least: float = 0.45, most: int = 3
) -> list[Near]:
    """Return the nearest of others (id, text), the nearest first.

    Their likeness is the Jaccard index of the sets of trigrams of the folded texts.

    Parameters
    ----------
    least : float
        The least likeness.
    most : int
        How many at most.
    """
    wanted = _trigrams(text)
    found = []
    for id, other in others:
        theirs = _trigrams(other)
        either = len(wanted | theirs)
        likeness = len(wanted & theirs) / either if either else 0.0
        if likeness >= least:
            found.append(Near(id, other, likeness))
    return sorted(found, key=lambda near: (-near.likeness, near.id))[:most]


def _trigrams(text: str) -> set[str]:
    padded = f"  {fold(text)} "
    return {padded[at : at + 3] for at in range(len(padded) - 2)} if padded.strip() else set()


def whole_number(text: str, most: int) -> int | None:
    """Return a number written in the figures 0 to 9, or None for any other text and above `most`.

    Examples
    --------
    >>> whole_number("12", 100), whole_number("²", 100), whole_number("101", 100)
    (12, None, None)
    """
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))):
        return None
    return int(text) if int(text) <= most else None
