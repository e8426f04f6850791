"""How an item is put to a model: the wording, the order of options, their labels, the persona."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from suffrage.survey import Item

Message = dict[str, str]


class DescribedPersona(Protocol):
    """A population that questions introduce, instead of only naming it at their end."""

    @property
    def words(self) -> str:
        """What a question calls it, to fit "Answer as ... would."."""
        ...

    def introduction(self, item: Item | None) -> str:
        """What stands before a question about an item; None for a prompt about no item."""
        ...


# As whom a model answers: the name as `ValueSet.description` has it, or a description.
Persona = str | DescribedPersona


def persona_words(persona: Persona) -> str:
    """What a question calls a population, to fit "Answer as ... would."."""
    return persona if isinstance(persona, str) else persona.words


def introduced(text: str, persona: Persona | None, item: Item | None) -> str:
    """A question with what introduces its population, if anything does.

    The introduction comes first, so that all questions to one population share it: it is longer
    than a question, and packed rows compute it once.
    """
    if persona is None or isinstance(persona, str):
        return text
    return f"{persona.introduction(item)}\n\n{text}"


# Two sets, so that a preference for one letter or one number does not pass for an opinion.
LABEL_SETS: dict[str, str] = {
    "letters": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "numbers": "123456789",
    "small_letters": "abcdefghijklmnopqrstuvwxyz",
}


def label_sets(option_count: int) -> list[tuple[str, ...]]:
    """Two label sets with a one-character label for each option.

    Parameters
    ----------
    option_count : int
        Up to 26.

    Returns
    -------
    list of tuple of str
        Capital letters; and numbers, or small letters where there are more than nine options.

    Raises
    ------
    ValueError
        There are more than 26 options.

    Examples
    --------
    >>> label_sets(3)
    [('A', 'B', 'C'), ('1', '2', '3')]
    """
    if option_count > 26:
        raise ValueError(f"{option_count} options are more than there are one-letter labels")
    names = ("letters", "numbers" if option_count <= 9 else "small_letters")
    return [tuple(LABEL_SETS[name][:option_count]) for name in names]


def option_orders(item: Item) -> list[tuple[int, ...]]:
    """The orders in which an item's options are shown, to be averaged over.

    A scale is shown forwards and backwards, as in questionnaires. Nominal options are shown in
    every rotation, so that each comes at each place once.

    Returns
    -------
    list of tuple of int
        Positions in the item's own order, from top to bottom.
    """
    forwards = tuple(range(len(item.options)))
    if item.ordered:
        return [forwards, forwards[::-1]]
    return [forwards[i:] + forwards[:i] for i in forwards]


# How a person would put an answer; the words around it say nothing for or against it.
SENTENCES = (
    'I would say "{}".',
    'My answer is "{}".',
    'For me it is "{}".',
    '"{}" is how I see it.',
)


def open_question(item: Item, persona: Persona | None) -> str:
    """The question of an item without its options, to be answered in a sentence."""
    who = persona_words(persona) if persona else "you"
    text = f"{item.question}\n\nSay in one sentence what {who} would answer."
    return introduced(text, persona, item)


def persona_prompt(prompt: str, persona: Persona | None) -> str:
    r"""A prompt, and as whom to answer it; None asks the model as itself.

    Examples
    --------
    >>> persona_prompt("Should cars be banned?", "people in the north")
    'Should cars be banned?\n\nAnswer as people in the north would.'
    """
    if persona is None:
        return prompt
    return introduced(f"{prompt}\n\nAnswer as {persona_words(persona)} would.", persona, None)


def sentences(item: Item, style: int) -> tuple[str, ...]:
    """Each option as a person would say it, all in the style that `SENTENCES` has at this place."""
    return tuple(SENTENCES[style].format(text) for text in item.texts)


@dataclass(frozen=True)
class Question:
    """One way of asking one item with its options."""

    item: Item
    # The population that the model answers for, or None.
    persona: Persona | None
    # Positions in the item's own order, as shown from top to bottom.
    order: tuple[int, ...]
    # One a shown option, from top to bottom; empty for a question without labels.
    labels: tuple[str, ...] = ()

    @property
    def label_of_position(self) -> tuple[str, ...]:
        """The label of each option in the item's own order."""
        shown_at = {position: place for place, position in enumerate(self.order)}
        return tuple(self.labels[shown_at[position]] for position in range(len(self.order)))

    @property
    def user_text(self) -> str:
        """The item, its options, and as whom to answer what.

        The name of a population comes last: the text before it is then the same for every
        population, and packed rows compute it once for all of them. Only a long description comes
        first, see `introduced`.
        """
        texts = [self.item.options[position].text for position in self.order]
        if self.labels:
            shown = "\n".join(
                f"{label}. {text}" for label, text in zip(self.labels, texts, strict=True)
            )
            wanted = f"with the {'number' if self.labels[0].isdigit() else 'letter'} of one option"
        else:
            shown = "\n".join(f"- {text}" for text in texts)
            wanted = "with one of these options"
        who = f", as {persona_words(self.persona)} would" if self.persona else ""
        text = f"{self.item.question}\n\n{shown}\n\nAnswer {wanted}{who}."
        return introduced(text, self.persona, self.item)

    @property
    def messages(self) -> list[Message]:
        """The question in chat form."""
        return [{"role": "user", "content": self.user_text}]


# all: every order of the options with every label set, so that no place and no label is favoured.
# questionnaire: the order in which people saw the options, under capital letters.
Ways = Literal["all", "questionnaire"]


def ways_of_asking(item: Item, persona: Persona | None, ways: Ways = "all") -> list[Question]:
    """Every order of an item's options with every label set, or the questionnaire's order alone.

    Parameters
    ----------
    item : Item
    persona : str, DescribedPersona or None
        The population that the model answers for, or None to ask it as itself.
    ways : str
        "all", or "questionnaire" for one way alone.
    """
    labels, orders = label_sets(len(item.options)), option_orders(item)
    if ways == "questionnaire":
        labels, orders = labels[:1], orders[:1]
    return [Question(item, persona, order, names) for names in labels for order in orders]
