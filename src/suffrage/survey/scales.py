"""Which lists of options form a scale, judged by their words alone.

Published tables rarely say whether options are in order. A scale is a list whose words climb or
fall in one direction ("Very important, Somewhat important, Not at all important"), or whose options
are numbers in order. A list that is not recognised counts as nominal, which costs more questions
and never a wrong distance.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from suffrage.survey.graded_words import graded

# Degrees of words that grade an answer. Lists of options are compared within one row.
_GRADES: tuple[tuple[str, ...], ...] = (
    (
        r"not at all|none at all|nothing at all|not .*at all|none",
        r"not (?:too|very|particularly|especially) (?:much)?|only a little|hardly any|little",
        r"somewhat|fairly|quite(?: a lot)?|moderately|only some|some|rather",
        r"mostly|very|a great deal|a lot|great|extremely|completely|definitely",
    ),
    (
        r"strongly (?:disagree|oppose)|(?:disagree|oppose) (?:strongly|completely)|"
        r"completely disagree|disapprove strongly|strongly disapprove|strongly against",
        r"(?:somewhat|mostly|slightly) (?:disagree|oppose|disapprove)|"
        r"(?:disagree|oppose|disapprove)(?: somewhat| mostly)?|against",
        r"neither.*|neutral|it depends|undecided|in the middle|hard to say",
        r"(?:somewhat|mostly|slightly) (?:agree|favou?r|approve|support)|"
        r"(?:agree|favou?r|approve|support)(?: somewhat| mostly)?|in favou?r",
        r"strongly (?:agree|favou?r|approve|support|in favou?r)|completely agree|"
        r"(?:agree|favou?r|approve) (?:strongly|completely)",
    ),
    (
        r"never",
        r"rarely|seldom|hardly ever|less often|less than once a year",
        r"sometimes|once in a while|occasionally|several times a year",
        r"often|frequently|most of the time|nearly every week|every week|once a week",
        r"always|every day|daily|more than once a week|several times a day",
    ),
    (
        r"too little|too few|not enough",
        r"(?:about )?(?:the )?right(?: amount| number)?|enough",
        r"too much|too many",
    ),
    (
        r"(?:much|a lot|very) (?:worse|less|lower|bad|unfavou?rable|dissatisfied|unlikely)",
        r"(?:(?:somewhat|a little|fairly|rather) )?"
        r"(?:worse|less|lower|bad|unfavou?rable|dissatisfied|unlikely|fewer|decrease|decreased)",
        r"(?:about )?(?:the )?same|no change|stay(?:ed)? (?:about )?(?:the )?same|neither.*|fair|"
        r"average",
        r"(?:(?:somewhat|a little|fairly|rather) )?"
        r"(?:better|more|higher|good|favou?rable|satisfied|likely|increase|increased)",
        r"(?:much|a lot|very) (?:better|more|higher|good|favou?rable|satisfied|likely)|excellent",
    ),
    (
        r"(?:very )?negative|bad|poor",
        r"only fair|fair|mixed",
        r"good|(?:somewhat )?positive",
        r"excellent|very positive|very good",
    ),
    (r"no|false", r"maybe|not sure|it depends|depends", r"yes|true"),
    (
        r"definitely (?:.* )?not\b.*",
        r"probably (?:.* )?not\b.*",
        r"probably.*",
        r"definitely.*",
    ),
    (
        r"none of them|nobody",
        r"(?:very )?few(?: of them)?",
        r"some(?: of them)?",
        r"most(?: of them)?",
        r"all(?: of them)?|everybody",
    ),
    (r"very (?:poor|bad)", r"poor|bad", r"fair|average", r"good", r"very good", r"excellent"),
    (
        r"(?:do )?not .*at all|not at all .*|never",
        r"(?:do )?not .*very much|not (?:very|too)? ?.*",
        r".*somewhat|(?:quite|fairly|pretty|somewhat) .*",
        r".*completely|(?:very|extremely) .*",
    ),
    (
        r"spend much less|much less",
        r"spend less|less",
        r"spend same|(?:about )?(?:the )?same",
        r"spend more|more",
        r"spend much more|much more",
    ),
    (r"bad thing", r"dont mind|neither", r"good thing"),
)
_ROWS = tuple(tuple(re.compile(grade) for grade in row) for row in _GRADES)


def forms_scale(texts: Sequence[str]) -> bool:
    """Return whether options form a scale, forwards or backwards.

    Parameters
    ----------
    texts : sequence of str
        The options' texts in their order.

    Returns
    -------
    bool
        True for two options, for numbers in order, and for words of one row of grades in order.

    Examples
    --------
    >>> forms_scale(["Very important", "Somewhat important", "Not at all important"])
    True
    >>> forms_scale(["The economy", "The environment", "Crime"])
    False
    """
    if len(texts) == 2:
        return True
    plain = [re.sub(r"[^\w\s]", "", text).strip().lower() for text in texts]
    return _numbers(plain) or any(_in_order(plain, row) for row in _ROWS)


def scale_order(texts: Sequence[str]) -> list[int] | None:
    """Return the order in which words that grade an answer climb; None where they form no scale.

    Parameters
    ----------
    texts : sequence of str
        The options' texts in any order, such as the alphabet's.

    Returns
    -------
    list of int or None
        Places in `texts`, from the low end to the high end.

    Examples
    --------
    >>> scale_order(["Agree", "Disagree", "Strongly agree", "Strongly disagree"])
    [3, 1, 0, 2]
    """
    found = graded(texts)
    return None if found is None else sorted(range(len(texts)), key=found.__getitem__)


def _numbers(texts: Sequence[str]) -> bool:
    """Numbers in order, of which the first and the last may be words."""
    inner = [text.split()[0] if text else "" for text in texts[1:-1]]
    if len(texts) < 4 or not all(word.isdigit() for word in inner):
        return False
    found = [int(word) for word in inner]
    steps = {later - earlier for earlier, later in itertools.pairwise(found)}
    return steps in ({1}, {-1}, set())


def _in_order(texts: Sequence[str], row: Sequence[re.Pattern[str]]) -> bool:
    grades = [_grade(text, row) for text in texts]
    if any(grade is None for grade in grades):
        return False
    found = [grade for grade in grades if grade is not None]
    climbing = all(a < b for a, b in itertools.pairwise(found))
    falling = all(a > b for a, b in itertools.pairwise(found))
    return climbing or falling


def _grade(text: str, row: Sequence[re.Pattern[str]]) -> int | None:
    """The first grade of a row that a text begins with, or is in whole."""
    whole = [place for place, grade in enumerate(row) if grade.fullmatch(text)]
    if whole:
        return whole[0]
    found = [
        (match.end(), place) for place, grade in enumerate(row) if (match := grade.match(text))
    ]
    return max(found)[1] if found else None
