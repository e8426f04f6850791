"""The JSON Schema of a study's file, for editors, and the page that lists every key.

Both are made from the classes that read the file. What a key means is what the class says next to
its field.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, BeforeValidator
from pydantic.json_schema import GenerateJsonSchema

from suffrage import registry
from suffrage.align.combined import COMBINED
from suffrage.evaluate import Scoring
from suffrage.models.endpoint_settings import EndpointSettings
from suffrage.models.local_settings import LocalModelSettings
from suffrage.population.segments import SegmentSettings
from suffrage.study.schema import EachSpec, Price, ValueSetSpec
from suffrage.survey.weighting import WeightingSpec
from suffrage.training_data import HeldOut
from suffrage.training_data.consultation_source import ConsultationSpec
from suffrage.training_data.records import Source

ADDRESS = "https://json-schema.org/draft/2020-12/schema"
# What the study's own keys mean; those of its parts are in their classes.
KEYS: Mapping[str, str] = {
    "study": "The study's name: letters, digits, dots, hyphens and underscores.",
    "title": "The report's title.",
    "seed": "Decides every random draw. One seed is enough to try things out.",
    "seeds": "Several seeds: the study splits, trains and evaluates with each, and pools them.",
    "survey": "A reader and its options, or a list of several sources, each with a name.",
    "weights": "Known shares of the population, to weight the sample to.",
    "non_response_as_options": 'Kinds of non-response that count as answers, such as "refused".',
    "value_sets": "The populations: a list, or `each` with a demographic.",
    "held_out": "Which questions no method learns from.",
    "calibrate": "Whether to choose how much of each method to mix with the average answer: true, "
    "or the share of questions to hold back for it.",
    "consultation": "What a public said, to learn from and to evaluate with.",
    "model": "A hub id, a folder or bundled:NAME; or its settings; or an endpoint with its own.",
    "methods": "What is compared: names of methods, or each with its options.",
    "evaluate": "What is measured: names of evaluations, or each with its options.",
    "scoring": "How answers are read from a model.",
    "tune": "What `suffrage tune` tries: lists of values by option of a method.",
    "price": "What an hour of this machine costs, for the report's cost table.",
    "output": "The folder of the results, relative to the study's file.",
}
REQUIRED = ("study", "survey", "value_sets", "held_out", "model", "methods", "output")
# Fields that are filled in while a study is read, and that no file has.
_FILLED_IN = {"ValueSetSpec": ("parent", "segment")}
# What an entry of `methods` may have in addition to the method's own options.
_ENTRY: Mapping[str, tuple[dict[str, Any], str]] = {
    "name": ({"type": "string"}, "What the report calls the entry; by default the method's name."),
    "from": (
        {"type": "string"},
        "The method above it, or the folder of another study's checkpoint, that it starts from.",
    ),
    "records": ({"enum": list(get_args(Source))}, "Where its training examples come from."),
}
# The same of single methods.
_ENTRY_OF: Mapping[str, Mapping[str, tuple[dict[str, Any], str]]] = {
    COMBINED: {
        "ablation": (
            {"type": "boolean"},
            "Whether to train once more without each of its signals, to show what each adds.",
        ),
    },
}


class _WithNotes(GenerateJsonSchema):
    """Leaves out what JSON cannot say, instead of failing."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
        return {}


def field_notes(model: type[BaseModel]) -> dict[str, str]:
    """What a class says of each of its fields: the text below it, or the comment above it."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if owner in (BaseModel, object) or not issubclass(owner, BaseModel):
            continue
        lines = textwrap.dedent(inspect.getsource(owner)).splitlines()
        (tree,) = ast.parse("\n".join(lines)).body
        assert isinstance(tree, ast.ClassDef)
        before = ""
        for node, following in zip(tree.body, [*tree.body[1:], None], strict=True):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                note = _text_below(following) or _comment_above(lines, node.lineno - 1) or before
                if note:
                    found[node.target.id] = note
                # A comment above several fields is about all of them.
                before = note
            elif not isinstance(node, ast.Expr):
                before = ""
    return found


def _text_below(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return " ".join(str(node.value.value).split())
    return ""


def _comment_above(lines: list[str], place: int) -> str:
    comment: list[str] = []
    while place > 0 and lines[place - 1].strip().startswith("#"):
        place -= 1
        comment.insert(0, lines[place].strip().removeprefix("#").strip())
    return " ".join(comment)


def study_json_schema() -> dict[str, Any]:
    """The schema of a study's file, with a description for every key.

    Returns
    -------
    dict
        JSON Schema, draft 2020-12.
    """
    shared: dict[str, Any] = {}

    def of(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
        return _schema_of(model, prefix or model.__name__, shared)

    sections = [
        _section({"reader": name}, of(registry.load("readers", name).options, f"reader-{name}"))
        for name in registry.names("readers")
    ]
    named = {"name": {"description": "What the study calls the source.", "type": "string"}}
    sources = [_section({}, section, named) for section in sections]
    value_sets = of(ValueSetSpec)
    value_sets["properties"]["segments"] = _either(
        {"type": "integer"}, {"const": "auto"}, of(SegmentSettings), note=value_sets, key="segments"
    )
    properties: dict[str, Any] = {
        "study": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"},
        "title": {"type": "string"},
        "seed": {"type": "integer"},
        "seeds": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        "survey": {"anyOf": [*sections, {"type": "array", "items": {"anyOf": sources}}]},
        "weights": of(WeightingSpec),
        "non_response_as_options": {"type": "array", "items": {"type": "string"}},
        "value_sets": {
            "anyOf": [{"type": "array", "minItems": 1, "items": value_sets}, of(EachSpec)]
        },
        "held_out": of(HeldOut),
        "calibrate": {"anyOf": [{"type": "boolean"}, {"type": "number"}]},
        "consultation": of(ConsultationSpec),
        "model": {"anyOf": [{"type": "string"}, of(LocalModelSettings), of(EndpointSettings)]},
        "methods": {"type": "array", "minItems": 1, "items": _entries("methods", "method", of)},
        "evaluate": {
            "type": "array",
            "minItems": 1,
            "items": _entries("evaluations", "evaluation", of),
        },
        "scoring": of(Scoring),
        "tune": {"type": "object"},
        "price": of(Price),
        "output": {"type": "string"},
    }
    return {
        "$schema": ADDRESS,
        "title": "A study of Suffrage",
        "type": "object",
        "additionalProperties": False,
        "required": list(REQUIRED),
        "properties": {
            key: {"description": KEYS[key], **content} for key, content in properties.items()
        },
        "$defs": shared,
    }


def _either(*choices: dict[str, Any], note: dict[str, Any], key: str) -> dict[str, Any]:
    described = note["properties"].get(key, {}).get("description", "")
    return {"description": described, "anyOf": list(choices)}


def _entries(group: registry.Group, key: str, of: Any) -> dict[str, Any]:
    """An entry of `methods` or `evaluate`: a name, or one with the options of its own."""
    names = registry.names(group)

    def more(name: str) -> dict[str, Any]:
        keys = {**_ENTRY, **_ENTRY_OF.get(name, {})} if key == "method" else {}
        return {k: {"description": d, **schema} for k, (schema, d) in keys.items()}

    return {
        "anyOf": [
            {"enum": names},
            *(
                _section(
                    {key: name},
                    of(registry.load(group, name).options, f"{key}-{name}"),
                    more(name),
                )
                for name in names
            ),
        ]
    }


def _section(
    fixed: Mapping[str, str], schema: dict[str, Any], more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A schema with keys before those that it has; the fixed ones have one value each."""
    first = {key: {"const": value} for key, value in fixed.items()}
    return {
        **schema,
        "properties": {**first, **(more or {}), **schema.get("properties", {})},
        "required": [*first, *schema.get("required", [])],
    }


def _schema_of(model: type[BaseModel], prefix: str, shared: dict[str, Any]) -> dict[str, Any]:
    """A class's schema with descriptions; what it refers to goes into `shared`."""
    template = f"#/$defs/{prefix}.{{model}}"
    schema = model.model_json_schema(ref_template=template, schema_generator=_WithNotes)
    inner = {kind.__name__: kind for kind in _models_in(model)}
    for name, definition in schema.pop("$defs", {}).items():
        shared[f"{prefix}.{name}"] = _described(definition, inner.get(name))
    return _described(schema, model)


def _models_in(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Every class that a class's fields are made of."""
    for one in model.model_fields.values():
        yield from _models_of(one.annotation)


def _models_of(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        yield from _models_in(kind)
    for inner in get_args(kind):
        yield from _models_of(inner)


def _described(schema: dict[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    """The schema without titles, with what the class says of its fields."""
    schema.pop("title", None)
    schema.pop("description", None)
    notes = field_notes(model) if model is not None else {}
    left_out = _FILLED_IN.get(model.__name__, ()) if model is not None else ()
    properties = {}
    for name, content in schema.get("properties", {}).items():
        if name in left_out:
            continue
        content.pop("title", None)
        if model is not None:
            _describe_parts(content, model.model_fields[name].annotation)
            if name in _rewritten(model):
                content = _also_shorter(content)
        properties[name] = {"description": notes[name], **content} if name in notes else content
    if "properties" in schema:
        schema["properties"] = properties
    return schema


def _describe_parts(content: dict[str, Any], kind: Any) -> None:
    """Describe the keys of a section that is written in place, not among the shared ones."""
    for part in (content, *content.get("anyOf", ())):
        if "properties" in part:
            _described(part, next(_models_of(kind), None))


def _rewritten(model: type[BaseModel]) -> set[str]:
    """The fields that a class takes in a shorter form too, such as one text for a list of texts."""
    found = {
        name
        for name, one in model.model_fields.items()
        if any(isinstance(part, BeforeValidator) for part in one.metadata)
    }
    for decorator in model.__pydantic_decorators__.field_validators.values():
        if decorator.info.mode == "before":
            found |= set(decorator.info.fields)
    return found


def _also_shorter(content: dict[str, Any]) -> dict[str, Any]:
    """The same, and what may be given instead: of a list one of its entries, or a word for all."""
    choices = content.get("anyOf") or [{k: v for k, v in content.items() if k != "default"}]
    shorter = [
        inner
        for choice in choices
        for inner in ([choice["items"]] if choice.get("type") == "array" else [])
        if isinstance(inner, dict)
    ]
    more = [*shorter, {"type": "string"}] if shorter else [{}]
    kept = {key: content[key] for key in ("default",) if key in content}
    return {**kept, "anyOf": [*choices, *(one for one in more if one not in choices)]}
