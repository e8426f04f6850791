"""What values in a codebook's YAML may look like: codes, labels, options and non-response."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from suffrage.survey.codebook import NonResponse, Option
from suffrage.survey.codes import plain_code


def written_code(code: Any) -> str:
    """A code as text. Raises ValueError on what YAML did not read as a number or a text."""
    if isinstance(code, bool) or not isinstance(code, str | int | float):
        raise ValueError(
            f"YAML reads a code or text here as {code!r}; put it in quotes (yes, no, on, off and "
            "empty values are no texts in YAML)"
        )
    return plain_code(code)


def _labels(given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise ValueError("must map each code to its text, such as {1: Agree, 2: Disagree}")
    return {written_code(code): written_code(text) for code, text in given.items()}


def option_list(labels: Iterable[tuple[str, str]]) -> tuple[Option, ...]:
    """Options in the order given. Raises ValueError on fewer than two, or on two alike."""
    pairs = list(labels)
    if len(pairs) < 2:
        raise ValueError(f"there are {len(pairs)} options; an item needs two or more")
    texts = [text for _, text in pairs]
    twice = [text for text in texts if texts.count(text) > 1]
    if twice:
        raise ValueError(f'two options read "{twice[0]}"; give each its own text')
    return tuple(Option(code=code, text=text) for code, text in pairs)


def _options(given: Any) -> tuple[Option, ...] | None:
    return None if given is None else option_list(_labels(given).items())


def _kinds(given: Any) -> dict[str, NonResponse]:
    if not isinstance(given, Mapping):
        raise ValueError('must map each kind to its codes, such as {"don\'t know": [8, 98]}')
    kinds: dict[str, NonResponse] = {}
    for word, codes in given.items():
        kind = NonResponse.parse(str(word))
        for code in codes if isinstance(codes, list) else [codes]:
            text = written_code(code)
            if kinds.setdefault(text, kind) != kind:
                raise ValueError(f'code {text} is both "{kinds[text].label}" and "{kind.label}"')
    return kinds


CodeLabels = Annotated[dict[str, str], BeforeValidator(_labels)]
OptionList = Annotated[tuple[Option, ...] | None, BeforeValidator(_options)]
NonResponseCodes = Annotated[dict[str, NonResponse], BeforeValidator(_kinds)]
WrittenCode = Annotated[str, BeforeValidator(written_code)]
