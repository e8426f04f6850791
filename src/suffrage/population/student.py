"""Student's t distribution, from its closed forms: SciPy is not among the core dependencies."""

from __future__ import annotations

from functools import lru_cache
from math import atan, cos, pi, sin, sqrt


def student_tails(t: float, degrees: int) -> float:
    """Return the chance that Student's t is further from 0 than t, on either side.

    Parameters
    ----------
    t : float
        0 or more.
    degrees : int
        The degrees of freedom, 1 or more.

    Returns
    -------
    float
        Between 0 and 1.

    References
    ----------
    Abramowitz and Stegun (1964), 26.7.3 and 26.7.4.

    Examples
    --------
    >>> round(student_tails(2.776, 4), 3)
    0.05
    """
    angle = atan(t / sqrt(degrees))
    odd = degrees % 2
    term = cos(angle) if odd else 1.0
    total = 0.0 if degrees == 1 else term
    for k in range(2 + odd, degrees - 1, 2):
        term *= (k - 1) / k * cos(angle) ** 2
        total += term
    inside = 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total
    return max(0.0, 1 - inside)


@lru_cache(maxsize=4096)
def student_quantile(level: float, degrees: int) -> float:
    """Return the quantile of Student's t at a level above one half.

    Parameters
    ----------
    level : float
        Above 0.5 and below 1.
    degrees : int
        The degrees of freedom, 1 or more.

    Examples
    --------
    >>> round(student_quantile(0.975, 4), 3)
    2.776
    """
    tails = 2 * (1 - level)
    low, high = 0.0, 1.0
    while student_tails(high, degrees) > tails:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tails(middle, degrees) > tails else (low, middle)
    return high
