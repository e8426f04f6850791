"""`factors`: ridge regression from a frozen model's states, with low-rank population factors.

Learns from: share records, every population's answers to every trained item. Objective: squared
error of the log-ratios of shares, by ridge regression on features of the options. No weights are
trained, and nothing is propagated back: it is the rival that fine-tuning has to beat. Source: GEMS
(arXiv 2511.02135), which maps frozen states to item vectors linearly; its graph network is replaced
by low-rank factors. Layer, pooling, penalties, the number of factors and the profile of places are
chosen on trained items that are left out in turn, near-duplicates together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from suffrage import storage
from suffrage.align.checkpoint import FACTOR_ARRAYS, load_checkpoint
from suffrage.align.method import Method, TrainingFacts, TrainingJob, TrainingOptions
from suffrage.align.state_features import StateChoice
from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.models import ItemProbe, ModelIdentity
from suffrage.models.answerer import Advance, LabelChoice
from suffrage.models.asking import Message, persona_words
from suffrage.models.hidden_states import cached_states
from suffrage.models.identity import weights_folder_hash
from suffrage.survey import Item, Option
from suffrage.training_data import Records
from suffrage.training_data.low_rank import (
    FactorModel,
    FactorSettings,
    FactorValidation,
    ItemAnswers,
    Validated,
    fit_factors,
)
from suffrage.training_data.word_kernel import WordKernel
from suffrage.training_data.word_regression import (
    AskedItem,
    choose_settings,
    fit_words,
    word_features,
)

# What the checkpoint has besides its arrays and its manifest.
FACTS = "factors.json"
# Of a training's settings, those that mean something here.
MEANINGFUL = frozenset({"states", "dtype"})


class Options(TrainingOptions):
    """What a study may say to `factors`."""

    # model: the hidden states of the study's model. text: how alike the words of questions and
    # options are, which asks no model at all. It is also the teacher of `distribution`.
    states: Literal["model", "text"] = "model"

    @model_validator(mode="after")
    def _only_what_means_something(self) -> Options:
        extra = sorted(self.model_fields_set - MEANINGFUL)
        if extra:
            raise ValueError(f"{extra[0]} does not go with factors, which takes no steps")
        return self

    @property
    def described(self) -> tuple[str, str] | None:
        """A label and an explanation of its own, where no model is read."""
        if self.states == "model":
            return None
        return (
            "Regression on words",
            "No language model: a regression from the words of questions and options to answer "
            "shares, with a few factors for how populations differ.",
        )

    def step_count(self, pair_count: int) -> int:
        """So many steps of a batch that every record is in one."""
        return -(-pair_count // self.batch)

    @property
    def states_dtype(self) -> str:
        """The number format in which states are read."""
        return "float32" if self.dtype == "auto" else self.dtype


@dataclass(frozen=True, eq=False)
class _Learnt:
    """What records say, by item and population."""

    items: list[Item]
    answers: list[ItemAnswers]
    # What each population is called in a question, in the order of their numbers.
    personas: list[str]


def _learnt_from(records: Records) -> _Learnt:
    rows = records.frame.sort("item", "value_set").to_dicts()
    personas = list(dict.fromkeys(row["persona"] for row in rows))
    number = {persona: place for place, persona in enumerate(personas)}
    by_item: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_item.setdefault(row["item"], []).append(row)
    items = [
        Item(
            id=name,
            question=own[0]["user"],
            options=tuple(Option(code=str(k), text=t) for k, t in enumerate(own[0]["answers"])),
        )
        for name, own in by_item.items()
    ]
    answers = [
        ItemAnswers(
            np.array([number[row["persona"]] for row in own]),
            np.array([row["target"] for row in own]),
            own[0]["group"],
        )
        for own in by_item.values()
    ]
    return _Learnt(items, answers, personas)


def train(job: TrainingJob) -> TrainingFacts:
    """Choose the settings on trained items left out in turn, then fit on all of them."""
    learnt, options = _learnt_from(job.records), job.options
    facts: dict[str, Any] = {"states": options.states, "dtype": options.states_dtype}
    count = len(learnt.personas)
    if options.states == "text":
        asked = [AskedItem(*own) for own in zip(learnt.items, learnt.answers, strict=True)]
        best = choose_settings(asked, count, job.seed)
        known, model = fit_words(asked, count, best.settings, job.seed)
        facts["known"] = [[_texts(item) for item in block] for block in known]
        job.on_step(1, 1, 1 - best.fit)
    else:
        validation = FactorValidation(learnt.answers, count, job.seed)
        choice, best, features = _best_states(job, learnt, validation)
        facts["choice"] = asdict(choice)
        model = fit_factors(features, learnt.answers, count, best.settings, job.seed)
    _write(job.output, model, {**facts, **_chosen(best), "personas": learnt.personas})
    return TrainingFacts(
        steps=1,
        examples=len(job.records),
        tokens=0,
        dtype=options.states_dtype,
        resumed_from=0,
    )


def _best_states(
    job: TrainingJob, learnt: _Learnt, validation: FactorValidation
) -> tuple[StateChoice, Validated, list[FloatArray]]:
    """The layer and pooling whose features fit best, with the settings for them."""
    states = _states_of(
        job.model, job.start, job.options.states_dtype, job.work.parent, learnt.items
    )
    tried: list[tuple[StateChoice, Validated]] = []
    every = StateChoice.every()
    for number, choice in enumerate(every):
        tried.append((choice, validation.best([choice.features(own) for own in states])))
        job.on_step(number + 1, len(every), 1 - tried[-1][1].fit)
    choice, best = max(tried, key=lambda one: one[1].fit)
    return choice, best, [choice.features(own) for own in states]


def _states_of(
    model: ModelIdentity,
    start: Path | None,
    dtype: str,
    work: Path,
    items: Sequence[Item],
    advance: Advance | None = None,
) -> list[Any]:
    """The states of items under the model that a study starts from, each read once in its folder.

    start: the checkpoint over the model; None for the model itself.
    """
    weights = f" {weights_folder_hash(start)}" if start else ""
    return cached_states(
        work / "states",
        f"{model.content}{weights} {dtype}",
        partial(load_checkpoint, model, start, dtype),
        items,
        advance,
    )


def _chosen(best: Validated) -> dict[str, Any]:
    return {"settings": asdict(best.settings), "validation_fit": best.fit}


def _write(folder: Path, model: FactorModel, facts: Mapping[str, Any]) -> None:
    every: dict[str, Any] = {
        "populations": model.populations,
        "coefficients": model.coefficients,
        "scale": model.scale,
        **{f"profile_{size}": profile for size, profile in model.profiles.items()},
    }
    np.savez(folder / FACTOR_ARRAYS, **every)
    storage.write_json(folder / FACTS, dict(facts))


@dataclass(frozen=True, eq=False)
class FactorAnswerer:
    """A trained `factors`, which gives shares of an item's options and no text."""

    model: FactorModel
    # By what a question calls a population, its number.
    populations: Mapping[str, int]
    # Features of each item's options.
    features: Callable[[Sequence[Item], Advance | None], list[FloatArray]]

    def item_shares(
        self, probes: Sequence[ItemProbe], advance: Advance | None = None
    ) -> list[FloatArray]:
        """The shares of each item's options, as a population or as the mean of all.

        A population that was not trained on is given the mean population's answer.
        """
        items = {_texts(one.item): one.item for one in probes}
        features = dict(zip(items, self.features(list(items.values()), advance), strict=True))
        return [
            self.model.predict(features[_texts(one.item)], self.populations.get(_population(one)))
            for one in probes
        ]

    @property
    def reads_texts(self) -> bool:
        """False: it predicts shares."""
        return False

    def choose(
        self, choices: Sequence[LabelChoice], advance: Advance | None = None
    ) -> list[FloatArray]:
        """It cannot: see `item_shares`."""
        raise _no_text()

    def text_log_probs(
        self,
        chats: Sequence[Sequence[Message]],
        texts: Sequence[Sequence[str]],
        advance: Advance | None = None,
    ) -> list[list[FloatArray]]:
        """It cannot: see `item_shares`."""
        raise _no_text()

    def write(
        self, chats: Sequence[Sequence[Message]], count: int, longest: int, seed: int
    ) -> list[list[str]]:
        """It cannot: see `item_shares`."""
        raise _no_text()


def _population(asked: ItemProbe) -> str:
    return persona_words(asked.persona) if asked.persona else ""


def _no_text() -> InputError:
    return InputError("factors gives shares of a survey's options and no text; ask another method.")


def _texts(item: Item) -> tuple[str, ...]:
    return (item.question, *item.texts)


def _known_item(question: str, *options: str) -> Item:
    """The item with these texts, see `_texts`."""
    own = tuple(Option(code=str(place), text=text) for place, text in enumerate(options))
    return Item(id=question, question=question, options=own)


def load_factors(
    model: ModelIdentity, checkpoint: Path, work: Path, start: Path | None = None
) -> FactorAnswerer:
    """Load a trained `factors`.

    Parameters
    ----------
    model : ModelIdentity
        The model whose states it was trained on.
    checkpoint : Path
    work : Path
        The folder in which states are kept.
    start : Path, optional
        The checkpoint over the model whose states it was trained on.
    """
    facts = json.loads((checkpoint / FACTS).read_text(encoding="utf-8"))
    with np.load(checkpoint / FACTOR_ARRAYS) as kept:
        arrays = {name: kept[name] for name in kept.files}
    profiles = {
        int(name.removeprefix("profile_")): array
        for name, array in arrays.items()
        if name.startswith("profile_")
    }
    fitted = FactorModel(
        FactorSettings(**facts["settings"]),
        arrays["populations"],
        arrays["coefficients"],
        arrays["scale"],
        profiles,
    )
    numbers = {persona: place for place, persona in enumerate(facts["personas"])}
    if facts["states"] == "text":
        kernels = [WordKernel([_known_item(*own) for own in block]) for block in facts["known"]]
        return FactorAnswerer(fitted, numbers, lambda items, advance: word_features(kernels, items))
    choice = StateChoice(**facts["choice"])

    def from_states(items: Sequence[Item], advance: Advance | None) -> list[FloatArray]:
        states = _states_of(model, start, facts["dtype"], work, items, advance)
        return [choice.features(own) for own in states]

    return FactorAnswerer(fitted, numbers, from_states)


METHOD = Method(
    name="factors",
    label="Factors on frozen states",
    explanation="No fine-tuning: a ridge regression from the untrained model's hidden states to "
    "answer shares, with a few factors for how populations differ.",
    options=Options,
    records="shares",
    train=train,
    load=load_factors,
)
