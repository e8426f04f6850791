"""The JSON Schema of study files, and the page made from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from suffrage.errors import InputError
from suffrage.study.commands.examples import example_studies
from suffrage.study.json_schema import KEYS, study_json_schema
from suffrage.study.keys_page import study_keys_page
from suffrage.study.schema import Study, read_study

PAGE = Path(__file__).parents[2] / "docs" / "study-file.md"
SMALL: dict[str, Any] = {
    "study": "small",
    "survey": {"reader": "gss_spending"},
    "value_sets": [{"name": "everyone"}],
    "held_out": {"by": "item", "share": 0.3},
    "model": "owner/name",
    "methods": ["base", {"method": "sft", "steps": 3}],
    "output": "run",
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return study_json_schema()


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> Any:
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    return jsonschema_rs.Draft202012Validator(schema)


def test_every_example_is_valid(validator: Any) -> None:
    for example in example_studies():
        content = yaml.safe_load(example.path.read_text())
        assert [str(error.message) for error in validator.iter_errors(content)] == [], example.name


@pytest.mark.parametrize(
    "changes",
    [
        {"metods": []},
        {"model": {"name": "m", "revison": "x"}},
        {"methods": [{"method": "sft", "learning_rat": 0.1}]},
        {"methods": ["sfd"]},
        {"methods": [{"method": "sft", "learning_rate": 2}]},
        {"held_out": {"by": "items", "share": 0.3}},
        {"value_sets": [{"name": "a", "segment": ["x", 1]}]},
        {"evaluate": [{"evaluation": "fit", "x": 1}]},
        {"seed": "seven"},
    ],
)
def test_the_schema_refuses_what_reading_refuses(
    validator: Any, changes: dict[str, Any], tmp_path: Path
) -> None:
    assert validator.is_valid(SMALL)
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    read_study(path)
    assert not validator.is_valid({**SMALL, **changes})
    path.write_text(yaml.safe_dump({**SMALL, **changes}))
    with pytest.raises(InputError):
        read_study(path)


def test_a_shorter_form_that_reading_takes_is_valid(validator: Any) -> None:
    shorter = {
        "survey": {"reader": "ess", "path": "ESS.sav", "countries": "DE", "round": "all"},
        "value_sets": {"each": "country"},
    }
    assert validator.is_valid({**SMALL, **shorter})
    assert validator.is_valid({**SMALL, "value_sets": [{"name": "a", "segments": "auto"}]})


def test_the_studys_own_keys_are_those_of_the_class() -> None:
    read_from_elsewhere = {"source", "text", "each"}
    assert set(KEYS) - {"seed"} == set(Study.model_fields) - read_from_elsewhere


@pytest.mark.parametrize("key", [key for key in SMALL if key != "methods"])
def test_a_key_that_the_schema_needs_is_missed(
    schema: dict[str, Any], key: str, tmp_path: Path
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in SMALL.items() if k != key}))
    assert key in schema["required"]
    with pytest.raises(InputError, match=f"{key}: is missing"):
        read_study(path)


def test_every_key_is_described(schema: dict[str, Any]) -> None:
    bare = [where for where, content in _keys(schema, "") if "description" not in content]
    assert bare == []


def _keys(content: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(content, list):
        for one in content:
            yield from _keys(one, where)
    if not isinstance(content, dict):
        return
    properties = content.get("properties")
    if isinstance(properties, dict):
        for key, value in properties.items():
            if "const" not in value:
                yield f"{where}.{key}", value
    for key, value in content.items():
        yield from _keys(value, f"{where}.{key}")


def test_the_page_is_up_to_date(schema: dict[str, Any]) -> None:
    page = study_keys_page(schema)
    assert PAGE.read_text() == page, "suffrage schema --page > docs/study-file.md"
    for key in KEYS:
        assert f"`{key}`" in page
