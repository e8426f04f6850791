"""The order of words that grade an answer, in English.

Three rules, each of which has to account for every option:

- Degrees of one thing: "Not at all", "A little", "A lot"; "Not important", "Very important".
- Two opposites, with degrees of each and perhaps a middle: "Very dissatisfied" to "Very satisfied".
- A list of words that have a usual order: "Never" to "Always", "Poor" to "Excellent".

Options of which two have the same grade, or of which one has none, are not put in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# How much of one thing, from nothing to everything. A degree may stand before the thing or after.
_DEGREES = (
    r"not(?: .*)? at all|none(?: at all)?|nothing(?: at all)?|not|no|not a",
    r"not (?:very|too|so|that|really|particularly|especially)(?: much)?|not much|hardly(?: any)?|"
    r"barely|very little|hardly at all",
    r"(?:only |just )?(?:slightly|a little(?: bit)?|a bit)|little|to a (?:small|limited) extent",
    r"(?:only )?(?:somewhat|some|partly)|to some extent",
    r"moderately|a moderate amount|moderate|to a moderate extent",
    r"(?:fairly|quite|rather|pretty|reasonably)|mostly",
    # The thing itself, without a degree.
    r"(?!)",
    r"quite a (?:lot|bit)",
    r"very(?: much)?|a lot|lots|much|highly|considerably|to a (?:large|great) extent",
    r"a great deal|very strongly",
    r"extremely|completely|totally|entirely|fully|absolutely|exceptionally|definitely|essential|"
    r"crucial|vital",
)
_PLAIN = 6
# How strongly one of two opposites is meant, from weakly to strongly.
_STRENGTHS = (
    r"slightly|a little(?: bit)?|a bit|mildly",
    r"somewhat|rather|tend to|moderately|partly|probably|leaning",
    r"fairly|quite|pretty|generally",
    r"(?!)",
    r"mostly",
    r"much|a lot|far",
    r"very(?: much)?|strongly|highly|a great deal",
    r"extremely|completely|totally|entirely|fully|absolutely|definitely|very strongly",
)
_PLAIN_OPPOSITE = 3
# The low word, and the high one.
_OPPOSITES = (
    (r"disagree", r"agree"),
    (r"oppose|against|opposed", r"support|favou?r|in favou?r"),
    (r"disapprove", r"approve"),
    (r"dissatisfied|unsatisfied", r"satisfied"),
    (r"unlikely|improbable", r"likely|probable"),
    (r"unimportant", r"important"),
    (r"worse", r"better"),
    (r"less|fewer", r"more"),
    (r"lower", r"higher"),
    (r"bad|poor", r"good"),
    (r"badly|poorly", r"well"),
    (r"negative|negatively", r"positive|positively"),
    (r"unfavou?rable", r"favou?rable"),
    (r"decrease|decreased", r"increase|increased"),
    (r"unhappy", r"happy"),
    (r"uncomfortable", r"comfortable"),
    (r"unsafe", r"safe"),
    (r"unfair", r"fair"),
    (r"difficult|hard", r"easy"),
    (r"distrust|mistrust", r"trust"),
    (r"dislike", r"like"),
    (r"weak", r"strong"),
    (r"low", r"high"),
    (r"small", r"large|big"),
)
_MIDDLE = re.compile(
    r"neither\b.*|neutral|dont mind|undecided|(?:it )?depends|in the middle|mixed|hard to say|"
    r"average|medium|moderate|fair|ok|okay|no (?:change|difference)|unchanged|"
    r"(?:(?:stay|stayed|keep|kept|remain|remained) )?(?:(?:about|much|roughly) )?(?:the )?same\b.*"
)
# Words in their usual order, each the whole of an option.
_LISTS = (
    (
        r"never|at no time",
        r"almost never|hardly ever|very rarely|very seldom",
        r"rarely|seldom|not often|not very often|infrequently",
        r"once in a while|occasionally|from time to time|now and then",
        r"sometimes|some of the time",
        r"(?:about )?half (?:of )?the time",
        r"regularly|fairly often|quite often",
        r"often|frequently|usually",
        r"very often|very frequently|most of the time",
        r"almost always|nearly always",
        r"always|all (?:of )?the time|every time",
    ),
    (
        r"never|not at all",
        r"rarely|less often|less than (?:once a year|once a month|monthly)",
        r"(?:about )?once a year|yearly|annually|every year",
        r"(?:a few|several) times a year",
        r"(?:about )?once a month|monthly|every month",
        r"(?:a few|several) times a month",
        r"(?:about )?once a week|weekly|every week",
        r"(?:a few|several) times a week",
        r"(?:about )?once a day|daily|every day",
        r"(?:a few|several) times a day|more than once a day",
    ),
    (
        r"(?:definitely|certainly) (?:(?:would|will|should|is|are) )?not\b.*",
        r"probably (?:(?:would|will|should|is|are) )?not\b.*",
        r"maybe|possibly|perhaps|(?:might|may) or (?:might|may) not\b.*|not sure|unsure|undecided",
        r"probably\b.*",
        r"(?:definitely|certainly)\b.*",
    ),
    (
        r"too little|too few|not enough",
        r"(?:about |just )?(?:the )?right(?: amount| number)?|enough",
        r"too much|too many|more than enough",
    ),
    (r"no|false", r"maybe|not sure|unsure|(?:it )?depends", r"yes|true"),
    (r"spend much less", r"spend less", r"spend (?:the )?same", r"spend more", r"spend much more"),
    (
        r"impossible",
        r"very unlikely|extremely unlikely",
        r"unlikely|improbable",
        r"possible|possibly|about even|maybe",
        r"likely|probable",
        r"very likely|extremely likely",
        r"certain",
    ),
    (
        r"terrible|awful|extremely poor",
        r"very (?:poor|bad)",
        r"poor|bad|below average",
        r"(?:only )?fair|average|ok|okay|acceptable|adequate|so so|satisfactory",
        r"good|above average",
        r"very good",
        r"excellent|outstanding|exceptional",
    ),
    (
        r"none|nobody|no one|nothing",
        r"hardly any|very few|very little|almost none",
        r"few|a few|little|a little",
        r"some|several",
        r"(?:about )?half",
        r"many|much|a lot",
        r"most",
        r"almost all|nearly all",
        r"all|everybody|everyone|everything",
    ),
)
_OF_THEM = re.compile(r" of (?:them|these|it|people)$")
# "Do not trust very much", and "do not trust at all".
_DENIED = re.compile(
    r"(?:do not|does not|dont|doesnt|not) (?P<what>.+?) "
    r"(?P<degree>at all|(?:very|too|that) much)"
)

_Ranked = tuple[tuple[int, re.Pattern[str]], ...]


def _ranked(words: Sequence[str]) -> _Ranked:
    return tuple((rank, re.compile(rf"(?:{word})")) for rank, word in enumerate(words))


_DEGREE_WORDS, _STRENGTH_WORDS = _ranked(_DEGREES), _ranked(_STRENGTHS)
_LISTED = tuple(_ranked(words) for words in _LISTS)


def graded(texts: Sequence[str]) -> list[int] | None:
    """Return a grade for each option, higher for more; None where they do not form a scale.

    Parameters
    ----------
    texts : sequence of str
        The options' texts, in any order.

    Examples
    --------
    >>> graded(["A little", "A lot", "Not at all", "Somewhat"])
    [2, 8, 0, 3]
    >>> graded(["Bus", "Very often", "Train"]) is None
    True
    """
    plain = [" ".join(re.sub(r"[^\w\s]", "", text.replace("-", " ")).split()) for text in texts]
    plain = [re.sub(r"^(?:yes|no) (?=\w+ly\b|not\b|to\b|some)", "", t.lower()) for t in plain]
    for grades in (*_by_list(plain), *_by_opposites(plain), *_by_degree(plain)):
        known = [grade for grade in grades if grade is not None]
        if len(set(known)) == len(texts) > 1:
            return known
    return None


def _by_list(texts: Sequence[str]) -> Iterator[list[int | None]]:
    for words in _LISTED:
        yield [_rank(_OF_THEM.sub("", text), words) for text in texts]


def _by_opposites(texts: Sequence[str]) -> Iterator[list[int | None]]:
    """Grades below 0 of the low word, above 0 of the high one, and 0 for the middle."""
    for low, high in _OPPOSITES:
        found = [(_opposite(text, low), _opposite(text, high)) for text in texts]
        ends = [strength for pair in found for strength in pair if strength]
        # What follows, such as "than before", is the same in all.
        if len({rest for _, rest in ends}) != 1 or not all(map(any, zip(*found, strict=True))):
            continue
        yield [
            -below[0] if below else above[0] if above else (0 if _MIDDLE.fullmatch(text) else None)
            for text, (below, above) in zip(texts, found, strict=True)
        ]


def _opposite(text: str, word: str) -> tuple[int, str] | None:
    """How strongly an option says one of two opposites, from 1, and what follows the word."""
    match = re.fullmatch(rf"(?:(?P<before>.+?) )??(?:{word})(?: (?P<after>.+))?", text)
    if match is None:
        return None
    before, after = match["before"], match["after"] or ""
    if before is not None:
        rank = _rank(before, _STRENGTH_WORDS)
        return None if rank is None else (rank + 1, after)
    rank = _rank(after, _STRENGTH_WORDS)
    return (_PLAIN_OPPOSITE + 1, after) if rank is None else (rank + 1, "")


def _by_degree(texts: Sequence[str]) -> Iterator[list[int | None]]:
    """Grades by degrees of one thing, which some options may leave out."""
    found = [dict(_degrees(text)) for text in texts]
    for thing in dict.fromkeys(thing for own in found for thing in own):
        if sum(thing in own for own in found) > 1:
            yield [
                own.get(thing, own.get("", _PLAIN if text == thing else None))
                for text, own in zip(texts, found, strict=True)
            ]


def _degrees(text: str) -> Iterator[tuple[str, int]]:
    """Each way to read an option as a degree of a thing: the thing, and the degree's rank."""
    if denied := _DENIED.fullmatch(text):
        text = f"not {denied['degree']} {denied['what']}"
    words = text.split()
    for count in range(1, len(words) + 1):
        for degree, rest in ((words[:count], words[count:]), (words[-count:], words[:-count])):
            rank = _rank(" ".join(degree), _DEGREE_WORDS)
            if rank is not None:
                yield " ".join(rest[1:] if rest[:1] == ["of"] else rest), rank


def _rank(text: str, words: _Ranked) -> int | None:
    return next((rank for rank, word in words if word.fullmatch(text)), None)
