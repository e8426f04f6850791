"""Candidate answers to prompts as a file of JSON lines: written by models, judged by the public.

One line an answer, with where it comes from. Whatever writes such a file may be judged: a study's
checkpoints, a model elsewhere, people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import polars as pl

from suffrage import storage
from suffrage.consult.consultation import SCHEMAS, Consultation
from suffrage.errors import InputError

# Of two answers with this share of their three-word runs in common, one is dropped.
NEAR = 0.8
RUN = 3


@dataclass(frozen=True)
class CandidateAnswer:
    """One answer. prompt: the text asked; prompt_id: the same for all answers to it.

    model: what people are told wrote it, once they have judged. made_with: method, value set,
    checkpoint, seed and how it was drawn, as far as known. tokens: its length for a model.
    """

    prompt_id: str
    prompt: str
    text: str
    model: str
    language: str = "en"
    topic: str | None = None
    licence: str = ""
    tokens: int | None = None
    made_with: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The same for the same answer by the same model."""
        return "a" + storage.content_hash([self.prompt_id, self.text, self.model, self.made_with])


def write_candidates(candidates: Iterable[CandidateAnswer], path: Path) -> None:
    """Write the file, all or nothing."""
    storage.write_text(
        path,
        "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in candidates),
    )


def read_candidates(path: Path) -> list[CandidateAnswer]:
    """Read the file. Raises InputError naming the line and the key where something is wrong.

    prompt, text and model are needed; prompt_id may be left out and is then made of the prompt.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as text in UTF-8 ({error}).") from error
    return candidates_of_text(text, str(path))


def candidates_of_text(text: str, name: str) -> list[CandidateAnswer]:
    """The content of such a file. name: what messages call it. Raises as `read_candidates`."""
    found = []
    prompts: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            one = _candidate(f"{name}, line {number}", line)
            if prompts.setdefault(one.prompt_id, one.prompt) != one.prompt:
                raise InputError(
                    "%(where)s: prompt_id %(id)s stands for another prompt further up; give each "
                    "prompt an id of its own.",
                    where=f"{name}, line {number}",
                    id=one.prompt_id,
                )
            found.append(one)
    if not found:
        raise InputError("%(name)s: holds no answer; give one JSON object a line.", name=name)
    return found


def _candidate(where: str, line: str) -> CandidateAnswer:
    kinds: dict[str, tuple[type, ...]] = {
        "topic": (str, type(None)),
        "tokens": (int, type(None)),
        "made_with": (dict,),
    }
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(
            "%(where)s: not readable as JSON (%(why)s).", where=where, why=error
        ) from error
    if not isinstance(row, dict):
        raise InputError("%(where)s: must be an object with prompt, text and model.", where=where)
    known = [f.name for f in fields(CandidateAnswer)]
    for key, value in row.items():
        if key not in known:
            raise InputError(
                "%(where)s: unknown key %(key)s; there are %(known)s.",
                where=where,
                key=key,
                known=", ".join(known),
            )
        if not isinstance(value, kinds.get(key, (str,))) or isinstance(value, bool):
            raise InputError(
                "%(where)s: %(key)s is %(value)s, which is of the wrong kind.",
                where=where,
                key=key,
                value=repr(value),
            )
    for key in ("prompt", "text", "model"):
        if not row.get(key, "").strip():
            raise InputError("%(where)s: %(key)s is missing or empty.", where=where, key=key)
    row.setdefault("prompt_id", prompt_id(row["prompt"]))
    return CandidateAnswer(**row)


def prompt_id(prompt: str) -> str:
    """An id that says which prompt it is, wherever it is asked."""
    return "q" + storage.content_hash(prompt.strip())


@dataclass(frozen=True)
class OpenPrompt:
    """What is asked. id: as in `Candidate.prompt_id`."""

    text: str
    language: str = "en"
    topic: str | None = None

    @property
    def id(self) -> str:
        """Made of the text."""
        return prompt_id(self.text)


def read_open_prompts(path: Path) -> list[OpenPrompt]:
    """Prompts of a JSONL file of {"prompt": ..., "language": ..., "topic": ...}.

    Only prompt is needed. Raises InputError naming the line, or the prompt that stands twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as text in UTF-8 ({error}).") from error
    found: dict[str, OpenPrompt] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            text, language, topic = row["prompt"], row.get("language", "en"), row.get("topic")
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f'{path}, line {number}: must be {{"prompt": ...}}.') from error
        if not isinstance(text, str) or not text.strip() or not isinstance(language, str):
            raise InputError(f"{path}, line {number}: prompt or language is no text.")
        one = OpenPrompt(text.strip(), language, None if topic is None else str(topic))
        if one.id in found:
            raise InputError(f"{path}, line {number}: the prompt stands twice; ask it once.")
        found[one.id] = one
    if not found:
        raise InputError(f"{path}: holds no prompt; give one JSON object a line.")
    return list(found.values())


def likeness(one: str, other: str) -> float:
    """The share of three-word runs that two texts have in common (Jaccard), 0 to 1.

    Case and punctuation count for nothing; of shorter texts the words themselves are compared.
    """
    a, b = _words(one), _words(other)
    size = min(RUN, len(a), len(b))
    if size == 0:
        return float(a == b)
    runs = [{tuple(w[i : i + size]) for i in range(len(w) - size + 1)} for w in (a, b)]
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def distinct(candidates: Sequence[CandidateAnswer], near: float = NEAR) -> list[CandidateAnswer]:
    """Without those nearly the same as an earlier one to the same prompt.

    A pair of like answers would tell nothing, and cost somebody's time.
    """
    kept: dict[str, list[CandidateAnswer]] = {}
    found = []
    for one in candidates:
        others = kept.setdefault(one.prompt_id, [])
        if all(likeness(one.text, other.text) < near for other in others):
            others.append(one)
            found.append(one)
    return found


def with_candidates(
    consultation: Consultation, candidates: Sequence[CandidateAnswer]
) -> Consultation:
    """The consultation with these prompts and answers besides; those it has already stay once."""
    prompts, answers = consultation.prompts, consultation.answers
    known_prompts, known_answers = set(prompts["prompt"]), set(answers["answer"])
    new_prompts = {c.prompt_id: c for c in candidates if c.prompt_id not in known_prompts}
    new_answers = {c.id: c for c in candidates if c.id not in known_answers}
    more_prompts = pl.DataFrame(
        [(c.prompt_id, c.prompt, c.language, c.topic) for c in new_prompts.values()],
        schema=dict(SCHEMAS["prompts"]),
        orient="row",
    )
    more_answers = pl.DataFrame(
        [(c.id, c.prompt_id, c.text, c.model, c.language) for c in new_answers.values()],
        schema=dict(SCHEMAS["answers"]),
        orient="row",
    )
    return replace(
        consultation,
        prompts=pl.concat([prompts, more_prompts]),
        answers=pl.concat([answers, more_answers]),
    )
