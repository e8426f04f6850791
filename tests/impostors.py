"""Models with known values, and impostors without any: every evaluation is tried on them.

Each is an `Answerer`. They read the question as shown, so that options in another order or with
other labels change nothing about what they mean to say.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np

from suffrage.arrays import FloatArray
from suffrage.models import LabelChoice
from suffrage.models.asking import Message
from suffrage.population import ValueSet

# (texts of the options as shown, the whole question) -> their shares
Says = Callable[[Sequence[str], str], FloatArray]


class Impostor:
    """Answers by a rule: `says` gives the share of each option shown.

    mass: probability that goes to the options at all. A text is as probable as the option it
    quotes, and written answers are drawn from the shares.
    """

    def __init__(self, says: Says, mass: float = 1.0, reads_texts: bool = True) -> None:
        self.says = says
        self.mass = mass
        self.reads_texts = reads_texts
        self.heard: list[str] = []

    def choose(
        self, choices: Sequence[LabelChoice], advance: Callable[[int], None] | None = None
    ) -> list[FloatArray]:
        found = []
        for choice in choices:
            text = choice.messages[-1]["content"]
            self.heard.append(text)
            shown = dict(labelled_options(text))
            shares = self.says([shown[label] for label in shown], text)
            by_label = dict(zip(shown, shares, strict=True))
            found.append(self.mass * np.array([by_label[label] for label in choice.labels]))
            if advance:
                advance(1)
        return found

    def text_log_probs(
        self,
        chats: Sequence[Sequence[Message]],
        texts: Sequence[Sequence[str]],
        advance: Callable[[int], None] | None = None,
    ) -> list[list[FloatArray]]:
        found = []
        for chat, some in zip(chats, texts, strict=True):
            shares = self.mass * self.says(list(some), chat[-1]["content"])
            with np.errstate(divide="ignore"):
                found.append([np.log(np.array([share])) for share in shares])
        return found

    def write(
        self, chats: Sequence[Sequence[Message]], count: int, longest: int, seed: int
    ) -> list[list[str]]:
        generator = np.random.default_rng(seed)
        found = []
        for chat in chats:
            text = chat[-1]["content"]
            shown = labelled_options(text)
            shares = self.says([option for _, option in shown], text)
            places = generator.choice(len(shown), size=count, p=shares / shares.sum())
            found.append([shown[place][1] for place in places])
        return found


def labelled_options(text: str) -> list[tuple[str, str]]:
    """The lines "A. text" of a question, as label and text; "- text" with its place as label."""
    found = re.findall(r"^([A-Za-z0-9])[.)] (.+)$", text, flags=re.MULTILINE)
    if found:
        return found
    plain = re.findall(r"^- (.+)$", text, flags=re.MULTILINE)
    return [(str(place), option) for place, option in enumerate(plain)]


def flat() -> Impostor:
    """Every option equally often: what a random model says on average."""
    return Impostor(lambda options, _: np.full(len(options), 1 / len(options)))


def constant() -> Impostor:
    """Always the first option shown, whatever is asked."""
    return Impostor(lambda options, _: np.eye(len(options))[0])


def noise(seed: int = 0) -> Impostor:
    """Shares drawn afresh for every question asked: a model without any values."""
    generator = np.random.default_rng(seed)
    return Impostor(lambda options, _: generator.dirichlet(np.ones(len(options))))


def one_group(value_set: ValueSet) -> Impostor:
    """Who gives one group's own answers to everybody: a model that tells no group from another."""
    return people([value_set], lambda shares: shares)


def people(value_sets: Sequence[ValueSet], change: Callable[[FloatArray], FloatArray]) -> Impostor:
    """Who knows the shares of each item, for the value set named in the question.

    change: what it makes of them. `lambda shares: shares` answers as the people do; `majority`
    repeats the commonest answer. Without a persona it answers as the first value set.
    """

    def says(options: Sequence[str], question: str) -> FloatArray:
        named = [v for v in value_sets if v.description and v.description in question]
        # "people" is part of "people up north": the longest name that fits is meant.
        value_set = max(named, key=lambda v: len(v.description), default=value_sets[0])
        for distribution in value_set.distributions.values():
            item = distribution.item
            if item.question in question and set(options) <= set(item.texts):
                shares = change(distribution.shares)
                return np.array([shares[item.texts.index(option)] for option in options])
        return np.full(len(options), 1 / len(options))

    return Impostor(says)


def majority(shares: FloatArray) -> FloatArray:
    """All to the commonest answer."""
    return np.asarray(np.eye(shares.size)[shares.argmax()])
