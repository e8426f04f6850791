"""The report's templates, filled in: every page is one HTML file that loads nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from suffrage.report.numbers import number, percent, thousands

if TYPE_CHECKING:
    from jinja2 import Environment


def render_page(template: str, **content: Any) -> str:
    """A template of `report/templates` as HTML; content: what it shows, by its names there."""
    return page_environment("suffrage.report").get_template(template).render(content)


@cache
def page_environment(package: str) -> Environment:
    """The Jinja environment of the folder `templates` in a package; each is compiled once."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, percent=percent, thousands=thousands)
    return environment
