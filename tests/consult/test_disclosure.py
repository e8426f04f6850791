"""Disclosure control: hidden small cells, unbiased rounding, k rows alike, noise as stated."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.consult.polis.read_files import read_polis
from suffrage.consult.release.disclosure import (
    SUPPRESSED,
    UNKNOWN,
    JoinRule,
    breaks_of,
    category_distance,
    generalised,
    personal_in,
    private_counts,
    risk,
    rounded,
    safe_counts,
    suppressed_cells,
)
from suffrage.consult.votes import UNSEEN

TABLES = st.lists(
    st.lists(st.integers(0, 40), min_size=2, max_size=5), min_size=2, max_size=5
).filter(lambda rows: len({len(row) for row in rows}) == 1)


@pytest.mark.slow
@given(TABLES)
def test_no_hidden_cell_follows_from_a_total(rows: list[list[int]]) -> None:
    """Whoever knows every total and every shown cell is left with six people or none in a line."""
    counts = np.array(rows)
    hidden = suppressed_cells(counts)
    assert hidden[counts < 6].all()
    for table, mask in ((counts, hidden), (counts.T, hidden.T)):
        for line, own in zip(table, mask, strict=True):
            if own.any() and not own.all():
                assert own.sum() >= 2 and line[own].sum() >= 6


@given(st.lists(st.integers(0, 500), min_size=2, max_size=8), st.binary(min_size=8, max_size=8))
def test_what_is_told_is_a_multiple_of_three_within_two_of_the_count(
    counts: list[int], key: bytes
) -> None:
    told = safe_counts(np.array(counts), key, "table")
    for count, shown in zip(counts, told, strict=True):
        if shown != SUPPRESSED:
            assert shown % 3 == 0 and abs(shown - count) <= 2 and count >= 6
    assert (told == safe_counts(np.array(counts), key, "table")).all()


def test_rounding_has_the_count_as_its_mean_over_keys() -> None:
    for count in (30, 31, 32):
        shown = [rounded(count, b"key%d" % n, "cell") for n in range(6000)]
        assert np.mean(shown) == pytest.approx(count, abs=0.08)
        farther = np.mean([abs(s - count) == 2 for s in shown])
        assert farther == pytest.approx(0 if count == 30 else 1 / 3, abs=0.03)


@st.composite
def joined(draw: st.DrawFn) -> tuple[dict[str, list[str]], dict[str, list[str]], JoinRule]:
    count = draw(st.integers(20, 120))
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    columns = {
        f"a{n}": [
            UNKNOWN if x == 0 else f"v{x}"
            for x in generator.integers(0, draw(st.integers(2, 7)), count)
        ]
        for n in range(draw(st.integers(1, 4)))
    }
    columns["age"] = [str(x) for x in generator.integers(18, 90, count)]
    skew = draw(st.sampled_from([1.0, 0.3]))
    shares = generator.dirichlet(np.full(4, skew))
    sensitive = {"religion": [f"r{x}" for x in generator.choice(4, count, p=shares)]}
    closeness = draw(st.sampled_from([None, 0.3, 0.15]))
    return columns, sensitive, JoinRule(draw(st.integers(5, 12)), 3, closeness)


@pytest.mark.slow
@given(joined())
def test_joined_rows_always_keep_k_and_l_or_t(
    given_: tuple[dict[str, list[str]], dict[str, list[str]], JoinRule],
) -> None:
    """Checked by counting equal rows, knowing nothing of how they came to be equal."""
    columns, sensitive, rule = given_
    told, given_up = generalised(columns, sensitive, rule)
    kept = {name: values for name, values in sensitive.items() if name not in given_up}
    assert breaks_of(told, kept, rule) == []
    classes = Counter(zip(*told.values(), strict=True))
    assert min(classes.values()) >= rule.k
    for row in classes:
        members = [i for i, own in enumerate(zip(*told.values(), strict=True)) if own == row]
        for values in kept.values():
            own = [values[i] for i in members]
            if rule.closeness is None:
                assert len(set(own)) >= 3
            else:
                assert category_distance(own, values) <= rule.closeness + 1e-9


@pytest.mark.slow
@given(joined())
def test_what_is_told_of_each_person_is_true(
    given_: tuple[dict[str, list[str]], dict[str, list[str]], JoinRule],
) -> None:
    columns, sensitive, rule = given_
    told, _ = generalised(columns, sensitive, rule)
    for name, values in columns.items():
        for value, shown in zip(values, told[name], strict=True):
            if shown == "any" or " to " not in shown:
                assert shown == "any" or value in shown.split(" or ")
            else:
                low, high = (float(x) for x in shown.split(" to "))
                assert low <= float(value) <= high


def test_a_rule_that_is_broken_is_found() -> None:
    rows = {"age": ["20"] * 9 + ["30"]}
    assert "1 people, k is 5" in breaks_of(rows, {}, JoinRule(k=5))[0]
    same = {"religion": ["one"] * 10}
    assert "religion is not mixed" in breaks_of({"age": ["20"] * 10}, same, JoinRule(k=5))[0]


def test_large_samples_keep_detail() -> None:
    generator = np.random.default_rng(1)
    columns = {"region": [f"r{x}" for x in generator.integers(0, 3, 900)]}
    columns["age"] = [str(x) for x in generator.integers(18, 90, 900)]
    told, _ = generalised(columns, {}, JoinRule())
    assert set(told["region"]) == {"r0", "r1", "r2"} and len(set(told["age"])) == 8


def test_private_noise_is_as_wide_as_its_epsilon_and_unbiased() -> None:
    """The variance of two-sided geometric noise is 2 a / (1 - a)^2 with a = exp(-epsilon / m)."""
    generator = np.random.default_rng(3)
    noisy = private_counts(np.full(200_000, 40), 1.0, 5, generator)
    a = np.exp(-1 / 5)
    assert noisy.mean() == pytest.approx(40, abs=0.1)
    assert noisy.var() == pytest.approx(2 * a / (1 - a) ** 2, rel=0.03)


def test_neighbouring_tables_are_as_likely_within_e_to_the_epsilon() -> None:
    """One person moves five counts by one: the log ratios of the noise's probabilities add up."""
    a = np.exp(-1 / 5)
    noise = np.arange(-30, 31)
    p = (1 - a) / (1 + a) * a ** np.abs(noise)
    ratio = np.abs(np.log(p[1:] / p[:-1])).max()
    assert 5 * ratio == pytest.approx(1.0)


def test_risk_is_one_where_everybody_differs_and_none_where_all_are_alike() -> None:
    generator = np.random.default_rng(0)
    alike = np.ones((30, 6), dtype=np.int8)
    assert [r.unique for r in risk(alike, (1, 3), generator)] == [0.0, 0.0]
    binary = np.array([[1 if i >> b & 1 else -1 for b in range(5)] for i in range(32)], np.int8)
    found = risk(binary, (4, 5), generator)
    assert (found[0].unique, found[1].unique) == (0.0, 1.0)
    some = np.full((10, 6), UNSEEN, dtype=np.int8)
    some[:, 0] = 1
    assert risk(some, (2,), generator)[0].tried == 0


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to jo.bloggs@example.org please", "e-mail"),
        ("ring 021 555 0199", "telephone"),
        ("+64 (4) 555-0199", "telephone"),
        ("my number is 123-456-789", "telephone"),
        ("NHI ABC1234", "NHI number"),
        ("I live at 12 Queen Street", "address"),
        ("see https://example.org/me", "account"),
        ("more money for 25 schools, not 3", None),
        ("In 2024 rates rose by 12.5 %", None),
        ("jo.bloggs (at) example (dot) org", "e-mail"),
        ("jo[at]example.org", "e-mail"),
        ("The plans of 2019-2023 and 2024/2034", None),
        ("It rained in 2019, 2020 2021", None),
        ("on 2023-07-18", None),
        ("ring 2019 2020 55", "telephone"),
        ("ring 021 2019 2020", "telephone"),
    ],
)
def test_personal_details_are_found(text: str, kind: str | None) -> None:
    assert personal_in(text) == kind


@pytest.mark.slow
def test_risk_on_real_votes_is_as_measured_before(shared_data: Path) -> None:
    """For the public input to Collective Constitutional AI another program found these shares."""
    votes = read_polis(shared_data / "polis" / "ccai", "clean_").votes.votes
    found = risk(votes, (3, 4, 5, 6, 8), np.random.default_rng(0))
    told = [0.34, 0.61, 0.79, 0.90, 0.97]
    assert [row.unique for row in found] == pytest.approx(told, abs=0.06)
