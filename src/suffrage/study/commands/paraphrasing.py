"""Paraphrases of a study's items by a model, each checked, for `suffrage paraphrase`."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from suffrage import storage
from suffrage.errors import InputError
from suffrage.models import LanguageModel, identify
from suffrage.models.endpoint_settings import EndpointSettings
from suffrage.study.pre_aligned import load_study_model
from suffrage.study.progress import Progress
from suffrage.study.schema import Study, study_survey
from suffrage.training_data.augmentation import drifted, nearest_own

WISH = (
    "Say this question in other words. Keep its meaning exactly, and end with a question mark. "
    "Write the new question only.\n\n{}"
)
LONGEST = 80
# How a file begins that `paraphrase` wrote.
_OWN = re.compile(rb'\{\s*"generator": ')


def paraphrase(
    study: Study, generator: str | None, wanted: int, output: Path, quiet: bool
) -> dict[str, Any]:
    """Ask a model for `wanted` other wordings of every item, and write those that pass the check.

    generator: a model as studies name them; None for the study's own. Gives counts of what was
    kept, and of what was dropped and why; both are in the file too. Raises InputError on an
    unknown model, and where the output is another file, which would be lost.
    """
    if not generator and isinstance(study.model, EndpointSettings):
        raise InputError(
            f"{study.source.name}: a model behind an endpoint writes no paraphrases; name one that "
            "runs here with --generator."
        )
    storage.check_replaceable(output, _OWN, "no file of paraphrases", "paraphrases.json")
    survey = study_survey(study)
    items = survey.codebook.items
    model = (
        LanguageModel.load(identify(generator, study.folder, "--generator"))
        if generator
        else load_study_model(study)
    )
    prompts = [
        model.encode([{"role": "user", "content": WISH.format(item.question)}]) for item in items
    ]
    drawn: list[list[str]] = []
    with Progress(1.0, quiet) as progress, progress.stage("paraphrases", 1.0) as update:
        for place, prompt in enumerate(prompts):
            seed = study.seeds[0] * 100_003 + place
            drawn += model.sample([prompt], wanted, LONGEST, seed)
            update((place + 1) / len(prompts))
        originals = model.embed([item.question for item in items])
        texts = [[text.strip().strip('"').strip() for text in some] for some in drawn]
        flat = [(place, text) for place, some in enumerate(texts) for text in some if text]
        own = np.zeros(0, dtype=bool)
        if flat:
            vectors = model.embed([text for _, text in flat])
            own = nearest_own(vectors, [place for place, _ in flat], originals)
    kept: dict[str, list[str]] = {item.id: [] for item in items}
    dropped: list[dict[str, str]] = []
    for (place, text), is_own in zip(flat, own, strict=True):
        item = items[place]
        why = drifted(text, item.question, bool(is_own), kept[item.id])
        if why is None:
            kept[item.id].append(text)
        else:
            dropped.append({"item": item.id, "text": text, "why": why})
    found = {
        "generator": model.identity.name,
        "asked": wanted * len(items),
        "kept": sum(len(some) for some in kept.values()),
        "dropped": dict(Counter(row["why"] for row in dropped).most_common()),
        "empty": sum(not text for some in texts for text in some),
    }
    storage.write_json(output, {**found, "paraphrases": kept, "dropped_texts": dropped})
    return found
