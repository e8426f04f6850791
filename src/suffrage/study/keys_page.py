"""The page that lists every key of a study's file, made from its JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = """# The study's file

*For researchers who write or check a study's file: every key with its type, default and
meaning.*

A study is one YAML file. The program
makes this page from the schema that reads the file (`suffrage schema --page`), so the page is
always up to date.

`suffrage init` writes a first study for your data. It also puts `study-schema.json` next to the
study, and the study's first line names it. Editors such as VS Code with the YAML extension then
complete and check keys as you type. `suffrage schema > study-schema.json` writes the schema again.

Relative paths start from the folder of the study's file. `${NAME}` in `survey`, `model` and the
options of an evaluation is replaced by the environment variable of that name.

```yaml
study: town
seed: 7
survey: {reader: labelled_file, path: town.csv, codebook: codebook.yaml}
value_sets:
  - {name: everyone, description: people in the town}
  - {name: north, where: {district: north}, description: people in the north of the town}
held_out: {by: item, share: 0.3}
model: bundled:smollm2-135m
methods: [base, prompt, {method: distribution, steps: 60, learning_rate: 0.002}]
output: run
```
"""
_TABLE = "| key | type | default | meaning |\n| --- | --- | --- | --- |\n"
# Sections of the page after the first, in order: the key, and what the section begins with.
_PARTS: Mapping[str, str] = {
    "value_sets": "A list of populations with these keys:",
    "held_out": "Use either `by` with `share`, `topics` or `items`; or `question`, `topic`, "
    "`population` and `survey`, which you can combine.",
    "weights": "See [weights.md](weights.md).",
    "consultation": "See [Train on a consultation](consultation-training.md).",
    "scoring": "",
    "price": "",
}


def study_keys_page(schema: Mapping[str, Any]) -> str:
    """The page in Markdown.

    Parameters
    ----------
    schema : mapping
        As `json_schema.study_json_schema` gives it.
    """
    defs, properties = schema["$defs"], schema["properties"]
    parts = [_HEAD, "## All keys\n", _top(schema)]
    parts += ["## survey\n", _survey(properties["survey"], defs)]
    for key, words in _PARTS.items():
        parts.append(f"## {key}\n")
        parts += [f"{words}\n"] if words else []
        if key == "value_sets":
            listed, each = properties[key]["anyOf"]
            parts.append(_table(listed["items"], defs))
            parts.append("Or a mapping, for all populations at once:\n")
            parts.append(_table(each, defs))
        else:
            parts.append(_table(properties[key], defs))
    _, local, endpoint = properties["model"]["anyOf"]
    parts += ["## model\n", "A name by itself, or settings ([models.md](models.md)). For a model "]
    parts[-1] += "that runs here:\n"
    parts += [_table(local, defs), "For one behind an address:\n", _table(endpoint, defs)]
    parts += ["## methods\n", _methods(properties["methods"]["items"], defs)]
    parts += ["## evaluate\n", _evaluations(properties["evaluate"]["items"], defs)]
    return "\n".join(parts)


def _top(schema: Mapping[str, Any]) -> str:
    rows = []
    for key, content in schema["properties"].items():
        needed = "yes" if key in schema["required"] else ""
        linked = f"[`{key}`](#{key})" if _has_section(key) else f"`{key}`"
        rows.append(f"| {linked} | {needed} | {_cell(content['description'])} |\n")
    return "| key | required | meaning |\n| --- | --- | --- |\n" + "".join(rows)


def _has_section(key: str) -> bool:
    return key in ("survey", "model", "methods", "evaluate", *_PARTS)


def _survey(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """A table for each reader."""
    return (
        "One source, or a list of sources that each have a `name` too. `reader` says which keys "
        "there are ([surveys.md](surveys.md)).\n\n"
    ) + _table_of_each("reader", schema, defs)


def _methods(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """What all entries may have, what all trained methods have, and what each has of its own."""
    found = [entry for entry in schema["anyOf"] if "properties" in entry]
    first = found[0]["properties"]
    entry = {key: first[key] for key in ("name", "from", "records")}
    names = ["method", *entry]
    options = {
        one["properties"]["method"]["const"]: {
            key: content for key, content in one["properties"].items() if key not in names
        }
        for one in found
    }
    trained = [own for own in options.values() if "learning_rate" in own]
    shared = {
        key: content
        for key, content in trained[0].items()
        if all(own.get(key) == content for own in trained)
    }
    parts = [
        "A name, such as `sft`, or a mapping with `method:` and these keys "
        "([methods.md](methods.md)):\n",
        _rows_table(entry, defs),
        "Every method that is trained has these too:\n",
        _rows_table(shared, defs),
    ]
    for name, own in options.items():
        rest = {key: content for key, content in own.items() if shared.get(key) != content}
        parts.append(f"### method: {name}\n")
        parts.append(_rows_table(rest, defs) if rest else "No further keys.\n")
    return "\n".join(parts)


def _evaluations(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """A table for each evaluation."""
    return (
        "A name, such as `fit`, or a mapping with `evaluation:` and its keys "
        "([evaluations.md](evaluations.md)). Without it, `fit` is measured.\n\n"
    ) + _table_of_each("evaluation", schema, defs)


def _table_of_each(key: str, schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """A heading and a table for each value of a key that decides which others there are."""
    parts: list[str] = []
    for section in schema["anyOf"]:
        if "properties" in section:
            parts.append(f"### {key}: {section['properties'][key]['const']}\n")
            parts.append(_table(section, defs, without=(key,)) or "No further keys.\n")
    return "\n".join(parts)


def _table(
    schema: Mapping[str, Any], defs: Mapping[str, Any], without: tuple[str, ...] = ()
) -> str:
    needed = schema.get("required", ())
    keys = {k: c for k, c in schema.get("properties", {}).items() if k not in without}
    return _rows_table(keys, defs, needed) if keys else ""


def _rows_table(
    keys: Mapping[str, Any], defs: Mapping[str, Any], needed: tuple[str, ...] = ()
) -> str:
    rows = [
        f"| `{key}` | {_cell(_may_be(content, defs))} | {_default(content, key in needed)} | "
        f"{_cell(content.get('description', ''))} |\n"
        for key, content in _flat(keys, defs)
    ]
    return _TABLE + "".join(rows)


def _flat(
    keys: Mapping[str, Any], defs: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every key, and those of mappings inside it after it, such as `budget.money`."""
    for key, content in keys.items():
        yield f"{above}{key}", content
        for choice in _choices(content, defs):
            if "properties" in choice:
                yield from _flat(choice["properties"], defs, f"{above}{key}.")


def _choices(content: Mapping[str, Any], defs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a value may be, references followed."""
    if "anyOf" in content:
        return [one for choice in content["anyOf"] for one in _choices(choice, defs)]
    if "$ref" in content:
        return _choices(defs[content["$ref"].removeprefix("#/$defs/")], defs)
    return [content]


def _may_be(content: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    words = [_kind(choice, defs) for choice in _choices(content, defs)]
    return " or ".join(dict.fromkeys(word for word in words if word))


def _kind(choice: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    if "enum" in choice:
        return ", ".join(f"`{one}`" for one in choice["enum"])
    if "const" in choice:
        return f"`{choice['const']}`"
    kind = choice.get("type", "")
    if kind == "array":
        inner = choice.get("items") or {}
        if not isinstance(inner, Mapping) or not inner:
            return "list"
        return f"list of {_may_be(inner, defs)}" if _may_be(inner, defs) else "list"
    if kind in ("number", "integer"):
        return ("whole number" if kind == "integer" else "number") + _limits(choice)
    names = {"string": "text", "boolean": "`true`, `false`", "object": "mapping", "null": "`null`"}
    return names.get(kind, str(kind))


def _limits(choice: Mapping[str, Any]) -> str:
    words = []
    for key, word in (
        ("minimum", "from {}"),
        ("exclusiveMinimum", "above {}"),
        ("maximum", "to {}"),
        ("exclusiveMaximum", "below {}"),
    ):
        if key in choice:
            words.append(word.format(f"{choice[key]:g}"))
    return f" {' '.join(words)}" if words else ""


def _default(content: Mapping[str, Any], needed: bool) -> str:
    if needed:
        return "required"
    if "default" not in content or content["default"] in ("", None, [], {}):
        return ""
    given = content["default"]
    if isinstance(given, dict):
        return ""
    return f"`{given if isinstance(given, str) else json.dumps(given)}`"


def _cell(text: str) -> str:
    # YAML's word for nothing.
    return re.sub(r"\bNone\b", "null", text).replace("|", "\\|").replace("\n", " ")
