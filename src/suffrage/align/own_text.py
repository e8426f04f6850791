"""Text that the starting model writes itself, learnt among a consultation's records.

A model that keeps finding its own words likely keeps its way of speaking. The prompts are about no
value and no survey. Source: arXiv 2505.13811.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from suffrage import storage
from suffrage.align.method import TrainingJob
from suffrage.align.training import training_dtype
from suffrage.errors import SuffrageError
from suffrage.models import LanguageModel
from suffrage.models.device import device_name, process_count
from suffrage.models.placement import input_device
from suffrage.training_data import Records
from suffrage.training_data.own_text_records import OWN_TEXT
from suffrage.training_data.records import RecordRow

# The texts, kept for a training that is resumed, and next to its checkpoint.
WRITTEN = "own_text.json"
# Most tokens of a text.
LONGEST = 64


def with_own_text(
    job: TrainingJob, model: Any, tokenizer: Any, rows: list[RecordRow]
) -> list[RecordRow]:
    """The records with the texts that the model writes before any step, where they have places.

    Parameters
    ----------
    job : TrainingJob
    model : PreTrainedModel
        As training begins with it.
    tokenizer : PreTrainedTokenizer
    rows : list of rows
        Of those with a number in `own_text` the completion is filled in.

    Raises
    ------
    SuffrageError
        Several processes share the training, or a text holds what is held out.
    """
    wanted = {row[OWN_TEXT]: row["user"] for row in rows if row.get(OWN_TEXT) is not None}
    if not wanted:
        return rows
    if process_count() > 1:
        raise SuffrageError("own_text: works in one process only; leave it out, or the launcher.")
    kept = job.work / WRITTEN
    if not kept.exists():
        training = model.training
        if job.options.adapter != "qlora":
            model.to(device_name())
        dtype, device = training_dtype(job.options), input_device(model).type
        writer = LanguageModel(job.model, model.eval(), tokenizer, dtype, device)
        prompts = [wanted[number] for number in sorted(wanted)]
        chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
        texts = [found[0] for found in writer.write(chats, 1, LONGEST, job.seed)]
        model.train(training)
        job.work.mkdir(parents=True, exist_ok=True)
        storage.write_json(kept, texts)
    texts = storage.read_json(kept)
    written = [
        {**row, "completion": texts[row[OWN_TEXT]]} if row.get(OWN_TEXT) is not None else row
        for row in rows
    ]
    own = [row for row in written if row.get(OWN_TEXT) is not None]
    job.check(Records(OWN_TEXT, pl.DataFrame(own, infer_schema_length=None), {}))
    storage.write_json(job.output / WRITTEN, texts)
    return written
