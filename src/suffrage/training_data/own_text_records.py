"""Places among a consultation's records for text that the starting model writes itself."""

from __future__ import annotations

import polars as pl

from suffrage.training_data.general import GENERAL, rows_by_step
from suffrage.training_data.records import Records

# The column that says which of the texts belongs in a record; the training fills it in.
OWN_TEXT = "own_text"
# Prompts that are about no value, no survey and no public.
NEUTRAL_PROMPTS = (
    "Explain how bread is made.",
    "Describe a walk along a river in autumn.",
    "How does a bicycle stay upright?",
    "Write a short note that thanks a neighbour for watering the plants.",
    "What is the difference between a lake and a pond?",
    "Give three tips for packing a suitcase.",
    "Tell a very short story about a lost umbrella.",
    "How do bees find flowers?",
    "Describe the inside of a small library.",
    "Explain what a thermometer measures.",
    "Write the first lines of a letter from a seaside town.",
    "How is paper recycled?",
)


def with_own_text_places(records: Records, texts: int, size: int) -> Records:
    """The records with a place for one text at the end of each step, the texts in turn.

    Parameters
    ----------
    records : Records
    texts : int
        How many different texts there will be, 1 or more; prompts come in turn.
    size : int
        Records a step, where the records do not say which step they are of.
    """
    rows = []
    every = records.frame.to_dicts()
    for step, own in enumerate(rows_by_step(every, size)):
        which = step % texts
        place = {"step": step, "way": -2_000_000 - step} if "way" in own[0] else {}
        rows += own
        rows.append(
            {
                "id": f"own-text-{step:06d}",
                "value_set": "",
                "item": "",
                "user": NEUTRAL_PROMPTS[which % len(NEUTRAL_PROMPTS)],
                "format": GENERAL,
                "completion": None,
                OWN_TEXT: which,
                **place,
            }
        )
    rows += [row for row in every if row.get("validation")]
    made_from = {**records.made_from, OWN_TEXT: texts}
    return Records(records.kind, pl.DataFrame(rows, infer_schema_length=None), made_from)
