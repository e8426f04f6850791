"""Candidate answers to prompts as a file of JSON lines: written by models, judged by the public.

Each line is one answer and says where it comes from. The answers may be written by a study's
checkpoints, by models elsewhere, or by people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from suffrage import storage
from suffrage.errors import InputError, unreadable_json
from suffrage.text_overlap import jaccard, words_in

# Of two answers that share this part of their runs of three words, one is dropped.
NEAR = 0.8
RUN = 3
# How a file begins that `write_candidates` wrote.
_OWN = re.compile(rb'\{"prompt_id": ')


@dataclass(frozen=True)
class CandidateAnswer:
    """One answer to a prompt, and where it comes from."""

    # The same for all answers to one prompt.
    prompt_id: str
    prompt: str
    text: str
    # The author that people are shown after they have judged.
    model: str
    language: str = "en"
    topic: str | None = None
    licence: str = ""
    # The answer's length for the model that wrote it.
    tokens: int | None = None
    # Method, value set, checkpoint, seed and sampling, where they are known.
    made_with: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The same for the same answer by the same model."""
        return "a" + storage.content_hash([self.prompt_id, self.text, self.model, self.made_with])


def write_candidates(candidates: Iterable[CandidateAnswer], path: Path) -> None:
    """Write a file of candidate answers, all or nothing; it may replace such a file, and no other.

    Raises InputError where another file is there.
    """
    check_answers_replaceable(path)
    storage.write_text(
        path,
        "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in candidates),
    )


def check_answers_replaceable(path: Path) -> None:
    """Raise InputError where a file is there that `write_candidates` did not write."""
    storage.check_replaceable(path, _OWN, "no file of answers", "answers.jsonl")


def candidates_of_text(text: str, name: str) -> list[CandidateAnswer]:
    """Read the text of a file of candidate answers.

    A line needs prompt, text and model. Without a prompt_id, it is made from the prompt.

    Parameters
    ----------
    text : str
        The content of the file.
    name : str
        What messages call the file.

    Raises
    ------
    InputError
        A line is not valid; the message names the line and the key.
    """
    found = []
    prompts: dict[str, str] = {}
    for number, line in storage.json_lines(text):
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
    except (ValueError, RecursionError) as error:
        raise InputError(
            "%(where)s: not readable as JSON from character %(place)s on.",
            where=where,
            place=getattr(error, "colno", 1),
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
    """Return a prompt's id, which depends on its text alone."""
    return "q" + storage.content_hash(prompt.strip())


@dataclass(frozen=True)
class OpenPrompt:
    """A prompt that models are to answer freely."""

    text: str
    language: str = "en"
    topic: str | None = None

    @property
    def id(self) -> str:
        """The `prompt_id` of its answers."""
        return prompt_id(self.text)


def read_open_prompts(path: Path) -> list[OpenPrompt]:
    """Read prompts from JSON lines of {"prompt": ..., "language": ..., "topic": ...}.

    Only prompt is needed.

    Raises
    ------
    InputError
        The file or a line cannot be read, a prompt appears twice, or there is none.
    """
    try:
        whole = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {unreadable_json(error)}.") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}.") from error
    found: dict[str, OpenPrompt] = {}
    for number, line in storage.json_lines(whole):
        try:
            row = json.loads(line)
            text, language, topic = row["prompt"], row.get("language", "en"), row.get("topic")
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f'{path}, line {number}: must be {{"prompt": ...}}.') from error
        if not isinstance(text, str) or not text.strip() or not isinstance(language, str):
            raise InputError(f"{path}, line {number}: prompt or language is not a text.")
        one = OpenPrompt(text.strip(), language, None if topic is None else str(topic))
        if one.id in found:
            raise InputError(f"{path}, line {number}: the prompt appears twice; ask it once.")
        found[one.id] = one
    if not found:
        raise InputError(f"{path}: holds no prompt; give one JSON object a line.")
    return list(found.values())


def likeness(one: str, other: str) -> float:
    """Return the share of runs of three words that two texts have in common (Jaccard).

    Case and punctuation do not count. Where a text has fewer words, shorter runs are compared.

    Examples
    --------
    >>> likeness("a b c d", "b c d e")
    0.3333333333333333
    """
    a, b = words_in(one.casefold()), words_in(other.casefold())
    size = min(RUN, len(a), len(b))
    if size == 0:
        return float(a == b)
    runs = [{" ".join(w[i : i + size]) for i in range(len(w) - size + 1)} for w in (a, b)]
    return jaccard(runs[0], runs[1])


def distinct(candidates: Sequence[CandidateAnswer], near: float = NEAR) -> list[CandidateAnswer]:
    """Leave out answers that are nearly the same as an earlier one to the same prompt.

    Comparing two such answers shows nothing and costs somebody's time.
    """
    kept: dict[str, list[CandidateAnswer]] = {}
    found = []
    for one in candidates:
        others = kept.setdefault(one.prompt_id, [])
        if all(likeness(one.text, other.text) < near for other in others):
            others.append(one)
            found.append(one)
    return found
