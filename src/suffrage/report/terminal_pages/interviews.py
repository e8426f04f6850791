"""What `suffrage ask` and `suffrage chat` print: the sides' answers, and what people said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suffrage.evaluate.asking.interviews import SideAnswer
from suffrage.plain_table import PlainTable
from suffrage.plurals import plural
from suffrage.report.numbers import number, percent

# Characters of the longest bar.
BAR = 12


def interview_text(answers: Sequence[SideAnswer]) -> Any:
    """A question's answers as a table with a column a side, and what should be known of them."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [Text(answers[0].question, style="bold"), Text("")]
    parts.append(_options_table(answers) if answers[0].item else _sentences(answers))
    notes = interview_notes(answers)
    if notes:
        parts += [Text(""), *(Text(note, style="dim") for note in notes)]
    return Group(*parts)


def _options_table(answers: Sequence[SideAnswer]) -> PlainTable:
    table = PlainTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("Answer", overflow="fold")
    for answer in answers:
        table.add_column(answer.side, no_wrap=True)
        if answer.survey is not None:
            table.add_column("people", no_wrap=True)
    for place, text in enumerate(answers[0].shares):
        cells = [text]
        for answer in answers:
            share = answer.shares[text]
            cells.append(f"{percent(share):>5} {share_bar(share)}")
            if answer.survey is not None:
                cells.append(people_share(answer, place))
        table.add_row(*cells)
    return table


def share_bar(share: float) -> str:
    """A share as a bar of characters; empty where it could not be read."""
    return "█" * round(BAR * share) if share == share else ""


def people_share(answer: SideAnswer, place: int) -> str:
    """How many of the side's people chose an option, with the interval where one is known."""
    if answer.survey is None:
        return ""
    text = percent(float(answer.survey.shares[place]))
    if answer.survey_interval is None:
        return text
    low, high = (float(end[place]) for end in answer.survey_interval)
    if low != low:
        return text
    return f"{text} ({number(100 * low, 0)} to {number(100 * high, 0)})"


def _sentences(answers: Sequence[SideAnswer]) -> Any:
    from rich.text import Text

    lines: list[str] = []
    for answer in answers:
        lines.append(f"{answer.side}, {len(answer.written)} sentences drawn:")
        lines += [f"  {percent(share):>5}  {text}" for text, share in answer.shares.items()]
        lines.append("")
    return Text("\n".join(lines[:-1]))


def interview_notes(answers: Sequence[SideAnswer]) -> list[str]:
    """Sentences on how the answers were read and what is known of the question."""
    notes = []
    refusing = [answer.side for answer in answers if answer.refused]
    if refusing:
        notes.append(
            f"{' and '.join(refusing)}: these answers have too little probability, so the shares "
            "mean little."
        )
    if any(answer.trained_on for answer in answers):
        notes.append("The checkpoint was trained on people's answers to this question.")
    if any(answer.survey is not None for answer in answers):
        notes.append(f"People: what the survey says, with 95% intervals.{_answered_by(answers)}")
    elif answers[0].item is not None:
        notes.append("No survey at hand has these people's answers to this question.")
    return notes


def _answered_by(answers: Sequence[SideAnswer]) -> str:
    """How many people answered the question, of each side where the sides have different people."""
    asked = {answer.side: answer.survey for answer in answers if answer.survey is not None}
    first = next(iter(asked.values()))
    if not all(one.n for one in asked.values()):
        return ""
    if all(one == first for one in asked.values()):
        return f" {plural(first.n, 'person')} answered it."
    listed = " and ".join(f"{one.n} ({side})" for side, one in asked.items())
    return f" It has answers of {listed} people."
