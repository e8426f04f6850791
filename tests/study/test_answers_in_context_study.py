"""A study whose methods know populations by their answers, a segment without a name among them."""

import json
from typing import Any

import numpy as np
import pytest

import suffrage
from suffrage.align import Checkpoint
from suffrage.align.checkpoint import IN_CONTEXT
from suffrage.errors import InputError
from suffrage.evaluate import Answers
from suffrage.models import LanguageModel
from suffrage.study.commands.write_candidates import study_sources
from suffrage.study.descriptions import study_personas
from suffrage.study.inputs import StudyInputs
from suffrage.study.run import run_study
from suffrage.study.schema import read_study
from suffrage.study.segmenting import with_value_sets
from suffrage.study.wiring import wire
from suffrage.training_data import Records
from tests.study.conftest import Write

METHODS: list[Any] = [
    {"method": "prompt", "name": "shown", "in_context": 2},
    {
        "method": "distribution",
        "in_context": {"answers": 2},
        "questions": 1,
        "populations": 3,
        "steps": 3,
        "validation": 0.3,
    },
]
SETS = [
    {"name": "everyone", "segments": {"classes": 2, "names": ["first", "second"]}},
    {"name": "north", "where": {"region": "north"}, "description": "people up north"},
]


@pytest.mark.slow
def test_a_segment_without_a_name_is_trained_and_asked_by_its_answers(
    write_study: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    usual = LanguageModel.choose

    def choose(self: LanguageModel, choices: Any, advance: Any = None) -> Any:
        asked.extend(choice.messages[-1]["content"] for choice in choices)
        return usual(self, choices, advance)

    monkeypatch.setattr(LanguageModel, "choose", choose)
    evaluations = ["fit", "steerability"]
    study = read_study(write_study(value_sets=SETS, methods=METHODS, evaluate=evaluations))
    results = run_study(study, quiet=True).results
    assert results is not None
    (shown_to,) = [m for m in results.methods if m.name == "shown"]
    assert "shows 2 of a population's answers to other questions" in shown_to.explanation
    inputs = StudyInputs(wire(with_value_sets(study)))
    (split,) = inputs.splits.values()
    questions = {item.question: item.id for item in inputs.items}
    (stage,) = inputs.wiring.records.values()
    held_back = set(Records.read(stage.folder).made_from["validation"])
    described = [text for text in asked if "gave these answers" in text]
    assert len(described) > 100 and not any("up north" in text for text in asked)
    shown = {
        questions[line.removeprefix("Q: ")]
        for text in described
        for line in text.splitlines()
        if line.startswith("Q: ")
    }
    assert shown and not shown & set(split.held_out)
    sources = study_sources(inputs.wiring, ["distribution"])
    assert len(sources) == 3
    for source in sources:
        assert source.persona is not None and not isinstance(source.persona, str)
    trained = study_personas(inputs, "distribution", 3)
    for persona in trained.values():
        assert not isinstance(persona, str)
        text = persona.introduction(None)
        assert not any(q in text for q, item in questions.items() if item in held_back)


@pytest.mark.slow
def test_a_checkpoint_describes_populations_without_the_study(write_study: Write) -> None:
    study = read_study(write_study(value_sets=SETS, methods=METHODS[1:], evaluate=["fit"]))
    run_study(study, quiet=True)
    inputs = StudyInputs(wire(with_value_sets(study)))
    (split,) = inputs.splits.values()
    (stage,) = inputs.wiring.align.values()
    facts = json.loads((stage.folder / IN_CONTEXT).read_text())
    assert facts["answers"] == 2 and set(facts["populations"]) == {"first", "second", "north"}
    read = Answers.read(inputs.wiring.answers["distribution", 3].folder)
    held_out = next(item for item in inputs.items if item.id in split.held_out)
    for name in ("first", "north"):
        (said,) = [
            answer
            for answer in read.by_value_set[name]
            if answer.item_id == held_out.id and answer.readout == "letters"
        ]
        again = suffrage.ask(stage.folder, held_out, as_=name)
        np.testing.assert_allclose(again.reading.shares, said.shares, atol=1e-6)
    named = suffrage.ask(stage.folder, held_out, as_="people up north")
    np.testing.assert_array_equal(named.reading.shares, again.reading.shares)
    checkpoint = Checkpoint.read(stage.folder)
    given = {"Is tea good?": {"Yes": 0.7, "No": 0.3}, "Is milk?": {"Yes": 0.5, "No": 0.5}}
    other = suffrage.ask(checkpoint, held_out, as_=given)
    assert not isinstance(other.persona, str) and other.persona is not None
    assert "Q: Is tea good?\n70% Yes, 30% No" in other.persona.introduction(held_out)
    assert not np.allclose(other.reading.shares, again.reading.shares)
    with pytest.raises(InputError, match=r'no answers of "martians".*one of first, second, north'):
        suffrage.ask(checkpoint, held_out, as_="martians")
