"""`Endpoint`: a model behind an OpenAI-compatible address, asked as any other.

Labels are read from the probabilities of the first answer token, where the server gives them: every
listed token that means a label counts, with or without a space before it. A server lists its
likeliest tokens only (20 at most), so that a label outside the list counts 0, and the most it could
have is carried along. Where no probabilities can be had, short answers are drawn, and their number is
carried. Whole texts are read from `/completions` with `echo`, as vLLM's server gives it, where the
study names the model's tokenizer: the prompt then goes out as the very tokens a model here would read.

The API: https://platform.openai.com/docs/api-reference (chat completions, completions); vLLM's
server for `echo` with token ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.errors import InputError, require
from suffrage.models.answerer import Advance, ChoiceReading, LabelChoice
from suffrage.models.asking import Message
from suffrage.models.endpoint_client import (
    BudgetReachedError,
    Client,
    EndpointSettings,
    EndpointUsage,
    FilteredError,
    RejectedError,
)
from suffrage.models.language_model import answer_tokens, encode_text, prompt_text
from suffrage.models.packing import Tokens
from suffrage.models.readouts import leading_label

Found = TypeVar("Found")

# How many likeliest tokens are asked for, most first: the API allows 20, some servers fewer.
TOP_TOKENS = (20, 10, 5)
# Answers to one request: what the strictest known servers allow.
AT_ONCE = 8
# Enough for a label with what may stand around it.
LONGEST_LABEL = 4
PROBE: list[Message] = [{"role": "user", "content": "Which is it?\n\nA. One\nB. Two\n\nA or B?"}]
_SPACES = " \u2581\u0120"  # as tokenizers write a leading space


@dataclass(frozen=True)
class Abilities:
    """What a server can do, found out once.

    top: how many likeliest tokens it lists; 0 when it gives no probabilities. echo: whether it
    reads the probabilities of a given text. length_key: how it wants the longest answer named.
    many: whether it gives several answers to one request. model: what it calls the model itself.
    """

    top: int = 0
    echo: bool = False
    length_key: str = "max_tokens"
    many: bool = True
    model: str | None = None


class Memory(Protocol):
    """Where an endpoint's abilities and expenses outlast a run."""

    def recall(self, name: str) -> Any:
        """What was kept under a name, or None."""
        ...

    def remember(self, name: str, value: Any) -> None:
        """Keep something JSON can hold."""
        ...


def spent_by_purpose(memory: Memory, settings: EndpointSettings) -> dict[str, EndpointUsage]:
    """What each purpose (a method) has spent at an endpoint over all runs."""
    kept = memory.recall(_name("usage", settings)) or {}
    return {purpose: EndpointUsage(**usage) for purpose, usage in kept.items()}


def known_abilities(memory: Memory, settings: EndpointSettings) -> Abilities | None:
    """What was found out about an endpoint, None when it was never asked."""
    kept = memory.recall(_name("abilities", settings))
    return Abilities(**kept) if kept else None


def _name(what: str, settings: EndpointSettings) -> str:
    # What a model costs counts toward one budget, however its answers are read.
    own = f"{settings.endpoint} {settings.name}"
    return f"{what} {own if what == 'usage' else settings.identity.content}"


class Endpoint:
    """A `Answerer`, `AnswererWithError` and `StreamingAnswerer`.

    folder: where a relative path to the tokenizer starts. memory: keeps abilities and expenses. purpose: what
    the expenses are counted under. Making one sends nothing. Raises InputError when the key's variable is not
    set, or the tokenizer cannot be had.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        folder: Path,
        memory: Memory,
        purpose: str = "",
        first_wait: float = 0.5,
    ) -> None:
        self.settings = settings
        self.purpose = purpose
        self.memory = memory
        self._before = spent_by_purpose(memory, settings)
        spent = EndpointUsage()
        for usage in self._before.values():
            spent.add(usage)
        self.client = Client(settings, spent, first_wait)
        self._abilities = known_abilities(memory, settings)
        self._tokenizer = _tokenizer(settings, folder)

    @property
    def abilities(self) -> Abilities:
        """What the server can do; the first time, a few short requests find it out."""
        if self._abilities is None:
            try:
                self._abilities = self._probe()
            finally:
                self._keep_usage()
            self.memory.remember(_name("abilities", self.settings), asdict(self._abilities))
        return self._abilities

    @property
    def reads_texts(self) -> bool:
        """Whether the server echoes with probabilities, and the study names the tokenizer."""
        return self.abilities.echo

    def choose(
        self, choices: Sequence[LabelChoice], advance: Advance | None = None
    ) -> list[FloatArray]:
        """See `Answerer.choose`."""
        return [reading.probabilities for reading in self.read(choices, advance)]

    def read(
        self, choices: Sequence[LabelChoice], advance: Advance | None = None
    ) -> list[ChoiceReading]:
        """See `AnswererWithError.read`."""
        return _in_order(self.read_each(choices), len(choices), advance)

    def read_each(self, choices: Sequence[LabelChoice]) -> Iterator[tuple[int, ChoiceReading]]:
        """See `StreamingAnswerer.read_each`."""
        top = self.abilities.top
        one = self._read_probabilities if top else self._read_samples
        return self._each(lambda place: one(choices[place]), len(choices))

    def text_log_probs(
        self,
        chats: Sequence[Sequence[Message]],
        texts: Sequence[Sequence[str]],
        advance: Advance | None = None,
    ) -> list[list[FloatArray]]:
        """See `Answerer.text_log_probs`; one request a text."""
        return _in_order(self.text_log_probs_each(chats, texts), len(chats), advance)

    def text_log_probs_each(
        self, chats: Sequence[Sequence[Message]], texts: Sequence[Sequence[str]]
    ) -> Iterator[tuple[int, list[FloatArray]]]:
        """See `StreamingAnswerer.text_log_probs_each`."""
        if not self.reads_texts:
            raise InputError(
                f"model.endpoint: {self.settings.endpoint} gives no probabilities of whole texts; "
                "say scoring: {text: false, sentence: false}, or name the model's tokenizer."
            )

        def one(place: int) -> list[FloatArray]:
            prompt = encode_text(self._tokenizer, prompt_text(self._tokenizer, chats[place]))
            return [
                self._echoed(prompt, answer_tokens(self._tokenizer, text)) for text in texts[place]
            ]

        return self._each(one, len(chats))

    def write(
        self, chats: Sequence[Sequence[Message]], count: int, longest: int, seed: int
    ) -> list[list[str]]:
        """See `Answerer.write`. The seed is the server's to heed."""
        return _in_order(self.write_each(chats, count, longest, seed), len(chats), None)

    def write_each(
        self, chats: Sequence[Sequence[Message]], count: int, longest: int, seed: int
    ) -> Iterator[tuple[int, list[str]]]:
        """See `StreamingAnswerer.write_each`."""
        self.abilities  # noqa: B018 - found out before the threads start
        return self._each(
            lambda place: self._written(chats[place], count, longest, seed), len(chats)
        )

    def _read_probabilities(self, choice: LabelChoice) -> ChoiceReading:
        """Labels from the likeliest first tokens.

        An answer that ends at once lists none on some servers; the likeliest beginning may, and where
        that ends at once too nothing is known of the labels.
        """
        top, unseen = self.abilities.top, 1.0
        for temperature in (1, 0):
            body = self._body(choice.messages, 1, temperature) | self._listing(top)
            try:
                listed = self.client.post(self._path, body, 1, self._first_tokens)
            except FilteredError:
                unseen = 0.0  # no answer at all: the question never reached the model
                break
            except RejectedError:
                if temperature == 1:
                    raise
                break  # some models have one temperature only
            if listed:
                return label_reading(choice.labels, listed)
        return ChoiceReading(np.zeros(len(choice.labels)), unseen)

    def _read_samples(self, choice: LabelChoice) -> ChoiceReading:
        """Labels by short answers; what begins with no label counts toward none."""
        seed = int(storage.content_hash([choice.messages, choice.labels])[:7], 16)
        drawn = self._written(choice.messages, self.settings.samples, LONGEST_LABEL, seed)
        counts = np.zeros(len(choice.labels))
        for text in drawn:
            place = leading_label(text, choice.labels)
            if place is not None:
                counts[place] += 1
        return ChoiceReading(counts / len(drawn), drawn=len(drawn))

    def _written(
        self, messages: Sequence[Message], count: int, longest: int, seed: int
    ) -> list[str]:
        """`count` answers; a question kept back by a filter gets as many empty ones."""
        own = int(storage.content_hash([seed, list(messages)])[:7], 16)
        found: list[str] = []
        while len(found) < count:
            wanted = min(AT_ONCE, count - len(found)) if self.abilities.many else 1
            body = self._body(messages, longest, 1) | {"n": wanted, "seed": own + len(found)}
            try:
                found += self.client.post(self._path, body, wanted * longest, self._texts)[:wanted]
            except FilteredError:
                return [""] * count
        return found

    def _echoed(self, prompt: Tokens, answer: Tokens) -> FloatArray:
        """Log-probability of each token of an answer after a prompt."""

        def parse(response: Any) -> FloatArray:
            logs = response["choices"][0]["logprobs"]["token_logprobs"]
            length = len(prompt) + len(answer)
            if not length <= len(logs) <= length + 1:
                raise ValueError("not the tokens that were sent")
            return np.array([float(log) for log in logs[len(prompt) : length]])

        return self.client.post("/completions", self._echoing([*prompt, *answer]), 1, parse)

    @property
    def _path(self) -> str:
        return "/chat/completions" if self.settings.chat else "/completions"

    def _body(
        self, messages: Sequence[Message], longest: int, temperature: float
    ) -> dict[str, Any]:
        """A request for an answer from the whole distribution: nothing cut off."""
        body: dict[str, Any] = {"model": self.settings.name, "temperature": temperature, "top_p": 1}
        if self.settings.chat:
            length_key = self._abilities.length_key if self._abilities else "max_tokens"
            return body | {"messages": list(messages), length_key: longest}
        text = prompt_text(self._tokenizer, messages)
        prompt = list(encode_text(self._tokenizer, text)) if self._tokenizer else text
        return body | {"prompt": prompt, "max_tokens": longest}

    def _listing(self, top: int) -> dict[str, Any]:
        """What asks for the likeliest tokens."""
        chat = {"logprobs": True, "top_logprobs": top}
        return chat if self.settings.chat else {"logprobs": top}

    def _echoing(self, tokens: Sequence[int]) -> dict[str, Any]:
        """A request for the log-probability of each token given; one more must be written."""
        body = {"model": self.settings.name, "prompt": list(tokens), "echo": True, "logprobs": 1}
        return body | {"max_tokens": 1, "temperature": 1}

    def _first_tokens(self, response: Any) -> list[tuple[str, float]]:
        """The likeliest first tokens and their log-probabilities; none when the answer is empty."""
        logs = response["choices"][0]["logprobs"]
        if self.settings.chat:
            content = logs["content"]
            if not content:
                return []
            return [(row["token"], float(row["logprob"])) for row in content[0]["top_logprobs"]]
        listed = logs["top_logprobs"]
        return [(token, float(log)) for token, log in listed[0].items()] if listed else []

    def _texts(self, response: Any) -> list[str]:
        """What was written; a refusal the server sets apart is an answer too."""
        if not response["choices"]:
            raise ValueError("no choices")
        if not self.settings.chat:
            return [str(choice["text"]) for choice in response["choices"]]
        said = [choice["message"] for choice in response["choices"]]
        return [str(one.get("content") or one.get("refusal") or "") for one in said]

    def _probe(self) -> Abilities:
        self._abilities = Abilities()  # what `_body` goes by meanwhile
        try:
            return self._found_abilities()
        finally:
            self._abilities = None

    def _found_abilities(self) -> Abilities:
        found = self._named_length()
        if self.settings.logprobs:
            for top in TOP_TOKENS:
                body = self._body(PROBE, 1, 1) | self._listing(top)
                with suppress(RejectedError):
                    listed = self.client.post(self._path, body, 1, self._listed_or_none)
                    if listed is not None:
                        found = replace(found, top=len(listed) or top)
                    break
        try:
            body = self._body(PROBE, 1, 1) | {"n": 2, "seed": 1}
            many = len(self.client.post(self._path, body, 2, self._texts)) == 2
        except RejectedError:
            many = False
        return replace(found, many=many, echo=self._echoes())

    def _named_length(self) -> Abilities:
        """The first request: is there such a model, and how does it want lengths named?"""
        refused: RejectedError | None = None
        for key in ("max_tokens", "max_completion_tokens"):
            self._abilities = Abilities(length_key=key)
            try:
                response = self.client.post(self._path, self._body(PROBE, 1, 1), 1, _whole)
            except RejectedError as error:
                refused = refused or error
                continue
            self._check_tokenizer(response)
            return replace(self._abilities, model=response.get("model"))
        raise InputError(f"model.endpoint: {refused}")

    def _listed_or_none(self, response: Any) -> list[tuple[str, float]] | None:
        """None when the server took the request and left the probabilities out."""
        if not (response["choices"][0].get("logprobs") or {}):
            return None
        return self._first_tokens(response)

    def _check_tokenizer(self, response: Any) -> None:
        """Raises InputError when the named tokenizer counts a question otherwise than the server."""
        counted = (response.get("usage") or {}).get("prompt_tokens")
        if self._tokenizer is None or counted is None:
            return
        own = len(encode_text(self._tokenizer, prompt_text(self._tokenizer, PROBE)))
        if own != counted:
            raise InputError(
                f"model.tokenizer: {self.settings.tokenizer} makes {own} tokens of a question of "
                f"which {self.settings.endpoint} counts {counted}; name the tokenizer with the chat "
                "template that the server uses, or leave tokenizer out."
            )

    def _echoes(self) -> bool:
        if self._tokenizer is None or not self.settings.logprobs:
            return False
        prompt = encode_text(self._tokenizer, prompt_text(self._tokenizer, PROBE))
        try:
            response = self.client.post("/completions", self._echoing(prompt), 1, _whole)
            logs = response["choices"][0]["logprobs"]["token_logprobs"]
        except (RejectedError, InputError, KeyError, TypeError, IndexError):
            return False  # a server without /completions says 404
        return len(prompt) <= len(logs) <= len(prompt) + 1

    def _each(self, one: Callable[[int], Found], count: int) -> Iterator[tuple[int, Found]]:
        """Every place's answer as it comes, a few requests at a time.

        When one fails those under way are waited for and given, and then the failure is raised.
        """
        failure: BaseException | None = None
        left = iter(range(count))
        waiting: dict[Future[Found], int] = {}
        try:
            with ThreadPoolExecutor(self.settings.concurrency) as pool:
                for place in islice(left, self.settings.concurrency):
                    waiting[pool.submit(one, place)] = place
                try:
                    while waiting:
                        for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                            place = waiting.pop(done)
                            error = done.exception()
                            if error is not None:
                                failure = failure or error
                                if not isinstance(error, BudgetReachedError):
                                    self.client.stop()
                                continue
                            yield place, done.result()
                            following = None if failure else next(left, None)
                            if following is not None:
                                waiting[pool.submit(one, following)] = following
                        self._keep_usage()
                finally:
                    if waiting:  # given up from outside, such as by Ctrl-C
                        self.client.stop()
        finally:
            self._keep_usage()
        if failure is not None:
            raise failure

    def _keep_usage(self) -> None:
        total = EndpointUsage()
        total.add(self._before.get(self.purpose, EndpointUsage()))
        total.add(self.client.used)
        every = {**self._before, self.purpose: total}
        kept = {purpose: asdict(usage) for purpose, usage in every.items()}
        self.memory.remember(_name("usage", self.settings), kept)


def label_reading(labels: Sequence[str], listed: Sequence[tuple[str, float]]) -> ChoiceReading:
    """Labels' probabilities from the likeliest tokens, (token, log-probability) each.

    unseen: each label is one token with a space before it and one without. Those not listed are
    each no likelier than the least likely token listed, and all together no likelier than what the
    listed ones leave.
    """
    logs = np.array([log for _, log in listed])
    probabilities = np.zeros(len(labels))
    seen = 0
    for (token, _), probability in zip(listed, np.exp(logs), strict=True):
        plain = token.lstrip(_SPACES)
        if plain in labels:
            probabilities[labels.index(plain)] += probability
            seen += 1
    rest = max(0.0, 1.0 - float(np.exp(logs).sum()))
    hidden = max(0, 2 * len(labels) - seen)
    return ChoiceReading(probabilities, unseen=min(rest, hidden * float(np.exp(logs.min()))))


def _tokenizer(settings: EndpointSettings, folder: Path) -> Any:
    if settings.tokenizer is None:
        return None
    transformers = require("transformers", "align", "model.tokenizer")
    path = (folder / Path(settings.tokenizer).expanduser()).resolve()
    source = str(path) if path.exists() else settings.tokenizer
    try:
        return transformers.AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"model.tokenizer: {settings.tokenizer} could not be loaded; give a folder, or a hub id "
            "(owner/name) that can be reached."
        ) from error


def _whole(response: Any) -> dict[str, Any]:
    if not response["choices"]:
        raise ValueError("no choices")
    return dict(response)


def _in_order(
    answers: Iterator[tuple[int, Found]], count: int, advance: Advance | None
) -> list[Found]:
    found: dict[int, Found] = {}
    for place, answer in answers:
        found[place] = answer
        if advance:
            advance(1)
    return [found[place] for place in range(count)]
