"""The letter and the colour of an opinion group, which follow from its number."""

LETTERS = 26
# So many groups can be told apart by colour and shape.
COLOURS = 5


def group_name(number: int) -> str:
    """Return the name of a group: A for number 0, Z for 25, AA for 26.

    Examples
    --------
    >>> [group_name(number) for number in (0, 3, 25, 26)]
    ['A', 'D', 'Z', 'AA']
    """
    first, last = divmod(number, LETTERS)
    return (group_name(first - 1) if first else "") + chr(ord("A") + last)
