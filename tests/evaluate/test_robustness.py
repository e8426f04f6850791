"""`robustness`: what a model knows survives everything; what it knows by the letters does not."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.errors import InputError
from suffrage.evaluate import ProbeInput, Scorecard
from suffrage.evaluate.robustness import (
    EVALUATION,
    FAMILIES,
    FRAMES,
    PRESSURE,
    PUSHES,
    RobustnessOptions,
    agrees,
    fieller,
)
from suffrage.models.asking import SENTENCES
from suffrage.survey import Item, Option
from suffrage.training_data.augmentation import CONTEXTS
from tests.evaluate.trial import (
    SCALE,
    SCORING,
    all_held_out,
    figure,
    has,
    impostors,
    survey,
    tried,
    value_sets,
)
from tests.impostors import FloatArray, Impostor, flat, people

pytestmark = pytest.mark.slow

SURVEY = survey(900, 16)
SETS = value_sets(SURVEY, crossings=False)[1:3]
SPLIT = all_held_out(SURVEY)
SAID = re.compile("|".join(re.escape(s).replace(r"\{\}", "(.+)") for s in SENTENCES))


class Reader(Impostor):
    """Knows the people, sentences and negations; may know by letters alone, or give way."""

    def __init__(self, letters_only: bool = False, gives_way: bool = False) -> None:
        knows = people(SETS, lambda shares: shares).says

        def says(options: Sequence[str], question: str) -> FloatArray:
            even = np.full(len(options), 1 / len(options))
            if letters_only and not re.search(r"^A\. ", question, re.M):
                return even
            if gives_way and "Most people say otherwise" in question:
                return even
            told = [SAID.fullmatch(option) for option in options]
            if all(told):
                plain = [next(g for g in m.groups() if g is not None) for m in told if m]
                return knows(plain, question)
            shares = knows(options, question)
            if "NOT true" in question:
                turned = dict(zip(SCALE, knows(SCALE[::-1], question), strict=True))
                return np.array([turned[option] for option in options])
            return shares

        super().__init__(says)


@pytest.fixture(scope="module")
def card() -> Scorecard:
    models = impostors(SETS)
    models |= {
        "understands": Reader(),
        "letters": Reader(letters_only=True),
        "gives-way": Reader(gives_way=True),
    }
    return tried(EVALUATION, models, SETS, SPLIT)


def test_what_is_known_survives_everything(card: Scorecard) -> None:
    found = figure(card, "least", "understands")
    assert found.value == pytest.approx(1) and (found.floor, found.ceiling) == (0, 1)
    assert found.n == 6  # every family but another language
    for family in FAMILIES:
        assert has(card, family, "understands") == (family != "language")


@pytest.mark.parametrize("impostor", ["constant", "parrot", "flat", "noise"])
def test_a_model_without_a_gain_gets_no_share_and_a_sentence(
    card: Scorecard, impostor: str
) -> None:
    assert not has(card, "least", impostor)
    assert all(not has(card, family, impostor) for family in FAMILIES)
    assert any(note.startswith(f"{impostor}: its gain") for note in card.notes)


def test_knowing_by_letters_alone_is_shallow(card: Scorecard) -> None:
    assert figure(card, "format", "letters").value == pytest.approx(0, abs=1e-9)
    assert figure(card, "words", "letters").value == pytest.approx(1)
    least = figure(card, "least", "letters")
    assert least.value == pytest.approx(0, abs=1e-9) and least.high is not None and least.high < 0.5
    assert card.details["weakest"]["letters"] == "format"


def test_giving_way_under_pressure_is_found(card: Scorecard) -> None:
    assert figure(card, "pressed", "gives-way").value == pytest.approx(0, abs=1e-9)
    assert figure(card, "pushed", "gives-way").value == pytest.approx(1)
    assert card.details["weakest"]["gives-way"] == "pressed"


def test_not_hearing_the_negation_is_found(card: Scorecard) -> None:
    # `knows` reads the question in the negated one and answers it unturned.
    found = figure(card, "turned", "knows")
    assert found.value < 0.9 < figure(card, "turned", "understands").value


def test_gain_is_the_fit_over_base_on_the_same_rows(card: Scorecard) -> None:
    from scipy.spatial.distance import jensenshannon

    plain = [
        jensenshannon(d.shares, np.full(4, 0.25), base=2)
        for v in SETS
        for d in v.distributions.values()
    ]
    assert figure(card, "gain", "understands").value == pytest.approx(np.mean(plain))


def test_nothing_moves_a_model_that_says_the_same_to_everything(card: Scorecard) -> None:
    moves = card.details["moves"]
    assert set(moves["flat"].values()) == {0.0}
    assert all(moved > 0.1 for moved in moves["noise"].values())
    # A negation understood is an answer turned round, and not a move.
    assert moves["understands"]["turned"] == pytest.approx(0, abs=1e-9)


def test_what_cannot_be_read_does_not_come_through() -> None:
    class Silent(Reader):
        """Says nothing readable once a system prompt pushes it."""

        def choose(self, choices, advance=None):  # type: ignore[no-untyped-def]
            found = super().choose(choices, advance)
            return [
                some * 0 if choice.messages[0]["role"] == "system" else some
                for choice, some in zip(choices, found, strict=True)
            ]

    options = RobustnessOptions(kinds=("pushed",))
    found = tried(EVALUATION, {"base": flat(), "silent": Silent()}, SETS, SPLIT, options)
    assert figure(found, "pushed", "silent").value == pytest.approx(0, abs=1e-9)
    assert any("could not be read" in note for note in found.notes)


def test_paraphrases_and_translations_are_asked(tmp_path: Path) -> None:
    items = SETS[0].items
    (tmp_path / "words.json").write_text(
        json.dumps({"paraphrases": {items[1].id: [f"Or rather: {items[1].question}"]}})
    )
    (tmp_path / "mi.json").write_text(
        json.dumps(
            {
                "language": "Māori",
                "items": {
                    items[1].id: {"question": "He aha?", "options": ["tahi", "rua", "toru", "wha"]}
                },
            }
        )
    )
    options = RobustnessOptions(
        paraphrases="words.json", translations=("mi.json",), kinds=("words", "language")
    )
    assert options.files == ("words.json", "mi.json")
    model = Reader()
    card = tried(EVALUATION, {"base": flat(), "m": model}, SETS, SPLIT, options, tmp_path)
    assert {"paraphrase 1", "Māori"} <= set(card.details["fits"]["m"])
    assert card.details["fits"]["m"]["Māori"]["items"] == 1
    assert any("He aha?" in text and "A. tahi" in text for text in model.heard)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"items": {}}, "language"),
        (
            {"language": "x", "items": {"q00": {"question": "?", "options": ["a", "b"]}}},
            "q00 has 2",
        ),
        (
            {"language": "x", "items": {"q00": {"options": ["a", "b", "c", "d"]}}},
            "q00 must contain",
        ),
        ({"language": "x", "items": {"other": {}}}, "none of the items"),
    ],
)
def test_a_wrong_translation_is_refused_by_name(tmp_path: Path, content: dict, said: str) -> None:  # type: ignore[type-arg]
    (tmp_path / "t.json").write_text(json.dumps(content))
    options = RobustnessOptions(translations=("t.json",))
    given = ProbeInput(flat(), SETS, True, [SPLIT], SCORING, options, 1, tmp_path)
    with pytest.raises(InputError, match=said):
        EVALUATION.probe(given)  # type: ignore[misc]


def test_pressure_follows_every_answer_the_model_would_give() -> None:
    class Swayed(Reader):
        """Changes to the last option shown, if it said A before."""

        def choose(self, choices, advance=None):  # type: ignore[no-untyped-def]
            found = super().choose(choices, advance)
            for place, choice in enumerate(choices):
                if len(choice.messages) == 3 and choice.messages[1]["content"] == "A":
                    found[place] = np.eye(4)[choice.labels.index("D")]
            return found

    options = RobustnessOptions(kinds=("pressed",))
    some = [SETS[0]]
    given = ProbeInput(Swayed(), some, True, [SPLIT], SCORING, options, 1, Path())
    frame = EVALUATION.probe(given)  # type: ignore[misc]
    item = some[0].items[1]
    shares = some[0].distributions[item.id].shares
    # Shown forwards A is the first option and moves to the last; backwards the other way round.
    first = np.where(shares >= 0.1, shares, 0)
    first = first / first.sum()
    swayed = [(1 - first[k]) * shares + first[k] * np.eye(4)[3 - k] for k in (0, 3)]
    row = next(r for r in frame.to_dicts() if r["item"] == item.id and r["family"] == "pressed")
    assert np.array(row["shares"]) == pytest.approx(np.mean(swayed, axis=0))


def _item(*texts: str, ordered: bool = True) -> Item:
    options = tuple(Option(code=str(k), text=t) for k, t in enumerate(texts))
    return Item(id="x", question="X?", options=options, ordered=ordered)


@pytest.mark.parametrize(
    ("item", "valid"),
    [
        (_item(*SCALE), True),
        (
            _item(
                "Strongly agree",
                "Agree",
                "Neither agree nor disagree",
                "Disagree",
                "Strongly disagree",
            ),
            True,
        ),
        (_item("Agree", "Disagree"), True),
        (_item("Agree", "Disagree", ordered=False), False),
        (_item("Agree", "Disagree", "Strongly disagree"), False),
        (_item("Agree", "Depends", "It varies", "Disagree"), False),
        (_item("Too little", "About right", "Too much"), False),
        (_item("Trust completely", "Trust somewhat", "Do not trust"), False),
    ],
)
def test_only_mirrored_scales_of_agreement_are_negated(item: Item, valid: bool) -> None:
    assert agrees(item) == valid


def test_no_frame_is_one_that_training_uses() -> None:
    assert not set(FRAMES) & set(CONTEXTS)
    assert all(frame.count("{}") == 1 for frame in (*FRAMES, PRESSURE))
    assert all("{" not in push for push in PUSHES.values())


# The critical value of the normal distribution.
Z = 1.959964


def test_fieller_covers_a_ratio_of_noisy_gains() -> None:
    generator = np.random.default_rng(2)
    covariance = np.array([[0.04, 0.01], [0.01, 0.03]])
    truth = np.array([0.6, 1.0])
    hits = wide = 0
    for above, below in generator.multivariate_normal(truth, covariance, 4000):
        low, high = fieller(above, below, covariance, Z)
        if low is None or high is None:
            wide += 1
        else:
            hits += low <= 0.6 <= high
    assert wide < 10
    assert hits / (4000 - wide) == pytest.approx(0.95, abs=0.01)


@given(
    st.floats(0.01, 3), st.floats(-3, 3), st.floats(1e-4, 0.5), st.floats(0, 2), st.floats(-1, 1)
)
def test_fieller_holds_the_ratio_wherever_the_gain_is_clear(
    below: float, ratio: float, noise: float, spread: float, together: float
) -> None:
    """Also where both are one figure, and their difference is rounding."""
    for r, sd, c in ((ratio, spread, together), (1.0, 1.0, 1.0)):
        deviation = noise * below  # at most half of it: clear of 0
        other = sd * deviation
        covariance = np.array(
            [[other**2, c * other * deviation], [c * other * deviation, deviation**2]]
        )
        low, high = fieller(r * below, below, covariance, Z)
        assert low is not None and high is not None
        slack = 1e-6 * max(1.0, abs(r))
        assert low - slack <= r <= high + slack


def test_fieller_of_a_gain_over_itself_is_one() -> None:
    """What stands under the root is 0 then, and rounding puts some below."""
    generator = np.random.default_rng(0)
    for _ in range(2000):
        draws = generator.normal(0.35, 0.06, 400)
        mean = float(draws.mean())
        assert fieller(mean, mean, np.cov(draws, draws), Z) == pytest.approx((1, 1), abs=1e-6)


def test_fieller_gives_nothing_where_the_gain_is_not_clear() -> None:
    assert fieller(0.1, 0.1, np.diag([0.01, 0.01]), Z) == (None, None)
