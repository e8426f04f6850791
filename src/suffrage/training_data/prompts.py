"""Prompt records: what a model is asked before it criticises its own answers, and by which principle.

What they teach: nothing yet. The answers are written, criticised and judged in training, because
that needs the model; everything drawn at random is drawn here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from suffrage.errors import InputError, SuffrageError
from suffrage.models import open_question
from suffrage.population import ValueSet
from suffrage.training_data.constitution import (
    FROM_CONSULTATION,
    FROM_VALUE_SET,
    ConstitutionSettings,
    Principle,
    constitutions_for,
)
from suffrage.training_data.records import RecordBuilder, Records, RecordSettings, origin
from suffrage.training_data.split import ItemSplit


def read_prompts(path: Path) -> list[str]:
    """Prompts of a JSONL file of `{"prompt": ...}`. Raises InputError naming the file or line."""
    if not path.is_file():
        raise InputError(f"prompts: {path} does not exist.")
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            prompt = json.loads(line)["prompt"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
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
    asked: list[tuple[str, str, str]] = [
        (v.name, item_id, open_question(d.item, v.description))
        for v in value_sets
        for item_id, d in v.distributions.items()
        if item_id in split.train
    ]
    if not asked:
        raise SuffrageError("no value set has an answer to any item that is trained on.")
    if wanted.prompts:
        for prompt in read_prompts((settings.folder / wanted.prompts).resolve()):
            if wanted.source == FROM_VALUE_SET:
                # Whose principles apply must be said, as it is with items.
                asked += [
                    (v.name, "", f"{prompt}\n\nAnswer as {v.description} would.")
                    for v in value_sets
                ]
            else:
                asked.append(("", "", prompt))
    if public is not None and wanted.source == FROM_CONSULTATION:
        # What the public was asked about is what its principles must be tried on.
        for prompt, text in public.consultation.prompts.select("prompt", "text").iter_rows():
            if prompt in public.prompts:
                asked += [
                    (v.name, "", f"{text}\n\nAnswer as {v.description} would.") for v in value_sets
                ]
    count = min(count, wanted.most or count)
    rounds = -(-count // len(asked))
    order = np.concatenate([generator.permutation(len(asked)) for _ in range(rounds)])[:count]
    rows: list[dict[str, Any]] = []
    for place, index in enumerate(order):
        name, item_id, user = asked[index]
        constitution = constitutions[name or value_sets[0].name]
        own = item_id if wanted.match == "item" and item_id else None
        drawn = constitution.draw(wanted.rounds + 1, generator, wanted.weighing, own)
        rows.append(
            {
                "id": f"{place:06d}",
                "value_set": name,
                "item": item_id,
                "user": user,
                "format": "written",
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


def _short(principle: Principle) -> dict[str, str]:
    return {"id": principle.id, "text": principle.text}


BUILDER = RecordBuilder("prompt", build_prompts)
