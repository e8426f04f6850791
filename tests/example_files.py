"""The files that examples in docstrings read: a small town's survey, study and consultation."""

import shutil
from pathlib import Path

import numpy as np
import yaml

from suffrage.consult.consultation import write_consultation
from suffrage.consult.polis.conversation import Conversation, PolisStatement, consultation_of
from suffrage.consult.polis.write_files import write_polis
from tests.consult.opinions import made_up_votes

TOPICS = {"roads": "transport", "buses": "transport", "parks": "green", "clinics": "health"}
OPTIONS = {1: "Too little", 2: "About right", 3: "Too much"}
PEOPLE = 120


def write_examples(folder: Path, tiny_model: Path) -> Path:
    """Write every file that an example names into the folder, a finished run apart."""
    _write_survey(folder)
    shutil.copytree(tiny_model, folder / "tiny-model")
    _write_study(folder)
    _write_consultation(folder)
    return folder


def _write_survey(folder: Path) -> None:
    """Half of the people live in the north, and want more spent on roads than the others do."""
    generator = np.random.default_rng(1)
    lines = ["who,area," + ",".join(TOPICS)]
    for person in range(PEOPLE):
        area = "north" if person < PEOPLE // 2 else "south"
        shares = [0.6, 0.25, 0.15] if area == "north" else [0.2, 0.3, 0.5]
        answers = generator.choice([1, 2, 3], len(TOPICS), p=shares)
        lines.append(f"p{person},{area}," + ",".join(map(str, answers)))
    (folder / "town.csv").write_text("\n".join(lines) + "\n")
    codebook = {
        "title": "A town",
        "respondent": "who",
        "demographics": {"area": "area"},
        "items": [
            {
                "id": item,
                "question": f"Is too little, about right or too much spent on {item}?",
                "topic": topic,
                "options": OPTIONS,
            }
            for item, topic in TOPICS.items()
        ],
    }
    (folder / "town.yaml").write_text(yaml.safe_dump(codebook, sort_keys=False))


def _write_study(folder: Path) -> None:
    study = {
        "study": "town",
        "survey": {"reader": "labelled_file", "path": "town.csv", "codebook": "town.yaml"},
        "value_sets": [
            {"name": name, "where": {"area": name}, "description": f"people up {name}"}
            for name in ("north", "south")
        ],
        "held_out": {"by": "item", "share": 0.5},
        "model": "tiny-model",
        "methods": ["base", "prompt"],
        "scoring": {"samples": 0, "text": False, "lowest_mass": 0.0},
        "output": "runs/town",
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))


def _write_consultation(folder: Path) -> None:
    votes, _ = made_up_votes(people=PEOPLE, statements=20, seed=1)
    statements = tuple(
        PolisStatement(key, f"The town should do thing number {key}.", moderated=1)
        for key in votes.statements
    )
    conversation = Conversation({"topic": "Our town"}, statements, votes)
    write_polis(conversation, folder / "polis-export")
    write_consultation(consultation_of(conversation, "town"), folder / "consultation")
