"""Several signals in one training: each signal's own loss, in the shares that are said."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from suffrage.align.combined import Options, combined_objective
from suffrage.align.packed import ABSENT, AnswerBatch
from suffrage.training_data.combined_records import signals_in_turn

ROWS: list[dict[str, Any]] = [
    {"signal": "votes", "answers": ["A", "B", "C"], "target": [0.6, 0.3, 0.1]},
    {
        "signal": "reactions",
        "answer": "x",
        "answers": ["x", "y"],
        "desirable": 0.8,
        "mismatched": "y",
    },
    {"signal": "comparisons", "chosen": "p", "rejected": "q", "completion": "p", "share": 0.7},
    {
        "signal": "reactions",
        "answer": "y",
        "answers": ["x", "y"],
        "desirable": 0.4,
        "mismatched": "x",
    },
]
for row in ROWS:
    row["weight"] = 1.0
LOGS = [[-0.5, -1.2, -2.5], [-8.0, -9.0], [-6.0, -7.5, -6.0], [-4.0, -5.0]]
BEFORE = [[-0.7, -1.0, -2.0], [-8.5, -8.8], [-6.5, -7.0, -6.5], [-4.4, -4.1]]


def wide(lines: list[list[float]]) -> torch.Tensor:
    return torch.tensor([[*line, *[ABSENT] * (3 - len(line))] for line in lines])


def test_the_loss_is_the_mean_over_records_of_each_signals_loss_by_hand() -> None:
    objective = combined_objective(Options(beta=0.5), ROWS)
    assert objective.needs_reference
    assert objective.answers(ROWS) == [["A", "B", "C"], ["x", "y"], ["p", "q", "p"], ["y", "x"]]
    lengths = torch.tensor([[len(line) > k for k in range(3)] for line in LOGS]) * 4.0
    batch = AnswerBatch(wide(LOGS), wide(BEFORE), lengths, ROWS, torch.ones(4))
    assert objective.shared is not None
    batch = AnswerBatch(**{**vars(batch), "shared": objective.shared(batch)})
    p, log_q = np.array(ROWS[0]["target"]), np.array(LOGS[0])
    votes = (p * (np.log(p) - log_q)).sum()
    odds = LOGS[2][0] - LOGS[2][1]
    compared = -0.7 * np.log(1 / (1 + np.exp(-odds))) - 0.3 * np.log(1 / (1 + np.exp(odds)))
    compared += 0.5 * 6.0 / 4
    z0 = max(0.0, ((-9.0 + 8.8) + (-5.0 + 4.1)) / 2)
    sigma = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    # Of desirable labels there are 1.2 and of undesirable ones 0.8, so that the latter count more.
    liked = [
        d * (1 - sigma(0.5 * (r - z0))) + 1.5 * (1 - d) * (1 - sigma(0.5 * (z0 - r)))
        for d, r in ((0.8, 0.5), (0.4, 0.4))
    ]
    wanted = (votes + compared + sum(liked)) / 4
    assert objective.loss(batch).item() == pytest.approx(wanted, rel=1e-5)


@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=3), st.integers(1, 60))
def test_signals_take_turns_by_their_weights_at_every_point(
    weights: list[float], count: int
) -> None:
    names = ("votes", "comparisons", "reactions")
    turn = list(signals_in_turn(dict(zip(names, weights, strict=True)), count))
    for place in range(1, count + 1):
        for name, weight in zip(names, weights, strict=True):
            share = weight / sum(weights) * place
            assert abs(turn[:place].count(name) - share) < 2


def test_the_surveys_weight_is_its_share_of_each_step() -> None:
    found = Options(signals={"survey": 6, "votes": 2}, batch=8)  # type: ignore[dict-item]
    assert found.replay == 0.75 and found.replay_rows == 6 and found.own_rows == 2
    assert dict(found.signals) == {"votes": 2}
    # What was filled in is read back as it was.
    assert Options(**found.model_dump()) == found


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        ({"votes": 0}, "above 0"),
        ({"votes": "much"}, "above 0"),
        ({"survey": 1}, "at least 1 item"),
        ({"survey": 1, "tweets": 1}, "tweets"),
        ({"survey": 99, "votes": 1}, "leaves no record"),
    ],
)
def test_weights_that_say_nothing_are_refused(signals: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Options(signals=signals)
