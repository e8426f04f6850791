"""One spelling a country, so that populations of several sources can be joined by name."""

from __future__ import annotations

import re

# As the World Values Survey and Pew spell them, to the usual English name.
USUAL_NAMES = {
    "Bosnia Herzegovina": "Bosnia and Herzegovina",
    "Britain": "Great Britain",
    "United Kingdom": "Great Britain",
    "Czech Rep.": "Czechia",
    "Czech Republic": "Czechia",
    "Hong Kong SAR": "Hong Kong",
    "Macao SAR": "Macao",
    "Macau SAR": "Macao",
    "Palest. ter.": "Palestine",
    "Republic of Korea": "South Korea",
    "S. Africa": "South Africa",
    "S. Korea": "South Korea",
    "Taiwan ROC": "Taiwan",
    "Türkiye": "Turkey",
    "Viet Nam": "Vietnam",
}


def usual_country_name(name: str) -> str:
    """Return the usual English name of a country; one that is not known stays as it is.

    A note that a sample is the current national one is left out. Other samples, such as a
    "Non-national sample" of cities, are populations of their own.

    Examples
    --------
    >>> usual_country_name("S. Korea")
    'South Korea'
    >>> usual_country_name("India (Current national sample)")
    'India'
    >>> usual_country_name("India (Non-national sample)")
    'India (Non-national sample)'
    """
    plain = re.sub(r"\s*\(Current national sample\)$", "", name.strip())
    return USUAL_NAMES.get(plain, plain)
