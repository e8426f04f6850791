"""The evaluation of votes: four quadrants by hand, floors at floors, and the worst group named."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.spatial.distance import jensenshannon

from suffrage.consult.consultation import Consultation
from suffrage.evaluate.asking.item_probes import SCHEMA, chosen_items
from suffrage.evaluate.asking.voting_groups import (
    AVERAGE,
    COMMONEST,
    PARTICIPANTS,
    PeopleSide,
    VotedCell,
)
from suffrage.evaluate.results import Figure
from suffrage.evaluate.scorecard import AS_ITSELF, EvaluationInput, Scorecard
from suffrage.evaluate.votes import EVALUATION, Options, VotersAsFew
from suffrage.population import build_value_set
from suffrage.study.commands.simulated_public import SimulatedPublicSettings, simulated_public
from suffrage.training_data import HeldOut
from suffrage.training_data.consultation_source import (
    ConsultationSource,
    ConsultationSpec,
    consultation_source,
)
from suffrage.training_data.split import split_items
from tests.synthetic import make_survey

pytestmark = pytest.mark.slow

SURVEY = make_survey(respondents=400, items=10, seed=3)
SPLIT = split_items(SURVEY.codebook.items, HeldOut(by="list", items=("q0",)), 1)
NORTH = build_value_set(SURVEY, "north", {"region": "north"}, 1, "people in the north")
SOUTH = build_value_set(SURVEY, "south", {"region": "south"}, 1, "people in the south")
PUBLIC, _ = simulated_public(SURVEY, SimulatedPublicSettings(participants=150, statements=40), 5)
SPEC = ConsultationSpec.model_validate(
    {"folder": "x", "held_out": 0.4, "held_out_statements": 0.3, "groups": 2, "resamples": 2}
)
SEED = 7
Shares = tuple[float, float, float]
Says = Callable[[str, str], Shares | None]


def source(public: Consultation = PUBLIC) -> ConsultationSource:
    items = SURVEY.codebook.items
    return consultation_source(public, SPEC, [NORTH, SOUTH], items, SPLIT, SEED)


SOURCE = source()


def scored(
    models: dict[str, Says],
    found: ConsultationSource = SOURCE,
    most: int | None = None,
    **more: Any,
) -> Scorecard:
    """The scorecard of models that answer by a function of the population and the item."""
    asked = chosen_items(found.statement_items, most)
    probes = {}
    for name, says in models.items():
        rows = []
        for population in ("north", "south", "everyone"):
            for item in asked:
                shares = says(population, item.id)
                rows.append(
                    {
                        "value_set": AS_ITSELF,
                        "population": population,
                        "item": item.id,
                        "shares": list(shares or (1.0, 0.0, 0.0)),
                        "mass": 1.0,
                        "refused": shares is None,
                    }
                )
        probes[name, SEED] = pl.DataFrame(rows, schema=SCHEMA)
    given = EvaluationInput(
        value_sets=[NORTH, SOUTH],
        splits={SEED: SPLIT},
        answers={},
        methods=list(models),
        trained=[],
        probes=probes,
        options=Options(),
        consultations={SEED: found},
        **more,
    )
    return EVALUATION.scored(given, 1)


def figure(card: Scorecard, measure: str, method: str, side: str, group: str = "all") -> Figure:
    (found,) = (
        f
        for f in card.figures
        if (f.measure, f.method, f.side, f.value_set) == (measure, method, side, group)
        and f.seed == "all"
    )
    return found


def by_hand(public: Consultation, people: set[str], statement: str) -> np.ndarray[Any, Any]:
    """How many of these people agree, disagree and pass."""
    votes = public.votes.filter(
        (pl.col("statement") == statement) & pl.col("participant").is_in(list(people))
    )["vote"].to_list()
    return np.array([votes.count(1), votes.count(-1), votes.count(0)])


def members(group: str, held_out: bool) -> set[str]:
    people = set(SOURCE.held_out_people if held_out else SOURCE.people)
    if group == "everyone":
        return people
    rows = PUBLIC.demographics.filter((pl.col("item") == "region") & (pl.col("value") == group))
    return people & set(rows["participant"])


@pytest.mark.parametrize(("suffix", "held_out"), [("", True), ("_seen", False)])
@pytest.mark.parametrize("side", ["held_out", "trained"])
def test_each_quadrant_is_what_plain_counting_gives(suffix: str, held_out: bool, side: str) -> None:
    answer = (0.2, 0.5, 0.3)
    card = scored({"model": lambda population, item: answer})
    split = SOURCE.statement_split
    wanted = split.held_out if side == "held_out" else split.train
    fits, agreements = [], []
    for item in wanted:
        for group in ("everyone", "north", "south"):
            counts = by_hand(PUBLIC, members(group, held_out), item.removeprefix("statement/"))
            if counts.sum() >= 5:
                fits.append(1 - jensenshannon(counts / counts.sum(), answer, base=2))
                decided = counts[0] + counts[1]
                agreements.append(counts[1] / decided if decided else 0.5)
    assert figure(card, f"fit{suffix}", "model", side).value == pytest.approx(np.mean(fits))
    assert figure(card, f"agreement{suffix}", "model", side).value == pytest.approx(
        np.mean(agreements)
    )


def test_a_model_that_says_what_held_out_people_voted_fits_them_and_nobody_else() -> None:
    def says(population: str, item: str) -> Shares | None:
        counts = by_hand(PUBLIC, members(population, True), item.removeprefix("statement/"))
        return None if counts.sum() < 5 else tuple(counts / counts.sum())

    card = scored({"oracle": says})
    assert figure(card, "fit", "oracle", "held_out").value == pytest.approx(1)
    assert figure(card, "fit_seen", "oracle", "held_out").value < 0.95
    top = figure(card, "fit", "oracle", "held_out").ceiling
    assert top is not None and top < 1


def test_votes_of_held_out_people_move_no_floor_and_no_other_quadrant() -> None:
    out = {i.removeprefix("statement/") for i in SOURCE.statement_split.held_out}
    away = pl.col("participant").is_in(list(SOURCE.held_out_people))
    both = away & pl.col("statement").is_in(sorted(out))
    vote = pl.when(both).then(-pl.col("vote")).otherwise("vote")
    tables = {n: getattr(PUBLIC, n) for n in PUBLIC.__dataclass_fields__}
    turned = Consultation(**tables | {"votes": PUBLIC.votes.with_columns(vote=vote)})
    cards = [
        scored({"model": lambda population, item: (0.7, 0.2, 0.1)}, source(public))
        for public in (PUBLIC, turned)
    ]
    same = [
        ("fit", "trained", "model"),
        ("fit_seen", "held_out", "model"),
        ("fit_seen", "trained", "model"),
        ("fit_seen", "held_out", AVERAGE),
        ("fit_seen", "held_out", COMMONEST),
    ]
    for measure, side, method in same:
        one, two = (figure(card, measure, method, side).value for card in cards)
        assert one == two
    one, two = (figure(card, "fit", "model", "held_out").value for card in cards)
    assert one != two


def test_a_parrot_of_the_average_vote_is_at_its_floor() -> None:
    card = scored({"model": lambda population, item: (0.7, 0.2, 0.1)})
    averages = {}
    train = SOURCE.statement_split.train
    for group in ("everyone", "north", "south"):
        shares = []
        for item in train:
            counts = by_hand(PUBLIC, members(group, False), item.removeprefix("statement/"))
            if counts.sum() >= 5:
                shares.append(counts / counts.sum())
        averages[group] = tuple(np.mean(shares, axis=0))
    parrot = scored({"model": lambda population, item: averages[population]})
    own = figure(parrot, "fit", "model", "held_out")
    assert own.value == pytest.approx(figure(card, "fit", AVERAGE, "held_out").value)
    assert own.floor == pytest.approx(own.value)


def test_floors_and_people_are_measured_on_the_statements_that_models_were_asked_about() -> None:
    models = {"model": lambda population, item: (0.7, 0.2, 0.1)}
    some, whole = scored(models, most=20), scored(models)
    for side in ("held_out", "trained"):
        (count,) = {figure(some, "fit", name, side).n for name in ("model", AVERAGE, COMMONEST)}
        assert 0 < figure(some, "fit", PARTICIPANTS, side).n <= count
        assert count < figure(whole, "fit", "model", side).n


def test_the_group_that_is_answered_wrongly_is_named() -> None:
    def says(population: str, item: str) -> Shares:
        counts = by_hand(PUBLIC, members(population, True), item.removeprefix("statement/"))
        shares = (counts + 0.1) / (counts + 0.1).sum()
        return tuple(shares if population != "south" else 1 / (shares + 0.05) / 20)

    def normal(population: str, item: str) -> Shares:
        found = np.array(says(population, item))
        return tuple(found / found.sum())

    card = scored({"unfair": normal})
    least = card.details["least"]["demographic"]["unfair"]
    assert least["group"] == "south"
    worst = figure(card, "worst_demographic", "unfair", "held_out")
    assert worst.value == pytest.approx(least["groups"]["south"]["value"])
    assert worst.value > least["groups"]["north"]["value"]


SIZES = {"few": 20, "some": 80, "many": 400}
Cells = dict[tuple[str, PeopleSide], dict[str, VotedCell]]


def one_public_in_groups(seed: int, statements: int = 20) -> tuple[Cells, dict[str, np.ndarray]]:
    """Cells of groups that think alike, and how everybody would vote; four of ten are held out."""
    generator = np.random.default_rng([seed, 5])
    sides: tuple[tuple[PeopleSide, float], ...] = (("held_out", 0.4), ("seen", 0.6))
    cells: Cells = {(group, side): {} for group in SIZES for side, _ in sides}
    public = {f"s{place}": generator.dirichlet([2, 2, 0.7]) for place in range(statements)}
    for item, shares in public.items():
        for group, size in SIZES.items():
            for side, part in sides:
                voters = int(generator.binomial(round(size * part), 0.8))
                if voters >= 5:
                    said = generator.multinomial(voters, shares) / voters
                    cells[group, side][item] = VotedCell(said, said[None], voters, float(voters))
    return cells, public


@pytest.mark.parametrize("known", [1.0, 0.6, 0.0])
def test_a_group_is_not_served_worse_for_having_more_voters(known: float) -> None:
    """A model that knows a part of what all groups think alike is equally far from all."""
    short: dict[str, list[float]] = {group: [] for group in SIZES}
    last = dict.fromkeys(SIZES, 0)
    for seed in range(40):
        cells, public = one_public_in_groups(seed)
        as_few = VotersAsFew(cells, list(SIZES))
        found = {
            group: np.mean(
                [
                    as_few.shortfall(group, item, known * shares + (1 - known) / 3)
                    for item, shares in public.items()
                    if item in cells[group, "held_out"] and item in cells[group, "seen"]
                ]
            )
            for group in SIZES
        }
        last[max(found, key=lambda group: found[group])] += 1
        for group, value in found.items():
            short[group].append(float(value))
    means = {group: np.mean(values) for group, values in short.items()}
    assert means["many"] == pytest.approx(means["some"], abs=0.01)
    # The figures of few people move most: their group is either first or last, as often as not.
    assert means["few"] == pytest.approx(means["many"], abs=0.02)
    assert 10 <= last["few"] <= 29 and last["many"] <= 18


def test_what_a_model_does_not_answer_is_counted_as_missing() -> None:
    first = SOURCE.statement_split.held_out[0]

    def silent(population: str, item: str) -> Shares | None:
        return None if item == first else (0.5, 0.3, 0.2)

    card = scored({"silent": silent, "whole": lambda population, item: (0.5, 0.3, 0.2)})
    assert figure(card, "fit", "silent", "held_out").missing
    assert figure(card, "fit", "silent", "held_out").value == pytest.approx(
        figure(card, "fit", "whole", "held_out").value
    )


def test_trained_methods_are_compared_with_their_start_and_every_floor() -> None:
    says: Says = lambda population, item: (0.5, 0.3, 0.2)  # noqa: E731
    given = {"base": says, "first": says, "second": says}
    card = scored(given, starts={"second": "first"})
    pairs = {(d.method, d.against) for d in card.figure_differences if d.measure == "fit"}
    assert ("first", "base") in pairs and ("second", "base") in pairs
