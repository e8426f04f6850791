"""Many questions asked of many populations by letter: tokens read, speed and memory.

    python -P benchmarks/many_questions.py [--questions 300] [--populations 30]
                                           [--dtypes float32 bfloat16]

Questions are made up, of the length of real ones, with four options in two orders and two label
sets. For each number format it prints

- the tokens read for a question, and the fewest that its prompts allow: each distinct beginning
  once;
- questions a second;
- the share of the machine's matrix-multiply speed that is reached: the operations of the weights'
  products over the time, by the speed of a product measured in the same process and format;
- the peak memory with 10 and with 100 populations, which should not grow.

A question here is one way of asking one population. Time is that of this process's main thread, so
that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

MODEL = "bundled:smollm2-135m"
WORDS = (
    "government people country public important family work money law school health religion "
    "should would agree think most many young older women men immigrants police courts taxes "
    "trust future economy better worse support oppose war peace climate energy local national "
    "leaders media news freedom rights children parents life society change policy problem of "
    "the to in and for with about by on from"
)
OPTIONS = ("Strongly agree", "Somewhat agree", "Somewhat disagree", "Strongly disagree")
PLACES = (
    "Argentina Bolivia Chad Denmark Egypt Finland Ghana Hungary Iceland Japan Kenya Latvia Mexico "
    "Nepal Oman Peru Qatar Romania Spain Turkey Uganda Vietnam Yemen Zambia Austria Brazil Chile "
    "Estonia France Greece India Jordan Kuwait Lebanon"
)
YEARS = (1991, 2001, 2011, 2021)


def choices(questions: int, populations: int) -> list[Any]:
    """Every way of asking every question as every population."""
    from suffrage.models import ways_of_asking
    from suffrage.models.answerer import LabelChoice
    from suffrage.survey import Item, Option

    generator = np.random.default_rng(0)
    names = [f"people in {place} in {year}" for year in YEARS for place in PLACES.split()][
        :populations
    ]
    found = []
    for number in range(questions):
        words = generator.choice(WORDS.split(), generator.integers(12, 40))
        item = Item(
            id=f"q{number}",
            question=f"{' '.join(words).capitalize()}?",
            options=tuple(Option(code=str(k), text=text) for k, text in enumerate(OPTIONS)),
        )
        for name in names:
            for question in ways_of_asking(item, name):
                found.append(LabelChoice(tuple(question.messages), question.label_of_position))
    return found


def measure(questions: int, populations: int, dtype: str) -> dict[str, float]:
    """One format in this process."""
    import torch

    from suffrage.models import LanguageModel, identify
    from suffrage.models.packing import ScoreRequest, packed
    from suffrage.study.planning.machine_speed import matrix_speed

    model = LanguageModel.load(identify(MODEL, Path()), dtype)
    asked = choices(questions, populations)
    model.choose(asked[:8])
    start = time.thread_time()
    for first in range(0, len(asked), 1024):  # as `CachedAnswerer` portions them
        model.choose(asked[first : first + 1024])
    seconds = time.thread_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    requests = [
        ScoreRequest(model.encode(choice.messages), tuple((t,) for t in model.label_tokens("A")))
        for choice in asked
    ]
    read = sum(
        len(row.tokens)
        for first in range(0, len(requests), 1024)
        for row in model.rule.rows(requests[first : first + 1024], model.device)
    )
    (whole,) = packed(requests, sys.maxsize)
    head = model.model.get_output_embeddings().weight.numel()
    linear = [m for m in model.model.modules() if isinstance(m, torch.nn.Linear)]
    weights = sum(m.weight.numel() for m in linear) - head
    operations = 2 * (weights * read + head * len(asked))
    return {
        "questions": len(asked),
        "tokens_read": read / len(asked),
        "tokens_least": len(whole.tokens) / len(asked),
        "tokens_plain": sum(len(request.prompt) for request in requests) / len(asked),
        "questions_a_second": len(asked) / seconds,
        "share_of_limit": operations / seconds / matrix_speed(dtype, time.thread_time),
        "peak_memory_bytes": memory,
    }


def alone(questions: int, populations: int, dtype: str) -> dict[str, float]:
    """The same in a process of its own, whose peak memory is then its own."""
    words = ["--one", dtype, "--questions", str(questions), "--populations", str(populations)]
    done = subprocess.run(
        [sys.executable, "-P", __file__, *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Measure every format and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--populations", type=int, default=30)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--memory-questions", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.questions, given.populations, given.one)))
        return 0
    found: dict[str, Any] = {}
    for dtype in given.dtypes:
        found[dtype] = alone(given.questions, given.populations, dtype)
        found[dtype]["memory_bytes_by_populations"] = {
            count: alone(given.memory_questions, count, dtype)["peak_memory_bytes"]
            for count in (10, 100)
        }
    if given.json:
        print(json.dumps(found, indent=2))
        return 0
    for dtype, one in found.items():
        few, many = one["memory_bytes_by_populations"].values()
        print(
            f"{dtype}: {one['questions']} questions; {one['tokens_read']:.1f} tokens read a "
            f"question, {one['tokens_read'] / one['tokens_least']:.2f} times the least "
            f"({one['tokens_least']:.1f}; alone {one['tokens_plain']:.0f}); "
            f"{one['questions_a_second']:.1f} questions/s; {one['share_of_limit']:.0%} of the "
            f"limit; peak {few / 1e9:.2f} GB with 10 populations, {many / 1e9:.2f} with 100"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
