"""Participants of a value set: chosen by what they said, and never by accident nobody."""

from dataclasses import fields, replace
from typing import Any

import polars as pl
import pytest

from suffrage.consult.consultation import Consultation
from suffrage.errors import InputError
from suffrage.population import ValueSet, build_value_set
from suffrage.study.commands.simulated_public import SimulatedPublicSettings, simulated_public
from suffrage.training_data.members import members_of, unmet_condition
from tests.synthetic import make_survey

SURVEY = make_survey(respondents=200, items=6, seed=3)
PEOPLE = 60
EVERYONE = build_value_set(SURVEY, "north", {"region": "north"}, 1, "people in the north")


def public(rows: list[tuple[str, str, str]] | None = None) -> Consultation:
    """A consultation; rows: participant, demographic item, value, instead of its own."""
    made, _ = simulated_public(
        SURVEY, SimulatedPublicSettings(participants=PEOPLE, statements=5), 5
    )
    tables = {field.name: getattr(made, field.name) for field in fields(made)}
    if rows is not None:
        schema = made.demographics.schema
        tables["demographics"] = pl.DataFrame(rows, schema=schema, orient="row")
    return Consultation(**tables)


PUBLIC = public()
PARTICIPANTS = tuple(PUBLIC.participants["participant"])


def value_set(**where: Any) -> ValueSet:
    return replace(EVERYONE, where=where)


def said(item: str, value: str) -> tuple[str, ...]:
    rows = PUBLIC.demographics.filter((pl.col("item") == item) & (pl.col("value") == value))
    chosen = set(rows["participant"])
    return tuple(person for person in PARTICIPANTS if person in chosen)


def test_members_are_those_who_said_so_in_the_order_given() -> None:
    north = said("region", "north")
    assert 0 < len(north) < PEOPLE
    assert members_of(PUBLIC, PARTICIPANTS, value_set(region="north")) == north
    assert members_of(PUBLIC, PARTICIPANTS[::-1], value_set(region="north")) == north[::-1]
    some = PARTICIPANTS[:10]
    assert members_of(PUBLIC, some, value_set(region="north")) == tuple(
        person for person in some if person in north
    )
    assert members_of(PUBLIC, PARTICIPANTS, value_set()) == PARTICIPANTS
    assert members_of(PUBLIC, (), value_set(region="north")) == ()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"Region": "north"}, r'where.Region is nothing .*asked region. Did you mean "region"\?'),
        ({"regoin": "north"}, r'Did you mean "region"\?'),
        ({"region": "North"}, r'said region "North"; they said .* Did you mean "north"\?'),
        ({"region": "nroth"}, r'no participant said region "nroth"; .* Did you mean "north"\?'),
        ({"region": ["north", "South"]}, r'no participant said region "South".*mean "south"\?'),
        ({"region": "east"}, r'no participant said region "east"; they said north, south'),
        ({"region": ["east", "west"]}, r'no participant said region "east"'),
        ({"income": "high"}, r"where.income is nothing the consultation asked.*it asked region"),
        ({"region": {"min": 3}}, "region holds no numbers"),
    ],
)
def test_a_where_that_nobody_can_meet_is_an_error_that_names_it(
    where: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        members_of(PUBLIC, PARTICIPANTS, value_set(**where))


def test_the_error_says_which_value_set_and_how_to_leave_it_out() -> None:
    with pytest.raises(InputError, match=r"value set north, .*under\s+consultation.without"):
        members_of(PUBLIC, PARTICIPANTS, value_set(Region="north"))


def test_the_error_does_not_depend_on_whom_one_chooses_from() -> None:
    """A small share held out may hold nobody from the south, and that is no mistake."""
    north = said("region", "north")
    assert members_of(PUBLIC, north, value_set(region="south")) == ()


def test_a_value_of_a_list_that_nobody_gave_leaves_the_others() -> None:
    both = members_of(PUBLIC, PARTICIPANTS, value_set(region=["north", "east"]))
    assert both == said("region", "north")


def test_nobody_in_a_range_or_in_all_conditions_at_once_is_no_mistake() -> None:
    rows = [(p, "age", "30" if n % 2 else "60") for n, p in enumerate(PARTICIPANTS)]
    rows += [(p, "region", "south" if n % 2 else "north") for n, p in enumerate(PARTICIPANTS)]
    asked = public(rows)
    assert members_of(asked, PARTICIPANTS, value_set(age={"min": 80})) == ()
    old = members_of(asked, PARTICIPANTS, value_set(age={"min": 50}))
    assert old == PARTICIPANTS[::2]
    assert members_of(asked, PARTICIPANTS, value_set(age={"min": 50}, region="south")) == ()


def test_only_the_same_letters_in_another_spelling_count_as_misspelt() -> None:
    for where, misspelt in (
        ({"Region": "north"}, True),
        ({"re-gion": "north"}, True),
        ({"religion": "north"}, False),
        ({"region": "NORTH"}, True),
        ({"region": "east"}, False),
    ):
        found = unmet_condition(PUBLIC, value_set(**where))
        assert found is not None and found.misspelt is misspelt, where
    assert unmet_condition(PUBLIC, value_set(region="north")) is None
