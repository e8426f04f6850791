"""Candidate answers to open prompts by a study's checkpoints, for the public to judge.

Written in two ways. Sampled: each answer drawn on its own. Diverse: one prompt asks for several
answers that rest on different values, because answers drawn one by one are too alike to show what
people differ in (negatively correlated sampling, as in the Community Alignment data, 2026).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from suffrage import storage
from suffrage.align.checkpoint import load_checkpoint
from suffrage.consult.candidate_answers import (
    NEAR,
    CandidateAnswer,
    OpenPrompt,
    check_answers_replaceable,
    distinct,
    read_open_prompts,
    write_candidates,
)
from suffrage.errors import InputError
from suffrage.models import LanguageModel
from suffrage.models.asking import Message, Persona, persona_prompt
from suffrage.population import ValueSet
from suffrage.study.descriptions import study_personas
from suffrage.study.facts import command_to_run
from suffrage.study.inputs import StudyInputs
from suffrage.study.progress import Progress
from suffrage.study.schema import Study
from suffrage.study.segmenting import with_value_sets
from suffrage.study.stages import Stage
from suffrage.study.wiring import Wiring, groups_of, wire
from suffrage.training_data.answers_in_context import persona_of

How = Literal["sampled", "diverse", "both"]
WAYS: tuple[How, ...] = ("sampled", "diverse", "both")

DIVERSE = (
    "{prompt}\n\n"
    "Write {count} different answers to this. Each must rest on other values than the rest: people "
    "who disagree with one another should each find the answer they would give. Make every answer "
    "complete in itself, without a list in it, and say nothing about the others. Put the number of "
    "the answer and a full stop in front of each, beginning with 1."
)
_NUMBERED = re.compile(r"^[ \t]*(?:\*\*)?(?:answer\s+)?(\d{1,2})\s*[.):](?:\*\*)?\s+", re.I | re.M)


# How the file begins that counts what was written.
_OWN_COUNTS = re.compile(rb'\{\s*"study": ')


class CandidateWriter(Protocol):
    """What writing needs of a `LanguageModel`."""

    @property
    def tokenizer(self) -> Any:
        """Counts an answer's tokens."""

    def write(
        self, chats: Sequence[Sequence[Message]], count: int, longest: int, seed: int
    ) -> list[list[str]]:
        """`count` answers to each chat."""


@dataclass(frozen=True)
class CandidateSettings:
    """How many answers are written, and in which way."""

    # Answers to each prompt by each way and each source.
    count: int = 4
    how: How = "both"
    # The most tokens of one answer.
    longest: int = 200
    # Of two answers with this share of their three-word runs in common, one is dropped.
    near: float = NEAR

    def __post_init__(self) -> None:
        if self.how not in WAYS:
            raise InputError(f'--how "{self.how}": there are {", ".join(WAYS)}.')
        for name in ("count", "longest"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} is {getattr(self, name)}; it must be 1 or more.")
        if self.how != "sampled" and self.count < 2:
            raise InputError("--count is 1; several answers in one need 2 or more.")


@dataclass(frozen=True)
class CandidateSource:
    """Who writes: a method at one seed, asked to answer for a value set where it names one."""

    method: str
    seed: int
    # The value set it answers for, and the words for it; None where it answers as itself.
    value_set: str | None
    persona: Persona | None
    # The folder a training left, None for the study's model.
    checkpoint: Path | None
    # The hash of what made it.
    key: str
    # What people are told wrote an answer, once they have judged it.
    name: str


def write_study_candidates(
    study: Study,
    prompts: Path,
    output: Path,
    methods: Sequence[str] | None = None,
    settings: CandidateSettings | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Have a study's checkpoints answer prompts, and write those that differ.

    The counts are also written next to the answers, in a file that ends in .about.json.

    Parameters
    ----------
    study : Study
        Its methods and checkpoints write.
    prompts : Path
        A file of open prompts; see `read_open_prompts`.
    output : Path
        The file of JSON lines to write.
    methods : sequence of str or None
        Names in the study; None for every method that is finished.
    settings : CandidateSettings or None
        How many answers are written and in which way.
    quiet : bool
        Show no progress.

    Returns
    -------
    dict
        How many answers were asked for, written, empty, missing where several were asked for at
        once, and dropped as nearly the same, also by way of writing.

    Raises
    ------
    InputError
        A method is unknown, its training is not finished, or the output is another file, which
        would be lost.
    """
    s = settings or CandidateSettings()
    about_path = output.with_name(output.name + ".about.json")
    check_answers_replaceable(output)
    storage.check_replaceable(about_path, _OWN_COUNTS, "no counts of answers", "answers.jsonl")
    asked = read_open_prompts(prompts)
    wiring = wire(with_value_sets(study))
    sources = study_sources(wiring, methods)
    counts: Counter[str] = Counter()
    found = _written(wiring, sources, asked, s, counts, quiet)
    kept = distinct(found, s.near)
    write_candidates(kept, output)
    ways = Counter(one.made_with["how"] for one in kept)
    written = Counter(one.made_with["how"] for one in found)
    about = {
        "study": study.study,
        "prompts": len(asked),
        "sources": [source.name for source in sources],
        "asked": counts["asked"],
        "written": len(found),
        "empty": counts["empty"],
        "missing": counts["missing"],
        "nearly_the_same": len(found) - len(kept),
        "kept": len(kept),
        "by_way": {way: {"written": written[way], "kept": ways[way]} for way in sorted(written)},
        "near": s.near,
        "longest": s.longest,
        "sha256": storage.file_hash(output),
    }
    storage.write_json(about_path, about)
    return about


def _written(
    wiring: Wiring,
    sources: Sequence[CandidateSource],
    prompts: Sequence[OpenPrompt],
    settings: CandidateSettings,
    counts: Counter[str],
    quiet: bool,
) -> list[CandidateAnswer]:
    """Every answer of every source. What was asked for and not written is added to counts."""
    dtype, licence = wiring.study.scoring.number_format, wiring.model.licence
    found: list[CandidateAnswer] = []
    loaded: tuple[Path | None, LanguageModel] | None = None
    with Progress(1.0, quiet) as progress, progress.stage("answers", 1.0) as update:
        for at, source in enumerate(sources):
            if loaded is None or loaded[0] != source.checkpoint:
                loaded = None  # one model in memory, not two
                loaded = (
                    source.checkpoint,
                    load_checkpoint(wiring.model_of(source.checkpoint), source.checkpoint, dtype),
                )
            for place, prompt in enumerate(prompts):
                found += candidates_of(loaded[1], source, prompt, settings, counts, licence)
                update((at + (place + 1) / len(prompts)) / len(sources))
    return found


def study_sources(wiring: Wiring, methods: Sequence[str] | None = None) -> list[CandidateSource]:
    """Who may write in a study: each method and training, for each value set it answers as.

    Raises InputError on an unknown method, and on a training that is not finished.
    """
    study = wiring.study
    known = [spec.name for spec in study.methods]
    for name in methods or ():
        if name not in known:
            raise InputError(f'--methods "{name}": the study has {", ".join(known)}.')
    found: list[CandidateSource] = []
    for spec in study.methods:
        if methods and spec.name not in methods:
            continue
        if spec.method.train is None:
            found += _untrained(wiring, spec.name)
            continue
        for seed in study.seeds:
            for group, members in groups_of(spec, study).items():
                stage = wiring.align[spec.name, seed, group]
                if not stage.finished:
                    if methods:
                        raise InputError(
                            f"{stage.label} is not trained yet; `{command_to_run(study)} "
                            "--only align` trains it."
                        )
                    continue
                found += _trained(wiring, spec.name, seed, members, stage)
    if not found:
        raise InputError("nobody to write: the study has no untrained method and no training.")
    return found


def _untrained(wiring: Wiring, method: str) -> list[CandidateSource]:
    spec = next(spec for spec in wiring.study.methods if spec.name == method)
    seed, key, begun = wiring.study.seeds[0], wiring.weights(method), wiring.untrained(method)
    if not spec.method.asks_as_population:
        return [CandidateSource(method, seed, None, None, begun, key, method)]
    return [
        CandidateSource(method, seed, name, persona, begun, key, f"{method}, {name}")
        for name, persona in _personas(
            wiring, method, seed, [v.name for v in wiring.study.value_sets]
        )
    ]


def _trained(
    wiring: Wiring, method: str, seed: int, members: Sequence[str], stage: Stage
) -> list[CandidateSource]:
    return [
        CandidateSource(method, seed, name, persona, stage.folder, stage.key, f"{method}, {name}")
        for name, persona in _personas(wiring, method, seed, members)
    ]


def _personas(
    wiring: Wiring, method: str, seed: int, names: Sequence[str]
) -> Iterator[tuple[str, Persona]]:
    """Each value set with the words for its population, as in training.

    Raises InputError where a value set is not built yet.
    """
    described: dict[str, Persona] | None = None
    for name in names:
        stage = wiring.value_sets[name]
        if not stage.finished:
            raise InputError(
                f"value set {name} is not built yet; `{command_to_run(wiring.study)} "
                "--only value_sets` builds it."
            )
        if described is None:
            described = study_personas(StudyInputs(wiring), method, seed)
        yield name, persona_of(ValueSet.read(stage.folder), described)


def candidates_of(
    model: CandidateWriter,
    source: CandidateSource,
    prompt: OpenPrompt,
    settings: CandidateSettings,
    counts: Counter[str],
    licence: str | None = None,
) -> list[CandidateAnswer]:
    """What one source writes to one prompt. counts: asked, empty and missing are added to it."""
    found: list[CandidateAnswer] = []
    for how in ("sampled", "diverse"):
        if settings.how not in (how, "both"):
            continue
        # Each prompt has draws of its own, whichever others are asked and in whatever order.
        seed = _seed(source.seed, source.name, prompt.id, how)
        if how == "sampled":
            chat = _chat(prompt.text, source.persona)
            (texts,) = model.write([chat], settings.count, settings.longest, seed)
        else:
            wish = DIVERSE.format(prompt=prompt.text, count=settings.count)
            chat = _chat(wish, source.persona)
            longest = settings.longest * settings.count
            ((together,),) = model.write([chat], 1, longest, seed)
            texts = numbered_answers(together, settings.count)
            counts["missing"] += settings.count - len(texts)
        counts["asked"] += settings.count
        for text in (text.strip() for text in texts):
            if not text:
                counts["empty"] += 1
                continue
            found.append(
                CandidateAnswer(
                    prompt_id=prompt.id,
                    prompt=prompt.text,
                    text=text,
                    model=source.name,
                    language=prompt.language,
                    topic=prompt.topic,
                    licence=licence or "",
                    tokens=len(model.tokenizer(text, add_special_tokens=False)["input_ids"]),
                    made_with={
                        "how": how,
                        "method": source.method,
                        "value_set": source.value_set,
                        "checkpoint": source.key,
                        "seed": source.seed,
                    },
                )
            )
    return found


def numbered_answers(text: str, most: int) -> list[str]:
    """The answers of a numbered list, in order, at most `most`; none where nothing is numbered.

    Counts up from 1 only: a number out of turn is part of an answer. The prompt asks for no lists
    within answers, because one of those could go on where the count is.
    """
    starts: list[re.Match[str]] = []
    for match in _NUMBERED.finditer(text):
        if int(match.group(1)) == len(starts) + 1:
            starts.append(match)
    if not starts:
        return []
    ends = [*(match.start() for match in starts[1:]), len(text)]
    return [text[m.end() : end].strip() for m, end in zip(starts, ends, strict=True)][:most]


def _chat(text: str, persona: Persona | None) -> list[Message]:
    return [{"role": "user", "content": persona_prompt(text, persona)}]


def _seed(*parts: Any) -> int:
    return int(storage.content_hash(list(parts))[:8], 16)
