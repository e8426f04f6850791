import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suffrage.survey import NonResponse
from suffrage.survey.non_response_labels import (
    LabelUse,
    doubtful_kind,
    kind_of_label,
    names_places,
    points_of_scale,
    read_labels,
)

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
    "Cannot choose": NonResponse.DONT_KNOW,
    "Choose not to answer": NonResponse.REFUSED,
    "Don't want to answer": NonResponse.REFUSED,
    "Decline to state": NonResponse.REFUSED,
    "Refuses": NonResponse.REFUSED,
    "Would not say": NonResponse.REFUSED,
    "Not answered": NonResponse.REFUSED,
    "Did not answer": NonResponse.REFUSED,
    "No reply": NonResponse.REFUSED,
    "Not ascertained": NonResponse.MISSING,
    "Web blank": NonResponse.MISSING,
    "Item nonresponse": NonResponse.MISSING,
    "Inapplicable": NonResponse.NOT_APPLICABLE,
    "Valid skip": NonResponse.NOT_APPLICABLE,
    "Legitimate skip": NonResponse.NOT_APPLICABLE,
    "Weiß nicht": NonResponse.DONT_KNOW,
    "Keine Angabe": NonResponse.REFUSED,
    "NS/NC": NonResponse.DONT_KNOW,
    "Ne sait pas": NonResponse.DONT_KNOW,
    "Sans réponse": NonResponse.REFUSED,
    "No sabe": NonResponse.DONT_KNOW,
    "No contesta": NonResponse.REFUSED,
    "Não sabe": NonResponse.DONT_KNOW,
    "Não respondeu": NonResponse.REFUSED,
    "Non so": NonResponse.DONT_KNOW,
    "Non risponde": NonResponse.REFUSED,
    "Weet niet": NonResponse.DONT_KNOW,
    "Geen antwoord": NonResponse.REFUSED,
    "Vet ej": NonResponse.DONT_KNOW,
    "Vill inte svara": NonResponse.REFUSED,
    "Bilmiyorum": NonResponse.DONT_KNOW,
    "Cevap yok": NonResponse.REFUSED,
}
# Whole labels that are non-response in one question and an answer in another.
EITHER = (
    *("Rather not", "Declined", "Unsure", "Missing", "Prefer not", "Blank", "Skip", "Unknown"),
    *("No opinion", "Don't remember", "Keine Meinung", "Sans opinion", "Fikrim yok"),
)
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
    "Rather important",
)
DOUBTFUL = (
    "I do not know them",
    "Don't know any of them",
    "completely unsure",
    "refused phone number",
    "Does not apply",
    "Hard to say",
    "recycling not available where i live",
    "Something is missing",
)


@pytest.mark.parametrize(("label", "kind"), WHOLE.items())
def test_a_label_that_is_non_response_as_a_whole_has_its_kind(label, kind):
    assert kind_of_label(label) == kind
    assert read_labels([label])[label].asked_about(label, "q", "9") is None


@pytest.mark.parametrize("label", ANSWERS)
def test_an_answer_that_begins_like_non_response_is_an_answer(label):
    assert kind_of_label(label) is None
    assert doubtful_kind(label) is None


@pytest.mark.parametrize("label", DOUBTFUL)
def test_a_label_with_words_of_non_response_in_it_is_asked_about(label):
    assert kind_of_label(label) is None
    found = read_labels([label])[label].asked_about(label, "q", "3")
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


@pytest.mark.parametrize("label", EITHER)
def test_a_label_that_may_be_an_answer_is_in_doubt_unless_another_is_plainly_non_response(label):
    alone = read_labels(["Yes", "No", label])[label]
    assert alone.kind is None and alone.doubtful is not None
    assert read_labels(["Yes", "No", label, "Refused to answer"])[label].kind == alone.doubtful


@pytest.mark.parametrize("more", [(), ("Don't know",)])
@pytest.mark.parametrize(
    "scale",
    [
        ("Increased", "Same", "Declined"),
        ("Accepted", "Declined"),
        ("Certainly", "Rather yes", "Rather not", "Certainly not"),
        ("Present", "Missing", "Broken"),
        ("Very sure", "Fairly sure", "Unsure"),
        ("Well known", "Little known", "Unknown"),
        ("Trifft voll zu", "Trifft eher zu", "Trifft nicht zu"),
    ],
)
def test_the_other_options_of_a_scale_make_a_label_an_answer(scale, more):
    read = read_labels([*scale, *more])
    assert all(read[label].kind is None and read[label].doubtful is None for label in scale)
    assert points_of_scale([*scale, *more]) == [
        *(label != "Unsure" for label in scale),
        *(False for _ in more),
    ]


@pytest.mark.parametrize(
    "codes",
    [("DE", "DK", "FR"), ("EU", "NA", "SA"), ("NO", "DK", "SE"), ("US", "DK"), ("DK", "NA", "BE")],
)
def test_codes_in_capitals_among_others_of_their_length_are_answers(codes):
    read = read_labels(codes)
    assert all(read[code].kind is None and read[code].doubtful is None for code in codes)


@pytest.mark.parametrize("others", [("1", "2"), ("Yes", "No"), ("YES", "NO"), (), ("NA",), ("M",)])
def test_dk_is_dont_know_where_the_others_are_no_codes(others):
    assert read_labels([*others, "DK"])["DK"].kind == NonResponse.DONT_KNOW


def test_dk_among_codes_of_another_length_is_in_doubt():
    assert read_labels(["CDU", "SPD", "DK"])["DK"].doubtful == NonResponse.DONT_KNOW


def test_in_a_column_of_countries_dk_is_denmark_even_alone():
    assert read_labels(["DK"], places=True)["DK"].kind is None
    assert read_labels(["Refused", "DK"], places=True)["Refused"].kind == NonResponse.REFUSED
    assert names_places("cntry") and names_places("Country") and names_places("B_COUNTRY_ALPHA")
    assert not names_places("roads") and not names_places("landscape")


# The labels of a column of answers, first the one that words non-response elsewhere.
OPPOSITES = (
    ("Refused", "Accepted"),
    ("No answer", "Short answer"),
    ("No response", "Good response"),
    ("Skipped", "Attended"),
    ("Verweigerung", "Zustimmung"),
    ("Refus", "Accord"),
    ("Refused", "Granted", "Pending", "Withdrawn"),
    ("No answer", "Short answer", "Long answer", "Don't know"),
    ("Not asked", "Asked", "Not needed"),
    ("Don't know", "Know a little", "Know well"),
    ("Cevap yok", "Cevap var", "Belli değil"),
    ("Отказ", "Согласие", "Другое"),
    ("거절", "동의", "보류"),
    ("từ chối", "đồng ý", "khác"),
)


@pytest.mark.parametrize("labels", OPPOSITES)
def test_non_response_next_to_its_natural_counterpart_is_in_doubt(labels):
    read = read_labels(labels)[labels[0]]
    assert read.kind is None and read.doubtful == kind_of_label(labels[0]) is not None
    found = read.asked_about(labels[0], "loan", "2")
    assert found is not None and "may be the opposite answer" in found.why


@pytest.mark.parametrize(
    "labels",
    [
        ("Refused", "Strongly agree", "Agree", "Disagree"),
        ("Verweigert", "Zustimmung", "Ablehnung"),
        ("Refus", "D'accord", "Pas d'accord"),
        ("Refused to answer", "Accepted", "Pending"),
        ("Prefer not to say", "Prefer A", "Prefer B"),
        ("Don't know", "Family", "People I know"),
        ("Not stated", "State employee", "Self-employed"),
        ("Refused", "Yes", "No"),
        ("Refused", "Refuse collection", "Recycling"),
        ("Don't know / Refused", "Know well"),
    ],
)
def test_non_response_without_a_counterpart_has_its_kind(labels):
    assert read_labels(labels)[labels[0]].kind == kind_of_label(labels[0]) is not None


def test_non_response_next_to_a_single_answer_is_in_doubt_in_any_language():
    assert read_labels(["Refuz", "Zxcv"])["Refuz"].doubtful == NonResponse.REFUSED
    assert read_labels(["Refuz", "Zxcv", "Nu știu"])["Refuz"].kind == NonResponse.REFUSED
    # Not to know, not to be asked and not to be meant are no acts that have an opposite.
    for label in ("Don't know", "Not asked", "Not applicable"):
        assert read_labels([label, "Zxcv"])[label].kind is not None


def used(**labels: tuple[str, float]) -> dict[str, LabelUse]:
    return {label.replace("_", " "): LabelUse(*use) for label, use in labels.items()}


def test_a_label_between_the_codes_of_answers_or_that_too_many_have_is_in_doubt():
    between = used(Red=("1", 0.4), Refused=("2", 0.2), Blue=("3", 0.4))
    assert read_labels(between, uses=between)["Refused"].doubtful == NonResponse.REFUSED
    last = used(Red=("1", 0.4), Refused=("3", 0.2), Blue=("2", 0.4))
    assert read_labels(last, uses=last)["Refused"].kind == NonResponse.REFUSED
    many = used(Red=("1", 0.2), Blue=("2", 0.2), No_answer=("3", 0.6))
    assert read_labels(many, uses=many)["No answer"].doubtful == NonResponse.REFUSED
    # A question about what few know, and a question that a filter leaves out for most.
    for label in ("Don't know", "Not applicable", "Not asked", "Refused to answer"):
        uses = {**used(Red=("1", 0.2), Blue=("2", 0.2)), label: LabelUse("3", 0.6)}
        assert read_labels(uses, uses=uses)[label].kind is not None
    # Archives' codes say more than a counterpart.
    archive = used(Accepted=("1", 0.5), Appealed=("2", 0.3), Refused=("9", 0.2))
    assert read_labels(archive, uses=archive)["Refused"].kind == NonResponse.REFUSED


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("Nie wiem", NonResponse.DONT_KNOW),
        ("Не знаю", NonResponse.DONT_KNOW),
        ("Затрудняюсь ответить", NonResponse.DONT_KNOW),
        ("分からない", NonResponse.DONT_KNOW),
        ("わからない・無回答", NonResponse.DONT_KNOW),
        ("모르겠다", NonResponse.DONT_KNOW),
        ("不知道", NonResponse.DONT_KNOW),
        ("Nevím", NonResponse.DONT_KNOW),
        ("Δεν ξέρω/Δεν απαντώ", NonResponse.DONT_KNOW),
        ("لا أعرف", NonResponse.DONT_KNOW),
        ("पता नहीं", NonResponse.DONT_KNOW),
        ("Nem tudom", NonResponse.DONT_KNOW),
        ("Không biết", NonResponse.DONT_KNOW),
        ("Odmowa odpowiedzi", NonResponse.REFUSED),
        ("Нет ответа", NonResponse.REFUSED),
        ("無回答", NonResponse.REFUSED),
        ("무응답", NonResponse.REFUSED),
        ("拒绝回答", NonResponse.REFUSED),
        ("ללא תשובה", NonResponse.REFUSED),
        ("Ei vastausta", NonResponse.REFUSED),
        ("Nu răspund", NonResponse.REFUSED),
        ("Nie dotyczy", NonResponse.NOT_APPLICABLE),
        ("해당 없음", NonResponse.NOT_APPLICABLE),
        ("Brak danych", NonResponse.MISSING),
    ],
)
def test_non_response_is_read_in_further_languages(label, kind):
    assert read_labels([label, "1st", "2nd"])[label].kind == kind


@pytest.mark.parametrize("code", ["9", "8", "99", "-1", "88", "997"])
def test_a_label_of_an_unknown_language_with_a_code_apart_is_in_doubt(code):
    uses = used(Taip=("1", 0.5), Galbut=("2", 0.2), Ne=("3", 0.2))
    uses |= {"Nežinau": LabelUse(code, 0.1), "Neatsakė": LabelUse("999", 0.0)}
    read = read_labels(uses, uses=uses)
    assert [label for label in uses if read[label].doubtful] == ["Nežinau", "Neatsakė"]
    found = read["Nežinau"].asked_about("Nežinau", "q", code)
    assert found is not None and "because its code stands apart" in found.why


@pytest.mark.parametrize(
    ("label", "code", "share"),
    [("Kitas", "4", 0.1), ("Kitas", "9", 0.3), ("Other", "97", 0.1), ("99 or more", "99", 0.0)],
)
def test_other_labels_are_no_doubt(label, code, share):
    uses = used(Taip=("1", 0.5), Galbut=("2", 0.2), Ne=("3", 0.2))
    uses[label] = LabelUse(code, share)
    assert not any(reading.doubtful for reading in read_labels(uses, uses=uses).values())


def test_negative_codes_of_a_scale_and_sparse_codes_are_no_doubt():
    scale = {
        name: LabelUse(str(code), 0.2) for name, code in zip("abcde", range(-2, 3), strict=True)
    }
    assert not any(reading.doubtful for reading in read_labels(scale, uses=scale).values())
    lands = {
        name: LabelUse(code, 0.2)
        for name, code in zip("abcd", ("4", "40", "276", "999"), strict=True)
    }
    assert not any(reading.doubtful for reading in read_labels(lands, uses=lands).values())
