"""YAML files that people write: they are read strictly, and a mistake is named by its key."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, GetCoreSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import core_schema

from suffrage.errors import InputError, did_you_mean, near_files

Settings = TypeVar("Settings", bound=BaseModel)

# What a name may be that also becomes a folder's or a method's.
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
# Which layers of a model are trained.
LAYERS = r"^(all|upper|[1-9]\d*-[1-9]\d*)$"
# What patterns mean to people.
PATTERNS = {
    NAME: "letters, digits, dots, hyphens and underscores, and begin with a letter or a digit",
    LAYERS: "all, upper, or the first and the last layer such as 11-30",
}


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key may appear only once."""


# The same on libyaml where PyYAML was built with it, which reads ten times faster and says less
# about a mistake.
_QuickStrictLoader: type[yaml.SafeLoader] = type(
    "_QuickStrictLoader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {}
)


def _mapping_without_twins(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} appears twice", key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


for _loader in (_StrictLoader, _QuickStrictLoader):
    _loader.add_constructor("tag:yaml.org,2002:map", _mapping_without_twins)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that contains keys and values.

    Raises InputError naming the line of a mistake.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file.{near_files(path)}") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: a folder, not a file; give the path of the file.") from error
    except PermissionError as error:
        raise InputError(f"{path}: not a file that can be read.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not in UTF-8 (byte {error.start}); save it as UTF-8.") from error
    try:
        content = _parsed(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path} line {line}: {error.problem}.") from error
    except yaml.reader.ReaderError as error:
        line = text[: int(error.position)].count("\n") + 1
        raise InputError(
            f"{path} line {line}: the control character U+{error.character:04X} may not be in "
            "YAML; delete it."
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: a value is not readable ({error}); put it in quotes.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: must contain keys and values, such as `study: name`.")
    return content


def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_QuickStrictLoader)
    except (yaml.YAMLError, ValueError):
        return yaml.load(text, Loader=_StrictLoader)


def key_values(pairs: list[str], option: str) -> dict[str, Any]:
    """Read the `key=value` pairs of a command line's option.

    Parameters
    ----------
    pairs : list of str
        Each with a key, an equals sign and a value in YAML.
    option : str
        The option's name, for messages.

    Raises
    ------
    InputError
        A pair has no key or no equals sign, or its value is not YAML.

    Examples
    --------
    >>> key_values(["wave=10", "countries=[DE, FR]"], "--option")
    {'wave': 10, 'countries': ['DE', 'FR']}
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not key or not sign:
            raise InputError(f'{option} "{pair}": write it as key=value, such as wave=10.')
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f'{option} "{pair}": the value is not readable as YAML.') from error
    return found


def validated(schema: type[Settings], content: Any, source: str, under: str = "") -> Settings:
    """Check what a file says against a schema.

    Parameters
    ----------
    schema : type
        The Pydantic model that the content has to fit.
    content
        What the file says, as `read_yaml` gives it.
    source : str
        The file's name, for messages; empty where the caller names it.
    under : str
        The key that the content is at.

    Returns
    -------
    schema
        The content as the schema's object.

    Raises
    ------
    InputError
        A key is unknown, missing or wrong. The message names the key and what it may be.
    """
    try:
        return schema.model_validate(content, context=_BY_KEY)
    except ValidationError as error:
        raise _in_a_sentence(error, schema, content, source, under) from error


def _in_a_sentence(
    error: ValidationError, schema: type[BaseModel], content: Any, source: str, under: str = ""
) -> InputError:
    """The first mistake as a sentence that names the key and what it may be."""
    # When a key is misspelt, another one is missing: the misspelt one is the mistake.
    problem = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    place = _place(under, keys_of(problem, content))
    file = f"{source}: " if source else ""
    return InputError(f"{file}{place}{_complaint(problem, schema, content)}")


# Given where whoever validates names the key of a mistake.
_BY_KEY = {"errors": "by key"}


class MadeInPython(BaseModel):
    """A part of a file that users of the library also make themselves, such as a `HeldOut`.

    A mistake is then an InputError that names the class and the argument.
    """

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """The schema of the class, with its validators inside."""
        return core_schema.with_info_wrap_validator_function(
            cls._checked, super().__get_pydantic_core_schema__(source, handler)
        )

    @classmethod
    def _checked(cls, content: Any, validate: Callable[[Any], Any], info: ValidationInfo) -> Any:
        try:
            return validate(content)
        except ValidationError as error:
            if info.context is _BY_KEY:
                raise
            raise _in_a_sentence(error, cls, content, cls.__name__) from error


# How Pydantic names the type that it tried: "constrained-int", "list[int]", "Model", "int".
_TYPE_TRIED = re.compile(
    r".*[\[\](),].*|(?:constrained|function|lax-or-strict|json-or-python)-.*|[A-Z]\w*[a-z]\w*|"
    r"int|float|str|bool|none|list|tuple|dict|set|literal|decimal|date|datetime|bytes|any|nullable"
)


def keys_of(problem: Any, content: Any) -> tuple[int | str, ...]:
    """Return the keys and positions that lead to a fault, as the file has them.

    Pydantic's own location also names the type that it tried, such as "constrained-int", where
    several are allowed.

    Parameters
    ----------
    problem
        One of the errors of a `ValidationError`.
    content
        What was checked.

    Examples
    --------
    >>> found = {"type": "int_type", "loc": ("classes", "constrained-int")}
    >>> keys_of(found, {"classes": "x"})
    ('classes',)
    """
    kept: list[int | str] = []
    at = content
    for place, part in enumerate(problem["loc"], start=1):
        is_missing = problem["type"] == "missing" and place == len(problem["loc"])
        is_there = (isinstance(at, Mapping) and part in at) or (
            isinstance(at, list | tuple) and isinstance(part, int) and part < len(at)
        )
        # What is not there may be missing, or a key that a validator made of another one.
        if is_there or is_missing or isinstance(part, int) or not _TYPE_TRIED.fullmatch(part):
            kept.append(part)
            at = at[part] if is_there else None
    return tuple(kept)


def _place(under: str, location: tuple[int | str, ...]) -> str:
    place = under
    for part in location:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    return f"{place}: " if place else ""


# Pydantic's kinds of faults whose own words are a programmer's.
_MUST_BE = {
    **dict.fromkeys(("string_type", "invalid_key"), "must be a text"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type"), "must be keys and values"),
    "string_too_short": "must not be empty",
}


def _complaint(problem: Any, schema: type[BaseModel], content: Any) -> str:
    kind, given = problem["type"], problem.get("input")
    if kind == "extra_forbidden":
        keys = keys_of(problem, content)
        key = str(problem["loc"][-1])
        allowed = _keys_at(schema, keys[:-1])
        if not allowed:
            return "unknown key."
        return f"unknown key; there are {', '.join(allowed)}.{did_you_mean(key, allowed)}"
    if kind == "missing":
        return "is missing."
    if kind == "string_pattern_mismatch" and problem["ctx"]["pattern"] in PATTERNS:
        return f"is {given!r}; must be {PATTERNS[problem['ctx']['pattern']]}."
    message = _MUST_BE.get(kind) or re.sub(r"^(Value error|Assertion failed), ", "", problem["msg"])
    if kind == "too_short":
        least, there = problem["ctx"]["min_length"], problem["ctx"]["actual_length"]
        message = f"must have at least {least}, and has {there or 'none'}"
    message = message.replace("Input should be", "must be")
    shown = f" is {given!r};" if isinstance(given, str | int | float | bool) else ""
    if given is None:
        shown = " is empty;"
    return f"{shown} {message}.".strip()


def _keys_at(schema: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the model at this place, or none when no model is there."""
    current: type[BaseModel] | None = schema
    for part in location:
        if isinstance(part, int) or current is None:
            continue
        field = current.model_fields.get(part)
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        current = models[0] if models else None
    return list(current.model_fields) if current else []


def expand_variables(value: Any, source: str, place: str) -> Any:
    """Replace `${NAME}` in texts by the environment's value, also inside lists and mappings.

    Raises InputError naming a variable that is not set.
    """
    if isinstance(value, Mapping):
        return {k: expand_variables(v, source, f"{place}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [expand_variables(v, source, f"{place}[{i}]") for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def known(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise InputError(
                f"{source}: {place} uses ${{{name}}}, which is not set: export {name}=... first."
            )
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", known, value)
