"""What `suffrage survey topics` shows."""

import io

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from suffrage.report.terminal_pages.topics import find_topics, topics_text
from suffrage.survey import Codebook, Item, Option, Provenance, Survey


def test_items_that_go_together_make_a_topic() -> None:
    pytest.importorskip("sklearn")
    generator = np.random.default_rng(0)
    n = 800
    columns: dict[str, object] = {
        "respondent": [f"r{i:04d}" for i in range(n)],
        "weight": [1.0] * n,
    }
    for group, size in (("a", 3), ("b", 2), ("c", 1)):
        lean = generator.normal(size=n)
        for k in range(size):
            noisy = lean + generator.normal(0, 0.5, n)
            columns[f"{group}{k}"] = pl.Series((noisy > 0).astype(int), dtype=pl.Int16)
    options = (Option(code="0", text="No"), Option(code="1", text="Yes"))
    names = [name for name in columns if name not in ("respondent", "weight")]
    book = Codebook(
        title="Made up",
        items=tuple(Item(id=i, question=f"About {i}?", options=options) for i in names),
    )
    survey = Survey(pl.DataFrame(columns), book, Provenance("made-up", {}, "Made up."))
    found = find_topics(survey, 3)
    assert [row["items"] for row in found] == [["a0", "a1", "a2"], ["b0", "b1"], ["c0"]]
    assert found[0]["inside"] > 0.4 > 0.15 > found[0]["outside"]
    assert found[2]["inside"] is None
    stream = io.StringIO()
    Console(file=stream, width=100).print(topics_text(found, survey))
    assert "About b1?" in stream.getvalue() and "Alone: c0" in stream.getvalue()
