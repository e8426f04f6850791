"""Schwartz's circle in 151 people's answers to the PVQ-40 (shared data)."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from suffrage.cli import app

# Theory's order, with conformity and tradition in one place; from Schwartz (1992).
ORDER = ("sd", "st", "he", "ac", "po", "se", "co", "tr", "be", "un")
PLACES = (0, 1, 2, 3, 4, 5, 6, 6, 7, 8)


def plain(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """People's centred scores, and the answers to each value's items, by names of columns."""
    rows = list(csv.reader(path.open()))
    names = np.array([name[:2] for name in rows[0]])
    told = [
        [float(cell) if cell in "123456" and cell else np.nan for cell in row] for row in rows[1:]
    ]
    given = np.array(told)
    centred = given - np.nanmean(given, axis=1, keepdims=True)
    scores = np.column_stack([np.nanmean(centred[:, names == value], axis=1) for value in ORDER])
    return scores, {value: given[:, names == value] for value in ORDER}


@pytest.mark.slow
def test_the_circle_of_real_people_is_that_of_an_independent_computation(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")  # a study names a model's methods
    pytest.importorskip("sklearn")
    path = shared_data / "values" / "pvq40_usa.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    monkeypatch.setenv("PVQ40", str(path.parent))
    study = Path(__file__).parents[2] / "examples" / "pvq40.yaml"
    words = ["values", "score", str(study), "--key", "PVQ-40", "--json"]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, said.output
    found = json.loads(said.output)

    scores, items = plain(path)
    for value, own in items.items():
        complete = own[~np.isnan(own).any(axis=1)]
        k = complete.shape[1]
        share = complete.var(axis=0).sum() / complete.sum(axis=1).var()
        assert found["alpha"][value.upper()] == pytest.approx(k / (k - 1) * (1 - share))
    alphas = [found["alpha"][value.upper()] for value in ORDER]
    assert (round(min(alphas), 2), round(max(alphas), 2)) == (0.59, 0.85)

    correlation = np.corrcoef(scores.T)
    pairs = [(i, j) for i in range(10) for j in range(i)]
    steps = {
        (i, j): min((PLACES[i] - PLACES[j]) % 9, (PLACES[j] - PLACES[i]) % 9) for i, j in pairs
    }
    signs = [
        np.sign(correlation[near] - correlation[far])
        for near in pairs
        for far in pairs
        if steps[near] < steps[far]
    ]
    circle = found["circle"]
    assert circle["correspondence"] == pytest.approx(np.mean(signs), abs=1e-9)
    assert round(circle["correspondence"], 2) == 0.78 and circle["p_value"] == 0.001
    assert circle["degrees_off"] == pytest.approx(13, abs=0.5)
    assert {one["why"] for one in found["directions"].values()} == {"its labels"}
    mean = found["value_sets"]["everyone"]["mean"]
    wanted = scores.mean(axis=0)
    assert [mean[value.upper()] for value in ORDER] == pytest.approx(wanted, abs=1e-9)
