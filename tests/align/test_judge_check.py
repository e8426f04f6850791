"""A model judges labelled pairs before it may judge its own: coins are refused, readers are not."""

import re
from collections.abc import Callable
from dataclasses import replace
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from suffrage.align import cai, ccai, judge_check
from suffrage.align.constitutional_options import ConstitutionalOptions
from suffrage.align.feedback import Kept
from suffrage.align.judge_check import agreement_with_labels, check_judge, labelled_pairs
from suffrage.errors import SuffrageError
from suffrage.models import LanguageModel
from suffrage.training_data.ai_preferences import Judgement
from tests.align.test_constitutional import job

PAIRS = labelled_pairs()
COUNT = len(PAIRS)


class Reader:
    """A judge that gives "A" a probability by the question, its two answers and the principle."""

    def __init__(self, a_share: Callable[[str, str, str], float]) -> None:
        self.a_share, self.asked = a_share, []  # type: ignore[var-annotated]

    def encode(self, messages: Any) -> tuple[int, ...]:
        self.asked.append(messages[-1]["content"])
        return (len(self.asked) - 1,)

    def label_tokens(self, label: str) -> tuple[int, ...]:
        return {"A": (1,), "B": (2,)}[label]

    def score(self, requests: Any) -> list[list[Any]]:
        found = []
        for request in requests:
            text = self.asked[request.prompt[0]]
            _, a, b, principle = re.split(
                r"\n\nA\. |\n\nB\. |\n\nWhich of them keeps better to this principle\?\n\n", text
            )
            share = self.a_share(a, b, principle.split("\n\n")[0])
            found.append([np.log([share]), np.log([1 - share])])
        return found


def knows(a: str, b: str, principle: str) -> float:
    """Says the label with 0.8, with a lean to "A"."""
    follows = {(p.principle, p.first if p.first_follows else p.second) for p in PAIRS}
    return 0.9 if (principle, a) in follows else 0.3


def shared_words(answer: str, principle: str) -> int:
    words = [set(re.findall(r"[a-z]+", text.lower())) for text in (answer, principle)]
    return len(words[0] & words[1])


@pytest.fixture
def given(tiny_model: Path, tmp_path: Path) -> Any:
    return job(tiny_model, tmp_path, least_agreement=0.7)


def check(given: Any, judge: Any) -> Any:
    return check_judge(given, Kept.read(given.work / "kept.jsonl"), lambda: judge, lambda n: None)


def test_the_sample_is_balanced_by_its_making() -> None:
    assert COUNT >= 60 and 2 * len({pair.request for pair in PAIRS}) == COUNT
    assert sum(pair.first_follows for pair in PAIRS) == COUNT / 2
    assert len({pair.principle for pair in PAIRS}) == COUNT
    for pair in PAIRS:
        lengths = len(pair.first), len(pair.second)
        assert max(lengths) < 1.25 * min(lengths), pair.first
    by_request = {}
    for pair in PAIRS:
        by_request.setdefault(pair.request, []).append(pair)
    for one, other in by_request.values():
        assert one[:3] == other[:3] and one.first_follows != other.first_follows


IGNORANT: dict[str, Callable[[str, str, str], float]] = {
    "always A": lambda a, b, p: 0.9,
    "always B": lambda a, b, p: 0.2,
    "the longer": lambda a, b, p: 0.9 if len(a) > len(b) else 0.1,
    "the shorter": lambda a, b, p: 0.9 if len(a) < len(b) else 0.1,
    "first in the alphabet": lambda a, b, p: 0.9 if a < b else 0.1,
    "nothing": lambda a, b, p: 0.5,
    "words of the principle": lambda a, b, p: (
        0.5 + 0.05 * (shared_words(a, p) - shared_words(b, p))
    ),
}


@pytest.mark.parametrize("kind", IGNORANT)
def test_a_judge_that_does_not_understand_is_at_one_half_and_refused(kind: str, given: Any) -> None:
    with pytest.raises(SuffrageError, match=r"cannot judge.*\(0\.5[01], .*least_agreement is 0\.7"):
        check(given, Reader(IGNORANT[kind]))


def test_a_judge_that_understands_passes_whatever_letter_it_leans_to(given: Any) -> None:
    found = check(given, Reader(knows))
    assert found.agreement == 1 and found.pairs == COUNT
    # The mean over orders: (0.9 + 1 - 0.3) / 2.
    assert found.probability == pytest.approx(0.8)
    assert check(given, Reader(knows)) == found


def test_a_judge_that_takes_the_worse_one_is_refused_with_its_figure(given: Any) -> None:
    with pytest.raises(SuffrageError, match=rf"0 of {COUNT} labelled pairs \(0\.00"):
        check(given, Reader(lambda a, b, p: 1 - knows(a, b, p)))


def test_agreement_is_the_share_of_labels_that_a_plain_count_finds() -> None:
    generator = np.random.default_rng(3)
    drawn = generator.random((COUNT, 2))
    found = agreement_with_labels(PAIRS, [Judgement(a, b, 1.0) for a, b in drawn], 0.7)
    first = drawn[:, 0] - drawn[:, 1] > 0
    labels = np.array([pair.first_follows for pair in PAIRS])
    assert found.agreement == pytest.approx((first == labels).mean())


def test_the_module_says_how_often_a_coin_passes() -> None:
    """The binomial distribution, in whole numbers."""

    def passes(p: float) -> float:
        enough = range(-(-7 * COUNT // 10), COUNT + 1)
        return sum(comb(COUNT, k) * p**k * (1 - p) ** (COUNT - k) for k in enough)

    said = judge_check.__doc__ or ""
    assert f"once in {round(1 / passes(0.5), -1):,.0f} times" in " ".join(said.split())
    assert round(passes(0.6), 2) == 0.06 and round(passes(0.8), 2) == 0.98


@pytest.mark.slow
def test_a_refusal_comes_before_anything_is_written_and_is_not_asked_again(
    given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_to_write(*_: Any) -> None:
        raise AssertionError("something was written")

    monkeypatch.setattr(LanguageModel, "sample", refuse_to_write)
    with pytest.raises(SuffrageError, match="cannot judge") as first:
        cai.train(given)

    def refuse_to_load(*_: Any) -> None:
        raise AssertionError("the model was loaded again")

    monkeypatch.setattr(cai, "writing_model", refuse_to_load)
    with pytest.raises(SuffrageError) as second:
        cai.train(given)
    assert str(first.value) == str(second.value)


@pytest.mark.slow
def test_the_agreement_goes_into_the_checkpoint_and_progress_ends_at_its_whole(
    given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    said: list[tuple[int, int]] = []
    options = given.options.model_copy(update={"least_agreement": 0.01})
    cai.train(
        replace(given, options=options, on_step=lambda step, total, _: said.append((step, total)))
    )
    found = json.loads((given.output / "feedback.json").read_text())["judge_check"]
    assert found["pairs"] == COUNT and found["least_agreement"] == 0.01
    assert 0.01 <= found["agreement"] <= 1
    assert said[-1][0] == said[-1][1]


@pytest.mark.parametrize("options", [{"then": "none"}, {"least_agreement": 0}])
def test_where_nothing_is_to_be_checked_no_model_is_asked(options: Any, given: Any) -> None:
    changed = given.options.model_copy(update=options)
    assert check(replace(given, options=changed), None) is None


def test_both_methods_check_unless_the_study_says_otherwise() -> None:
    assert cai.METHOD.options().judge_is_checked  # type: ignore[attr-defined]
    assert ccai.Options(constitution="x.yaml").judge_is_checked
    with pytest.raises(ValidationError, match="least_agreement"):
        ConstitutionalOptions(least_agreement=1.1)


def test_the_bound_decides_only_where_there_is_a_check() -> None:
    bare = ConstitutionalOptions(least_agreement=0).deciding()
    assert "least_agreement" not in bare, "checkpoints without a check stay valid"
    assert ConstitutionalOptions().deciding() == bare | {"least_agreement": 0.7}
    none = [ConstitutionalOptions(then="none", least_agreement=p).deciding() for p in (0.6, 0.8)]
    assert none[0] == none[1]
