"""Which labels word non-response: a label counts as a whole, and words inside it never do.

"Refuse collection" and "Rather not important" are answers, though they begin like "Refused" and
"Rather not say". A label that only contains the words of non-response, such as "Don't know what
that is", is in doubt: a person has to decide.
"""

from __future__ import annotations

import re
from functools import lru_cache

from suffrage.survey.codebook import NonResponse
from suffrage.survey.survey import ReadCode

_DO_NOT_KNOW = r"(?:do not|don'?t|does not|doesn'?t|did not|didn'?t) know"
_SAY = r"(?:say|answer|respond|reply|tell|disclose|state)"

# What a whole label says, or one part of a label such as "Don't know / Refused".
_WHOLE = {
    NonResponse.DONT_KNOW: (
        rf"(?:i |r |respondent )?(?:really )?{_DO_NOT_KNOW}(?: the answer| enough to say)?|"
        r"dk|unsure|(?:i )?(?:can'?t|cannot|can not) say"
    ),
    NonResponse.REFUSED: (
        r"(?:r |respondent )?(?:refused|declined)(?: to (?:say|answer|respond|reply|tell|state))?"
        r"(?: the question| this question)?|refuse to answer|refusal|rf|(?:no|refused) answer|"
        r"no response|not stated|"
        rf"(?:i(?: would|'d) |would )?prefer not(?: to {_SAY})?|"
        rf"(?:i(?: would|'d) |would )?rather not(?: {_SAY})?"
    ),
    NonResponse.NOT_APPLICABLE: r"(?:question )?not applicable|inap|iap|n/?a|n\.a",
    NonResponse.NOT_ASKED: (
        r"(?:question |item )?not asked"
        r"(?: (?:in|by|of|on) (?:the |this |that )?"
        r"(?:survey|country|wave|round|year|interviewer|respondent|version|form|ballot|split))?"
    ),
    NonResponse.MISSING: (
        r"(?:other |system )?missing(?: values?| data| answer)?|"
        r"not available(?: in this (?:release|year))?|skipped(?: on web| question)?|uncodeable|"
        r"not specified"
    ),
}
# After one of these at its beginning, the rest of a label says only why.
_HEADS = re.compile(r"(?:other )?missing|inap|iap|not applicable|dk|n/?a")
# Parts that stand next to non-response without changing it.
_COMPANIONS = re.compile(
    r"(?:not sure|undecided|unknown|other|can'?t remember|cannot remember|don'?t remember|none)"
)
# What an interviewer is told, not what a person answers.
_INSTRUCTION = re.compile(
    r"[(\[](?:do not read(?: out)?|don'?t read(?: out)?|spontaneous(?:ly)?|vol\.?|volunteered|"
    r"if volunteered|not read out|dk|na|nr|rf)[)\]]"
)
# Words that make a label doubtful when they are not all of it.
_HINTS = {
    NonResponse.DONT_KNOW: (
        rf"\b{_DO_NOT_KNOW}\b|^(?:i )?dk\b(?!-|:)|\bunsure\b|^can'?t (?:say|choose)\b|"
        r"^(?:hard|difficult) to say$"
    ),
    NonResponse.REFUSED: (
        rf"\brefus(?:ed|al)\b|\brefuse to {_SAY}\b|\bno answer\b|\bprefer not\b|"
        rf"\brather not {_SAY}\b|\bnot stated\b"
    ),
    NonResponse.NOT_APPLICABLE: r"\bnot applicable\b|^ina?p\b|^does not apply$",
    NonResponse.NOT_ASKED: r"\bnot asked\b",
    NonResponse.MISSING: r"^missing\b|\bnot available\b|\bskipped\b|\buncodeable\b",
}


@lru_cache(maxsize=4096)
def kind_of_label(label: str) -> NonResponse | None:
    """Return the kind of non-response that a whole label words.

    Parameters
    ----------
    label : str
        A value label, or the text of an option.

    Returns
    -------
    NonResponse or None
        None when the label reads like an answer, or is in doubt (`doubtful_kind`). A label with
        several kinds has the first in the order of `NonResponse`.

    Examples
    --------
    >>> kind_of_label("DK / Refused").label
    "don't know"
    >>> kind_of_label("Refuse collection") is None
    True
    """
    plain = _plain(_INSTRUCTION.sub(" ", _lowered(label)))
    if (whole := _kind_of_part(plain)) is not None:
        return whole
    parts = [_plain(part) for part in re.split(r"[/;:,()\[\]]| or | and |\s[-–]\s", plain)]
    parts = [part for part in parts if part]
    kinds = [kind for part in parts if (kind := _kind_of_part(part)) is not None]
    if not kinds:
        return None
    begins = bool(_HEADS.fullmatch(parts[0])) and not re.match(r"(dk|n/?a)\s*[-:]", plain)
    if begins or all(_kind_of_part(part) or _COMPANIONS.fullmatch(part) for part in parts):
        return max(kinds)
    return None


def doubtful_kind(label: str) -> NonResponse | None:
    """Return the kind of non-response that a label may word, None when it is clear.

    Examples
    --------
    >>> doubtful_kind("I do not know them").label
    "don't know"
    >>> doubtful_kind("Don't know") is None, doubtful_kind("Rather not important") is None
    (True, True)
    """
    if kind_of_label(label) is not None:
        return None
    plain = _plain(_lowered(label))
    return next((kind for kind, hint in _HINTS.items() if re.search(hint, plain)), None)


def asked_about(label: str, name: str, code: str) -> ReadCode | None:
    """Return what to ask a person about a label that was taken for an answer, None when clear."""
    kind = doubtful_kind(label)
    if kind is None:
        return None
    return ReadCode(name, code, label, "", f'its label may mean "{kind.label}"')


def _lowered(label: str) -> str:
    return label.lower().replace("’", "'").replace("´", "'").replace("`", "'")


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(' .()[]"*-–:;,!?')


def _kind_of_part(part: str) -> NonResponse | None:
    found = (kind for kind, pattern in _WHOLE.items() if re.fullmatch(pattern, part))
    return next(found, None)
