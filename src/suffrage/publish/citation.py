"""`CITATION.cff`: how to cite a published run, in the Citation File Format 1.2.0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from suffrage.evaluate.results import Results

CITATION = "CITATION.cff"


def citation_file(results: Results, authors: Sequence[str] = ()) -> str:
    """How to cite a run and its surveys, as YAML that GitHub, Zenodo and Zotero read.

    Parameters
    ----------
    results : Results
        What the run found.
    authors : sequence of str
        Names of people or institutions; by default the makers of the study are cited as such.

    References
    ----------
    Druskat and others (2021), Citation File Format 1.2.0, doi:10.5281/zenodo.5171937.
    """
    study = results.study
    names = list(authors) or [f"The makers of the study {study.name}"]
    content: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use these models or this data, please cite them, and the surveys too.",
        "type": "dataset",
        "title": f"{study.title}: models and evaluation",
        "authors": [{"name": name} for name in names],
        "version": study.content_hash,
        "date-released": study.finished.partition("T")[0],
        "keywords": ["public opinion", "value alignment", "language model"],
        "references": [
            {
                "type": "dataset",
                "title": survey.title,
                "authors": [{"name": survey.citation or "see the survey's archive"}],
                **({"notes": survey.terms} if survey.terms else {}),
            }
            for survey in results.surveys
        ],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
