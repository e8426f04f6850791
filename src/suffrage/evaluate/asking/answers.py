"""`Answers`: everything one model answered, for every value set, item and readout."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from suffrage import storage
from suffrage.evaluate.asking.rounding import Rounding
from suffrage.evaluate.asking.sampled_cells import SampledCell
from suffrage.models import (
    Answerer,
    ItemProbe,
    ModelAnswer,
    SharesPredictor,
    Ways,
    read_letters,
    read_sampled,
    read_sentences,
    read_text,
)
from suffrage.models.answerer import Advance
from suffrage.models.asking import Persona
from suffrage.models.device import fast_dtype
from suffrage.population import ValueSet
from suffrage.training_data.answers_in_context import persona_of


class Scoring(BaseModel):
    """The study's `scoring` section: how answers are read from a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: str = Field(default="float32", pattern="^(float32|bfloat16|auto)$")
    """float32, unless speed matters more than the third digit. auto is bfloat16 where the machine
    computes it in hardware, and float32 elsewhere."""
    ways: Ways = "all"
    """all asks an item with its options in every order and with two label sets, and averages.
    questionnaire asks once, in the order that people saw, with letters: a quarter of the time, for
    models trained with `ways: questionnaire`; other models favour places and labels."""
    lowest_mass: float = Field(default=0.25, ge=0, lt=1)
    """An item is refused if the model puts less probability than this on its options."""
    samples: int = Field(default=12, ge=0)
    """How many answers are written to each item for the sampled readout; 0 leaves it out."""
    text: bool = True
    """Whether to read the options' full texts."""
    sentence: bool = False
    """Whether to read each option said in a sentence."""
    trained_cells: int | None = Field(default=2000, ge=1)
    """About how many cells that were trained on are asked; a cell is one population and one
    question. If there are more, questions are drawn at random. null asks all. Held-out cells are
    always asked."""

    @property
    def number_format(self) -> str:
        """The number format that models are asked in on this machine."""
        if self.dtype != "auto":
            return self.dtype
        return fast_dtype() if find_spec("torch") else "float32"


@dataclass(frozen=True, eq=False)
class Answers:
    """One model's answers."""

    by_value_set: dict[str, list[ModelAnswer]]
    """The answers of the model asked as each value set."""
    rounding: Rounding | None = None
    """How far they are from those in float32; None if they are in float32, or a server's."""

    def of(self, value_set: str) -> list[ModelAnswer]:
        """The answers as one value set; none where a sample asks nothing as it."""
        return self.by_value_set.get(value_set, [])

    def write(self, folder: Path) -> None:
        """Write `answers.parquet` (and `rounding.json`), all or nothing."""
        rows: list[dict[str, Any]] = [
            {
                "value_set": value_set,
                "item": answer.item_id,
                "readout": answer.readout,
                "shares": answer.shares.tolist(),
                "mass": answer.mass,
                "order_sensitivity": answer.order_sensitivity,
                "refused": answer.refused,
                "unseen": answer.unseen,
                "drawn": answer.drawn,
                "declined": answer.declined,
            }
            for value_set, answers in self.by_value_set.items()
            for answer in answers
        ]
        kinds = {"order_sensitivity": pl.Float64, "drawn": pl.Int64, "declined": pl.Float64}
        frame = pl.DataFrame(rows, schema_overrides=kinds)

        def fill(draft: Path) -> None:
            frame.write_parquet(draft / "answers.parquet")
            if self.rounding is not None:
                storage.write_json(draft / "rounding.json", asdict(self.rounding))

        storage.write_folder(folder, fill)

    @classmethod
    def read(cls, folder: Path) -> Answers:
        """Read back what `write` wrote."""
        by_value_set: dict[str, list[ModelAnswer]] = {}
        for row in pl.read_parquet(folder / "answers.parquet").to_dicts():
            answer = ModelAnswer(
                row["item"],
                row["readout"],
                np.array(row["shares"]),
                row["mass"],
                row["order_sensitivity"],
                row["refused"],
                row["unseen"],
                row["drawn"],
                row["declined"],
            )
            by_value_set.setdefault(row["value_set"], []).append(answer)
        measured = folder / "rounding.json"
        rounding = Rounding(**storage.read_json(measured)) if measured.exists() else None
        return cls(by_value_set, rounding)


def prompts_to_score(
    value_sets: Sequence[ValueSet],
    other_readouts: Sequence[str],
    as_population: bool,
    scoring: Scoring,
    wanted: Collection[SampledCell] | None = None,
) -> int:
    """How many score requests `collect_answers` will make, for plans and progress."""
    others, held_out = int(scoring.text) + int(scoring.sentence), frozenset(other_readouts)
    return sum(
        len(probe.questions) + (others if probe.item.id in held_out else 0)
        for _, probe in asked_probes(value_sets, as_population, wanted, ways=scoring.ways)
    )


def asked_probes(
    value_sets: Sequence[ValueSet],
    as_population: bool,
    wanted: Collection[SampledCell] | None = None,
    personas: Mapping[str, Persona] | None = None,
    ways: Ways = "all",
) -> list[tuple[str, ItemProbe]]:
    """What a model is asked, each with the value set that it is asked as; "" as itself.

    Parameters
    ----------
    value_sets
        Those whose items are asked.
    as_population
        Whether the prompt names the population.
    wanted
        The cells whose answers are wanted; None for all.
    personas
        How value sets are described where they are not only named, by name.
    ways
        The orders and labels in which options are shown.
    """
    cells = [
        (v, item)
        for v in value_sets
        for item in v.items
        if wanted is None or (v.name, item.id) in wanted
    ]
    if as_population:
        asked_as = {v.name: persona_of(v, personas or {}) for v in value_sets}
        return [(v.name, ItemProbe(item, asked_as[v.name], ways)) for v, item in cells]
    items = {item.id: item for _, item in cells}
    return [("", ItemProbe(item, None, ways)) for item in items.values()]


def collect_answers(
    model: Answerer,
    value_sets: Sequence[ValueSet],
    other_readouts: Sequence[str],
    scoring: Scoring,
    as_population: bool,
    seed: int,
    advance: Advance | None = None,
    personas: Mapping[str, Persona] | None = None,
    wanted: Collection[SampledCell] | None = None,
) -> Answers:
    """Ask the model every item as every value set.

    Parameters
    ----------
    other_readouts
        The items also read by full text and by sampling. All are read by letters.
    as_population
        Whether the prompt names the population. Otherwise the model is asked once, as itself,
        and the same answers count for every value set.
    seed
        Of the written answers.
    personas
        How value sets are described where they are not only named, by name.
    wanted
        The cells that are asked; None for all.
    """
    # All value sets in one go: they share the text of every item.
    places = asked_probes(value_sets, as_population, wanted, personas, scoring.ways)
    found: dict[str, list[ModelAnswer]] = defaultdict(list)
    for name, answer in _ask(model, places, other_readouts, scoring, seed, advance):
        found[name].append(answer)
    return Answers(
        {
            v.name: [
                answer
                for answer in found[v.name if as_population else ""]
                if answer.item_id in v.distributions
                and (wanted is None or (v.name, answer.item_id) in wanted)
            ]
            for v in value_sets
        }
    )


def _ask(
    model: Answerer,
    places: list[tuple[str, ItemProbe]],
    other_readouts: Sequence[str],
    scoring: Scoring,
    seed: int,
    advance: Advance | None,
) -> list[tuple[str, ModelAnswer]]:
    """Every readout of every place, with the place's name."""
    held_out = frozenset(other_readouts)
    others = [place for place in places if place[1].item.id in held_out]
    names, probes = [name for name, _ in places], [one for _, one in places]
    other_names, other_probes = [name for name, _ in others], [one for _, one in others]
    letters = read_letters(model, probes, scoring.lowest_mass, advance)
    found = list(zip(names, letters, strict=True))
    if scoring.text and others and model.reads_texts:
        texts = read_text(model, other_probes, advance)  # two answers each
        found += zip([name for name in other_names for _ in range(2)], texts, strict=True)
    if scoring.sentence and others and model.reads_texts:
        found += zip(other_names, read_sentences(model, other_probes, advance), strict=True)
    if scoring.samples and others and not isinstance(model, SharesPredictor):
        written = read_sampled(model, other_probes, scoring.samples, seed)
        found += zip(other_names, written, strict=True)
    return found
