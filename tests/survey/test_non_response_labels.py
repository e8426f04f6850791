import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.survey import NonResponse
from suffrage.survey.non_response_labels import asked_about, doubtful_kind, kind_of_label

WHOLE = {
    "Don't know": NonResponse.DONT_KNOW,
    "Don’t know (SPONTANEOUS)": NonResponse.DONT_KNOW,
    "I do not know": NonResponse.DONT_KNOW,
    "DK/Refused": NonResponse.DONT_KNOW,
    "not sure/dont know": NonResponse.DONT_KNOW,
    "Don't know, can't remember": NonResponse.DONT_KNOW,
    "Refused": NonResponse.REFUSED,
    "Refused to answer": NonResponse.REFUSED,
    "No answer; Missing": NonResponse.REFUSED,
    "Prefer not to say": NonResponse.REFUSED,
    "I'd rather not say": NonResponse.REFUSED,
    "Not applicable; No spouse/partner": NonResponse.NOT_APPLICABLE,
    "INAP: No internet/no social media": NonResponse.NOT_APPLICABLE,
    "n/a": NonResponse.NOT_APPLICABLE,
    "Not asked in this country": NonResponse.NOT_ASKED,
    "Missing; Unknown": NonResponse.MISSING,
    "Missing, Not available": NonResponse.MISSING,
    "Skipped on web": NonResponse.MISSING,
}
ANSWERS = (
    "Refuse collection",
    "Refuse (waste)",
    "Refuse",
    "Accept or refuse",
    "Rather not important",
    "DK-01 Hovedstaden",
    "DK: DANMARK - Hovedstaden",
    "NA: Namibia",
    "Not important",
    "None",
    "Other",
    "No response needed from the state",
)
DOUBTFUL = (
    "I do not know them",
    "Don't know any of them",
    "completely unsure",
    "refused phone number",
    "Does not apply",
    "Hard to say",
    "recycling not available where i live",
)


@pytest.mark.parametrize(("label", "kind"), WHOLE.items())
def test_a_label_that_is_non_response_as_a_whole_has_its_kind(label, kind):
    assert kind_of_label(label) == kind
    assert asked_about(label, "q", "9") is None


@pytest.mark.parametrize("label", ANSWERS)
def test_an_answer_that_begins_like_non_response_is_an_answer(label):
    assert kind_of_label(label) is None
    assert doubtful_kind(label) is None


@pytest.mark.parametrize("label", DOUBTFUL)
def test_a_label_with_words_of_non_response_in_it_is_asked_about(label):
    assert kind_of_label(label) is None
    found = asked_about(label, "q", "3")
    assert found is not None and found.kind == "" and "may mean" in found.why


# Words that turn any label into an answer about something.
THINGS = st.sampled_from(["collection", "important", "neighbours", "garden", "Namibia", "waste"])


@given(label=st.sampled_from(list(WHOLE)), thing=THINGS, before=st.booleans())
def test_no_word_inside_a_longer_label_decides(label, thing, before):
    head = re.split(r"[/;:,(]", label)[0].strip()
    longer = f"{thing} {head}" if before else f"{head} {thing}"
    assert kind_of_label(longer) is None


@given(label=st.sampled_from(list(WHOLE)), case=st.sampled_from([str.upper, str.lower, str.title]))
def test_case_and_full_stops_change_nothing(label, case):
    assert kind_of_label(f" {case(label)}. ") == WHOLE[label]
