"""Several rounds or years as one survey, and the weights of rounds without an analysis weight."""

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.population import build_value_set
from suffrage.population.where import select
from suffrage.survey import Item, NonResponse, Option, Survey, read_survey
from suffrage.survey.inspection import inspect
from suffrage.survey.joining import joined
from tests.survey.test_archives import ESS, GSS, read, write
from tests.synthetic import make_survey

WITHOUT_ANALYSIS = {name: values for name, values in ESS.items() if name != "anweight"}


def test_two_years_of_a_file_are_one_survey_with_the_year_to_choose_by(tmp_path):
    path = write(tmp_path / "gss.csv", GSS)
    both = read(path, "gss", year="all")
    one = {year: read(path, "gss", year=year) for year in (2016, 2018)}
    people = both.responses.sort("respondent")
    assert people["respondent"].to_list() == ["2016-1", "2018-1", "2018-2"]
    assert people["year"].to_list() == ["2016", "2018", "2018"]
    assert people["stratum"].to_list() == ["2016-2240", "2018-3301", "2018-3302"]
    for year, alone in one.items():
        rows = both.responses[select(both, {"year": str(year)}, "a year")].sort("respondent")
        own = alone.responses.sort("respondent")
        assert rows["weight"].to_list() == own["weight"].to_list()
        for item in both.codebook.item_ids:
            assert rows[item].to_list() == own[item].to_list()
    # Both years asked both questions alike: each is one item.
    assert both.codebook.item_ids == one[2018].codebook.item_ids
    assert both.codebook.title.endswith("year 2016, 2018")


def test_rounds_come_from_several_files_and_keep_their_own_weights(tmp_path):
    later = {**WITHOUT_ANALYSIS, "essround": [11] * 3, "pweight": [2.0, 2.0, 3.0]}
    del later["lrscale"]
    write(tmp_path / "ess10.csv", ESS)
    write(tmp_path / "ess11.csv", later)
    survey = read_survey("ess", tmp_path, path=["ess10.csv", "ess11.csv"])
    people = survey.responses.sort("respondent")
    assert people["respondent"].to_list()[:2] == ["10-DE-1", "10-NO-1"]
    assert people["round"].to_list() == ["10"] * 3 + ["11"] * 3
    wanted = [0.9, 0.1, 0.2, 0.9 * 3, 1.0 * 2, 1.1 * 2]
    assert people["weight"].to_list() == pytest.approx(wanted)
    assert survey.provenance.weight_variable == "anweight (round 10), pspwght*pweight (round 11)"
    assert people["lrscale"].to_list()[3:] == [int(NonResponse.NOT_ASKED)] * 3
    assert people["psu"].n_unique() == 6
    assert {group.column for group in inspect(survey).groups} == {"country", "round"}
    assert {*survey.provenance.files} == {"ess10.csv", "ess11.csv"}


@pytest.mark.parametrize(
    ("second", "options", "message"),
    [
        ({"essround": [10] * 3}, {}, "round 10 is in ess10.csv and in ess11.csv"),
        (
            {"essround": [11] * 3},
            {"round": [10, 12]},
            r'^read_survey\("ess"\): round: 12 is not in ess10.csv, ess11',
        ),
        ({"essround": [11, 11, 12]}, {}, "ess11.csv holds rounds 11, 12; name one or several"),
    ],
)
def test_rounds_that_do_not_fit_together_are_refused(tmp_path, second, options, message):
    write(tmp_path / "ess10.csv", ESS)
    write(tmp_path / "ess11.csv", {**ESS, **second})
    with pytest.raises(InputError, match=message):
        read_survey("ess", tmp_path, path=["ess10.csv", "ess11.csv"], **options)


def test_without_an_analysis_weight_its_two_factors_are_multiplied(tmp_path):
    columns = {**WITHOUT_ANALYSIS, "pweight": [2.0, 2.0, 3.0]}
    survey = read(write(tmp_path / "ess.csv", columns), "ess")
    people = survey.responses.sort("respondent")
    assert people["weight"].to_list() == pytest.approx([0.9 * 3, 1.0 * 2, 1.1 * 2])
    assert survey.provenance.statement == "Weighted by pspwght*pweight."
    empty = {**columns, "anweight": [None] * 3}
    again = read(write(tmp_path / "empty.csv", empty), "ess")
    assert again.provenance.weight_variable == "pspwght*pweight"
    with pytest.raises(InputError, match="neither the weight anweight nor pweight"):
        read(write(tmp_path / "less.csv", WITHOUT_ANALYSIS), "ess")
    asked = read(tmp_path / "less.csv", "ess", weight="pspwght")
    assert asked.provenance.weight_variable == "pspwght"
    with pytest.raises(InputError, match="row 3: the weight pweight is empty"):
        read(write(tmp_path / "hole.csv", {**columns, "pweight": [1, None, 2]}), "ess")


def reworded(survey: Survey, item_id: str, options: int) -> Survey:
    """The same survey with other options of an item."""
    changed = Item(
        id=item_id,
        question="Asked otherwise?",
        options=tuple(Option(code=str(k), text=f"answer {k}") for k in range(options)),
    )
    items = tuple(changed if i.id == item_id else i for i in survey.codebook.items)
    book = survey.codebook.model_copy(update={"items": items})
    return Survey(survey.responses, book, survey.provenance)


def test_an_item_asked_otherwise_is_an_item_of_each_wave():
    first, second = make_survey(seed=1), make_survey(seed=2)
    item = first.codebook.item_ids[0]
    other = reworded(second, item, len(second.codebook[item].options) + 1)
    both = joined({"1": first, "2": other}, "wave")
    assert item not in both.codebook.item_ids
    assert {f"{item}_1", f"{item}_2"} <= set(both.codebook.item_ids)
    assert len(both.codebook.items) == len(first.codebook.items) + 1
    assert "outside 1" in (both.codebook[f"{item}_1"].note or "")
    rows = both.responses["wave"] == "2"
    assert (both.responses[f"{item}_1"].filter(rows) == int(NonResponse.NOT_ASKED)).all()
    assert (both.responses[f"{item}_2"].filter(rows) == other.responses[item]).all()


def test_a_wave_of_the_joint_survey_has_the_shares_it_has_alone():
    first, second = make_survey(seed=1), make_survey(seed=2)
    both = joined({"1": first, "2": second}, "wave")
    alone = build_value_set(second, "second")
    part = build_value_set(both, "second", {"wave": "2"})
    for item, distribution in alone.distributions.items():
        np.testing.assert_allclose(part.distributions[item].shares, distribution.shares, atol=1e-12)
        errors = part.distributions[item].standard_errors
        np.testing.assert_allclose(errors, distribution.standard_errors, atol=1e-12)
