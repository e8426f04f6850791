"""A study with `factors`: shares in, shares out, and no text where there is none."""

import pytest

from suffrage import registry
from suffrage.align.checkpoint import load_checkpoint
from suffrage.errors import InputError
from suffrage.study.run import run_study
from suffrage.study.schema import MethodSpec, read_study
from suffrage.study.wiring import wire
from tests.study.conftest import Write

SETS = [
    {"name": name, "where": {"region": name}, "description": f"people in the {name}"}
    for name in ("north", "south")
]


@pytest.mark.slow
@pytest.mark.parametrize("states", ["model", pytest.param("text", marks=pytest.mark.slow)])
def test_a_study_scores_factors_and_says_which_evaluations_could_not_ask_it(
    write_study: Write, states: str
) -> None:
    study = read_study(
        write_study(
            value_sets=SETS,
            methods=["prompt", {"method": "factors", "states": states}],
            evaluate=["fit", "steerability", "robustness"],
        )
    )
    run = run_study(study, quiet=True)
    results = run.results
    assert results is not None
    own = [a for a in results.answers if a.method == "factors"]
    assert {a.readout for a in own} == {"letters"}
    assert all(a.mass == 1 and abs(sum(a.shares) - 1) < 1e-9 for a in own)
    asked = {(a.value_set, a.item) for a in results.answers if a.method == "uniform"}
    assert {(a.value_set, a.item) for a in own} == asked
    by_name = {facts.name: facts for facts in results.evaluations}
    assert not any("factors" in note for note in by_name["steerability"].notes)
    assert any("factors gives shares" in note for note in by_name["robustness"].notes)
    assert not any(f.method == "factors" for f in results.figures if f.evaluation == "robustness")
    assert results.difference("fit", "fit", "factors", "nearest") is not None
    # The checkpoint is arrays: nothing loads it as a language model.
    wiring = wire(study)
    (stage,) = wiring.align.values()
    assert sorted(path.name for path in stage.folder.iterdir()) == [
        "README.md",
        "factors.json",
        "factors.npz",
        "manifest.json",
        "receipt.json",
        "trained_questions.json",
    ]
    with pytest.raises(InputError, match="no text"):
        load_checkpoint(wiring.model, stage.folder, "float32")
    kept = list((study.output / ".work").glob("states/*.npy"))
    assert bool(kept) == (states == "model")


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ([{"method": "factors", "steps": 5}], "does not go with factors"),
        (["factors", {"method": "sft", "from": "factors"}], "no language model"),
    ],
)
def test_factors_takes_no_steps_and_nothing_starts_from_it(
    write_study: Write, methods: list[object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_study(write_study(methods=methods))


def test_a_regression_on_words_is_called_one() -> None:
    """It reads no model, and a page that said so would mislead."""
    method = registry.load("methods", "factors")
    specs = {
        states: MethodSpec(
            method=method, name="factors", options=method.options.model_validate({"states": states})
        )
        for states in ("model", "text")
    }
    assert specs["model"].label == "Factors on frozen states"
    assert specs["text"].label == "Regression on words"
    assert specs["text"].explanation.startswith("No language model")
