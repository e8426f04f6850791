"""Opinion groups and consensus of 10,000 participants x 500 statements, ours against red-dwarf.

Three true groups; how much people voted varies widely. Both get the same votes, find three groups
and compute group-informed consensus and representativeness; red-dwarf (Polis' pipeline on
scikit-learn) takes a list of votes, so the time it needs to make a matrix of it is told apart, and
the ratio leaves it out. Ours also tries every number of groups, which red-dwarf is spared.
Each runs in a process of its own, the best of three. They must find the same groups: adjusted Rand
index of 0.9 or more, or the exit code is 1.

    python benchmarks/opinion_groups.py --set-up    # once: red-dwarf in benchmarks/.venv-red-dwarf
    python benchmarks/opinion_groups.py

`--country` is for sparse votes alone: 1,000,000 people who each saw about 20 of 1,000 statements.
Before it, groups of 10,000 people on 500 statements are found in sparse and in dense votes.

    python benchmarks/opinion_groups.py --country
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from suffrage.consult.groups.sparse_votes import SparseVotes

HERE = Path(__file__).parent
PEER_FOLDER = HERE / ".venv-red-dwarf"
PEER = "red-dwarf==0.4.0"
UNSEEN, GROUPS, ROUNDS = -128, 3, 3
AGREE_BY = 0.9


def synthetic(participants: int, statements: int) -> np.ndarray:
    """Votes, (participants, statements): 1, 0, -1, or UNSEEN."""
    generator = np.random.default_rng(0)
    truth = generator.choice(GROUPS, participants, p=[0.5, 0.3, 0.2])
    agreeing = generator.beta(0.8, 0.8, (GROUPS, statements))
    votes = np.where(generator.random((participants, statements)) < agreeing[truth], 1, -1)
    votes[generator.random(votes.shape) < 0.12] = 0
    activity = np.clip(generator.gamma(1.2, 60, participants), 1, statements) / statements
    votes[generator.random(votes.shape) > activity[:, None]] = UNSEEN
    return votes.astype(np.int8)


def ours(votes: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    from suffrage.consult.groups.consensus import group_informed_consensus, group_representativeness
    from suffrage.consult.groups.opinion_groups import find_groups
    from suffrage.consult.votes import arranged, tally

    people, statements = ([str(i) for i in range(size)] for size in votes.shape)
    matrix = arranged(people, statements, votes)
    best = np.inf
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = find_groups(matrix)
        t = tally(matrix.votes, found.labels, found.count)
        group_informed_consensus(t.agrees, t.seen)
        group_representativeness(t)
        best = min(best, time.perf_counter() - start)
    return {"seconds": best}, found.labels


def with_red_dwarf(votes: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    from reddwarf.implementations.polis import run_pipeline
    from reddwarf.utils.matrix import generate_raw_matrix

    rows, columns = np.nonzero(votes != UNSEEN)
    listed = [
        {"participant_id": int(p), "statement_id": int(s), "vote": int(votes[p, s]), "modified": 0}
        for p, s in zip(rows, columns, strict=True)
    ]
    whole, matrix = np.inf, np.inf
    for _ in range(ROUNDS):
        start = time.perf_counter()
        generate_raw_matrix(votes=listed)
        between = time.perf_counter()
        found = run_pipeline(votes=listed, force_group_count=GROUPS, random_state=0)
        end = time.perf_counter()
        matrix, whole = min(matrix, between - start), min(whole, end - between)
    clusters = found.participants_df["cluster_id"]
    labels = np.full(len(votes), -1)
    labels[clusters.index.to_numpy(dtype=int)] = clusters.fillna(-1).to_numpy(dtype=int)
    return {"seconds": whole - matrix, "making_a_matrix": matrix}, labels


def country(people: int, statements: int, each: int) -> tuple[SparseVotes, np.ndarray]:
    """Sparse votes of people in three groups who saw about `each` statements, and the truth."""
    from suffrage.consult.groups.sparse_votes import SparseVotes

    generator = np.random.default_rng(0)
    truth = generator.choice(GROUPS, people, p=[0.5, 0.3, 0.2]).astype(np.int8)
    agreeing = generator.beta(0.8, 0.8, (GROUPS, statements)).astype(np.float32)
    counts = np.clip(generator.poisson(each, people), 1, statements)
    cells = np.repeat(np.arange(people, dtype=np.int64) * statements, counts)
    cells = np.unique(cells + generator.integers(0, statements, cells.size))
    rows, columns = cells // statements, (cells % statements).astype(np.int32)
    del cells
    drawn = generator.random(columns.size, dtype=np.float32)
    votes = np.where(drawn < agreeing[truth[rows], columns], 1, -1).astype(np.int8)
    votes[generator.random(columns.size, dtype=np.float32) < 0.12] = 0
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=people))])
    ids = (tuple(map(str, range(size))) for size in (people, statements))
    return SparseVotes(*ids, starts, columns, votes), truth


def of_a_country(people: int, statements: int, each: int) -> dict[str, float]:
    """Seconds and peak memory of groups and consensus, and how far the groups are the true ones."""
    from suffrage.consult.groups.consensus import group_informed_consensus, group_representativeness
    from suffrage.consult.groups.opinion_groups import cluster, place
    from suffrage.consult.groups.sparse_votes import sparse_tally
    from suffrage.population.latent_classes import adjusted_rand_index

    votes, truth = country(people, statements, each)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, spent = time.perf_counter(), time.process_time()
    positions = place(votes)
    placed = time.process_time()
    found = cluster(positions)
    clustered = time.process_time()
    t = sparse_tally(votes, found.labels, found.count)
    group_informed_consensus(t.agrees, t.seen)
    group_representativeness(t)
    figures = {
        "votes": votes.votes.size,
        "place_seconds": placed - spent,
        "cluster_seconds": clustered - placed,
        "processor_seconds": time.process_time() - spent,
        "wall_seconds": time.perf_counter() - wall,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "before_bytes": before * 1024,
        "groups": found.count,
    }
    inside = found.labels >= 0
    labels = found.labels[inside].astype(np.int8)
    weights = np.ones(labels.size)
    return figures | {"agreement": adjusted_rand_index(labels, truth[inside], weights)}


def sparse_against_dense(participants: int, statements: int) -> float:
    """The adjusted Rand index of the groups of the same votes, sparse and dense."""
    from suffrage.consult.groups.opinion_groups import find_groups
    from suffrage.consult.groups.sparse_votes import sparse_votes
    from suffrage.consult.votes import arranged
    from suffrage.population.latent_classes import adjusted_rand_index

    votes = synthetic(participants, statements)
    dense = arranged(*([str(i) for i in range(size)] for size in votes.shape), votes)
    a, b = (find_groups(each).labels.astype(np.int8) + 1 for each in (dense, sparse_votes(dense)))
    return adjusted_rand_index(a, b, np.ones(a.size))


def whole_country(given: argparse.Namespace) -> int:
    """Print what `--country` measures."""
    same = sparse_against_dense(given.participants, given.statements)
    found = of_a_country(given.people, 1000, 20) | {"sparse_and_dense": same}
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        print(f"{given.people:,} people x 1,000 statements, {found['votes']:,} votes")
        print(
            f"  {found['processor_seconds']:.1f} s of processor time (places "
            f"{found['place_seconds']:.1f}, groups {found['cluster_seconds']:.1f}), "
            f"{found['wall_seconds']:.1f} s on the clock, peak "
            f"{found['peak_memory_bytes'] / 1e9:.2f} GB"
        )
        print(f"  {found['groups']} groups, adjusted Rand index {found['agreement']:.3f}")
        print(f"  sparse and dense, {given.participants:,} x {given.statements}: {same:.3f}")
    return 0 if same == 1 else 1


WAYS = {"suffrage": ours, "red-dwarf": with_red_dwarf}


def set_up() -> None:
    """An environment of its own: red-dwarf pins libraries of ours."""
    subprocess.run([sys.executable, "-m", "venv", str(PEER_FOLDER)], check=True)
    subprocess.run([str(peer_python()), "-m", "pip", "install", "-q", PEER], check=True)


def peer_python() -> Path:
    return PEER_FOLDER / "bin" / "python"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set-up", action="store_true", help="install red-dwarf, then stop")
    parser.add_argument("--participants", type=int, default=10_000)
    parser.add_argument("--statements", type=int, default=500)
    parser.add_argument("--country", action="store_true", help="sparse votes of a country")
    parser.add_argument("--people", type=int, default=1_000_000, help="how many with --country")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.set_up:
        set_up()
        return 0
    if given.country:
        return whole_country(given)
    if given.alone:
        votes = synthetic(given.participants, given.statements)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        figures, labels = WAYS[given.alone](votes)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        np.save(given.output, labels)
        figures |= {"peak_memory_bytes": peak * 1024, "before_bytes": before * 1024}
        print(json.dumps(figures))
        return 0
    if not peer_python().exists():
        raise SystemExit("red-dwarf is missing: python benchmarks/opinion_groups.py --set-up")
    from suffrage.population.latent_classes import adjusted_rand_index

    found, labels = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for way, python in (("suffrage", sys.executable), ("red-dwarf", str(peer_python()))):
            output = str(Path(folder) / f"{way}.npy")
            words = [python, "-P", __file__, "--alone", way, "--output", output]
            words += ["--participants", str(given.participants)]
            words += ["--statements", str(given.statements)]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            found[way] = json.loads(done.stdout.splitlines()[-1])
            labels[way] = np.load(output)
    both = (labels["suffrage"] >= 0) & (labels["red-dwarf"] >= 0)
    a, b = (labels[way][both].astype(np.int8) for way in WAYS)
    agreement = adjusted_rand_index(a, b, np.ones(a.size))
    ratio = found["red-dwarf"]["seconds"] / found["suffrage"]["seconds"]
    if given.json:
        size = {"participants": given.participants, "statements": given.statements}
        print(json.dumps({**size, "ways": found, "ratio": ratio, "agreement": agreement}, indent=2))
    else:
        print(f"{given.participants:,} participants, {given.statements} statements")
        for way, figures in found.items():
            matrix = figures.get("making_a_matrix")
            more = "" if matrix is None else f"   and {matrix:.1f} s to make the matrix"
            memory = figures["peak_memory_bytes"] / 1e9
            print(f"  {way:<10} {figures['seconds']:8.2f} s   peak {memory:.2f} GB{more}")
        print(f"  ratio {ratio:.1f}, adjusted Rand index {agreement:.3f}")
    return 0 if agreement >= AGREE_BY else 1


if __name__ == "__main__":
    sys.exit(main())
