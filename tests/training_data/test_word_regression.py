"""The regression on words: the kernel by its formula, and what it predicts of planted answers."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge as PeerRidge

from suffrage.population.distribution_distances import fit
from suffrage.survey import Item, Option
from suffrage.training_data import word_regression
from suffrage.training_data.low_rank import ItemAnswers
from suffrage.training_data.word_kernel import KernelRidge, WordKernel, _inverse
from suffrage.training_data.word_regression import (
    AskedItem,
    choose_settings,
    fit_of_predictions,
    fit_words,
    predict_each,
    word_features,
)

TOPICS = ("taxes", "schools", "roads", "parks", "police", "trains", "dogs", "tea")
SCALES = (("bad", "fair", "good"), ("no", "maybe", "rather", "yes"))


def item(name: str, question: str, options: tuple[str, ...] = SCALES[0]) -> Item:
    own = tuple(Option(code=str(k), text=text) for k, text in enumerate(options))
    return Item(id=name, question=question, options=own)


def planted(count: int = 80, populations: int = 6, seed: int = 0) -> list[AskedItem]:
    """Answers that depend on the topic, and on how a population likes it."""
    generator = np.random.default_rng(seed)
    taste = generator.normal(size=(populations, len(TOPICS)))
    shared = 1.5 * generator.normal(size=len(TOPICS))
    found = []
    for number in range(count):
        topic, options = number % len(TOPICS), SCALES[number // len(TOPICS) % 2]
        place = np.linspace(-1, 1, len(options))
        scores = (shared[topic] + taste[:, [topic]]) * place
        scores = scores + 0.2 * generator.normal(size=scores.shape)
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        asked = item(f"q{number}", f"What of {TOPICS[topic]}, in case {number}?", options)
        found.append(AskedItem(asked, ItemAnswers(np.arange(populations), shares, f"g{number}")))
    return found


def cosine(first: str, second: str, among: list[str]) -> float:
    """TF-IDF by its formula; a word that one text has counts toward lengths only."""
    words = [text.lower().replace("?", "").split() for text in (first, second, *among)]
    one, two, *rest = words
    having = Counter(word for text in rest for word in set(text))
    weight = {w: math.log((1 + len(rest)) / (1 + n)) + 1 for w, n in having.items()}
    rare = math.log((1 + len(rest)) / 2) + 1

    def length(text: list[str]) -> float:
        return math.sqrt(sum((n * weight.get(w, rare)) ** 2 for w, n in Counter(text).items()))

    product = sum(
        one.count(w) * two.count(w) * weight[w] ** 2 for w in set(one) & set(two) if having[w] > 1
    )
    return product / (length(one) * length(two))


def test_the_kernel_is_its_formula() -> None:
    items = [item("a", "like dogs"), item("b", "ban dogs", SCALES[1]), item("c", "ban tea")]
    questions = [one.question for one in items]
    texts = sorted({text for one in items for text in one.texts})
    rows = [(one, k) for one in items for k in range(len(one.texts))]
    plain = np.zeros((len(rows), len(rows)))
    for i, (one, k) in enumerate(rows):
        for j, (two, m) in enumerate(rows):
            apart = (2 * k / (len(one.texts) - 1) - 2 * m / (len(two.texts) - 1)) / 0.7
            near = math.exp(-(apart**2))
            words = cosine(one.texts[k], two.texts[m], texts)
            context = cosine(one.question, two.question, questions)
            plain[i, j] = 0.3 * words + context * words + context * near + 0.3 * words * near
    own = np.array([one.id for one, _ in rows])
    centring = np.eye(len(rows)) - (own[:, None] == own) / (own[:, None] == own).sum(axis=1)
    kernel = WordKernel(items)
    assert kernel.own() == pytest.approx(centring @ plain @ centring, abs=1e-5)
    assert np.concatenate(kernel.features(items)) == pytest.approx(kernel.own(), abs=1e-6)


def some_kernel(rows: int = 121) -> np.ndarray:
    parts = np.random.default_rng(1).normal(size=(rows, 30))
    return (parts @ parts.T / 30).astype(np.float32)


def test_the_inverse_in_halves_is_the_inverse() -> None:
    system = some_kernel() + 0.3 * np.eye(121, dtype=np.float32)
    assert _inverse(system) == pytest.approx(np.linalg.inv(system.astype(float)), abs=1e-4)
    assert _inverse(np.full((1, 1), 4, np.float32)) == pytest.approx(0.25)


def test_the_ridge_is_scikit_learns_with_all_rows_and_without_some() -> None:
    kernel, generator = some_kernel(), np.random.default_rng(2)
    weights, targets = generator.uniform(0.5, 2, 121), generator.normal(size=(121, 3))
    ridge, scale = KernelRidge(kernel, weights, 0.4), float(np.diagonal(kernel).mean())
    peer = PeerRidge(alpha=0.4 * scale, kernel="precomputed")
    peer.fit(kernel.astype(float), targets, sample_weight=weights)
    assert kernel @ ridge.coefficients(targets) == pytest.approx(peer.predict(kernel), abs=1e-3)
    out, rest = np.arange(20, 60), np.setdiff1d(np.arange(121), np.arange(20, 60))
    peer.fit(kernel[np.ix_(rest, rest)].astype(float), targets[rest], sample_weight=weights[rest])
    alone = ridge.left_out(targets, out)
    assert alone == pytest.approx(peer.predict(kernel[np.ix_(out, rest)]), abs=1e-3)
    targets[out] = 99
    assert ridge.left_out(targets, out) == pytest.approx(alone)


@pytest.mark.slow
def test_new_questions_are_predicted_by_population_and_as_well_as_validation_says() -> None:
    asked, new = planted(), planted(160)[80:]
    best = choose_settings(asked, 6, 1)
    known, model = fit_words(asked, 6, best.settings, 1)
    features = word_features([WordKernel(own) for own in known], [one.item for one in new])
    predicted = {
        one.item.id: np.array([model.predict(own, place) for place in range(6)])
        for one, own in zip(new, features, strict=True)
    }
    turned = {name: np.roll(own, 1, axis=0) for name, own in predicted.items()}
    mean = {
        one.item.id: np.tile(
            np.mean(
                [a.answers.shares for a in asked if a.item.texts == one.item.texts], axis=(0, 1)
            ),
            (6, 1),
        )
        for one in new
    }
    own = fit_of_predictions(new, predicted)
    assert best.settings.rank > 0
    assert own > fit_of_predictions(new, turned) + 0.05
    assert own > fit_of_predictions(new, mean) + 0.05
    assert own == pytest.approx(best.fit, abs=0.03)


@pytest.mark.slow
def test_shares_that_know_nothing_of_each_other_predict_their_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = planted()
    settings = choose_settings(asked, 6, 1).settings
    whole = fit_of_predictions(asked, predict_each(asked, 6, settings, 1))
    monkeypatch.setattr(word_regression, "MOST_OPTIONS", 150)
    assert len(word_regression._shares_of_items(asked, 150, 1)) == 2
    cut = predict_each(asked, 6, settings, 1)
    assert set(cut) == {one.item.id for one in asked}
    assert fit_of_predictions(asked, cut) == pytest.approx(whole, abs=0.05)
    known, model = fit_words(asked, 6, settings, 1)
    assert len(known) == 2
    new = item("new", "What of taxes, in case 900?")
    (features,) = word_features([WordKernel(own) for own in known], [new])
    people = asked[0].answers.shares
    assert fit(people[0], model.predict(features, 0)) > 0.8
