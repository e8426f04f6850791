"""Prompt records: what a model is asked, and by which principle it criticises its own answer.

What they teach: nothing yet. The answers are written, criticised and judged in training, because
that needs the model; everything drawn at random is drawn here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from suffrage import storage
from suffrage.errors import InputError, SuffrageError, unreadable_json
from suffrage.models.asking import open_question, persona_prompt
from suffrage.population import ValueSet
from suffrage.training_data.constitution import (
    FROM_CONSULTATION,
    FROM_VALUE_SET,
    ConstitutionSettings,
    Principle,
    constitutions_for,
)
from suffrage.training_data.consultation_source import ConsultationSource
from suffrage.training_data.records import (
    RecordBuilder,
    RecordRow,
    Records,
    RecordSettings,
    in_random_rounds,
    origin,
    row_start,
)
from suffrage.training_data.split import ItemSplit


class _Prompt(NamedTuple):
    """A prompt, and the value set and the item it is about; "" for none."""

    value_set: str
    item: str
    user: str


def read_prompts(path: Path) -> list[str]:
    """Prompts of a JSONL file of `{"prompt": ...}`. Raises InputError naming the file or line."""
    if not path.is_file():
        raise InputError(f"prompts: {path} does not exist.")
    found = []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"prompts: {path} is {unreadable_json(error)}.") from error
    for number, line in storage.json_lines(text):
        try:
            prompt = json.loads(line)["prompt"]
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise InputError(f'prompts: {path} line {number} must be {{"prompt": ...}}.') from error
        if not isinstance(prompt, str) or not prompt.strip():
            raise InputError(f"prompts: {path} line {number} has no text as its prompt.")
        found.append(prompt.strip())
    if not found:
        raise InputError(f"prompts: {path} holds no prompt.")
    return found


def build_prompts(
    value_sets: Sequence[ValueSet],
    split: ItemSplit,
    count: int,
    generator: np.random.Generator,
    settings: RecordSettings,
) -> Records:
    """`count` prompts (or fewer, if so set): trained items asked openly, and a file's own prompts.

    Each comes once in random order, then again. `principles` are those to criticise by, one a
    round, and `judged_by` the one to judge two answers by.
    """
    wanted = settings.constitution or ConstitutionSettings()
    public = settings.consultation
    constitutions = constitutions_for(
        value_sets, split, wanted, settings.folder, public.constitution if public else None
    )
    prompts = [
        *_item_prompts(value_sets, split),
        *_file_prompts(value_sets, wanted, settings.folder),
        *(
            _public_prompts(value_sets, public)
            if public and wanted.source == FROM_CONSULTATION
            else ()
        ),
    ]
    rows: list[RecordRow] = []
    count = min(count, wanted.most or count)
    for place, index in enumerate(in_random_rounds(len(prompts), count, generator)):
        prompt = prompts[index]
        constitution = constitutions[prompt.value_set or value_sets[0].name]
        own = prompt.item if wanted.match == "item" and prompt.item else None
        drawn = constitution.draw(wanted.rounds + 1, generator, wanted.weighing, own)
        rows.append(
            {
                **row_start(place, prompt.value_set, prompt.item, prompt.user, "written"),
                "principles": [_short(principle) for principle in drawn[:-1]],
                "judged_by": _short(drawn[-1]),
            }
        )
    one_for_all = wanted.source != FROM_VALUE_SET
    made_from = {
        **origin(value_sets, split, settings),
        "constitutions": {
            "all" if one_for_all else name: constitution.model_dump(mode="json")
            for name, constitution in constitutions.items()
        },
        "weighing": wanted.weighing,
        **({"consultation": dict(public.facts)} if public else {}),
    }
    return Records("prompt", pl.DataFrame(rows), made_from)


def _item_prompts(value_sets: Sequence[ValueSet], split: ItemSplit) -> list[_Prompt]:
    """Every trained item as an open question, for every value set.

    Raises SuffrageError where there is none.
    """
    found = [
        _Prompt(v.name, item_id, open_question(d.item, v.description))
        for v in value_sets
        for item_id, d in v.distributions.items()
        if split.trains_on(item_id)
    ]
    if not found:
        raise SuffrageError("no value set has an answer to any item that is trained on.")
    return found


def _file_prompts(
    value_sets: Sequence[ValueSet], wanted: ConstitutionSettings, folder: Path
) -> list[_Prompt]:
    """The prompts of the study's own file."""
    if not wanted.prompts:
        return []
    texts = read_prompts((folder / wanted.prompts).resolve())
    if wanted.source != FROM_VALUE_SET:
        return [_Prompt("", "", text) for text in texts]
    # Each value set has principles of its own, so the prompt says whose apply.
    return [
        _Prompt(v.name, "", persona_prompt(text, v.description))
        for text in texts
        for v in value_sets
    ]


def _public_prompts(value_sets: Sequence[ValueSet], public: ConsultationSource) -> list[_Prompt]:
    """What the public was asked about: its principles must be tried on that."""
    return [
        _Prompt(v.name, "", persona_prompt(text, v.description))
        for prompt, text in public.consultation.prompts.select("prompt", "text").iter_rows()
        if prompt in public.prompts
        for v in value_sets
    ]


def _short(principle: Principle) -> dict[str, str]:
    return {"id": principle.id, "text": principle.text}


BUILDER = RecordBuilder("prompt", build_prompts)
