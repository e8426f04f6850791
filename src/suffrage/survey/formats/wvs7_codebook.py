"""The codebook of the World Values Survey, wave 7, in WorldValuesBench's format.

Two JSON files: the codebook (question and choices of each variable) and, optionally, the question
metadata (the full text, topic and kind of each question).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from suffrage import storage
from suffrage.errors import InputError
from suffrage.settings import keys_of
from suffrage.survey.codebook import Item, NonResponse, Option
from suffrage.survey.codes import plain_code

_Described = TypeVar("_Described", bound=BaseModel)

# Kinds go by the code: the codebook spells each in many ways ("Missing;Unknown"...).
NON_RESPONSE = {
    **{str(int(kind)): kind for kind in NonResponse},
    "-999": NonResponse.MISSING,
}
# Interview number that several rows of version 5 of the file share; WorldValuesBench leaves it out.
REPEATED_INTERVIEW = "858069901"
# Answers that are no point of their question's scale: the question did not apply to the person.
NOT_APPLICABLE = {"Q221": "4", "Q222": "4", "Q254": "5"}
# Questions whose codes are not in the order of their scale.
SCALE_ORDER = {"Q56": ("1", "3", "2"), "Q119": ("1", "2", "0", "3", "4")}
# Questions whose options are no scale: quiz questions, ranked aims, an "other answer".
NOMINAL = {"Q42", "Q91", "Q92", "Q93", "Q111", *(f"Q{number}" for number in range(152, 158))}


class VariableEntry(BaseModel):
    """One variable of the codebook."""

    model_config = ConfigDict(frozen=True)

    question: str
    choices: dict[str, str] = {}

    def answers(self) -> list[tuple[str, str]]:
        """Code and text of each choice that is no non-response, by code."""
        found = [(plain_code(code), _clean(text)) for code, text in self.choices.items()]
        if not all(re.fullmatch(r"-?\d+", code) for code, _ in found):
            return []
        return sorted((pair for pair in found if int(pair[0]) >= 0), key=lambda pair: int(pair[0]))

    def labels(self) -> dict[str, str | None]:
        """Code to label, None for non-response."""
        return {
            plain_code(code): None if code.startswith("-") else _clean(text)
            for code, text in self.choices.items()
        }


class QuestionText(BaseModel):
    """What the question metadata says of one variable."""

    model_config = ConfigDict(frozen=True)

    question: str
    category: str | None = None
    use_case: str = "value"
    answer_data_type: str = "ordinal"


def variables(path: Path, kind: type[_Described]) -> dict[str, _Described]:
    """A JSON mapping from variable to what `kind` describes."""
    content = storage.read_json(path)
    try:
        return TypeAdapter(dict[str, kind]).validate_python(content)  # type: ignore[valid-type]
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in keys_of(problem, content)) or "the file"
        raise InputError(
            f"{path.name}: {where}: {problem['msg'].lower()}; the file must map each variable to "
            "an object in WorldValuesBench's format, such as "
            '{"Q1": {"question": "...", "choices": {"1": "..."}}}.'
        ) from error


def build_items(
    item_ids: Sequence[str],
    entries: Mapping[str, VariableEntry],
    questions: Mapping[str, QuestionText],
) -> tuple[Item, ...]:
    """The items in the order given, with full question texts and topics where metadata has them.

    battery: the stem before ": " in the codebook, of items that share it and their options' codes.
    """
    stems = {
        item_id: (stem, tuple(code for code, _ in entries[item_id].answers()))
        for item_id in item_ids
        if (stem := _stem(entries[item_id].question))
    }
    shared = list(stems.values())
    items = []
    for item_id in item_ids:
        about, entry, group = questions.get(item_id), entries[item_id], stems.get(item_id)
        items.append(
            Item(
                id=item_id,
                question=question_text(about.question if about else entry.question),
                options=item_options(item_id, entry, about),
                ordered=item_id not in NOMINAL,
                topic=about.category if about else None,
                battery=group[0] if group and shared.count(group) > 1 else None,
            )
        )
    return tuple(items)


def item_options(
    item_id: str, entry: VariableEntry, about: QuestionText | None
) -> tuple[Option, ...]:
    """The options of a variable in the order of its scale; none when it has no coded answers."""
    answers = [pair for pair in entry.answers() if pair[0] != NOT_APPLICABLE.get(item_id)]
    order = SCALE_ORDER.get(item_id, ())
    if {code for code, _ in answers} == set(order):
        answers.sort(key=lambda pair: order.index(pair[0]))
    return scale_options(answers, _scale_ends(about.question) if about else {})


def scale_options(
    answers: Sequence[tuple[str, str]], ends: Mapping[str, str] | None = None
) -> tuple[Option, ...]:
    """Options from codes and texts.

    A point that the codebook names by its number alone keeps the number, and the named ends carry
    theirs too: "1 (Completely disagree)", "2", ... ends: names for ends that have a number alone.
    """
    named = [
        (code, (ends or {}).get(code, text) if text == code else text) for code, text in answers
    ]
    numbered = any(text == code for code, text in named)
    return tuple(
        Option(code=code, text=f"{code} ({text})" if numbered and text != code else text)
        for code, text in named
    )


_SCALE = re.compile(
    r"^On a scale of -?\d+ to -?\d+,\s*(?:with\s+)?(-?\d+) meaning '(.*?)' and (-?\d+) meaning "
    r"'(.*?)',\s*(?=[a-z\"])",
    re.IGNORECASE,
)


def _scale_ends(text: str) -> dict[str, str]:
    found = _SCALE.match(_clean(text))
    return {found[1]: found[2], found[3]: found[4]} if found else {}


def question_text(text: str) -> str:
    """The question as a person would be asked it.

    "On a scale of 1 to 4, 1 meaning 'x' and 4 meaning 'y', how..." becomes "How...", since our own
    labels carry the scale, and a statement to judge is in quotes, without the question mark.
    """
    plain = _SCALE.sub("", _clean(text)).replace("statement at it", "statement as it")
    plain = plain[:1].upper() + plain[1:]
    lead, colon, statement = plain.partition(": ")
    if colon and "statement" in lead:
        stripped = statement.strip('"?. ')
        return f'{lead}: "{stripped[:1].upper()}{stripped[1:]}."'
    return plain


def _stem(question: str) -> str | None:
    stem, colon, _ = _clean(question).partition(": ")
    return stem if colon else None


def _clean(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub("[´’`]", "'", text)).strip()


def non_response(item_id: str) -> dict[str, NonResponse]:
    """Every code of a variable that is no answer, and its kind."""
    kinds = dict(NON_RESPONSE)
    if item_id in NOT_APPLICABLE:
        kinds[NOT_APPLICABLE[item_id]] = NonResponse.NOT_APPLICABLE
    return kinds
