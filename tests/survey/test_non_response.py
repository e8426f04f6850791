"""Don't know as an option."""

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.survey import NonResponse
from suffrage.survey.non_response import with_non_response_as_options
from tests.synthetic import make_survey

SURVEY = make_survey()
KINDS = (NonResponse.DONT_KNOW,)


def test_those_who_do_not_know_have_an_option_and_nobody_else_moves() -> None:
    found = with_non_response_as_options(SURVEY, KINDS)
    for item in SURVEY.codebook.items:
        before, after = SURVEY.positions(item.id), found.positions(item.id)
        silent = before == NonResponse.DONT_KNOW
        assert silent.any() and (after[silent] == len(item.options)).all()
        np.testing.assert_array_equal(after[~silent], before[~silent])
        now = found.codebook[item.id]
        assert now.texts == (*item.texts, "Don't know") and not now.ordered
    assert found.content_hash != SURVEY.content_hash


def test_no_kinds_and_kinds_nobody_gave_change_nothing() -> None:
    assert with_non_response_as_options(SURVEY, ()).content_hash == SURVEY.content_hash
    refused = with_non_response_as_options(SURVEY, (NonResponse.REFUSED,))
    assert refused.content_hash == SURVEY.content_hash


def test_what_was_never_asked_is_no_answer_and_no_option_comes_twice() -> None:
    with pytest.raises(InputError, match="not asked is no answer"):
        with_non_response_as_options(SURVEY, (NonResponse.NOT_ASKED,))
    once = with_non_response_as_options(SURVEY, KINDS)
    again = once.with_responses(SURVEY.responses)
    with pytest.raises(InputError, match="q0 has the option"):
        with_non_response_as_options(again, KINDS)
