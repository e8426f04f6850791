"""Does it prefer what the public preferred? On a made-up consultation with known leanings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from suffrage.consult.consultation import SCHEMAS, Consultation, write_consultation
from suffrage.consult.people import held_out_people
from suffrage.errors import InputError
from suffrage.evaluate.preferences import (
    EVALUATION,
    Options,
    others_share,
    participants_choices,
    statement_item,
)
from suffrage.models import ways_of_asking
from suffrage.population import build_value_set
from suffrage.training_data import HeldOut, split_items
from tests.evaluate.asking import evaluated, value_of
from tests.evaluate.outside_files import probe_input
from tests.impostors import Impostor, constant, flat, noise
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=200, items=6)
SETS = [build_value_set(SURVEY, "north", {"region": "north"}, 1, "people up north")]
SPLIT = split_items(SURVEY.codebook.items, HeldOut(share=0.34), 1)
PEOPLE, STATEMENTS, PROMPTS = 60, 16, 10
# How many agree with each statement, and like each answer.
AGREE = np.linspace(0.1, 0.98, STATEMENTS)
# The better answer comes first by name in every second prompt, so that its place tells nothing.
BETTER = {prompt: "xy"[prompt % 2] for prompt in range(PROMPTS)}
LIKE = {
    f"a{prompt}{side}": 0.8 if side == better else 0.25
    for prompt, better in BETTER.items()
    for side in "xy"
}
SIDES = ("held_out", "trained")
MODEL = {answer: "trained" if like > 0.5 else "base" for answer, like in LIKE.items()}


def table(name: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    filled = [{**dict.fromkeys(SCHEMAS[name]), **row} for row in rows]
    return pl.DataFrame(filled, schema=dict(SCHEMAS[name]))


def make_consultation(seed: int = 0) -> Consultation:
    generator = np.random.default_rng(seed)
    people = [f"p{k:03d}" for k in range(PEOPLE)]
    base = {"language": "en"}
    votes, comparisons, reactions = [], [], []
    for person in people:
        for k, share in enumerate(AGREE):
            vote = 0 if generator.random() < 0.1 else 1 if generator.random() < share else -1
            votes.append(
                {
                    "participant": person,
                    "statement": f"s{k}",
                    "vote": vote,
                    "important": False,
                    "order": k,
                }
            )
        for prompt, better in BETTER.items():
            worse = "y" if better == "x" else "x"
            first = bool(generator.random() < 0.5)
            wins = generator.choice([better, worse, "tie"], p=[0.7, 0.2, 0.1])
            sides = (better, worse) if first else (worse, better)
            outcome = "tie" if wins == "tie" else "left" if wins == sides[0] else "right"
            comparisons.append(
                {
                    "participant": person,
                    "prompt": f"q{prompt}",
                    "left": f"a{prompt}{sides[0]}",
                    "right": f"a{prompt}{sides[1]}",
                    "outcome": outcome,
                    "reasons": "",
                    "core": True,
                    "order": 20 + prompt,
                }
            )
        for number, (answer, like) in enumerate(LIKE.items()):
            value = 1 if generator.random() < like else -1
            reactions.append(
                {
                    "participant": person,
                    "answer": answer,
                    "value": value,
                    "reasons": "",
                    "order": 40 + number,
                }
            )
    # One who was thrown out, and says the opposite of everyone.
    outlaw = {"participant": "x", "reasons": "", "core": True, "order": 1, "prompt": "q0"}
    comparisons.append({**outlaw, "left": "a0x", "right": "a0y", "outcome": "right"})
    return Consultation(
        "made-up", "Made up", "What?", ("en",), "2026",
        statements=table("statements", [{"statement": f"s{k}",
                                         "text": f"Statement number {k} holds.",
                                         "seed": True, "state": "accepted", "order": k, **base}
                                        for k in range(STATEMENTS)]),
        participants=table("participants", [{"participant": one, "verified": True,
                                             "excluded": one == "x",
                                             "consent_votes": True, "consent_texts": True,
                                             "consent_training": True, **base}
                                            for one in [*people, "x"]]),
        votes=table("votes", votes),
        prompts=table("prompts", [{"prompt": f"q{k}", "text": f"What about matter {k}?", **base}
                                  for k in range(PROMPTS)]),
        answers=table("answers", [{"answer": name, "prompt": f"q{name[1]}", "model": MODEL[name],
                                   "text": f"On {name} I would say so and so.", **base}
                                  for name in LIKE]),
        comparisons=table("comparisons", comparisons),
        reactions=table("reactions", reactions),
    )  # fmt: skip


CONSULTATION = make_consultation()


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    folder = tmp_path_factory.mktemp("consultation") / "out"
    write_consultation(CONSULTATION, folder)
    return Options(consultation=str(folder), held_out=0.5)


def knower(sharpen: bool = False) -> Impostor:
    """Knows every share; `sharpen`: gives all to the commoner side."""

    def share(question: str) -> float:
        for k, agree in enumerate(AGREE):
            if f"Statement number {k} holds." in question:
                return float(agree)
        return next(like for name, like in LIKE.items() if f"On {name} I" in question)

    def says(options: list[str], question: str) -> np.ndarray:  # type: ignore[type-arg]
        if options[0] in ("Agree", "Disagree", "Like", "Dislike"):
            p = share(question)
            p = float(p > 0.5) if sharpen else p
            return np.array([p if o in ("Agree", "Like") else 1 - p for o in options])
        if all(option.startswith("On a") for option in options):
            likes = np.array([LIKE[option.split()[1]] for option in options])
            return likes / likes.sum()
        return np.full(len(options), 1 / len(options))

    return Impostor(says)  # type: ignore[arg-type]


@pytest.mark.slow
def test_one_who_knows_reaches_the_ceiling_and_impostors_stay_at_the_floor(
    options: Options,
) -> None:
    models = {
        "base": flat(),
        "constant": constant(),
        "noise": noise(),
        "parrot": knower(sharpen=True),
        "knower": knower(),
    }
    card = evaluated(EVALUATION, models, SETS, SPLIT, options, list(models))
    for measure in ("comparisons", "votes", "votes_skill", "reactions", "reactions_skill"):
        knows = value_of(card, measure, "knower")
        # The ceiling knows only what the others said, the knower what they say in the long run.
        assert knows.value > knows.ceiling - 0.03
        clear = measure not in ("votes", "reactions")  # the commoner vote is often right by itself
        assert (knows.low if clear else knows.value) > knows.floor
        for method in ("base", "constant", "noise"):
            found = value_of(card, measure, method)
            assert found.low <= max(found.floor, 0.5) + 1e-9, (measure, method)
            gap = next(
                d
                for d in card.figure_differences
                if (d.measure, d.method, d.against) == (measure, "knower", method)
            )
            assert gap.value > 0 and (gap.low > 0 or not clear)
    for measure in ("votes_skill", "reactions_skill"):
        gap = next(
            d
            for d in card.figure_differences
            if d.measure == measure and {d.method, d.against} == {"knower", "parrot"}
        )
        assert (gap.value if gap.method == "knower" else -gap.value) > 0.1
    # One by accuracy alone: there the parrot can't be told from the knower.
    assert value_of(card, "votes", "parrot").value == value_of(card, "votes", "knower").value


@pytest.mark.slow
def test_answers_of_the_models_compared_get_their_win_rates(options: Options) -> None:
    card = evaluated(EVALUATION, {"base": flat(), "trained": knower()}, SETS, SPLIT, options)
    won, lost = (value_of(card, "win_rate", name) for name in ("trained", "base"))
    # 0.7 wins and 0.1 ties: 0.75, within what 600 comparisons allow.
    assert won.low < 0.75 < won.high and won.value + lost.value == pytest.approx(1)
    assert won.high - won.low < 0.15
    named = Options(consultation=options.consultation, models={"trained": "sft"})
    renamed = evaluated(EVALUATION, {"sft": flat()}, SETS, SPLIT, named)
    assert value_of(renamed, "win_rate", "sft").value == won.value


def test_held_out_people_depend_on_nobody_else_and_reach_the_share() -> None:
    people = [f"p{k}" for k in range(4000)]
    held = held_out_people(people, 0.3, 7)
    assert len(held) / 4000 == pytest.approx(0.3, abs=0.03)
    assert set(held_out_people(people[::-2], 0.3, 7)) == set(held) & set(people[::-2])
    assert set(held_out_people(people, 0.1, 7)) < set(held)
    other = held_out_people(people, 0.3, 8)
    assert len(set(held) & set(other)) / 4000 == pytest.approx(0.09, abs=0.02)


@pytest.mark.slow
def test_nothing_of_participants_trained_on_or_excluded_is_counted(options: Options) -> None:
    card = evaluated(EVALUATION, {"base": flat()}, SETS, SPLIT, options, ["base"], seed=5)
    held = held_out_people([f"p{k:03d}" for k in range(PEOPLE)], 0.5, 5)
    votes = CONSULTATION.votes.filter(
        pl.col("participant").is_in(list(held)) & (pl.col("vote") != 0)
    )
    whole = [f for f in card.figures if f.measure == "votes"]
    assert [(f.n, f.value) for f in whole] == [(STATEMENTS, 0.5)]
    assert whole[0].floor == pytest.approx(
        max((votes["vote"] > 0).mean(), (votes["vote"] < 0).mean()), abs=0.06
    )
    assert any(f"{len(held)} of {PEOPLE} participants are held out" in n for n in card.notes)
    assert "x" not in participants_choices(CONSULTATION, options).weights


def test_the_others_are_counted_by_hand(options: Options) -> None:
    chosen = participants_choices(CONSULTATION, options).comparisons
    one = chosen[0]
    some = [f"p{k:03d}" for k in range(20)]
    assert one.participant == some[0]
    same = [c.said for c in chosen if c.about == one.about and c.participant in some[1:]]
    for others in (some, some[1:]):  # a participant's own choice never counts
        assert others_share(chosen, others)[one] == pytest.approx(np.mean(same))
    assert others_share(chosen, some[:1])[one] == 0.5


def test_the_ceiling_is_what_people_trained_on_said(options: Options) -> None:
    """So it does not change with what the other held-out people said."""
    held = held_out_people([f"p{k:03d}" for k in range(PEOPLE)], options.held_out, 5)
    chosen = participants_choices(CONSULTATION, options).votes
    split = [c for c in chosen if c.participant in held]
    others = {c.participant for c in chosen} - set(held)
    best = others_share(chosen, others)
    right = [float((best[c] > 0.5) == (c.said > 0.5)) if best[c] != 0.5 else 0.5 for c in split]
    card = evaluated(EVALUATION, {"base": flat()}, SETS, SPLIT, options, ["base"], seed=5)
    assert value_of(card, "votes", "base").ceiling == pytest.approx(np.mean(right))


def test_a_pair_met_twice_counts_by_the_first_answer(options: Options) -> None:
    first = CONSULTATION.comparisons.filter(pl.col("outcome").is_in(["left", "right"]))[:1]
    other = {"left": "right", "right": "left"}[first["outcome"][0]]
    again = first.with_columns(outcome=pl.lit(other), order=pl.lit(99, pl.Int32))
    twice = replace(CONSULTATION, comparisons=pl.concat([CONSULTATION.comparisons, again]))
    one, two = (participants_choices(c, options) for c in (CONSULTATION, twice))
    assert set(one.comparisons) == set(two.comparisons)
    assert two.left_out["comparisons of a pair met before"] == 1


@pytest.mark.slow
def test_a_population_is_compared_with_its_own_members(options: Options, tmp_path: Path) -> None:
    """Half of the people live in the south, and say the opposite of what the north says."""
    people = [f"p{k:03d}" for k in range(PEOPLE)]
    south = people[::2]
    turned = {
        "votes": CONSULTATION.votes.with_columns(
            vote=pl.when(pl.col("participant").is_in(south)).then(-pl.col("vote")).otherwise("vote")
        ),
        "comparisons": CONSULTATION.comparisons.with_columns(
            outcome=pl.when(pl.col("participant").is_in(south))
            .then(pl.col("outcome").replace({"left": "right", "right": "left"}))
            .otherwise("outcome")
        ),
        "demographics": table(
            "demographics",
            [
                {
                    "participant": one,
                    "item": "region",
                    "value": "south" if one in south else "north",
                }
                for one in people
            ],
        ),
    }
    write_consultation(replace(CONSULTATION, **turned), tmp_path / "divided")
    divided = options.model_copy(update={"consultation": str(tmp_path / "divided")})
    both = [*SETS, build_value_set(SURVEY, "south", {"region": "south"}, 1, "people down south")]
    card = evaluated(EVALUATION, {"knower": knower()}, both, SPLIT, divided)
    by_place = {
        f.value_set: f for f in card.figures if f.measure == "comparisons" and f.seed == "all"
    }
    assert by_place["north"].value > 0.6 > 0.4 > by_place["south"].value
    # The other participants of the same place know what is said there, in either.
    assert min(by_place["north"].ceiling, by_place["south"].ceiling) > 0.6
    held = held_out_people(people, options.held_out, 5)
    counts = f"north {len(set(held) - set(south))}, south {len(set(held) & set(south))}"
    assert any(counts in note for note in card.notes)
    northern = [replace(SETS[0], where={"Region": "north"}), *both[1:]]
    with pytest.raises(InputError, match=r'value set north: .* Did you mean "region"'):
        evaluated(EVALUATION, {"knower": knower()}, northern, SPLIT, divided)
    undivided = evaluated(EVALUATION, {"knower": knower()}, both, SPLIT, options)
    assert any("did not ask what defines these populations" in note for note in undivided.notes)


@pytest.mark.slow
def test_prompts_about_held_out_items_have_figures_of_their_own(
    options: Options, tmp_path: Path
) -> None:
    asked = {item.id: item for item in SURVEY.codebook.items}
    about = asked[SPLIT.held_out[0]].question
    prompts = CONSULTATION.prompts.with_columns(
        text=pl.when(pl.col("prompt") == "q3").then(pl.lit(about)).otherwise("text")
    )
    write_consultation(replace(CONSULTATION, prompts=prompts), tmp_path / "on-items")
    given = options.model_copy(update={"consultation": str(tmp_path / "on-items")})
    card = evaluated(EVALUATION, {"knower": knower()}, SETS, SPLIT, given)
    parts = {side: value_of(card, f"comparisons_{side}", "knower") for side in SIDES}
    assert (parts["held_out"].n, parts["trained"].n) == (1, PROMPTS - 1)
    assert all(part.floor == 0.5 and part.ceiling is not None for part in parts.values())
    # Without such a prompt there is nothing to tell apart.
    whole = evaluated(EVALUATION, {"knower": knower()}, SETS, SPLIT, options)
    assert value_of(whole, "comparisons_trained", "knower") is None


def test_a_population_is_weighted_as_the_study_says(options: Options) -> None:
    weighed = options.model_copy(update={"read_as": "population"})
    with pytest.raises(InputError, match="participants have no weight"):
        participants_choices(CONSULTATION, weighed)
    heavy = pl.when(pl.col("participant") == "p000").then(3.0).otherwise(1.0)
    people = CONSULTATION.participants.with_columns(weight=heavy)
    chosen = participants_choices(replace(CONSULTATION, participants=people), weighed)
    assert chosen.weights["p000"] == pytest.approx(3 * chosen.weights["p001"])
    assert {c.weight for c in participants_choices(CONSULTATION, options).votes} == {1.0}


@pytest.mark.slow
def test_the_order_of_rows_changes_no_figure(options: Options, tmp_path: Path) -> None:
    turned = {
        name: getattr(CONSULTATION, name).reverse()
        for name in ("statements", "participants", "votes", "answers", "comparisons", "reactions")
    }
    write_consultation(replace(CONSULTATION, **turned), tmp_path / "turned")
    cards = [
        evaluated(EVALUATION, {"base": knower()}, SETS, SPLIT, given)
        for given in (
            options,
            options.model_copy(update={"consultation": str(tmp_path / "turned")}),
        )
    ]
    for one, other in zip(cards[0].figures, cards[1].figures, strict=True):
        assert one.model_dump() == pytest.approx(other.model_dump())


def test_fewer_statements_and_answers_may_be_asked_and_only_they_are_scored(
    options: Options,
) -> None:
    few = options.model_copy(update={"most": 4})
    model = flat()
    card = evaluated(EVALUATION, {"flat": model}, SETS, SPLIT, few)
    assert sum("agree or disagree" in text for text in set(model.heard)) == 4 * 4
    for measure, things in (("votes", 4), ("reactions", 4)):
        assert value_of(card, measure, "flat").n == things
    assert value_of(card, "comparisons", "flat").n == PROMPTS


def test_a_plan_counts_what_a_model_is_asked(options: Options) -> None:
    assert EVALUATION.prompts is not None and EVALUATION.probe is not None
    asked = EVALUATION.probe(probe_input(flat(), options, Path()))
    by_kind = asked.filter(pl.col("value_set") == asked["value_set"][0])["kind"].value_counts()
    answers, statements, reactions = (
        by_kind.filter(pl.col("kind") == kind)["count"].item()
        for kind in ("answer", "statement", "reaction")
    )
    planned = EVALUATION.prompts([], [], options, Path())
    ways = len(ways_of_asking(statement_item("s", "Water is wet."), None))
    assert planned == answers + ways * (statements + reactions) > ways * STATEMENTS
