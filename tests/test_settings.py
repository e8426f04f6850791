"""YAML files: quickly read, and their mistakes named by line, whichever reader PyYAML has."""

from pathlib import Path

import pytest
import yaml

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
