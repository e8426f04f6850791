"""Keys of one's own: values, items, direction and scoring in a YAML file."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from suffrage.errors import InputError
from suffrage.survey import Codebook, Item, Option, Provenance, Survey
from suffrage.values.item_keys import item_key
from suffrage.values.scores import value_scores

KEY: dict[str, Any] = {
    "title": "What a town wants",
    "scoring": "mean",
    "most": {"a": 1, "b": 1, "c": 1, "d": 1},
    "values": {
        "calm": {"name": "quiet", "items": ["a", {"item": "b", "reversed": True}]},
        "growth": {"items": ["c", "d"], "belongs_to": "change"},
    },
}


def own_key(folder: Path, **changes: Any) -> str:
    path = folder / "town-values.yaml"
    path.write_text(yaml.safe_dump({**KEY, **changes}))
    return str(path)


def town(d_options: int = 4) -> tuple[Survey, dict[str, np.ndarray]]:
    """Sixty people, four items of four numbered options each."""
    generator = np.random.default_rng(3)
    sizes = {"a": 4, "b": 4, "c": 4, "d": d_options}
    raw = {item: generator.integers(0, size, 60) for item, size in sizes.items()}
    columns: dict[str, Any] = {
        "respondent": [f"r{k:02d}" for k in range(60)],
        "weight": np.ones(60),
        **{item: pl.Series(values, dtype=pl.Int16) for item, values in raw.items()},
    }
    items = tuple(
        Item(
            id=item,
            question=f"About {item}?",
            options=tuple(Option(code=str(k + 1), text=f"{k + 1}") for k in range(size)),
        )
        for item, size in sizes.items()
    )
    source = Provenance("made-up", {}, "Made up.")
    return Survey(pl.DataFrame(columns), Codebook(title="Town", items=items), source), raw


def test_values_are_means_of_items_in_the_keys_direction(tmp_path: Path) -> None:
    survey, raw = town()
    key = item_key(own_key(tmp_path))
    assert key.instrument == "town-values" and key.taxonomy.values[0].name == "quiet"
    found = value_scores(survey, key)
    assert found.values == ("calm", "growth", "change")
    # The first option means most, and b runs the other way.
    assert found.scores[:, 0] == pytest.approx(((4 - raw["a"]) + (raw["b"] + 1)) / 2)
    assert found.scores[:, 1] == pytest.approx(((4 - raw["c"]) + (4 - raw["d"])) / 2)
    assert found.scores[:, 2] == pytest.approx(found.scores[:, 1])


def test_centred_and_stretched_scores(tmp_path: Path) -> None:
    survey, raw = town()
    centred = value_scores(survey, item_key(own_key(tmp_path, scoring="centred")))
    every = np.mean([4 - raw["a"], raw["b"] + 1, 4 - raw["c"], 4 - raw["d"]], axis=0)
    alike = np.ptp(np.column_stack(list(raw.values())), axis=1) == 0
    wanted = ((4 - raw["a"]) + (raw["b"] + 1)) / 2 - every
    assert centred.scores[:, 0] == pytest.approx(wanted[~alike])
    uneven, raw = town(d_options=11)
    with pytest.raises(InputError, match="4 to 11 options, so their steps are not alike"):
        value_scores(uneven, item_key(own_key(tmp_path)))
    found = value_scores(uneven, item_key(own_key(tmp_path, scoring="stretched")))
    wanted = ((3 - raw["c"]) / 3 + (10 - raw["d"]) / 10) / 2
    assert found.scores[:, 1] == pytest.approx(wanted)


def test_a_key_may_be_of_a_known_taxonomy(tmp_path: Path) -> None:
    values = {"PO": {"items": ["c", "d"]}, "SD": {"items": ["a", "b"]}}
    key = item_key(own_key(tmp_path, values=values, taxonomy="schwartz10", most=1))
    assert [*key.items] == ["SD", "PO"] and key.taxonomy.name == "schwartz10"
    assert key.most == {"a": "1", "b": "1", "c": "1", "d": "1"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": {}}, "values"),
        ({"most": {"z": 1}}, "most.z: no value has this item"),
        (
            {"values": {"x": {"items": ["a"]}, "y": {"items": [{"item": "a", "reversed": True}]}}},
            "it can run one way only",
        ),
        ({"taxonomy": "schwartz10"}, "calm is not a value of schwartz10"),
        ({"scoring": "sum"}, "scoring"),
    ],
)
def test_a_key_with_a_mistake_is_refused(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        item_key(own_key(tmp_path, **changes))


def test_items_that_the_survey_lacks_are_named(tmp_path: Path) -> None:
    values = {"calm": {"items": ["a", "z"]}}
    with pytest.raises(InputError, match="town-values needs z, which this survey does not have"):
        value_scores(town()[0], item_key(own_key(tmp_path, values=values, most=1)))
