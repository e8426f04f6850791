"""A model behind an address: the same answers as at hand, and what becomes of every failure."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.responses import JSONResponse, PlainTextResponse

from suffrage.errors import InputError
from suffrage.models import (
    ItemProbe,
    LanguageModel,
    endpoint_trial,
    identify,
    read_letters,
    read_sampled,
    ways_of_asking,
)
from suffrage.models.answerer import LabelChoice
from suffrage.models.cache import AnswerStore
from suffrage.models.endpoint import Endpoint
from suffrage.models.endpoint_abilities import known_abilities, spent_by_purpose
from suffrage.models.endpoint_api import label_reading
from suffrage.models.endpoint_failures import BudgetReachedError, EndpointError
from suffrage.models.endpoint_settings import EndpointSettings
from tests.openai_server import Server, busy, serving
from tests.synthetic import make_item, make_tiny_model


class Memory(dict):  # type: ignore[type-arg]
    def recall(self, name: str) -> object:
        return self.get(name)

    def remember(self, name: str, value: object) -> None:
        self[name] = json.loads(json.dumps(value))


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LanguageModel:
    return LanguageModel.load(identify(str(tiny_model), Path()))


@pytest.fixture
def server(model: LanguageModel) -> Iterator[Server]:
    with serving(Server(model)) as running:
        yield running


def asking(server: Server, memory: Memory | None = None, **more: object) -> Endpoint:
    given = {"endpoint": server.address, "name": "tiny", "retries": 2, **more}
    settings = EndpointSettings.model_validate(given)
    return Endpoint(settings, Path(), Memory() if memory is None else memory, first_wait=0.01)


def choices(options: int = 4, number: int = 1) -> list[LabelChoice]:
    return [
        LabelChoice(tuple(question.messages), question.label_of_position)
        for question in ways_of_asking(make_item(number, options=options), "people up north")
    ]


@pytest.fixture
def long_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of tokens that show all the probability of a random model, which spreads it widely."""
    monkeypatch.setattr(endpoint_trial, "TOP_TOKENS", (300,))


@pytest.mark.slow
def test_labels_are_those_of_the_same_model_at_hand(
    server: Server, model: LanguageModel, long_lists: None
) -> None:
    found = asking(server).read(choices())
    for reading, own in zip(found, model.choose(choices()), strict=True):
        np.testing.assert_allclose(reading.probabilities, own, rtol=1e-4)
        assert reading.unseen < 1e-6 and reading.drawn is None


@pytest.mark.slow
def test_labels_outside_the_list_count_nothing_and_lie_within_the_bound(
    server: Server, model: LanguageModel
) -> None:
    server.most_listed = 10  # fewer than the API allows: found out
    endpoint = asking(server)
    assert endpoint.abilities.top == 10
    hidden = 0
    for reading, own in zip(endpoint.read(choices()), model.choose(choices()), strict=True):
        listed = reading.probabilities > 0
        np.testing.assert_allclose(reading.probabilities[listed], own[listed], rtol=1e-4)
        hidden += int((~listed).sum())
        assert own[~listed].sum() <= reading.unseen + 1e-9
    assert hidden > 0, "the list was short enough to hide some"


def test_every_token_that_means_a_label_counts() -> None:
    listed = [("A", np.log(0.3)), (" A", np.log(0.2)), ("\u0120B", np.log(0.1)), ("And", -3.0)]
    reading = label_reading(("A", "B", "C"), listed)
    np.testing.assert_allclose(reading.probabilities, [0.5, 0.1, 0.0])
    # Three of six variants unseen, none likelier than e^-3; what is left is 1 - 0.6 - e^-3.
    assert reading.unseen == pytest.approx(min(1 - 0.6 - np.exp(-3), 3 * np.exp(-3)))


@pytest.mark.slow
def test_whole_texts_are_those_of_the_same_model_at_hand(
    server: Server, model: LanguageModel, tiny_model: Path
) -> None:
    endpoint = asking(server, tokenizer=str(tiny_model))
    assert endpoint.reads_texts
    chats = [choice.messages for choice in choices()[:3]]
    texts = [("Answer Alpha", "No"), ("Answer Bravo",), ("Yes", "Answer Delta", "?")]
    ours = model.text_log_probs(chats, texts)
    for one, two in zip(endpoint.text_log_probs(chats, texts), ours, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)


def test_texts_need_echo_and_the_tokenizer(server: Server, tiny_model: Path) -> None:
    assert not asking(server).reads_texts
    server.echo = False
    endpoint = asking(server, tokenizer=str(tiny_model))
    assert not endpoint.reads_texts
    with pytest.raises(InputError, match="no probabilities of whole texts"):
        endpoint.text_log_probs([choices()[0].messages], [["x"]])


def test_another_models_tokenizer_is_found_out(server: Server, tmp_path: Path) -> None:
    other = make_tiny_model(tmp_path / "other", chat=False)
    with pytest.raises(InputError, match=r"model.tokenizer: .* tokens of a question"):
        asking(server, tokenizer=str(other)).abilities  # noqa: B018


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False], ids=["token ids", "text"])
def test_a_model_without_chat_is_asked_by_completions(
    tmp_path: Path, named: bool, long_lists: None
) -> None:
    folder = make_tiny_model(tmp_path / "plain", chat=False)
    plain = LanguageModel.load(identify(str(folder), Path()))
    with serving(Server(plain)) as server:
        more = {"tokenizer": str(folder)} if named else {}
        endpoint = asking(server, chat=False, **more)
        for one, two in zip(endpoint.choose(choices()), plain.choose(choices()), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4)
        assert endpoint.reads_texts == named
        assert all("messages" not in body for body in server.said)
        written = endpoint.write([choices()[0].messages], 3, 4, seed=1)
        assert [len(texts) for texts in written] == [3]


@pytest.mark.slow
@pytest.mark.parametrize("several", [True, False])
def test_answers_are_written_as_many_as_asked_for(server: Server, several: bool) -> None:
    server.several = several
    chats = [choice.messages for choice in choices()]
    written = asking(server).write(chats, 5, 6, seed=4)
    assert [len(texts) for texts in written] == [5] * len(chats)
    assert len({text for texts in written for text in texts}) > 5, "each drawn by itself"
    assert asking(server).write(chats, 5, 6, seed=4) == written


def known_shares(question: str) -> list[tuple[str, float]]:
    """60% the option that says Alpha, 20% Bravo, 20% no answer, whatever their labels."""
    lines = [line for line in question.split("\n") if ". Answer " in line]
    label = {line.split("Answer ")[1]: line[0] for line in lines}
    alpha, bravo = label.get("Alpha", "?"), label.get("Bravo", "?")
    return [(f"{alpha}.", 0.6), (f" {bravo}", 0.2), ("I cannot answer that.", 0.2)]


@pytest.mark.slow
def test_without_probabilities_answers_are_sampled_and_their_number_told(server: Server) -> None:
    server.logprobs, server.speaks = False, known_shares
    endpoint = asking(server, samples=200)
    assert endpoint.abilities.top == 0
    (answer,) = read_letters(endpoint, [ItemProbe(make_item(1), None)], 0.25)
    assert answer.drawn == 800 and answer.named == pytest.approx(640, abs=50)
    error = np.sqrt(0.75 * 0.25 / 640)
    np.testing.assert_allclose(answer.shares, [0.75, 0.25, 0, 0], atol=4 * error)
    assert answer.mass == pytest.approx(0.8, abs=0.06) and not answer.refused


@pytest.mark.slow
def test_refusals_and_what_is_off_format_are_counted(server: Server) -> None:
    server.speaks = lambda question: [
        ("As an AI, I don't have opinions", 0.3),
        ("Forty-two", 0.3),
        ("Answer Bravo", 0.4),
    ]
    (answer,) = read_sampled(asking(server), [ItemProbe(make_item(1), None)], 400, seed=1)
    assert answer.drawn == 400 and answer.declined == pytest.approx(0.3, abs=0.08)
    assert answer.mass == pytest.approx(0.4, abs=0.09)
    np.testing.assert_array_equal(answer.shares, [0, 1, 0, 0])


@pytest.mark.slow
def test_lengths_are_named_as_the_server_wants(server: Server) -> None:
    server.length_key = "max_completion_tokens"
    endpoint = asking(server)
    assert len(endpoint.read(choices())) == 4
    assert endpoint.abilities.dialect.length_key == "max_completion_tokens"


@pytest.mark.slow
def test_abilities_are_found_out_once(server: Server) -> None:
    memory = Memory()
    endpoint = asking(server, memory)
    endpoint.read(choices())
    first = len(server.said)
    asking(server, memory).read(choices())
    assert len(server.said) == first + len(choices())
    abilities = known_abilities(memory, endpoint.settings)
    assert abilities is not None and abilities.model == "tiny-2026"


def test_what_a_server_wants_besides_is_in_every_request(server: Server) -> None:
    extra = {"chat_template_kwargs": {"enable_thinking": False}}
    endpoint = asking(server, extra=extra)
    endpoint.read(choices()[:1])
    endpoint.write([choices()[0].messages], 1, 2, seed=1)
    assert all(body["chat_template_kwargs"] == {"enable_thinking": False} for body in server.said)
    assert endpoint.settings.identity.content != asking(server).settings.identity.content


def test_a_busy_server_is_asked_again(server: Server) -> None:
    endpoint = asking(server)
    endpoint.abilities  # noqa: B018
    before = len(server.said)
    server.script = [busy(), busy(503, None), None]
    (reading,) = endpoint.read(choices()[:1])
    assert reading.probabilities.shape == (4,) and len(server.said) == before + 3


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 3])
def test_no_more_requests_at_a_time_than_allowed(server: Server, most: int) -> None:
    server.delay = 0.05
    asking(server, concurrency=most).read(choices() * 3)
    assert server.most_at_once == most


FAILURES = {
    "500s": (lambda: busy(500), "answered 500 (come back later), 3 times"),
    "not JSON": (lambda: PlainTextResponse("<html>oops"), "not of the OpenAI API's form, 3 times"),
    "an error said to be none": (
        lambda: JSONResponse({"error": {"message": "upstream is down"}}),
        "answered with an error (upstream is down), 3 times",
    ),
    "no choices": (lambda: JSONResponse({"choices": []}), "not of the OpenAI API's form"),
    "no logprobs": (
        lambda: JSONResponse({"choices": [{"message": {"content": "A"}, "logprobs": None}]}),
        "gave no token probabilities with an answer, though it listed some at first",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_server_that_goes_on_failing_stops_the_run_with_its_reason(
    server: Server, name: str
) -> None:
    make, reason = FAILURES[name]
    endpoint = asking(server, concurrency=1)
    endpoint.abilities  # noqa: B018
    server.script = [make() for _ in range(3)]
    with pytest.raises(EndpointError) as error:
        endpoint.read(choices())
    assert reason in str(error.value) and "Everything answered is kept" in str(error.value)


@pytest.mark.slow
def test_a_slow_server_is_not_waited_for_for_ever(server: Server) -> None:
    endpoint = asking(server, timeout=0.3, retries=1)
    endpoint.abilities  # noqa: B018
    server.delay = 1.0
    with pytest.raises(EndpointError, match=r"gave no answer within 0.3 seconds, 2 times"):
        endpoint.read(choices()[:1])
    assert endpoint.client.used.estimated == 2, "a request that timed out may have cost something"


def test_nobody_at_the_address_is_the_users_to_mend() -> None:
    settings = EndpointSettings(endpoint="http://127.0.0.1:9/v1", name="x", retries=1)
    with pytest.raises(InputError, match=r"could not be reached .* check the address"):
        Endpoint(settings, Path(), Memory(), first_wait=0.01).read(choices())


def test_a_wrong_model_or_path_is_named(server: Server) -> None:
    with pytest.raises(InputError, match='or no model "other"'):
        asking(server, name="other").read(choices())
    wrong = EndpointSettings(endpoint=server.address.removesuffix("/v1"), name="tiny", retries=0)
    with pytest.raises(InputError, match="mostly ends in /v1"):
        Endpoint(wrong, Path(), Memory()).read(choices())


def test_a_question_the_filter_keeps_back_counts_as_no_answer(
    server: Server, long_lists: None
) -> None:
    endpoint = asking(server, concurrency=1)
    endpoint.abilities  # noqa: B018
    filtered = {"error": {"message": "filtered", "code": "content_filter"}}
    server.script = [JSONResponse(filtered, 400)]
    one, two = endpoint.read(choices()[:2])
    assert one.probabilities.sum() == 0 < two.probabilities.sum()
    server.script = [JSONResponse(filtered, 400)]
    assert endpoint.write([choices()[0].messages], 2, 4, 1) == [["", ""]]


@pytest.mark.slow
def test_a_key_comes_from_the_environment_and_goes_nowhere_else(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "sk-not-for-anyone"
    monkeypatch.delenv("TINY_KEY", raising=False)
    with pytest.raises(InputError, match="TINY_KEY is not set; export TINY_KEY="):
        asking(server, key="TINY_KEY")
    server.key = secret
    monkeypatch.setenv("TINY_KEY", secret)
    memory = Memory()
    with caplog.at_level(logging.DEBUG):
        endpoint = asking(server, memory, key="TINY_KEY")
        assert endpoint.read(choices())[0].drawn is None
        server.key = "another"
        with pytest.raises(InputError, match="refused the request \\(401") as error:
            endpoint.read(choices())
    assert secret not in str(error.value) and "***" in str(error.value)
    assert secret not in caplog.text and secret not in json.dumps(memory)
    assert secret not in repr(endpoint.settings) + str(endpoint.settings.identity)
    with pytest.raises(InputError, match="no key was given"):
        asking(server).read(choices())


@pytest.mark.slow
def test_a_budget_of_requests_is_never_passed_and_what_was_answered_is_given(
    server: Server,
) -> None:
    memory = Memory()
    endpoint = asking(server, memory, budget={"requests": 12}, concurrency=4)
    got = []
    with pytest.raises(BudgetReachedError, match=r"12 requests .* raise model.budget.requests"):
        for place, _ in endpoint.read_each(choices(9) + choices(9, 2) + choices(9, 3)):
            got.append(place)
    assert len(server.said) == 12
    probes = 12 - len(got)
    assert 3 <= probes <= 5 and len(set(got)) == len(got)
    # A later run goes on only with a greater budget: what was spent is remembered.
    with pytest.raises(BudgetReachedError):
        asking(server, memory, budget={"requests": 12}).read(choices())
    assert len(server.said) == 12
    assert len(asking(server, memory, budget={"requests": 16}).read(choices())) == 4
    assert (
        sum(usage.requests for usage in spent_by_purpose(memory, endpoint.settings).values()) == 16
    )


@pytest.mark.slow
@pytest.mark.parametrize("counted", [True, False])
def test_a_budget_of_money_is_never_passed(server: Server, counted: bool) -> None:
    server.counts_tokens = counted
    prices = {"input": 10.0, "output": 1000.0}
    asked = choices(9) * 6
    endpoint = asking(server, prices=prices, budget={"money": 0.05}, concurrency=3)
    with pytest.raises(BudgetReachedError, match=r"pass the budget of 0.05 USD"):
        endpoint.read(asked)
    used = endpoint.client.used
    expected = (used.input_tokens * 10 + used.output_tokens * 1000) / 1e6
    assert used.money == pytest.approx(expected) and 0.03 < used.money <= 0.05
    assert (used.estimated > 0) == (not counted)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"endpoint": "host/v1"}, "must be an address"),
        ({"endpoint": "https://me:secret@host/v1"}, "must not contain a password"),
        ({"budget": {"money": 3}}, "budget.money needs prices"),
        ({"extra": {"temperature": 0}}, "temperature is for the readouts to set"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EndpointSettings.model_validate({"endpoint": "https://host/v1", "name": "x", **given})


def test_what_decides_no_answer_is_not_in_the_identity() -> None:
    base = {"endpoint": "https://host/v1", "name": "x"}
    one = EndpointSettings.model_validate(base).identity.content
    same = {"key": "K", "budget": {"requests": 3}, "concurrency": 2, "timeout": 3, "retries": 1}
    assert EndpointSettings.model_validate(base | same).identity.content == one
    for other in ({"name": "y"}, {"version": "2"}, {"samples": 9}, {"logprobs": False}):
        assert EndpointSettings.model_validate(base | other).identity.content != one


@pytest.mark.slow
def test_expenses_outlast_the_run_in_the_store(server: Server, tmp_path: Path) -> None:
    for total in (1, 2):
        with AnswerStore(tmp_path / "a.sqlite") as store:
            settings = EndpointSettings(endpoint=server.address, name="tiny")
            Endpoint(settings, Path(), store, "base").read(choices())
            assert spent_by_purpose(store, settings)["base"].requests == len(server.said)
        assert len(server.said) >= total * len(choices())
