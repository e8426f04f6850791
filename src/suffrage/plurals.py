"""Counts with their nouns in the singular or plural, for messages and tables."""

from __future__ import annotations


def plural(count: int, noun: str, shown: str = "") -> str:
    """Return a count with its noun.

    Parameters
    ----------
    count : int
    noun : str
        In the singular. One that ends in a consonant and "y" ends in "ies" in the plural;
        "people" stays as it is, with "person" for one.
    shown : str
        How the count is written, as `format` takes it; "," puts commas between thousands.

    Examples
    --------
    >>> plural(1, "item"), plural(2, "country"), plural(1200, "answer", ",")
    ('1 item', '2 countries', '1,200 answers')
    """
    number = format(count, shown)
    if count == 1:
        return f"{number} {noun}"
    if noun.endswith("person"):
        return f"{number} {noun.removesuffix('person')}people"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}s"


def by_count(count: int, one: str, several: str) -> str:
    """Return the form of a verb or noun that goes with a count.

    Examples
    --------
    >>> f"{plural(1, 'question')} {by_count(1, 'is', 'are')} left out"
    '1 question is left out'
    """
    return one if count == 1 else several


def with_unit(count: int, unit: str) -> str:
    """Return a count with a unit that is given in the plural, such as "pairs of answers".

    Examples
    --------
    >>> with_unit(1, "pairs of answers"), with_unit(2, "questions")
    ('1 pair of answers', '2 questions')
    """
    first, space, rest = unit.partition(" ")
    return f"{count} {by_count(count, first.removesuffix('s'), first)}{space}{rest}"
