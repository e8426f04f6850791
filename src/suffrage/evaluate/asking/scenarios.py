"""Situations in which somebody has to act, each belonging to an item without using its words.

A model is trained on survey answers and then asked what to do, as in Survey-to-Behavior (Nie et al.
2025). The shipped scenarios are in `data/scenarios.yaml`; a study may add files of the same form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from suffrage import settings
from suffrage.errors import InputError
from suffrage.survey import Item, Option

DATA = Path(__file__).parents[1] / "data"
SHIPPED = DATA / "scenarios.yaml"


class Course(BaseModel):
    """What one can do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    codes: tuple[str, ...] = Field(min_length=1)
    """Codes of the item's options; one of them is an end of its scale."""
    text: str = Field(min_length=1)


class Scenario(BaseModel):
    """A situation with two courses of action, linked to the two ends of an item's scale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    item: str
    about: str = ""
    """A piece of the item's question: ids mean other questions in other surveys."""
    situation: str = Field(min_length=1)
    courses: tuple[Course, Course]

    @property
    def question(self) -> Item:
        """The situation as a question with two options, to be read as every other one."""
        texts = [course.text for course in self.courses]
        options = tuple(Option(code=str(place), text=text) for place, text in enumerate(texts, 1))
        return Item(id=self.id, question=self.situation, options=options)

    def last_course(self, item: Item) -> int | None:
        """Which course, 0 or 1, goes with the last option of the item's scale.

        None if the item is another one, has no scale, or the courses are not linked to its ends.
        """
        if not item.ordered or self.about.lower() not in item.question.lower():
            return None
        ends = [item.options[0].code, item.options[-1].code]
        found = [[end for end in ends if end in course.codes] for course in self.courses]
        if sorted(found) != [[end] for end in sorted(ends)]:
            return None
        return found.index([ends[1]])


class _ScenarioFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    scenarios: tuple[Scenario, ...] = Field(min_length=1)


def read_scenarios(path: Path) -> tuple[Scenario, ...]:
    """The scenarios in a YAML file. Raises InputError naming what is wrong in it."""
    found = settings.validated(_ScenarioFile, settings.read_yaml(path), path.name).scenarios
    ids = [scenario.id for scenario in found]
    for name in ids:
        if ids.count(name) > 1:
            raise InputError(f"{path.name}: the scenario {name} appears twice.")
    return found


def scenarios_for(items: Sequence[Item], files: Sequence[Path] = ()) -> list[Scenario]:
    """Every scenario, shipped or in one of the files, that belongs to one of the items; by id.

    Raises InputError when two have one id, or a user's own does not fit the item it names.
    """
    by_id: Mapping[str, Item] = {item.id: item for item in items}
    found: dict[str, Scenario] = {}
    for path in (SHIPPED, *files):
        for scenario in read_scenarios(path):
            item = by_id.get(scenario.item)
            if item is None:
                continue
            if scenario.last_course(item) is None:
                if path is SHIPPED:
                    continue
                raise InputError(
                    f"{path.name}: scenario {scenario.id}: its courses must have the codes of the "
                    f"two ends of {item.id}, {item.options[0].code} and {item.options[-1].code}, "
                    "one each, the item must have a scale, and `about` must be a part of its "
                    "question."
                )
            if scenario.id in found:
                raise InputError(
                    f"{path.name}: there is another scenario {scenario.id}; give one a new id."
                )
            found[scenario.id] = scenario
    return [found[name] for name in sorted(found)]
