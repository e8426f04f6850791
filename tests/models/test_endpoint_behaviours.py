"""What Suffrage does with servers that are not like OpenAI's: a row for each behaviour.

Each is read by probability, or by drawn answers, or stops the run; the user is told what is
special in a sentence. Refusals have the form and the words of servers that were reported to refuse
so: Anthropic's and Azure's gateways, Mistral, vLLM, llama.cpp, Ollama, OpenRouter, LiteLLM.
"""

import json
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tenacity
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from suffrage.errors import SuffrageError
from suffrage.models.answerer import LabelChoice
from suffrage.models.endpoint import Endpoint
from suffrage.models.endpoint_abilities import ability_notes, known_abilities
from suffrage.models.endpoint_api import first_tokens, label_reading
from suffrage.models.endpoint_client import CONNECT_WAIT, FIRST_TRIES
from suffrage.models.endpoint_failures import BudgetReachedError, EndpointError
from suffrage.models.endpoint_settings import EndpointSettings
from tests.models.test_endpoint import Memory
from tests.openai_server import Stub, busy, serving

pytestmark = pytest.mark.slow

SHARES = [0.5, 0.3, 0.2]
PRICES = {"input": 1.0, "output": 2.0}


def refusing(status: int, message: str, when: Callable[[dict[str, Any]], Any], **more: Any) -> Any:
    """A server that refuses requests of a kind with OpenAI's form of error."""

    def refuses(body: dict[str, Any]) -> Response | None:
        if not when(body):
            return None
        return JSONResponse({"error": {"message": message, **more}}, status)

    return refuses


def forbidding(*keys: str) -> Any:
    """A server that knows no such settings and says so as Mistral's does."""

    def refuses(body: dict[str, Any]) -> Response | None:
        found = [key for key in keys if key in body]
        detail = [
            {
                "type": "extra_forbidden",
                "loc": ["body", key],
                "msg": "Extra inputs are not permitted",
            }
            for key in found
        ]
        content = {"object": "error", "message": {"detail": detail}, "param": None, "code": None}
        return JSONResponse(content, 422) if found else None

    return refuses


def every_choice(**changes: Any) -> Any:
    """A server whose choices have these instead."""

    def alters(body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        return answer | {"choices": [choice | changes for choice in answer["choices"]]}

    return alters


def every_message(**changes: Any) -> Any:
    def alters(body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        for choice in answer["choices"]:
            choice["message"] |= changes
        return answer

    return alters


def every_listing(change: Callable[[list[dict[str, Any]]], Any]) -> Any:
    """A server that lists likeliest tokens otherwise."""

    def alters(body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        for choice in answer["choices"]:
            if choice["logprobs"]:
                (row,) = choice["logprobs"]["content"]
                choice["logprobs"] = change(row["top_logprobs"])
        return answer

    return alters


def as_content(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"content": [{"token": "A", "logprob": -1.0, "top_logprobs": rows}]}


def usage(value: Any) -> Any:
    return lambda body, answer: answer | {"usage": value}


def asks_for_logprobs(body: dict[str, Any]) -> bool:
    return bool(body.get("logprobs"))


def raw(text: str, status: int = 200) -> Any:
    """A server that answers everything with this text."""
    return lambda body, answer: PlainTextResponse(text, status)


def in_parts(body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Content as a list of parts, as Mistral's thinking models write it."""
    for choice in answer["choices"]:
        choice["message"]["content"] = [{"type": "text", "text": choice["message"]["content"]}]
    return answer


@dataclass
class Behaviour:
    """A server's behaviour, and what is to come of it."""

    stub: Stub
    # "listed": by probability; "drawn": from drawn answers; "nothing": every mass is 0; "stops".
    how: str
    # Parts of the sentences that the user is told; the error where it stops.
    told: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)


DRAWN = "Labels are read from 24 drawn answers to each way of asking, because the server "
REFUSED = DRAWN + "refuses token probabilities"
NO_TOP_P = "does not take top_p together with a temperature"
NO_SEED = "takes no seed"
LOWER = {"a": 0.5, "b": 0.3, "c": 0.2}
BEHAVIOURS: dict[str, Behaviour] = {
    "as documented": Behaviour(Stub(), "listed"),
    # Settings that are refused.
    "temperature or top_p, not both": Behaviour(
        Stub(
            refuses=refusing(
                400,
                "`temperature` and `top_p` cannot both be specified for this model. Please use "
                "only one.",
                lambda body: "top_p" in body and "temperature" in body,
            )
        ),
        "listed",
        [NO_TOP_P],
    ),
    "top_p unknown": Behaviour(Stub(refuses=forbidding("top_p")), "listed", [NO_TOP_P]),
    "no temperature at all": Behaviour(
        Stub(
            refuses=refusing(
                400,
                "Unsupported parameter: 'temperature' is not supported with this model.",
                lambda body: "temperature" in body,
                param="temperature",
            )
        ),
        "listed",
        ["takes no temperature"],
    ),
    "temperature 1 only": Behaviour(
        Stub(
            refuses=refusing(
                400,
                "Unsupported value: 'temperature' does not support 0 with this model.",
                lambda body: body.get("temperature") != 1,
                param="temperature",
            )
        ),
        "listed",
    ),
    "two settings refused one after the other": Behaviour(
        Stub(refuses=forbidding("top_p", "max_tokens")), "listed", [NO_TOP_P]
    ),
    "a refusal that names nothing": Behaviour(
        Stub(refuses=refusing(400, "Bad request", lambda body: "top_p" in body)),
        "listed",
        [NO_TOP_P],
    ),
    "seed unknown (Mistral)": Behaviour(
        Stub(refuses=forbidding("seed", "logprobs")), "drawn", [REFUSED, NO_SEED]
    ),
    "seed unknown, named inside a text (Azure)": Behaviour(
        Stub(
            refuses=refusing(
                400,
                '(Invalid input) {"detail":[{"type":"extra_forbidden","loc":["body","seed"]}]}',
                lambda body: "seed" in body,
            )
        ),
        "listed",
        [NO_SEED],
    ),
    "seed and n unknown": Behaviour(
        Stub(refuses=forbidding("seed", "n", "logprobs")),
        "drawn",
        [REFUSED, NO_SEED, "gives one answer to a request"],
    ),
    "n must be 1": Behaviour(
        Stub(
            refuses=refusing(
                400, "Only n=1 is supported", lambda b: b.get("n", 1) > 1 or b.get("logprobs")
            )
        ),
        "drawn",
        [REFUSED, "gives one answer to a request"],
    ),
    "n is ignored": Behaviour(
        Stub(
            refuses=refusing(400, "logprobs is not supported", asks_for_logprobs),
            alters=lambda body, answer: answer | {"choices": answer["choices"][:1]},
        ),
        "drawn",
        [REFUSED, "gives one answer to a request"],
    ),
    "max_completion_tokens instead": Behaviour(
        Stub(
            refuses=refusing(
                400,
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.",
                lambda body: "max_tokens" in body,
                param="max_tokens",
                code="unsupported_parameter",
            )
        ),
        "listed",
    ),
    "16 tokens at least": Behaviour(
        Stub(
            refuses=refusing(
                400,
                "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, "
                "but got 1 instead.",
                lambda body: body["max_tokens"] < 16,
            )
        ),
        "listed",
        ["writes 16 tokens or more"],
    ),
    "lengths are ignored": Behaviour(
        Stub(rest=". Here is why: " + "because it is so, " * 30), "listed", ["writes on past"]
    ),
    # Probabilities of tokens.
    "no logprobs": Behaviour(
        Stub(refuses=refusing(400, "logprobs is not supported", asks_for_logprobs)),
        "drawn",
        [REFUSED + " (logprobs is not supported)"],
    ),
    "logprobs forbidden (403)": Behaviour(
        Stub(
            refuses=refusing(
                403, "You are not allowed to request logprobs from this model", asks_for_logprobs
            )
        ),
        "drawn",
        [REFUSED + " (You are not allowed to request logprobs from this model)"],
    ),
    "no provider with logprobs (404)": Behaviour(
        Stub(
            refuses=refusing(
                404, "No endpoints found that support the parameters", asks_for_logprobs
            )
        ),
        "drawn",
        [REFUSED],
    ),
    "logprobs end in an error of the server": Behaviour(
        Stub(refuses=refusing(500, "NotImplementedError", asks_for_logprobs)), "drawn", [REFUSED]
    ),
    "5 likeliest tokens at most": Behaviour(
        Stub(
            refuses=refusing(
                400, "top_logprobs must be <= 5", lambda body: body.get("top_logprobs", 0) > 5
            )
        ),
        "listed",
    ),
    "top_logprobs is empty": Behaviour(
        Stub(alters=every_listing(lambda rows: as_content([]))),
        "drawn",
        [DRAWN + "listed no likeliest tokens"],
    ),
    "logprobs is null": Behaviour(
        Stub(alters=every_choice(logprobs=None)), "drawn", [DRAWN + "gave no token probabilities"]
    ),
    "a logprob is null": Behaviour(
        Stub(
            alters=every_listing(lambda rows: as_content([{"token": "A", "logprob": None}, *rows]))
        ),
        "drawn",
        ["that are no numbers"],
    ),
    "probabilities instead of their logarithms": Behaviour(
        Stub(
            alters=every_listing(
                lambda rows: as_content([r | {"logprob": math.exp(r["logprob"])} for r in rows])
            )
        ),
        "drawn",
        ["that do not add up"],
    ),
    "logprobs in another form": Behaviour(
        Stub(alters=every_listing(lambda rows: {"content": [["A", -1.0]]})),
        "drawn",
        ["in a form of its own"],
    ),
    "logprobs in the form of completions": Behaviour(
        Stub(
            alters=every_listing(
                lambda rows: {
                    "tokens": ["A"],
                    "top_logprobs": [{row["token"]: row["logprob"] for row in rows}],
                }
            )
        ),
        "listed",
    ),
    "-9999 for what is not listed": Behaviour(
        Stub(
            alters=every_listing(lambda rows: as_content([*rows, {"token": "Z", "logprob": -9999}]))
        ),
        "listed",
    ),
    "tokens as numbers": Behaviour(
        Stub(
            alters=every_listing(
                lambda rows: as_content(
                    [r | {"token": f"token_id:{k}"} for k, r in enumerate(rows)]
                )
            )
        ),
        "drawn",
        ["the first token of an answer does not show its label"],
    ),
    # What the model writes.
    "lower-case labels": Behaviour(Stub(shares=LOWER), "listed", ["labels in lower case"]),
    "a bracket first": Behaviour(
        Stub(
            alters=every_listing(lambda rows: as_content([{"token": "(", "logprob": -0.01}])),
            shares={"(A": 0.5, "(B": 0.3, "(C": 0.2},
        ),
        "drawn",
        ["the first token of an answer does not show its label"],
    ),
    "asterisks first": Behaviour(
        Stub(
            alters=every_listing(lambda rows: as_content([{"token": "**", "logprob": -0.01}])),
            shares={"**A**": 0.5, "**B**": 0.3, "**C**": 0.2},
        ),
        "drawn",
        ["the first token of an answer does not show its label"],
    ),
    "a full stop behind": Behaviour(Stub(rest="."), "listed"),
    "it refuses to answer": Behaviour(
        Stub(shares={"I'm sorry, but I can't answer that.": 1.0}),
        "nothing",
        ["Only 0% of the trial answers began with the label"],
    ),
    "empty answers": Behaviour(
        Stub(shares={"": 1.0}), "nothing", ["Only 0% of the trial answers began with the label"]
    ),
    "content is null": Behaviour(
        Stub(
            alters=every_message(content=None),
            refuses=refusing(400, "no logprobs", asks_for_logprobs),
        ),
        "nothing",
        [REFUSED, "Only 0% of the trial answers"],
    ),
    "content in parts": Behaviour(
        Stub(alters=in_parts, refuses=refusing(400, "no logprobs", asks_for_logprobs)),
        "drawn",
        [REFUSED],
    ),
    "it thinks aloud": Behaviour(
        Stub(shares={"<think>\nOkay": 1.0}), "stops", ["thinks before it answers", "model.extra"]
    ),
    "it thinks in a field of its own": Behaviour(
        Stub(alters=every_message(content="", reasoning_content="Let me think")),
        "stops",
        ["thinks before it answers", "model.extra"],
    ),
    "it thinks out of sight": Behaviour(
        Stub(
            alters=lambda body, answer: (
                every_message(content="")(body, answer)
                | {"usage": {"completion_tokens_details": {"reasoning_tokens": 4}}}
            )
        ),
        "stops",
        ["thinks before it answers"],
    ),
    "no room left to answer after thinking": Behaviour(
        Stub(
            refuses=refusing(
                400,
                "Could not finish the message because max_tokens or model output limit was "
                "reached. Please try again with higher max_tokens.",
                lambda body: True,
            )
        ),
        "stops",
        ["Could not finish the message", "switch its thinking off"],
    ),
    # What the server counts.
    "0 tokens counted": Behaviour(
        Stub(alters=usage({"prompt_tokens": 0, "completion_tokens": 0})),
        "listed",
        ["every byte counts as one"],
        {"prices": PRICES},
    ),
    "null tokens counted": Behaviour(
        Stub(alters=usage({"prompt_tokens": None, "completion_tokens": None})),
        "listed",
        ["every byte counts as one"],
        {"prices": PRICES},
    ),
    "no usage": Behaviour(
        Stub(counts_tokens=False), "listed", ["every byte counts as one"], {"prices": PRICES}
    ),
    "usage is a text": Behaviour(
        Stub(alters=usage("n/a")), "listed", ["every byte counts as one"], {"prices": PRICES}
    ),
    "impossible tokens counted": Behaviour(
        Stub(alters=usage({"prompt_tokens": 10**18, "completion_tokens": 10**18})),
        "listed",
        ["every byte counts as one"],
        {"prices": PRICES, "budget": {"money": 0.1}},
    ),
    # Servers that cannot be asked.
    "only streams": Behaviour(
        Stub(refuses=refusing(400, "This model only supports streaming", lambda body: True)),
        "stops",
        ["refused a request \\(400\\): This model only supports streaming"],
    ),
    "streams unasked": Behaviour(
        Stub(alters=raw('data: {"choices": []}\n\ndata: [DONE]\n')),
        "stops",
        ["not of the OpenAI API's form", "check the address"],
    ),
    "a web page": Behaviour(
        Stub(alters=raw("<html>Welcome</html>")),
        "stops",
        ["not of the OpenAI API's form", "mostly ends in /v1"],
    ),
    **{
        f"choices: {choices!r}": Behaviour(
            Stub(alters=lambda body, answer, choices=choices: answer | {"choices": choices}),
            "stops",
            ["not of the OpenAI API's form, 3 times", "check the address"],
        )
        for choices in (
            "A",
            [None],
            {"0": 1},
            [{"message": None}],
            [{"message": "A"}],
            [{"message": ["A"]}],
        )
    },
    "compressed, as its header says, and is not": Behaviour(
        Stub(
            alters=lambda body, answer: PlainTextResponse(
                "{}", headers={"Content-Encoding": "gzip"}
            )
        ),
        "stops",
        ["not of the OpenAI API's form"],
    ),
    "JSON of 100,000 levels": Behaviour(
        Stub(alters=raw("[" * 100_000)), "stops", ["not of the OpenAI API's form"]
    ),
    "another address": Behaviour(
        Stub(alters=lambda body, answer: RedirectResponse("https://elsewhere/v1", 308)),
        "stops",
        ["sends requests on to another address \\(https://elsewhere/v1\\)"],
    ),
    "it always fails": Behaviour(
        Stub(alters=lambda body, answer: busy(500)), "stops", ["answered 500 .*, 3 times"]
    ),
    "nothing left to spend": Behaviour(
        Stub(alters=lambda body, answer: busy(402)), "stops", ["nothing left to spend"]
    ),
    "quota used up": Behaviour(
        Stub(
            refuses=refusing(
                429, "You exceeded your current quota", lambda b: True, code="insufficient_quota"
            )
        ),
        "stops",
        ["nothing left to spend"],
    ),
    "come back tomorrow": Behaviour(
        Stub(alters=lambda body, answer: busy(429, "86400")),
        "stops",
        ["asks to wait 86400 seconds"],
    ),
    "come back at a date": Behaviour(
        Stub(alters=lambda body, answer: busy(429, "Wed, 21 Oct 2099 07:28:00 GMT")),
        "stops",
        ["asks to wait \\d+ seconds"],
    ),
    "no such model": Behaviour(
        Stub(refuses=refusing(404, "The model does not exist", lambda body: True)),
        "stops",
        ['knows no /v1/chat/completions or no model "stub"'],
    ),
    "the key may not": Behaviour(
        Stub(refuses=refusing(403, "Forbidden", lambda body: True)),
        "stops",
        ["model.key: .*403; no key was given"],
    ),
}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been waited before new tries."""
    found: list[float] = []
    monkeypatch.setattr(tenacity, "sleep_using_event", lambda event: found.append)
    return found


def questions(number: int = 3) -> list[LabelChoice]:
    return [
        LabelChoice(({"role": "user", "content": f"Question {k}?"},), ("A", "B", "C"))
        for k in range(number)
    ]


def asking(server: Stub, memory: Memory | None = None, **more: Any) -> Endpoint:
    given = {"endpoint": server.address, "name": "stub", **more}
    settings = EndpointSettings.model_validate(given)
    return Endpoint(settings, Path(), Memory() if memory is None else memory)


def test_there_are_enough_behaviours() -> None:
    assert len(BEHAVIOURS) >= 30


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_server_is_read_or_given_up_and_the_user_told(
    name: str, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    behaviour = BEHAVIOURS[name]
    with serving(behaviour.stub) as server:
        endpoint = asking(server, **behaviour.settings)
        if behaviour.how == "stops":
            with pytest.raises(SuffrageError) as error:
                endpoint.read(questions())
            for part in behaviour.told:
                assert error.match(part)
            assert len(server.said) <= 7
        else:
            readings = endpoint.read(questions())
            for reading in readings:
                assert (reading.drawn is None) == (endpoint.abilities.top > 0)
            if behaviour.how == "listed":
                assert endpoint.abilities.top > 0
                for reading in readings:
                    np.testing.assert_allclose(reading.probabilities, SHARES, atol=1e-6)
            elif behaviour.how == "drawn":
                many = [*readings, *endpoint.read(questions(12)[3:])]
                shares = np.mean([reading.probabilities for reading in many], axis=0)
                error_of_share = np.sqrt(0.25 / (24 * len(many)))
                np.testing.assert_allclose(shares, SHARES, atol=4 * error_of_share)
            else:
                assert all(reading.probabilities.sum() == 0 for reading in readings)
            notes = ability_notes(endpoint.abilities, endpoint.settings)
            assert len(notes) == len(behaviour.told)
            for part in behaviour.told:
                assert any(part in note for note in notes), notes
                assert part in caplog.text, "said when it was found out"
            texts = endpoint.write([questions()[0].messages], 3, 8, seed=1)[0]
            assert len(texts) == 3
    assert sum(waits) < 5, "seconds, not minutes"


def test_a_list_shorter_than_asked_for_is_asked_for_again_in_full_and_bounds_the_rest() -> None:
    """A server may list few tokens of a sure answer, and more of the next one."""
    with serving(Stub(alters=every_listing(lambda rows: as_content(rows[:2])))) as server:
        endpoint = asking(server)
        (reading,) = endpoint.read(questions(1))
        assert (endpoint.abilities.top, endpoint.abilities.listed) == (20, 2)
        np.testing.assert_allclose(reading.probabilities, [0.5, 0.3, 0.0], atol=1e-6)
        assert reading.unseen == pytest.approx(0.2)


def test_what_was_found_out_is_kept_and_not_said_again(caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory()
    with serving(Stub(refuses=forbidding("seed", "top_p", "logprobs"))) as server:
        first = asking(server, memory)
        first.read(questions())
        kept, before = known_abilities(memory, first.settings), len(server.said)
        assert kept == first.abilities and not kept.dialect.seed and not kept.dialect.top_p
        caplog.clear()
        asking(server, memory).read(questions())
        assert len(server.said) == before + 3 * 3, "24 answers, 8 to a request; no trial again"
        assert caplog.text == ""
        assert all("seed" not in body for body in server.said[before:])


def test_a_server_that_is_down_when_tried_teaches_nothing_of_its_abilities(
    waits: list[float],
) -> None:
    """Otherwise an outage would decide for the whole study how answers are read."""
    memory = Memory()
    with serving(Stub()) as server:
        server.script = [None, None, *[busy(500) for _ in range(20)]]
        with pytest.raises(EndpointError, match="answered 500"):
            asking(server, memory).read(questions())
        settings = asking(server, memory).settings
        assert known_abilities(memory, settings) is None
        server.script = []
        assert asking(server, memory).read(questions())[0].drawn is None


def test_nothing_at_the_address_is_said_within_seconds(waits: list[float]) -> None:
    settings = EndpointSettings(endpoint="http://127.0.0.1:9/v1", name="x")
    with pytest.raises(SuffrageError, match=r"could not be reached .*, 3 times; check the address"):
        Endpoint(settings, Path(), Memory()).read(questions())
    assert sum(waits) < 3
    assert CONNECT_WAIT * FIRST_TRIES < 20, "nor does an address that swallows everything hold up"


def test_a_busy_server_is_waited_for_from_the_start_and_the_wait_is_said(
    waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Stub()) as server:
        server.script = [busy(503, None) for _ in range(5)]
        assert asking(server).read(questions())[0].drawn is None
    assert len(waits) == 5
    assert "answered 503 (come back later); trying again in" in caplog.text


@pytest.mark.parametrize("after", ["inf", "nan", "Wed, 21 Oct 99999 07:28:00 GMT", "soon"])
def test_a_wait_that_no_clock_can_keep_is_none_that_the_server_asked_for(
    after: str, waits: list[float]
) -> None:
    with serving(Stub(script=[busy(429, after)])) as server:
        (reading,) = asking(server).read(questions(1))
    np.testing.assert_allclose(reading.probabilities, SHARES, atol=1e-6)
    assert len(waits) == 1 and 0 < waits[0] < 2


def test_a_question_that_the_filter_stops_after_it_was_answered_counts_as_no_answer() -> None:
    filtered = {
        "choices": [
            {"message": {"content": ""}, "logprobs": None, "finish_reason": "content_filter"}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 0},
    }
    with serving(Stub()) as server:
        endpoint = asking(server, concurrency=1)
        endpoint.abilities  # noqa: B018
        server.script = [JSONResponse(filtered)]
        one, two = endpoint.read(questions(2))
        assert one.probabilities.sum() == 0 and two.probabilities.sum() == pytest.approx(1)
        server.script = [busy(403, None)]
        with pytest.raises(EndpointError, match=r"refused a request \(403\)"):
            endpoint.read(questions(1))


@pytest.fixture
def lying() -> Iterator[Stub]:
    """A server that writes much and counts nothing."""
    stub = Stub(rest=" because" * 50, alters=usage({"prompt_tokens": 0, "completion_tokens": 0}))
    with serving(stub) as server:
        yield server


def test_money_is_counted_by_bytes_where_the_server_counts_none(lying: Stub) -> None:
    endpoint = asking(lying, prices={"input": 10.0, "output": 100.0}, budget={"money": 0.02})
    with pytest.raises(BudgetReachedError, match=r"pass the budget of 0.02 USD"):
        endpoint.read(questions(200))
    used = endpoint.client.used
    # Reckoned again from what the server received: never fewer tokens than there can have been.
    size = sum(len(body["messages"][0]["content"].encode()) for body in lying.said)
    assert used.input_tokens >= size and used.estimated == len(lying.said)
    assert used.output_tokens >= 50 * len(lying.said), "fifty words are at least fifty tokens"
    assert used.money == pytest.approx((used.input_tokens * 10 + used.output_tokens * 100) / 1e6)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"prompt_tokens": 30, "completion_tokens": 2}, (30, 2, 0)),
        ({"prompt_tokens": "30", "completion_tokens": "2"}, (30, 2, 0)),
        # More than the question has: a chat's own marks, or an instruction of the server's.
        ({"prompt_tokens": 900, "completion_tokens": 2}, (900, 2, 0)),
        ({"prompt_tokens": 30, "completion_tokens": 0}, (30, 8, 1)),
        ({"prompt_tokens": 30}, (30, 8, 1)),
        ({"prompt_tokens": 3, "completion_tokens": 2}, (364, 2, 1)),
        ({"prompt_tokens": -5, "completion_tokens": 2}, (364, 2, 1)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (364, 8, 1)),
        ({"prompt_tokens": 10**18, "completion_tokens": 2}, (364, 2, 1)),
        ({"prompt_tokens": 30, "completion_tokens": 10**18}, (30, 8, 1)),
        # Thoughts that the server does not show.
        ({"prompt_tokens": 30, "completion_tokens": 9000}, (30, 9000, 0)),
        (None, (364, 8, 1)),
    ],
)
def test_a_count_that_cannot_be_is_replaced_by_the_most(
    said: Any, expected: tuple[int, int, int]
) -> None:
    with serving(Stub(alters=usage(said))) as server:
        client = asking(server).client
        chat = [{"role": "user", "content": "x" * 300}]
        client.post("/chat/completions", {"messages": chat, "top_logprobs": 1}, 8, dict)
    used = client.used
    assert (used.input_tokens, used.output_tokens, used.estimated) == expected


def test_impossible_counts_of_a_running_server_are_said_once_and_use_up_no_budget(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stub = Stub()
    with serving(stub) as server:
        endpoint = asking(server, prices=PRICES, budget={"money": 0.1})
        assert endpoint.abilities.counts_tokens
        caplog.clear()
        stub.alters = usage({"prompt_tokens": 10**18, "completion_tokens": 1})
        assert len(endpoint.read(questions(20))) == 20
        assert len(endpoint.read(questions(20))) == 20
    assert caplog.text.count("every byte counts as one") == 1
    assert endpoint.client.used.estimated == 40 and endpoint.client.used.money < 0.1


def test_another_name_of_the_model_is_said_once_and_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stub, memory = Stub(), Memory()
    with serving(stub) as server:
        endpoint = asking(server, memory)
        endpoint.read(questions(5))
        first = endpoint.abilities.model
        assert "other weights" not in caplog.text
        stub.alters = lambda body, answer: answer | {"model": "new-model"}
        endpoint.read(questions(5))
        endpoint.read(questions(5))
        assert caplog.text.count("other weights may have given some of the answers") == 1
        assert f"called the model {first} when it was tried, and new-model later" in caplog.text
        # Another run says it in its report, and not again while it asks.
        caplog.clear()
        again = asking(server, memory)
        again.read(questions(5))
        assert "other weights" not in caplog.text
        assert any("new-model later" in n for n in ability_notes(again.abilities, again.settings))


def test_what_the_settings_add_to_a_request_is_reserved_as_well() -> None:
    tools = {"tools": [{"name": "Wähle", "description": "x" * 5000}]}
    with serving(Stub(refuses=lambda body: None)) as server:
        client = asking(server, extra=tools, prices=PRICES).client
        chat = [{"role": "user", "content": "x" * 300}]
        body = {"messages": chat}
        most = client.ledger.most(body, 8)
        # A token is at least a byte of what was sent.
        assert most.input_tokens >= len(json.dumps(tools | body, ensure_ascii=False).encode()) - 40
        client.post("/chat/completions", {**body, "top_logprobs": 1}, 8, dict)
        assert server.said[-1]["tools"] == tools["tools"]
        # A server that does not read them as tokens is believed.
        assert client.used.estimated == 0


def test_an_answer_cut_off_counts_as_the_most_it_can_have_cost(waits: list[float]) -> None:
    with serving(Stub(alters=raw('{"choices": [{"mess'))) as server:
        endpoint = asking(server, prices=PRICES, retries=0)
        with pytest.raises(SuffrageError, match="not of the OpenAI API's form"):
            endpoint.read(questions(1))
        assert endpoint.client.used.money > 0


def test_labels_in_either_case_are_one_label_and_bound_what_is_hidden() -> None:
    listed = [("A", math.log(0.3)), ("a", math.log(0.2)), (" b", math.log(0.1))]
    reading = label_reading(("A", "B"), listed, any_case=True)
    np.testing.assert_allclose(reading.probabilities, [0.5, 0.1])
    # Five of eight spellings are hidden, none likelier than 0.1; but only 0.4 is left.
    assert reading.unseen == pytest.approx(0.4)
    assert label_reading(("A", "B"), listed).probabilities.sum() == pytest.approx(0.3)


def test_what_is_not_listed_does_not_lower_the_bound() -> None:
    rows = [{"token": "A", "logprob": math.log(0.4)}, {"token": "Z", "logprob": -9999.0}]
    choice = {"logprobs": {"content": [{"token": "Z", "logprob": -9999.0, "top_logprobs": rows}]}}
    listed = first_tokens({"choices": [choice]})
    assert listed == [("A", math.log(0.4))]
    assert label_reading(("A", "B"), listed).unseen == pytest.approx(0.6)


def test_notes_can_be_kept_and_read_again() -> None:
    memory = Memory()
    with serving(BEHAVIOURS["seed and n unknown"].stub) as server:
        endpoint = asking(server, memory)
        endpoint.read(questions(1))
    assert json.loads(json.dumps(memory)) == dict(memory)
    kept = known_abilities(memory, endpoint.settings)
    assert kept is not None
    assert ability_notes(kept, endpoint.settings) == ability_notes(
        endpoint.abilities, endpoint.settings
    )
    assert logging.getLogger("suffrage.models").level == logging.NOTSET
