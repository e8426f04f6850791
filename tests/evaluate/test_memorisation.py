"""Learnt people or questions? Tried on models that know only trained words, and on honest ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suffrage import storage
from suffrage.evaluate import memorisation
from suffrage.evaluate.memorisation import EVALUATION, TEXT_PROMPT, Options, min_k_log_prob
from suffrage.population import build_value_set
from suffrage.training_data import HeldOut, split_items
from suffrage.training_data.distribution_records import build_distributions
from suffrage.training_data.records import RecordSettings
from tests.evaluate.asking import evaluated, gss_survey, value_of
from tests.impostors import Impostor, constant, flat, majority, noise, people

SURVEY = gss_survey()
SETS = [
    build_value_set(SURVEY, name, {"region": name}, 1, f"people of the {name}")
    for name in ("north", "south")
]
SPLIT = split_items(SURVEY.codebook.items, HeldOut(share=0.4), 1)
ITEMS = {item.id: item for item in SURVEY.codebook.items}
HONEST = people(SETS, lambda shares: shares)


class Crammer(Impostor):
    """Answers as the people do where a trained question is in its own words, and evenly elsewhere.

    knows_texts: finds the texts of trained questions more probable by one nat a token.
    """

    def __init__(self, knows_texts: bool = True) -> None:
        self.learnt = [ITEMS[name].question for name in SPLIT.train]
        self.knows_texts = knows_texts

        def says(options: list[str], question: str) -> np.ndarray:  # type: ignore[type-arg]
            if any(question.startswith(f"{known}\n\n") for known in self.learnt):
                return HONEST.says(options, question)
            return np.full(len(options), 1 / len(options))

        super().__init__(says)  # type: ignore[arg-type]

    def text_log_probs(self, chats: Any, texts: Any, advance: Any = None) -> Any:
        if chats[0][-1]["content"] != TEXT_PROMPT:
            return super().text_log_probs(chats, texts, advance)
        up = [self.knows_texts and text in self.learnt for text in texts[0]]
        return [[np.linspace(-6, -2, 10) + float(known) for known in up]]


def test_a_crammer_is_found_out_by_every_sign() -> None:
    models = {"base": Crammer(False), "crammer": Crammer()}
    models["base"].says = flat().says
    card = evaluated(EVALUATION, models, SETS, SPLIT, Options(), ["base"])
    assert value_of(card, "gain_gap", "crammer").low > 0.05
    assert value_of(card, "wording_gap", "crammer").low > 0.05
    assert value_of(card, "wording_loss_held_out", "crammer").value == pytest.approx(0, abs=1e-12)
    recalled = value_of(card, "recall_gap", "crammer")
    assert recalled.value == pytest.approx(1) and recalled.floor == 0
    # All that it gained on trained questions it loses in other words.
    gained = value_of(card, "gain_gap", "crammer").value
    assert value_of(card, "wording_loss_trained", "crammer").value == pytest.approx(gained)


@pytest.mark.slow
def test_honest_models_and_impostors_without_memory_lie_at_the_floor() -> None:
    models = {
        "base": flat(),
        "honest": HONEST,
        "parrot": people(SETS, majority),
        "constant": constant(),
        "noise": noise(),
        "flat": flat(),
    }
    card = evaluated(EVALUATION, models, SETS, SPLIT, Options(), ["base"])
    for method in ("honest", "parrot", "constant", "flat"):
        for measure in ("wording_gap", "wording_loss_trained", "wording_loss_held_out"):
            assert value_of(card, measure, method).value == pytest.approx(0, abs=1e-9)
    for method in models.keys() - {"base"}:
        gap = value_of(card, "gain_gap", method)
        assert gap.low <= 0 <= gap.high, method
    noisy = value_of(card, "wording_gap", "noise")
    assert noisy.low <= 0 <= noisy.high


def test_paraphrases_of_a_file_are_asked_and_compared_with_the_own_words(tmp_path: Path) -> None:
    wordings = {name: [f"Paraphrase of {name}?"] for name in ITEMS}
    storage.write_json(tmp_path / "other.json", {"paraphrases": wordings})
    options = Options(paraphrases="other.json")
    assert options.files == ("other.json",)
    model = Crammer()
    card = evaluated(EVALUATION, {"base": model}, SETS, SPLIT, options, folder=tmp_path)
    assert any("Paraphrase of natpark?" in heard for heard in model.heard)
    # Own texts are one nat up where trained on, paraphrases never.
    share = len(SPLIT.train) / len(ITEMS)
    assert value_of(card, "familiar_wording", "base").value == pytest.approx(share)
    assert not any("Without `paraphrases:`" in note for note in card.notes)


@pytest.mark.slow
def test_a_held_out_question_in_the_records_is_named(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    records = build_distributions(SETS, SPLIT, 40, generator, RecordSettings())
    records.write(tmp_path / "clean")
    leaked = next(
        name
        for name in SPLIT.held_out
        if len(memorisation.question_words(list(ITEMS.values()))[name]) > 2
    )
    row = {**records.frame.to_dicts()[0], "user": f"So then: {ITEMS[leaked].question}"}
    import polars as pl

    frame = pl.concat([records.frame, pl.DataFrame([row], schema=records.frame.schema)])
    type(records)(records.kind, frame, records.made_from).write(tmp_path / "leaky")
    models = {"base": flat(), "distribution": flat()}
    for folder, found in (("clean", False), ("leaky", True)):
        given = {("distribution", 5): [tmp_path / folder]}
        card = evaluated(EVALUATION, models, SETS, SPLIT, Options(), records=given)
        assert any(leaked in note and "100%" in note for note in card.notes) is found
        assert any("No record contains" in note for note in card.notes) is not found
        assert value_of(card, "overlap", "base") is None
        assert (value_of(card, "overlap", "distribution").value < 0.8) or found


def test_min_k_by_hand() -> None:
    logs = np.log(np.array([0.9, 0.01, 0.5, 0.2, 0.8, 0.7, 0.6, 0.95, 0.99, 0.4]))
    assert min_k_log_prob(logs) == pytest.approx((np.log(0.01) + np.log(0.2)) / 2)
    assert min_k_log_prob(logs[:1]) == pytest.approx(np.log(0.9))


def test_no_template_is_one_that_models_train_on() -> None:
    from suffrage.training_data.augmentation import CONTEXTS

    assert not set(memorisation.TEMPLATES) & set(CONTEXTS)
    assert all(template.count("{}") == 1 for template in memorisation.TEMPLATES)
