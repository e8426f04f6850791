"""`Endpoint`: a model behind an OpenAI-compatible address, asked as any other.

Labels are read from the probabilities of the first answer token, where the server gives them. Every
listed token that means a label counts, with or without a space before it. A server lists its
likeliest tokens only (20 at most). A label outside the list counts 0, and the reading says how much
the labels could have had at most. Where the server gives no probabilities, short answers are drawn,
and the reading says how many. Whole texts are read from `/completions` with `echo`, as vLLM's
server gives it, where the study names the model's tokenizer: the prompt is then sent as the very
tokens that a model here would read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from suffrage import storage
from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.models.answerer import Advance, ChoiceReading, LabelChoice
from suffrage.models.asking import Message
from suffrage.models.endpoint_abilities import (
    Abilities,
    Memory,
    ability_notes,
    keep_abilities,
    keep_spent,
    known_abilities,
    spent_by_purpose,
)
from suffrage.models.endpoint_api import (
    COMPLETIONS,
    EndpointFormat,
    echoed_log_probs,
    endpoint_tokenizer,
    first_tokens,
    label_reading,
)
from suffrage.models.endpoint_client import Client
from suffrage.models.endpoint_failures import (
    BudgetReachedError,
    FilteredError,
    MalformedAnswerError,
    RejectedError,
)
from suffrage.models.endpoint_settings import EndpointSettings
from suffrage.models.endpoint_trial import LONGEST_LABEL, find_abilities
from suffrage.models.endpoint_usage import EndpointUsage
from suffrage.models.packing import Tokens
from suffrage.models.readouts import leading_label
from suffrage.models.tokenizing import answer_tokens

_Found = TypeVar("_Found")

log = logging.getLogger("suffrage.models")

# Answers to one request: what the strictest known servers allow.
ANSWERS_A_REQUEST = 8


class Endpoint:
    """An `Answerer`, `AnswererWithError` and `StreamingAnswerer`. Making one sends nothing.

    Parameters
    ----------
    settings : EndpointSettings
        The study's `model` section.
    folder : Path
        Where a relative path to the tokenizer starts.
    memory : Memory
        Keeps what the server can do, and what was spent.
    purpose : str
        What the expenses are counted under, such as the name of a method.
    first_wait : float
        Seconds before a request is sent again for the first time.

    Raises
    ------
    InputError
        The environment variable of the key is not set, or the tokenizer cannot be loaded.
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
        self._tokenizer = endpoint_tokenizer(settings, folder)

    @property
    def abilities(self) -> Abilities:
        """What the server can do.

        The first time, a few short requests find it out, and what a user should know is logged.
        """
        if self._abilities is None:
            try:
                found = find_abilities(self.client, EndpointFormat(self.settings, self._tokenizer))
            finally:
                self._keep_usage()
            self._abilities = found
            keep_abilities(self.memory, self.settings, found)
            for note in ability_notes(found, self.settings):
                log.warning("model.endpoint: %s: %s", self.settings.endpoint, note)
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
            prompt = self._format.prompt_tokens(chats[place])
            return [
                self._echoed(prompt, answer_tokens(self._tokenizer, text)) for text in texts[place]
            ]

        return self._each(one, len(chats))

    def write(
        self, chats: Sequence[Sequence[Message]], count: int, longest: int, seed: int
    ) -> list[list[str]]:
        """See `Answerer.write`. Whether the seed is heeded is up to the server."""
        return _in_order(self.write_each(chats, count, longest, seed), len(chats), None)

    def write_each(
        self, chats: Sequence[Sequence[Message]], count: int, longest: int, seed: int
    ) -> Iterator[tuple[int, list[str]]]:
        """See `StreamingAnswerer.write_each`."""
        self.abilities  # noqa: B018 - found out before the threads start
        return self._each(
            lambda place: self._written(chats[place], count, longest, seed), len(chats)
        )

    @property
    def _format(self) -> EndpointFormat:
        """How to write to the server, once its abilities are known."""
        return EndpointFormat(self.settings, self._tokenizer, self.abilities.dialect)

    def _read_probabilities(self, choice: LabelChoice) -> ChoiceReading:
        """Labels from the likeliest first tokens.

        An answer that ends at once lists no token on some servers. The likeliest beginning may list
        some; where that ends at once too, nothing is known of the labels.
        """
        form, unseen = self._format, 1.0
        for temperature in (1, 0):
            body = form.question(choice.messages, 1, temperature)
            body |= form.listing(self.abilities.top)
            try:
                listed = self.client.post(form.path, body, form.length(1), _listed_again)
            except FilteredError:
                unseen = 0.0  # no answer at all: the question never reached the model
                break
            except RejectedError:
                if temperature == 1:
                    raise
                break  # some models have one temperature only
            if listed:
                return label_reading(choice.labels, listed, self.abilities.any_case)
        return ChoiceReading(np.zeros(len(choice.labels)), unseen)

    def _read_samples(self, choice: LabelChoice) -> ChoiceReading:
        """Labels from short answers. What begins with no label counts toward none."""
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
        """`count` answers. A question kept back by a filter gets as many empty ones."""
        form = self._format
        own = int(storage.content_hash([seed, list(messages)])[:7], 16)
        found: list[str] = []
        while len(found) < count:
            wanted = min(ANSWERS_A_REQUEST, count - len(found)) if form.dialect.many else 1
            body = form.question(messages, longest, 1) | form.drawing(wanted, own + len(found))
            most = wanted * form.length(longest)
            try:
                found += self.client.post(form.path, body, most, form.texts)[:wanted]
            except FilteredError:
                return [""] * count
        return found

    def _echoed(self, prompt: Tokens, answer: Tokens) -> FloatArray:
        """Log-probability of each token of an answer after a prompt."""
        return self.client.post(
            COMPLETIONS,
            self._format.echoing([*prompt, *answer]),
            1,
            lambda response: echoed_log_probs(response, len(prompt), len(answer)),
        )

    def _each(self, one: Callable[[int], _Found], count: int) -> Iterator[tuple[int, _Found]]:
        """Every place's answer as it comes, a few requests at a time.

        When one fails, those under way are waited for and given; then the failure is raised.
        """
        failure: BaseException | None = None
        left = iter(range(count))
        waiting: dict[Future[_Found], int] = {}
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
                    if waiting:  # stopped from outside, such as by Ctrl-C
                        self.client.stop()
        finally:
            self._keep_usage()
        if failure is not None:
            raise failure

    def _keep_usage(self) -> None:
        total = EndpointUsage()
        total.add(self._before.get(self.purpose, EndpointUsage()))
        total.add(self.client.used)
        keep_spent(self.memory, self.settings, {**self._before, self.purpose: total})
        self._keep_changes()

    def _keep_changes(self) -> None:
        """Note, once, where the server no longer is what it was when it was tried."""
        before = self._abilities
        if before is None:
            return
        others = before.other_models
        if before.model is not None:
            others += tuple(sorted(self.client.models - {before.model, *others}))
        counts = before.counts_tokens and not self.client.ledger.impossible_count
        found = replace(before, other_models=others, counts_tokens=counts)
        if found == before:
            return
        self._abilities = found
        keep_abilities(self.memory, self.settings, found)
        told = ability_notes(before, self.settings)
        for note in ability_notes(found, self.settings):
            if note not in told:
                log.warning("model.endpoint: %s: %s", self.settings.endpoint, note)


def _listed_again(response: Any) -> list[tuple[str, float]]:
    """The likeliest first tokens of a server that listed some when it was tried."""
    try:
        return first_tokens(response)
    except MalformedAnswerError as error:
        raise MalformedAnswerError(
            f"{error} with an answer, though it listed some at first; with logprobs: false under "
            "model:, labels are read from drawn answers"
        ) from error


def _in_order(
    answers: Iterator[tuple[int, _Found]], count: int, advance: Advance | None
) -> list[_Found]:
    found: dict[int, _Found] = {}
    for place, answer in answers:
        found[place] = answer
        if advance:
            advance(1)
    return [found[place] for place in range(count)]
