"""What another choice would have given: small figures behind decisions in docs/architecture.md.

    python -P benchmarks/decisions.py --wvs7 FOLDER --model bundled:smollm2-135m

Each line is one decision. --wvs7 names the folder with four countries' files and codebook.json.
Without it, or without a model, the lines that need them are left out. It takes a few minutes on
one core.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
from contextlib import closing
from importlib.util import module_from_spec, spec_from_file_location
from math import exp, log
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from suffrage.consult.next_statement import priority, routing_probabilities
from suffrage.consult.people import held_out_people
from suffrage.consult.release.disclosure import safe_counts
from suffrage.evaluate.statistics.mixing import WEIGHTS, MixingCell, mixing_weight
from suffrage.models import identify
from suffrage.models.loading import load_weights
from suffrage.population import build_value_set
from suffrage.population.distribution_distances import fit
from suffrage.population.latent_classes import fit_latent_classes
from suffrage.population.pooling import GroupAnswers, find_concentration, pool
from suffrage.population.student import student_quantile
from suffrage.survey import Survey, read_survey
from suffrage.training_data import HeldOut, split_items
from suffrage.training_data.average_answer import TrainedAnswers
from suffrage.training_data.demonstrations import systematic_draws
from suffrage.training_data.preference_pairs import draw_option_pair


def pooling() -> Any:
    """The benchmark of that name. With -P, Python does not look for modules in this folder."""
    spec = spec_from_file_location("pooling", Path(__file__).with_name("pooling.py"))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def classes_in_noise(studies: int = 20, people: int = 400) -> str:
    """How often BIC finds a second class where there is one, with very unequal weights."""
    found = [0, 0]
    for seed in range(studies):
        generator = np.random.default_rng(seed)
        answers = generator.choice(3, (6, people), p=[0.5, 0.3, 0.2]).astype(np.int16)
        weights = generator.lognormal(0, 1, people)
        one, two = (
            fit_latent_classes([*answers], [3] * 6, weights, c, np.random.default_rng(1), 5)
            for c in (1, 2)
        )
        found[0] += two.bic < one.bic
        # Weights that sum to the number of people have the same classes and a larger likelihood.
        plain = [
            -2 * m.log_likelihood * people / m.n_eff + m.parameters * log(people)
            for m in (one, two)
        ]
        found[1] += plain[1] < plain[0]
    return f"BIC finds two classes in {found[0]} of {studies} studies of noise, unscaled {found[1]}"


def lambdas(trials: int = 400, people: int = 100) -> str:
    """With a lambda for each option: the sum of shares. With one: how often it is below 0."""
    generator = np.random.default_rng(1)
    off, below = [], 0
    for _ in range(trials):
        cells, truth = generator.dirichlet(np.full(8, 4.0)), generator.dirichlet([1.5] * 3, 8)
        cell = generator.choice(8, people, p=cells)
        answers = np.array([generator.multinomial(1, truth[c]) for c in cell], dtype=float)
        for useful in (True, False):
            said = truth if useful else generator.dirichlet([1.5] * 3, 8)
            moves = (answers - answers.mean(axis=0)) * (said[cell] - said[cell].mean(axis=0))
            spread = said[cell].var(axis=0) * people
            if useful:
                bracket = cells @ said - said[cell].mean(axis=0)
                off.append(abs(float((moves.sum(axis=0) / spread) @ bracket)))
            else:
                below += float(moves.sum()) < 0
    return (
        f"shares off 1 by up to {max(off):.3f} with a lambda each; of a model that knows nothing, "
        f"lambda is below 0 in {below / trials:.0%} of samples"
    )


def own_average(survey: Survey) -> str:
    """The floor on trained questions, and with the question in its own average."""
    people = build_value_set(survey, "all", {}, 1).distributions
    known = {seed: split_items(survey.codebook.items, HeldOut(share=0.25), seed) for seed in (1, 2)}
    without, within = [], []
    for split in known.values():
        trained = TrainedAnswers(build_value_set(survey, "all", {}, 1), split)
        for item in split.train:
            shares = people[item].shares
            without.append(fit(shares, trained.average_without(item)))
            within.append(fit(shares, trained.average(shares.size)))
    return (
        f"the floor fits trained questions by {np.mean(without):.3f}, by {np.mean(within):.3f} if "
        "a question counts in its own average"
    )


def weights_on_the_same(studies: int = 200) -> str:
    """A model that adds nothing to the average: how often a mixture seems better than it."""

    def cells(seed: int) -> list[MixingCell]:
        generator = np.random.default_rng(seed)

        def near(shares: np.ndarray) -> np.ndarray:
            moved = shares * np.exp(0.5 * generator.standard_normal(4))
            return np.asarray(moved / moved.sum())

        averages = generator.dirichlet(np.full(4, 5.0), 12)
        return [
            MixingCell(f"q{k}", f"b{k // 2}", near(shares), near(shares), shares)
            for k, shares in enumerate(averages)
        ]

    better = [0, 0]
    for seed in range(studies):
        found = mixing_weight(cells(seed), 1)
        assert found is not None
        better[0] += found.mixed_fit > found.average_fit + 1e-12
        gain = [
            fit(c.people, found.weight * c.model + (1 - found.weight) * c.average)
            - fit(c.people, c.average)
            for c in cells(seed + 10_000)
        ]
        better[1] += float(np.mean(gain)) > 1e-12
    assert WEIGHTS[0] == 0
    return (
        f"a worthless model's mixture beats the average in {better[0] / studies:.0%} of studies on "
        f"the questions that chose the weight, in {better[1] / studies:.0%} on others"
    )


def halves(tried: int = 3) -> str:
    """The ceiling of small groups, with halves drawn by the group's weight and by their own."""
    generator, by_group, by_half = np.random.default_rng(8), [], []
    for number, (_, column, value, survey) in enumerate(pooling().gss()):
        answers = survey.responses[column]
        members = np.flatnonzero((answers == value).fill_null(False).to_numpy())
        left_out = generator.permutation(members)[(15, 30, 45)[number % 3] :]
        seen = np.delete(np.arange(answers.len()), left_out)
        small = build_value_set(
            survey.with_responses(survey.responses[seen]), "small", {column: value}, 1
        )
        outside = np.setdiff1d(np.arange(answers.len()), members)
        pooled, around = [], []
        for d in small.distributions.values():
            if 0 < d.pooled < 1:
                given = survey.positions(d.item.id)[outside]
                counts = np.bincount(given[given >= 0], minlength=d.shares.size)
                pooled.append(d)
                around.append((counts / counts.sum(), float(counts.sum())))
        by_group += [float(fit(d.first_halves, d.second_halves).mean()) for d in pooled]
        for k in range(tried):
            drawn = []
            for side in ("first_halves", "second_halves"):
                half = []
                for d, (rest, size) in zip(pooled, around, strict=True):
                    pull = d.pooled * GroupAnswers(d.shares, d.n_eff, rest, size).prior_mean
                    raw = np.clip((getattr(d, side)[k] - pull) / (1 - d.pooled), 0, 1)
                    half.append(GroupAnswers(raw / raw.sum(), d.n_eff / 2, rest, size))
                found = find_concentration(half)
                drawn.append([pool(one, found).shares for one in half])
            by_half += [float(fit(one, other)) for one, other in zip(*drawn, strict=True)]
    return f"ceiling {np.mean(by_group):.3f}, by the halves' own weights {np.mean(by_half):.3f}"


def replicates(survey: Survey, people: int = 200) -> str:
    """The distance of all respondents' answers from some people's, and from their replicates."""
    whole = build_value_set(survey, "all", {}, 1).distributions
    rows = np.sort(np.random.default_rng(1).permutation(survey.responses.height)[:people])
    some = build_value_set(survey.with_responses(survey.responses[rows]), "some", {}, 1)
    once = np.mean([1 - fit(d.shares, whole[i].shares) for i, d in some.distributions.items()])
    again = np.mean(
        [np.mean(1 - fit(d.replicates, whole[i].shares)) for i, d in some.distributions.items()]
    )
    return f"{people} people are {once:.3f} from all, their replicates {again:.3f}"


def draws(survey: Survey, count: int = 12) -> str:
    """How far drawn answers are from the shares, systematically and independently."""
    generator, off = np.random.default_rng(0), ([], [])  # type: ignore[var-annotated]
    for d in build_value_set(survey, "all", {}, 1).distributions.values():
        for _ in range(200):
            drawn = systematic_draws(d.shares, count, generator.random())
            for found, counts in (
                (off[0], np.bincount(drawn, minlength=d.shares.size)),
                (off[1], generator.multinomial(count, d.shares)),
            ):
                found.append(float(np.abs(counts / count - d.shares).sum() / 2))
    systematic, independent = (float(np.mean(one)) for one in off)
    return f"{count} draws miss the shares by {systematic:.3f}, independent ones {independent:.3f}"


def statements_and_people(trials: int = 1000, people: int = 100, statements: int = 12) -> str:
    """A model that takes sides at random: how often it passes, over people and over statements."""
    generator = np.random.default_rng(0)
    passed = [0, 0]
    for _ in range(trials):
        agree = generator.beta(1, 1, statements)
        votes = generator.random((people, statements)) < agree
        right = votes == (generator.random(statements) < 0.5)
        for at, means in enumerate((right.mean(axis=1), right.mean(axis=0))):
            error = means.std(ddof=1) / means.size**0.5
            passed[at] += means.mean() - 0.5 > student_quantile(0.975, means.size - 1) * error
    return (
        f"a model that guesses passes in {passed[0] / trials:.1%} of trials by resampling people, "
        f"in {passed[1] / trials:.1%} by resampling statements"
    )


def labels_of_others(survey: Survey) -> str:
    """How often another question's answer has a label that this question does not have."""
    found = [d.shares for d in build_value_set(survey, "all", {}, 1).distributions.values()]
    missing = [a[b.size :].sum() for a in found for b in found if a is not b]
    return f"another question's label is none of this one's in {np.mean(missing):.0%} of pairs"


def rare_pairs(survey: Survey, rare: float = 0.15) -> str:
    """How often the two answers of a preference record are both rare, on ten options."""
    generator, found, even = np.random.default_rng(0), [], []
    for d in build_value_set(survey, "all", {}, 1).distributions.values():
        for _ in range(300 if d.shares.size == 10 else 0):
            found.append(float(d.shares[list(draw_option_pair(d.shares, generator))].sum()))
            even.append(float(d.shares[generator.choice(10, 2, replace=False)].sum()))
    first, second = (float(np.mean(np.array(one) < rare)) for one in (found, even))
    return (
        f"{first:.0%} of pairs are answers of fewer than {rare:.0%} of people, "
        f"{second:.0%} if both are drawn evenly"
    )


def next_statement(statements: int = 1000, votes: int = 40_000, times: int = 100) -> str:
    """Processor time of the chances of all statements, and of counting their votes in SQLite."""
    generator = np.random.default_rng(0)
    seen = generator.integers(0, 500, statements).astype(float)
    began = process_time()
    for _ in range(times):
        wanted = priority(seen * 0.4, seen * 0.2, seen, np.ones(statements))
        routing_probabilities(wanted, np.ones(statements, dtype=bool))
    chances = (process_time() - began) / times
    with closing(sqlite3.connect(":memory:")) as store:
        store.execute("CREATE TABLE vote (statement, value)")
        rows = zip(
            generator.integers(0, statements, votes).tolist(),
            generator.integers(-1, 2, votes).tolist(),
            strict=True,
        )
        store.executemany("INSERT INTO vote VALUES (?, ?)", rows)
        began = process_time()
        store.execute("SELECT statement, value, count(*) FROM vote GROUP BY 1, 2").fetchall()
        counting = process_time() - began
    return f"chances take {1000 * chances:.1f} ms, counting the votes {1000 * counting:.0f} ms"


def row_lengths(model: Any, layers: int = 6, tokens: int = 2048) -> str:
    """Processor time of passes forwards and backwards over as many tokens in rows of a length."""
    import torch

    inner, took = model.model.requires_grad_(True), {}
    inner.layers = inner.layers[:layers]
    for length in (512, 512, 1024, 2048):  # the first one warms up
        ids = torch.randint(0, 40_000, (tokens // length, length))
        mask = torch.tril(torch.rand(length, length) < 0.5) | torch.eye(length, dtype=torch.bool)
        mask = mask[None, None].expand(len(ids), 1, length, length)
        began = process_time()
        inner(
            input_ids=ids, attention_mask=mask, use_cache=False
        ).last_hidden_state.sum().backward()
        took[length] = process_time() - began
    return ", ".join(f"rows of {length}: {seconds:.1f} s" for length, seconds in took.items())


def answer_lengths(tokenizer: Any, survey: Survey) -> str:
    """Tokens of an answer, and how far shares move if each answer is divided by its own length."""
    lengths, moved = [], []
    for d in build_value_set(survey, "all", {}, 1).distributions.values():
        own = [len(tokenizer.encode(f" {o.text}")) + 1 for o in d.item.options]
        learnt = d.shares / own
        moved.append(float(np.abs(learnt / learnt.sum() - d.shares).sum() / 2))
        lengths += own
    return f"{min(lengths)} to {max(lengths)} tokens, shares moved by {np.mean(moved):.2f}"


def sides(people: int = 1000) -> str:
    """Who changes sides when somebody joins, by a hash and by a draw."""
    before = [f"p{k}" for k in range(people)]
    after = [*before, "late"]

    def drawn(of: list[str]) -> set[str]:
        return {of[k] for k in np.random.default_rng(1).permutation(len(of))[: people // 4]}

    hashed = [set(held_out_people(of, 0.25, 1)) for of in (before, after)]
    moved = [len((a ^ b) - {"late"}) for a, b in (hashed, [drawn(before), drawn(after)])]
    return f"one more person moves {moved[0]} of {people} people, with a draw {moved[1]}"


def tables_without_one(people: int = 120) -> str:
    """How many people's withdrawal shows in tables of counts that are made again."""
    generator = np.random.default_rng(0)
    age, region = generator.integers(0, 5, people), generator.integers(0, 3, people)

    def tables(keep: np.ndarray) -> list[list[int]]:
        both = np.zeros((5, 3), dtype=np.int64)
        np.add.at(both, (age[keep], region[keep]), 1)
        made = ((both.sum(axis=1), "age"), (both.sum(axis=0), "region"), (both, "both"))
        return [safe_counts(counts, b"key", name).ravel().tolist() for counts, name in made]

    everyone = np.arange(people)
    shown = sum(tables(np.delete(everyone, k)) != tables(everyone) for k in range(people))
    return f"a table made again shows the withdrawal of {shown} of {people} people"


def laplace(trials: int = 2000, scale: float = 5.0) -> str:
    """How many noisy counts of 40 could not have come from 41, with noise in floating point."""

    def possible(y: float, count: int) -> bool:
        near = round(exp(-abs(y - count) / scale) * 2**52)
        tried = (min(max(near + off, 1), 2**52) / 2**52 for off in range(-12, 13))
        side = -1 if y > count else 1
        return any(count + side * scale * log(u) == y for u in tried)

    uniform = np.random.default_rng(0).random(trials)
    noisy = [40 + scale * log(2 * u) if u < 0.5 else 40 - scale * log(2 - 2 * u) for u in uniform]
    assert all(possible(y, 40) for y in noisy)
    only = sum(not possible(y, 41) for y in noisy) / trials
    return f"{only:.0%} of noisy counts of 40 cannot come from 41"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wvs7", type=Path, help="folder with the four countries' files")
    parser.add_argument("--model", help="such as bundled:smollm2-135m, for rows and lengths")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    survey = read_survey({"reader": "gss_spending"}, Path())
    made = {
        "weights in latent classes": classes_in_noise,
        "one lambda": lambdas,
        "the average answer": lambda: own_average(survey),
        "questions held back": weights_on_the_same,
        "halves": halves,
        "replicates": lambda: replicates(survey),
        "preferences": statements_and_people,
        "demonstrations": lambda: draws(survey),
        "a hash of seed and id": sides,
        "tables of counts": tables_without_one,
        "the next statement": next_statement,
        "geometric noise": laplace,
    }
    if given.model:
        model, tokenizer = load_weights(identify(given.model, Path()), "float32")
        made["rows of 512 tokens"] = lambda: row_lengths(model)
        made["SFT's loss"] = lambda: answer_lengths(tokenizer, survey)
    if given.wvs7:
        *_, countries = next(pooling().wvs7(given.wvs7))
        made["preference records"] = lambda: rare_pairs(countries)
        made["KTO's reference point"] = lambda: labels_of_others(countries)
    found = {}
    for name, measure in made.items():
        found[name] = measure()
        if not given.json:
            print(f"{name}: {found[name]}.", flush=True)
    if given.json:
        print(json.dumps(found))


if __name__ == "__main__":
    sys.exit(main())
