"""Opinion groups: against the formulas written plainly, peers, known groups and real exports."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suffrage.consult.groups.opinion_groups import (
    OUTSIDE,
    GroupSettings,
    find_groups,
    in_conversation,
    k_means,
    mean_silhouette,
    most_groups,
    nearest_groups,
    place,
    principal_components,
)
from suffrage.consult.groups.stability import stable_groups
from suffrage.consult.polis.read_files import read_polis
from suffrage.consult.votes import UNSEEN, VoteMatrix, arranged, only_people
from suffrage.errors import InputError
from suffrage.population.latent_classes import adjusted_rand_index
from tests.consult.opinions import made_up_votes


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    both = (first >= 0) & (second >= 0)
    a, b = first[both].astype(np.int16), second[both].astype(np.int16)
    return adjusted_rand_index(a, b, np.ones(both.sum()))


def test_places_are_those_of_the_filled_matrix_decomposed_whole() -> None:
    matrix, _ = made_up_votes(people=60, statements=90)
    found = place(matrix)
    raw = np.where(matrix.seen, matrix.votes, np.nan).astype(float)
    means = np.nanmean(raw, axis=0)
    filled = np.where(np.isnan(raw), means, raw)
    _, values, vectors = np.linalg.svd(filled - filled.mean(axis=0), full_matrices=False)
    assert np.abs((found.components * vectors[:2]).sum(axis=1)) == pytest.approx([1, 1], abs=1e-8)
    assert found.explained == pytest.approx(values[:2] ** 2 / (values**2).sum())
    for i in range(60):
        seen = [j for j in range(90) if not np.isnan(raw[i, j])]
        for k in range(2):
            plain = sum((raw[i, j] - means[j]) * found.components[k, j] for j in seen)
            assert found.places[i, k] == pytest.approx(np.sqrt(90 / len(seen)) * plain, abs=1e-8)
    j = 7  # extremity: somebody who only agreed with one statement
    one = np.sqrt(90) * (1 - means[j]) * found.components[:, j]
    assert found.extremity[j] == pytest.approx(np.linalg.norm(one))


def test_people_who_differ_on_one_statement_only_stand_on_a_line() -> None:
    # Each has voted on two: one of their own, that nobody else saw, and one that parts them.
    votes = np.where(np.eye(60, dtype=bool), 1, UNSEEN).astype(np.int8)
    votes[:, 0] = np.where(np.arange(60) % 2, 1, -1)
    matrix = arranged([f"p{i}" for i in range(60)], [f"s{j}" for j in range(60)], votes)
    for few in (matrix, matrix.only(f"s{j}" for j in range(3))):
        places = place(few)
        assert places.components.shape == (2, len(few.statements))
        assert places.explained == pytest.approx([1, 0])
        assert np.abs(places.places[:, 1]).max() < 1e-9
    assert find_groups(matrix, settings=GroupSettings(least_votes=2)).sizes.tolist() == [30, 29]


@pytest.mark.slow
@given(seed=st.integers(0, 10**6), people=st.integers(1, 70), statements=st.integers(1, 70))
@settings(max_examples=40, deadline=None)
def test_hardly_any_votes_give_groups_that_hold_somebody_or_a_reason(
    seed: int, people: int, statements: int
) -> None:
    generator = np.random.default_rng(seed)
    votes = np.full((people, statements), UNSEEN, dtype=np.int8)
    for row in votes:
        asked = generator.permutation(statements)[: generator.integers(0, 4)]
        row[asked] = generator.choice([-1, 0, 1], asked.size, p=[0.1, 0.1, 0.8])
    ids = [f"p{i}" for i in range(people)], [f"s{j}" for j in range(statements)]
    wanted = GroupSettings(least_votes=1, least_people=2)
    try:
        found, tried = stable_groups(arranged(*ids, votes), (), wanted, resamples=2)
    except InputError as error:
        assert str(error).startswith(("no groups", "no votes", "no 2 groups"))
        return
    assert found.count >= 2 and (found.sizes > 0).all()
    assert found.count in [row.groups for row in tried]
    assert all(len(row.sizes) == row.groups == len(row.overlap) for row in tried)


def test_components_of_a_large_matrix_are_exact_with_weights() -> None:
    generator = np.random.default_rng(1)
    x = generator.standard_normal((400, 150))
    weights = generator.integers(0, 4, 400).astype(float)
    found, explained = principal_components(x, weights)
    _, values, vectors = np.linalg.svd(np.repeat(x, weights.astype(int), axis=0))
    assert np.abs((found * vectors[:2]).sum(axis=1)) == pytest.approx([1, 1], abs=1e-6)
    assert explained == pytest.approx(values[:2] ** 2 / (values**2).sum())


def test_who_is_in_the_conversation() -> None:
    s = GroupSettings()
    votes = np.array([0, 6, 7, 8, 40, *[9] * 12])
    assert in_conversation(votes, 50, s).sum() == 15
    few = np.array([3, 0, 1, 5, 2])
    assert in_conversation(few, 50, s).tolist() == [True, False, True, True, True]
    assert in_conversation(np.full(20, 4), 4, s).all()  # with four statements four votes do


def test_most_groups_follows_the_number_of_base_clusters() -> None:
    assert [most_groups(n, 5) for n in (5, 11, 12, 24, 36, 100)] == [2, 2, 3, 4, 5, 5]


def test_silhouette_and_k_means_agree_with_scikit_learn() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(2)
    points = np.concatenate([generator.normal(c, 1, (40, 2)) for c in (0, 4, 9)])
    weights = generator.uniform(0.5, 2, 120)
    labels = k_means(points, weights, 3, np.random.default_rng(0), 20)
    peer = cluster.KMeans(3, n_init=20, random_state=0).fit(points, sample_weight=weights)
    assert agreement(labels, peer.labels_) > 0.97  # both stop a little early
    assert mean_silhouette(points, labels) == pytest.approx(
        metrics.silhouette_score(points, labels), abs=1e-9
    )
    alone = np.array([0, *[1] * 119])
    assert mean_silhouette(points, alone) == pytest.approx(
        metrics.silhouette_score(points, alone), abs=1e-9
    )


def test_known_groups_are_found() -> None:
    matrix, truth = made_up_votes(people=400, statements=60, shares=(0.5, 0.3, 0.2))
    found = find_groups(matrix)
    assert found.count == 3 and agreement(found.labels, truth) > 0.9
    assert found.sizes.tolist() == sorted(found.sizes.tolist(), reverse=True)
    assert found.silhouettes[3] == max(found.silhouettes.values())


@pytest.mark.slow
@settings(max_examples=25)
@given(st.integers(0, 500), st.integers(0, 500))
def test_the_order_of_rows_and_columns_changes_nothing(seed: int, shuffle: int) -> None:
    matrix, _ = made_up_votes(people=130, statements=20, seed=seed)
    generator = np.random.default_rng(shuffle)
    rows, columns = generator.permutation(130), generator.permutation(20)
    other = arranged(
        [matrix.participants[i] for i in rows],
        [matrix.statements[j] for j in columns],
        matrix.votes[np.ix_(rows, columns)],
    )
    first, second = find_groups(matrix), find_groups(other)
    assert first.by_participant() == second.by_participant()
    assert np.array_equal(first.positions.places, second.positions.places)


@pytest.mark.slow
@settings(max_examples=25)
@given(st.integers(0, 500))
def test_groups_do_not_depend_on_which_sign_is_agree(seed: int) -> None:
    matrix, _ = made_up_votes(people=130, statements=20, seed=seed)
    turned = np.where(matrix.seen, -matrix.votes, UNSEEN).astype(np.int8)
    first = find_groups(matrix)
    second = find_groups(VoteMatrix(matrix.participants, matrix.statements, turned))
    assert np.array_equal(first.labels, second.labels)
    assert first.silhouettes == second.silhouettes


def test_statements_moderated_out_are_dropped_or_a_pass_by_all() -> None:
    matrix, _ = made_up_votes()
    out = ("3", "7")
    dropped = place(matrix, out)
    assert set(dropped.statements) == set(matrix.statements) - set(out)
    alone = place(matrix.only(s for s in matrix.statements if s not in out))
    assert np.array_equal(dropped.places, alone.places)
    zeroed = place(matrix, out, GroupSettings(moderated="zero"))
    assert zeroed.statements == matrix.statements
    assert np.abs(zeroed.components[:, [3, 7]]).max() < 1e-12
    # A pass by all leaves the components as they are, and lifts everyone differently.
    seen = matrix.seen[:, [j for j in range(40) if j not in (3, 7)]].sum(axis=1)
    lift = np.sqrt(40 / (seen + 2)) / np.sqrt(38 / seen)
    assert zeroed.places == pytest.approx(dropped.places * lift[:, None], abs=1e-8)


def test_a_weight_of_two_counts_as_two_people() -> None:
    matrix, _ = made_up_votes(people=80, statements=15)
    weights = np.ones(80)
    weights[:30] = 2
    found = place(matrix, weights=weights)
    twice = arranged(
        [*matrix.participants, *(f"copy {i}" for i in range(30))],
        matrix.statements,
        np.concatenate([matrix.votes, matrix.votes[:30]]),
    )
    assert found.places == pytest.approx(place(twice).places[:80], abs=1e-8)


def test_nothing_to_group_is_said() -> None:
    with pytest.raises(InputError, match="no votes to find groups in"):
        find_groups(arranged([], [], np.empty((0, 0), dtype=np.int8)))
    same = arranged([str(i) for i in range(20)], ["0", "1"], np.ones((20, 2), dtype=np.int8))
    with pytest.raises(InputError, match="is in one place"):
        find_groups(same)
    with pytest.raises(InputError, match="must be 2 or more"):
        GroupSettings(groups=1)
    matrix, _ = made_up_votes(people=3, statements=9)
    with pytest.raises(InputError, match="9 groups were asked for"):
        find_groups(matrix, settings=GroupSettings(groups=9))


def test_those_with_too_few_votes_stay_outside() -> None:
    matrix, _ = made_up_votes()
    votes = matrix.votes.copy()
    votes[4, :] = UNSEEN
    votes[4, :3] = 1
    found = find_groups(VoteMatrix(matrix.participants, matrix.statements, votes))
    assert found.labels[4] == OUTSIDE and "4" not in found.by_participant()
    assert len(found.by_participant()) == 199


# Polis' own groups, warm-started over months; ours from nothing, with its treatment of moderation.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("conversation", "least"),
    [
        ("ccai", 0.9),
        ("scoop-hivemind.biodiversity", 0.9),
        ("canadian-electoral-reform", 0.85),  # of 281 people 16 are in the smaller group
        ("15-per-hour-seattle", 0.85),
    ],
)
def test_two_groups_agree_with_those_polis_exported(
    conversation: str, least: float, shared_data: Path
) -> None:
    read = read_polis(
        shared_data / "polis" / conversation, "raw_" if conversation == "ccai" else None
    )
    exported = np.array([int(read.group_ids.get(p, -1)) for p in read.votes.participants])
    settings = GroupSettings(groups=2, moderated="zero")
    found = find_groups(read.votes, read.moderated_out(), settings)
    assert agreement(found.labels, exported) >= least


def best_cut_of_a_plane(points: np.ndarray) -> float:
    """The least squared distance to the centres of two groups, over the lines that part them."""
    least = np.inf
    points = points - points.mean(axis=0)
    for angle in np.linspace(0, np.pi, 2000, endpoint=False):
        order = np.argsort(points @ [np.cos(angle), np.sin(angle)])
        sums = np.cumsum(points[order], axis=0)[:-1]
        left = np.arange(1, len(points))
        between = np.square(sums).sum(axis=1) * (1 / left + 1 / (len(points) - left))
        least = min(least, float(np.square(points).sum() - between.max()))
    return least


CONVERSATIONS = (
    ("ccai", "raw_"),
    ("ccai", "clean_"),
    ("scoop-hivemind.biodiversity", None),
    ("canadian-electoral-reform", None),
    ("15-per-hour-seattle", None),
)


@pytest.mark.slow
@pytest.mark.parametrize(("conversation", "prefix"), CONVERSATIONS)
@pytest.mark.parametrize("moderation", ["drop", "zero"])
def test_no_seed_decides_a_group_and_no_other_start_brings_people_nearer(
    conversation: str, prefix: str | None, moderation: str, shared_data: Path
) -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    read = read_polis(shared_data / "polis" / conversation, prefix)
    for k in (2, 3, 5):
        wanted = [GroupSettings(groups=k, moderated=moderation, seed=seed) for seed in (0, 1, 2)]
        found = [find_groups(read.votes, read.moderated_out(), s) for s in wanted]
        assert agreement(found[0].labels, found[1].labels) == 1
        assert agreement(found[0].labels, found[2].labels) == 1
        inside = found[0].labels >= 0
        people, labels = found[0].positions.places[inside], found[0].labels[inside]
        cost = sum(
            np.square(people[labels == g] - people[labels == g].mean(axis=0)).sum()
            for g in range(k)
        )
        peer = cluster.KMeans(k, n_init=40, random_state=0).fit(people)
        assert cost <= 1.003 * peer.inertia_
        if k == 2:
            assert cost <= 1.0001 * best_cut_of_a_plane(people)


def test_other_people_join_the_group_that_votes_as_they_do() -> None:
    generator = np.random.default_rng(4)
    camps = np.repeat([1, -1], 60)
    agrees = generator.random((120, 30)) < np.where(camps[:, None] > 0, 0.85, 0.15)
    votes = np.where(agrees, 1, -1).astype(np.int8)
    votes[generator.random(votes.shape) < 0.3] = UNSEEN
    people = tuple(str(n) for n in range(120))
    statements = tuple(str(n) for n in range(30))
    known = np.arange(120) % 3 > 0
    whole = VoteMatrix(people, statements, votes)
    found = find_groups(only_people(whole, [p for p in people if known[int(p)]]))
    other = only_people(whole, [p for p in people if not known[int(p)]])
    labels = nearest_groups(found, other)
    camp_of = dict(zip(people, camps.tolist(), strict=True))
    own = found.by_participant()
    camp_of_label = {label: camp_of[person] for person, label in own.items()}
    assert len(camp_of_label) == 2
    assert all(camp_of[person] == camp_of_label[label] for person, label in labels.items())
    # Somebody who voted as a known person did, on fewer statements, joins that person's group.
    twin = VoteMatrix(("twin",), statements, votes[1:2])
    assert nearest_groups(found, twin)["twin"] == own["1"]
    few = np.full((1, 30), UNSEEN, dtype=np.int8)
    few[0, :3] = 1
    assert nearest_groups(found, VoteMatrix(("few",), statements, few)) == {}
