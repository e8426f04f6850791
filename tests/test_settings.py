"""YAML files: quickly read, and their mistakes named by line, whichever reader PyYAML has."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

import suffrage.survey
from suffrage import settings
from suffrage.errors import InputError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "line 2: the key 'a' appears twice"),
        ("b:\n  a: 1\n  a: 2\n", "line 3: the key 'a' appears twice"),
        ("a: 1\nb: @x\n", "line 2: found character '@' that cannot start any token"),
        ("a: 1\nb: *x\n", "line 2: found undefined alias 'x'"),
        ("a: 1\nb: \x07\n", "line 2: the control character U\\+0007 may not be in YAML"),
        ("a: 2026-13-45\n", "a value is not readable .month must be in 1..12."),
        ("- a\n", "must contain keys and values"),
    ],
)
@pytest.mark.parametrize("libyaml", [True, False])
def test_a_mistake_is_named_alike_with_and_without_libyaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str, libyaml: bool
) -> None:
    if not libyaml:
        monkeypatch.setattr(settings, "_QuickStrictLoader", settings._StrictLoader)
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        settings.read_yaml(path)


def test_every_codebook_reads_as_plain_yaml_reads_it() -> None:
    codebooks = sorted(Path(suffrage.survey.__file__).parent.glob("codebooks/*.yaml"))
    assert codebooks
    for path in codebooks:
        plain = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        assert settings.read_yaml(path) == plain


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    date: str
    classes: Annotated[int, Field(gt=0)] | Literal["best"] = 1
    many: list[Annotated[int, Field(gt=0)] | list[int]] = []
    by_name: dict[str, Inner | int] = {}


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"classes": "x"}, "classes: "),
        ({"many": [1, 2, "x"]}, "many[2]: "),
        ({"many": [1, [2, "x"]]}, "many[1]"),
        ({"by_name": {"a": "x"}}, "by_name.a: "),
        ({"by_name": {"a": {}}}, "by_name.a.size: is missing."),
        ({"by_name": {"a": {"size": 1, "sise": 2}}}, "by_name.a.sise: unknown key"),
    ],
)
def test_a_fault_is_named_by_the_keys_of_the_file_alone(
    content: dict[str, object], place: str
) -> None:
    with pytest.raises(InputError) as raised:
        settings.validated(Outer, {"date": "now", **content}, "study.yaml", "study")
    said = str(raised.value)
    assert said.startswith(f"study.yaml: study.{place}"), said
    for word in ("constrained", "Inner", "literal", "list["):
        assert word not in said.split(": ")[1]


def test_a_missing_key_that_is_called_like_a_type_is_named() -> None:
    with pytest.raises(InputError, match=r"^study.yaml: date: is missing\."):
        settings.validated(Outer, {}, "study.yaml")
