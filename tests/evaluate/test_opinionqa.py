"""OpinionQA: representativeness by hand and scipy, people's baselines, impostors at the floor."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.evaluate.asking.published_answers import opinionqa_value_sets
from suffrage.evaluate.opinionqa import (
    EVALUATION,
    Options,
    group_persona,
    read_groups,
    representativeness_on_scale,
)
from tests.evaluate.outside_files import SURVEY, figure, questions, scored, write_opinionqa
from tests.impostors import Impostor, constant, flat, majority, noise, people

GROUPS = ("POLPARTY_Democrat", "POLPARTY_Republican", "RELIG_Hindu")
OPTIONS = Options(path="groups.json.gz")


def write_scales(path: Path, count: int = 12) -> None:
    """Six waves of two questions; the last question's options have no values."""
    content = {
        f"KEY{k}_W{k // 2}": {
            "original_qbody": question,
            "refined_qbody": question + "!",
            "options": [
                *("A great deal", "A fair amount", "Not too much", "Not at all")[: 2 + k % 3],
                "Refused",
            ],
            "ordinal": [float(v + 1) for v in range(2 + k % 3)],
        }
        for k, question in enumerate(questions(count - 1))
    }  # fmt: skip
    path.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("oqa")
    write_opinionqa(made / "groups.json.gz", GROUPS)
    write_scales(made / "scales.json")
    return made


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Impostor]:
    named = [
        replace(v, description=group_persona(v.name))
        for v in opinionqa_value_sets(folder / "groups.json.gz", GROUPS)
    ]
    return {
        "truth": people(named, lambda shares: shares),
        "parrot": people(named, majority),
        "democrat": people(named[:1], lambda shares: shares),
        "flat": flat(),
        "constant": constant(),
        "noise": noise(),
    }


@pytest.fixture(scope="module")
def card(folder: Path, models: dict[str, Impostor]):  # type: ignore[no-untyped-def]
    return scored(EVALUATION, models, OPTIONS, folder)


def test_representativeness_of_a_worked_example() -> None:
    # Mass .5 moves one step of two and .25 two: (.5 + .5) / 2 = .5 of the way from end to end.
    p, q = np.array([0.75, 0.25, 0.0]), np.array([0.0, 0.75, 0.25])
    assert representativeness_on_scale(p, q, np.array([1.0, 2.0, 3.0])) == pytest.approx(0.5)
    # With the third option outside the scale: .75 and 0 of the two, so .75 of the mass moves.
    assert representativeness_on_scale(p, q, np.array([1.0, 2.0, np.nan])) == pytest.approx(0.25)


@pytest.mark.slow
def test_who_knows_every_group_represents_it_wholly(card) -> None:  # type: ignore[no-untyped-def]
    assert figure(card, "steered", "truth").value == pytest.approx(1)
    assert figure(card, "gain", "truth").low > 0
    assert figure(card, "itself", "truth", "POLPARTY_Democrat").value == pytest.approx(1)
    assert figure(card, "gain", "democrat").value == pytest.approx(0, abs=1e-9)
    row = figure(card, "itself", "democrat")
    assert row.floor < row.ceiling < 1, "one answer for all cannot be every group's"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Models without values, on many questions: on a few, noise may look like knowledge."""
    made = tmp_path_factory.mktemp("many")
    write_opinionqa(made / "groups.json.gz", GROUPS, count=40)
    models = {"flat": flat(), "constant": constant(), "noise": noise()}
    return scored(EVALUATION, models, OPTIONS, made)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flat", "constant", "noise"])
def test_models_without_values_score_at_or_below_the_even_answer(empty, name) -> None:  # type: ignore[no-untyped-def]
    for measure in ("steered", "itself"):
        row = figure(empty, measure, name)
        assert row.value <= row.floor + 1e-9
    assert figure(empty, "gain", name).value < 0.02


def test_the_parrot_comes_less_than_half_of_the_way(card) -> None:  # type: ignore[no-untyped-def]
    row = figure(card, "steered", "parrot")
    assert row.value < row.floor + 0.5 * (1 - row.floor)


def test_figures_and_peoples_own_are_scipys(card, folder: Path) -> None:  # type: ignore[no-untyped-def]
    from scipy.stats import wasserstein_distance

    def near(p, q) -> float:  # type: ignore[no-untyped-def]
        at = np.linspace(0, 1, p.size)
        return 1 - wasserstein_distance(at, at, p, q)

    sets = {v.name: v.distributions for v in opinionqa_value_sets(folder / "groups.json.gz")}
    even = [
        near(d.shares, np.full(d.shares.size, 1 / d.shares.size))
        for v in sets.values()
        for d in v.values()
    ]
    assert figure(card, "itself", "flat").value == pytest.approx(np.mean(even))
    whole = {i: np.mean([v[i].shares for v in sets.values()], axis=0) for i in sets[GROUPS[0]]}
    own = {g: np.mean([near(d.shares, whole[i]) for i, d in v.items()]) for g, v in sets.items()}
    assert card.details["people"] == pytest.approx(own)
    assert figure(card, "itself", "flat").ceiling == pytest.approx(np.mean([*own.values()]))
    worst = min(own, key=lambda group: own[group])
    assert any(f"{worst} worst with {own[worst]:.3f}" in note for note in card.notes)
    assert any("The mean of the groups" in note for note in card.notes)


@pytest.mark.slow
def test_scales_name_topics_and_leave_out_what_they_lack(folder: Path, models) -> None:  # type: ignore[no-untyped-def]
    options = Options(path="groups.json.gz", scales="scales.json")
    some = {name: models[name] for name in ("truth", "democrat", "flat")}
    card = scored(EVALUATION, some, options, folder)
    assert any("1 of 12 questions has no scale" in note for note in card.notes)
    assert figure(card, "steered", "truth").n == 11
    # A model that is one group's own is that group's in every topic; the floor is one of two.
    row = figure(card, "consistency", "democrat")
    assert (row.value, row.floor) == (1, 0.5)
    assert row.n == 5, "the last wave lost a question and has too few"
    plain = scored(EVALUATION, {"flat": models["flat"]}, OPTIONS, folder)
    assert "Topics are not known: there is no consistency." in plain.notes


def test_consistency_counts_topics_by_hand(tmp_path: Path) -> None:
    # Two waves of two yes-no questions; the model says yes. Democrats are nearer in wave 0 (by .4)
    # and over all, Republicans in wave 1 (by .2): one topic in two.
    yes = {"POLPARTY_Democrat": (0.9, 0.9, 0.5, 0.5), "POLPARTY_Republican": (0.5, 0.5, 0.7, 0.7)}
    write_opinionqa(tmp_path / "groups.json.gz", [])
    text = questions(4)
    records = [
        {"question": text[k], "options": ["A great deal", "A fair amount"], "attribute": group,
         "gold_distribution": [shares[k], 1 - shares[k]]}
        for group, shares in yes.items() for k in range(4)
    ]  # fmt: skip
    (tmp_path / "groups.json").write_text(json.dumps(records))
    scales = {
        f"K{k}_W{k // 2}": {"original_qbody": text[k], "refined_qbody": text[k],
                            "options": ["A great deal", "A fair amount", "Refused"],
                            "ordinal": [1, 2]}
        for k in range(4)
    }  # fmt: skip
    (tmp_path / "scales.json").write_text(json.dumps(scales))
    says = Impostor(lambda options, _: np.array([o == "A great deal" for o in options], float))
    options = Options(path="groups.json", scales="scales.json")
    card = scored(EVALUATION, {"yes": says}, options, tmp_path)
    assert figure(card, "consistency", "yes").value == 0.5
    # 1 - mean share of the other answer.
    assert figure(card, "itself", "yes", "POLPARTY_Democrat").value == pytest.approx(0.7)
    assert figure(card, "itself", "yes", "POLPARTY_Republican").value == pytest.approx(0.6)


def test_refusals_stay_apart_on_both_sides(tmp_path: Path) -> None:
    write_opinionqa(tmp_path / "groups.json.gz", GROUPS, refused=True)
    models = {
        "half": Impostor(lambda options, _: np.full(len(options), 1 / len(options)), mass=0.4)
    }
    card = scored(EVALUATION, models, OPTIONS, tmp_path)
    assert figure(card, "no_answer", "half").value == pytest.approx(0.6)
    assert any("10.0% gave no answer" in note for note in card.notes)
    assert figure(card, "itself", "half").value == pytest.approx(
        figure(card, "itself", "uniform").value
    )


def test_all_adults_of_the_file_are_taken_where_they_stand_in_it(tmp_path: Path) -> None:
    write_opinionqa(tmp_path / "groups.json.gz", [*GROUPS, "Overall"])
    file = read_groups(OPTIONS, tmp_path)
    assert set(file.answers) == set(GROUPS)
    whole = next(
        v for v in opinionqa_value_sets(tmp_path / "groups.json.gz") if v.name == "Overall"
    )
    for item, shares in file.everyone.items():
        assert shares == pytest.approx(whole.distributions[item].shares)


def test_what_was_trained_on_is_left_out_and_bad_input_refused(tmp_path: Path) -> None:
    write_opinionqa(tmp_path / "groups.json.gz", GROUPS, count=3)
    own = SURVEY.codebook.items[0]
    (tmp_path / "one.json").write_text(
        json.dumps(
            [{"question": own.question, "options": ["a", "b"], "attribute": "SEX_Female",
              "gold_distribution": [0.5, 0.5]}]
        )
    )  # fmt: skip
    with pytest.raises(InputError, match="every question overlaps"):
        scored(EVALUATION, {"f": flat()}, Options(path="one.json"), tmp_path, trained=["f"])
    with pytest.raises(InputError, match='no group "AGE_18-29"; it has POLPARTY_Democrat'):
        read_groups(Options(path="groups.json.gz", groups=("AGE_18-29",)), tmp_path)
    (tmp_path / "scales.json").write_text('{"K_W1": {"options": []}}')
    with pytest.raises(InputError, match=r"scales\.json: K_W1 has no options, ordinal"):
        read_groups(Options(path="groups.json.gz", scales="scales.json"), tmp_path)
    write_scales(tmp_path / "scales.json", 1)
    with pytest.raises(InputError, match=r"no question has a scale in scales\.json"):
        read_groups(Options(path="groups.json.gz", scales="scales.json"), tmp_path)


@pytest.mark.slow
def test_the_published_files_meet(shared_data: Path) -> None:
    folder = shared_data / "opinionqa"
    options = Options(path="group_distributions_small.json.gz", scales="refined_qkey_dict.json")
    file = read_groups(options, folder)
    assert len(file.items) > 300 and len(file.answers) == 22 and len(set(file.topics.values())) > 10
    for item, values in file.values.items():
        assert values.size == len(file.items[item].options)


@pytest.mark.slow
def test_the_order_of_records_changes_no_figure(folder: Path, models, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    import gzip

    records = json.loads(gzip.decompress((folder / "groups.json.gz").read_bytes()))
    (tmp_path / "groups.json").write_text(json.dumps(records[::-1]))
    some = {"parrot": models["parrot"]}
    one = scored(EVALUATION, some, OPTIONS, folder)
    two = scored(EVALUATION, some, Options(path="groups.json"), tmp_path)
    for measure in ("steered", "itself", "gain"):
        first, second = figure(one, measure, "parrot"), figure(two, measure, "parrot")
        assert (first.value, first.low) == pytest.approx((second.value, second.low))
