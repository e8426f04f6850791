"""Questions scored a second: ours against EleutherAI's lm-eval and plain Transformers.

36 items of the General Social Survey's own questionnaire (Suffrage's codebook of it; nobody's
answers are read) put as 46 groups (six regions x town or country x four educations, less two: as
many as in WorldValuesBench's probe), each in four ways (both orders with both label sets). Two
tasks: the option's letter (one token), and the option's whole text. Every contestant reads the same
context strings and the same continuations with the same model, in a process of its own, one after
another; loading and a warm-up are not timed. Contestants:

  lm-eval        HFLM.loglikelihood at batch size 1, its default, and at the best batch size of a
                 sweep, in float32 and bfloat16
  transformers   one forward pass an option, as a first script does it; and padded batches of
                 questions
                 (letters: a row for each question, every letter read from it; texts: a row
                 for each option)
  suffrage       LanguageModel.score, in float32 and bfloat16

The slow ones answer the first --limit questions, which go through the items and groups evenly. Log-
probabilities in float32 must agree with lm-eval's within 1e-3, or the exit code is 1.

lm-eval lives in an environment of its own:

    python benchmarks/scoring.py --set-up      # once: makes benchmarks/.venv
    python benchmarks/scoring.py
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LM_EVAL_PYTHON = HERE / ".venv" / "bin" / "python"
LM_EVAL = ("torch==2.13.0", "transformers==5.23.0", "accelerate==1.15.0", "lm_eval==0.4.13")
TOLERANCE = 1e-3
REGIONS = ("Africa", "Asia", "Europe", "North America", "Oceania", "South America")
PLACES = ("a city", "the countryside")
EDUCATIONS = ("no schooling", "primary school", "secondary school", "university")
ITEMS, GROUPS = 36, 46
OURS, BASELINE = "suffrage", "lm-eval batch 1"
TASKS = ("letters", "texts")

# What the contestant of this process read, where it says so.
READ: dict[str, float] = {}
# A question: the context, and the continuations whose log-probability is wanted.
Question = tuple[str, list[str]]


def groups() -> list[str]:
    """Forty-six populations by name."""
    every = [
        f"people in {region} who live in {place} and whose education is {education}"
        for region in REGIONS
        for place in PLACES
        for education in EDUCATIONS
    ]
    return every[:GROUPS]


def questions(task: str, item_count: int, group_count: int, limit: int) -> list[Question]:
    """The items as plain text ending in "Answer:", so that every contestant's tokens agree.

    The first `limit` step through all of them evenly; the others follow in order.
    """
    from suffrage.models import ways_of_asking
    from suffrage.survey.formats.archive import read_book

    items = list(read_book("gss.yaml").items().values())[:item_count]
    found = []
    for persona in groups()[:group_count]:
        for item in items:
            for question in ways_of_asking(item, persona)[:4]:
                context = f"{question.user_text}\n\nAnswer:"
                answers = question.labels if task == "letters" else item.texts
                found.append((context, [f" {answer}" for answer in answers]))
    few = [place * len(found) // limit for place in range(min(limit, len(found)))]
    rest = sorted(set(range(len(found))) - set(few))
    return [found[place] for place in [*few, *rest]]


def with_lm_eval(
    model: str, asked: list[Question], dtype: str, batch: int
) -> tuple[float, list[list[float]]]:
    """The public `loglikelihood`, as a multiple-choice task calls it."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    language_model = HFLM(pretrained=model, dtype=dtype, batch_size=batch, device="cpu")

    def score(part: list[Question]) -> list[list[float]]:
        requests = [
            Instance("loglikelihood", {}, (context, answer), index)
            for context, answers in part
            for index, answer in enumerate(answers)
        ]
        found = iter(language_model.loglikelihood(requests, disable_tqdm=True))
        return [[next(found)[0] for _ in answers] for _, answers in part]

    return timed(score, asked)


def with_transformers(
    model: str, asked: list[Question], dtype: str, batch: int
) -> tuple[float, list[list[float]]]:
    """One forward pass an option."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype)).eval()

    def log_probability(context: str, answer: str) -> float:
        start = len(tokenizer(context)["input_ids"])
        ids = tokenizer(context + answer, return_tensors="pt")["input_ids"]
        logs = network(ids).logits[0].float().log_softmax(-1)
        return float(logs[start - 1 : -1].gather(1, ids[0, start:, None]).sum())

    @torch.inference_mode()
    def score(part: list[Question]) -> list[list[float]]:
        return [[log_probability(context, a) for a in answers] for context, answers in part]

    return timed(score, asked)


def with_batches(
    model: str, asked: list[Question], dtype: str, batch: int
) -> tuple[float, list[list[float]]]:
    """Padded batches, logits kept where something is asked."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype)).eval()

    def tokens(text: str) -> list[int]:
        return list(tokenizer(text)["input_ids"])

    @torch.inference_mode()
    def score(part: list[Question]) -> list[list[float]]:
        # A row for each context where all its answers are one token, else for each answer.
        rows: list[tuple[int, list[int], list[list[int]]]] = []
        for place, (context, answers) in enumerate(part):
            start = tokens(context)
            ends = [tokens(context + answer)[len(start) :] for answer in answers]
            if all(len(end) == 1 for end in ends):
                rows.append((place, start, ends))
            else:
                rows += [(place, start, [end]) for end in ends]
        found: list[list[float]] = [[] for _ in part]
        order = sorted(range(len(rows)), key=lambda row: len(rows[row][1]))
        scored: dict[int, list[float]] = {}
        for first in range(0, len(order), batch):
            some = order[first : first + batch]
            longest_end = max(len(ends[0]) for _, _, ends in (rows[row] for row in some))
            lines = [[*rows[r][1], *(rows[r][2][0][:-1])] for r in some]
            width = max(len(line) for line in lines)
            ids = torch.zeros((len(some), width), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for at, line in enumerate(lines):
                ids[at, width - len(line) :] = torch.tensor(line)
                mask[at, width - len(line) :] = 1
            logits = network(
                input_ids=ids,
                attention_mask=mask,
                position_ids=(mask.cumsum(-1) - 1).clamp_min(0),
                logits_to_keep=longest_end,
            ).logits
            logs = logits.float().log_softmax(-1)
            for at, row in enumerate(some):
                ends = rows[row][2]
                last = logs[at, -len(ends[0]) :]
                scored[row] = [
                    float(last.gather(1, torch.tensor(end)[:, None]).sum()) for end in ends
                ]
        for row, (place, _, _) in enumerate(rows):
            found[place] += scored[row]
        return found

    return timed(score, asked)


def with_suffrage(
    model: str, asked: list[Question], dtype: str, batch: int
) -> tuple[float, list[list[float]]]:
    """`LanguageModel.score`: prompts packed into rows, every shared prefix computed once.

    Notes in `READ` the tokens read, the fewest that the prompts allow, and the share of the
    machine's matrix-multiply speed that the weights' products reached.
    """
    import torch

    from suffrage.models.identity import identify
    from suffrage.models.language_model import LanguageModel
    from suffrage.models.packing import ScoreRequest, packed
    from suffrage.study.planning.machine_speed import matrix_speed

    language_model = LanguageModel.load(identify(model, Path()), dtype)
    tokenizer = language_model.tokenizer

    def tokens(text: str) -> tuple[int, ...]:
        return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])

    def requests_of(part: list[Question]) -> list[ScoreRequest]:
        requests = []
        for context, answers in part:
            start = tokens(context)
            ends = tuple(tokens(context + answer)[len(start) :] for answer in answers)
            requests.append(ScoreRequest(start, ends))
        return requests

    def score(part: list[Question]) -> list[list[float]]:
        found = language_model.score(requests_of(part))
        return [[float(x.sum()) for x in logs] for logs in found]

    seconds, found = timed(score, asked)
    requests = requests_of(asked)
    rows = list(language_model.rule.rows(requests, language_model.device))
    (whole,) = packed(requests, sys.maxsize)
    READ["tokens_read"] = sum(len(row.tokens) for row in rows)
    READ["tokens_least"] = len(whole.tokens)
    head = language_model.model.get_output_embeddings().weight.numel()
    linear = [m for m in language_model.model.modules() if isinstance(m, torch.nn.Linear)]
    weights = sum(m.weight.numel() for m in linear) - head
    logits = sum(len(set(row.query_nodes)) for row in rows)
    operations = 2 * (weights * READ["tokens_read"] + head * logits)
    READ["share_of_limit"] = operations / seconds / matrix_speed(dtype)
    return seconds, found


def timed(score: Any, asked: list[Question]) -> tuple[float, list[list[float]]]:
    """Seconds and log-probabilities, after a warm-up on two questions."""
    score(asked[:2])
    start = time.perf_counter()
    found = score(asked)
    return time.perf_counter() - start, found


CONTESTANTS = {
    "lm-eval": with_lm_eval,
    "transformers": with_transformers,
    "batches": with_batches,
    "suffrage": with_suffrage,
}


def run_alone(name: str, model: str, dtype: str, batch: int, work: Path) -> None:
    """One contestant in this process; reads the questions from a file, writes what it found."""
    asked = [(context, answers) for context, answers in json.loads(work.read_text())]
    seconds, found = CONTESTANTS[name](model, asked, dtype, batch)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result = {"seconds": seconds, "log_probs": found, "peak_memory_bytes": peak, **READ}
    work.with_suffix(".out.json").write_text(json.dumps(result))


def contest(
    name: str, python: str, model: str, asked: Sequence[Question], dtype: str, batch: int
) -> dict[str, Any]:
    """A contestant in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "questions.json"
        work.write_text(json.dumps(asked))
        # -P: this folder holds a profile.py, which must not stand in for the standard library's.
        words = [python, "-P", __file__, "--alone", name, "--model", model, "--dtype", dtype]
        words += ["--batch", str(batch), "--work", str(work)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
        result: dict[str, Any] = json.loads(work.with_suffix(".out.json").read_text())
    result["questions"] = len(asked)
    result["questions_a_second"] = len(asked) / result["seconds"]
    return result


def difference(first: dict[str, Any], second: dict[str, Any]) -> float:
    """The largest difference of two contestants' log-probabilities, where both have them."""
    return max(
        abs(a - b)
        for one, two in zip(first["log_probs"], second["log_probs"], strict=False)
        for a, b in zip(one, two, strict=True)
    )


def run_task(task: str, given: argparse.Namespace, model: str) -> dict[str, Any]:
    """Every contestant on one task. The slow ones answer the first `limit` questions only."""
    asked = questions(task, given.items, given.groups, given.limit)
    few, theirs, ours = asked[: given.limit], str(LM_EVAL_PYTHON), sys.executable
    found: dict[str, Any] = {}
    found[BASELINE] = contest("lm-eval", theirs, model, few, "float32", 1)
    for dtype in given.dtypes:
        for name, python, label in (
            ("lm-eval", theirs, "lm-eval batch"),
            ("batches", ours, "transformers batch"),
        ):
            tried = {b: contest(name, python, model, few, dtype, b) for b in given.sweep}
            best = max(tried, key=lambda b: float(tried[b]["questions_a_second"]))
            found[f"{label} {best} (best of {given.sweep}) {dtype}"] = tried[best]
    found["transformers, a pass an option"] = contest(
        "transformers", ours, model, few, "float32", 1
    )
    for dtype in given.dtypes:
        found[f"{OURS} {dtype}"] = contest(OURS, ours, model, asked, dtype, 0)
    for result in found.values():
        result["times_baseline"] = (
            result["questions_a_second"] / found[BASELINE]["questions_a_second"]
        )
        result["largest_difference"] = difference(result, found[BASELINE])
    for result in found.values():
        del result["log_probs"]
    return found


def set_up() -> None:
    """benchmarks/.venv with lm-eval, at the versions of Transformers and PyTorch we use."""
    subprocess.run([sys.executable, "-m", "venv", str(HERE / ".venv")], check=True)
    for package in LM_EVAL:  # PyTorch first, so that nothing else chooses it
        subprocess.run([str(LM_EVAL_PYTHON), "-m", "pip", "install", "-q", package], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set-up", action="store_true", help="install lm-eval, then stop")
    parser.add_argument("--model", help="a model folder; default: the bundled SmolLM2-135M")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--groups", type=int, default=GROUPS)
    parser.add_argument("--limit", type=int, default=36, help="questions for the slow ones")
    parser.add_argument("--sweep", type=int, nargs="+", default=[8, 32], help="batch sizes")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--dtype", default="float32", help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.set_up:
        set_up()
        return 0
    if given.alone:
        run_alone(given.alone, given.model, given.dtype, given.batch, given.work)
        return 0
    if not LM_EVAL_PYTHON.exists():
        raise SystemExit("lm-eval is missing: python benchmarks/scoring.py --set-up")
    model = given.model
    if model is None:
        from suffrage.models import bundled

        model = str(bundled.prepared_folder("smollm2-135m"))
    found = {task: run_task(task, given, model) for task in given.tasks}
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        for task, results in found.items():
            print(f"{task}: {next(reversed(results.values()))['questions']} questions")
            for name, result in results.items():
                print(
                    f"  {name:<42} {result['questions_a_second']:8.2f} questions/s"
                    f"  x {result['times_baseline']:6.1f}"
                    f"  difference {result['largest_difference']:.1e}"
                    f"  peak {result['peak_memory_bytes'] / 1e9:.1f} GB"
                )
                if "tokens_read" in result:
                    print(
                        f"    {result['tokens_read'] / result['questions']:.1f} tokens read a "
                        f"question, {result['tokens_read'] / result['tokens_least']:.2f} times the "
                        f"least; {result['share_of_limit']:.0%} of the matrix-multiply speed"
                    )
    exact = max(
        result["largest_difference"]
        for results in found.values()
        for name, result in results.items()
        if not name.endswith("bfloat16")
    )
    return 0 if exact < TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
