from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def format_known(
    tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Gives a checkpoint, with an adapter or "none", that answers with each label as often.

    Only the format is learnt: what answers can be sampled from, and no preference stands behind.
    """
    import polars as pl

    from suffrage import storage
    from tests.align.test_training import in_one_order, job, run

    @cache
    def made(adapter: str) -> Path:
        folder = tmp_path_factory.mktemp(adapter)
        given = in_one_order(
            job(tiny_model, "sft", folder, 120, learning_rate=0.01, adapter=adapter)
        )
        labels = ["ABCDE"[k % 4] for k in range(len(given.records))]
        even = given.records.frame.with_columns(completion=pl.Series(labels))
        start = run("sft", replace(given, records=replace(given.records, frame=even)))
        storage.write_json(start / "manifest.json", {"method": "sft"})
        return start

    return made
