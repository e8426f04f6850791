"""`suffrage ask` and `suffrage chat`: put questions to a model, as one group or as two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import suffrage
from suffrage.cli.options import AsJson, comma_separated, print_json, print_rich, say
from suffrage.errors import InputError
from suffrage.terminal_text import visible

if TYPE_CHECKING:
    from suffrage.library import ChatToLoad
    from suffrage.server.chat.preferences import PreferenceBox

Model = Annotated[
    str,
    typer.Argument(help="A checkpoint's folder, a model's folder, or a hub id.", metavar="MODEL"),
]
AsGroup = Annotated[
    str | None,
    typer.Option(
        "--as",
        help="The group it answers for: a value set's name, or a description. Default: itself.",
        metavar="GROUP",
    ),
]
StudyFile = Annotated[
    Path | None,
    typer.Option(
        "--study",
        help="The study whose survey says what people answered. Default: the checkpoint's own run.",
        metavar="STUDY",
    ),
]
AnswersToChoose = Annotated[
    list[str] | None,
    typer.Option(
        "--options",
        help='The answers to choose from, such as "Yes, No". Use | between answers that have '
        "commas. Not needed for a question of the survey.",
        metavar="ANSWERS",
    ),
]


def ask_command(
    model: Model,
    question: Annotated[
        str, typer.Argument(help="A question, or the id of one in the survey.", metavar="QUESTION")
    ],
    group: AsGroup = None,
    options: AnswersToChoose = None,
    unordered: Annotated[
        bool, typer.Option("--unordered", help="The answers do not form a scale.")
    ] = False,
    study: StudyFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask a checkpoint one question, in the wording it was trained on.

    Prints the share of each answer, and what people said if the survey asked it.
    Without answers to choose from, the model writes sentences.

    Example: `suffrage ask runs/quickstart/checkpoints/sft-seed7 natheal --as liberals`

    Example: `suffrage ask CHECKPOINT "Should cars be banned?" --as liberals --options "Yes, No"`
    """
    from suffrage.library import chat_to_load
    from suffrage.report.terminal_pages.interviews import interview_text

    loaded = suffrage.read_study(study) if study else None
    unloaded = chat_to_load(model, group, study=loaded)
    given = typed_answers(options or [])
    # What cannot be asked is refused before the model is loaded, which takes long.
    unloaded.questions.asked(question, given, not unordered)
    talk = _loaded(unloaded, quiet=as_json)
    answers = talk.ask(question, given, not unordered)
    if as_json:
        print_json(answers[0].as_json())
        return
    print_rich(interview_text(answers))


def chat_command(
    model: Model,
    group: AsGroup = None,
    against: Annotated[
        str | None,
        typer.Option(help="Another group, or another model.", metavar="GROUP_OR_MODEL"),
    ] = None,
    study: StudyFile = None,
    web: Annotated[bool, typer.Option("--web", help="Show a page in the browser instead.")] = False,
    port: Annotated[
        int, typer.Option(help="The page's port, with --web.", min=0, max=65535)
    ] = 8765,
    consultation: Annotated[
        str | None,
        typer.Option(
            help="A consultation's store. What you prefer is stored there.", metavar="STORE"
        ),
    ] = None,
    slug: Annotated[
        str | None, typer.Option(help="Which consultation, if the store has several.")
    ] = None,
) -> None:
    """Ask questions one after another, with two groups or two checkpoints side by side.

    Shows the distribution behind each answer, and what the survey says if it asked the question.
    With a consultation, sides have no names until you say which answer you prefer.

    Example: `suffrage chat runs/quickstart/checkpoints/sft-seed7 --as liberals --against
    conservatives --web`
    """
    if consultation is not None and against is None:
        raise InputError("--consultation stores which of two answers is better; add --against.")
    from suffrage.library import chat_to_load

    loaded = suffrage.read_study(study) if study else None
    box = _preference_box(consultation, slug) if consultation else None
    unloaded = chat_to_load(model, group, against, loaded)
    if web:
        _serve(unloaded, box, port)
    else:
        _converse(_loaded(unloaded), box)


def _serve(unloaded: ChatToLoad, box: PreferenceBox | None, port: int) -> None:
    """Show the chat as a page. Raises InputError where the port is taken, before models load."""
    from suffrage.errors import require_installed

    require_installed("fastapi", "consult", "The chat page")
    from suffrage.server.chat.chat_page import HOST, chat_app, serve_chat
    from suffrage.server.listening import open_port

    with open_port(HOST, port) as listening:
        app = chat_app(_loaded(unloaded), box)
        serve_chat(app, listening, lambda address: say(f"Chat  {address}"))


def typed_answers(given: Sequence[str]) -> tuple[str, ...]:
    """The answers to choose from: one option for each, or one for all with commas or bars."""
    if len(given) == 1:
        (text,) = given
        if "|" in text:
            return tuple(part.strip() for part in text.split("|") if part.strip())
        return comma_separated(text)
    return tuple(given)


def _loaded(unloaded: ChatToLoad, quiet: bool = False) -> suffrage.Interview:
    """Load the models, and say so with what users should know of the populations."""
    from suffrage.study.progress import note

    for line in () if quiet else unloaded.notes:
        say(line, err=True)
    note("Loading the model.", quiet)
    return unloaded.load()


def _converse(talk: suffrage.Interview, box: PreferenceBox | None) -> None:
    """Ask what is typed until an empty line or the end of the input."""
    from suffrage.report.terminal_pages.interviews import interview_text

    names = " and ".join(side.name for side in talk.sides)
    say(f"Asking {names}. An empty question ends the chat.")
    if box is not None:
        _agree(box)
    while question := _typed("\nQuestion: "):
        prompt = "Answers, separated by commas (none: a sentence): "
        given = "" if talk.find_item(question) else _typed(prompt)
        try:
            answers = talk.ask(question, typed_answers([given] if given else []))
        except InputError as error:
            typer.secho(visible(str(error)), fg="red", err=True)
            continue
        say("")
        if box is None:
            print_rich(interview_text(answers))
        else:
            _prefer(box, answers)


def _agree(box: PreferenceBox) -> None:
    """Show what is stored, and ask for consent. Raises InputError without it."""
    consent = box.consent
    for paragraph in consent.paragraphs:
        say(f"\n{paragraph}")
    say("\nDo you agree? Answer yes or no.")
    box.join(
        {name: _typed(f"{text} ").lower() in ("y", "yes") for name, text in consent.scopes.items()}
    )
    say(f"\nTo withdraw, keep this code: {box.return_code}")


def _prefer(box: PreferenceBox, answers: Sequence[suffrage.SideAnswer]) -> None:
    """Show two answers without names, store which is better, and then show all."""
    from suffrage.report.terminal_pages.interviews import interview_text

    pair = box.blind(answers)
    print_rich(interview_text(pair.hidden))
    words = {"1": "left", "2": "right", "same": "tie", "neither": "both_bad"}
    said = _typed("Which is better: 1, 2, same, neither (nothing: do not say)? ").lower()
    if said in words:
        box.store(pair, words[said])
        say("Stored.\n")
    print_rich(interview_text(answers))


def _preference_box(where: str, slug: str | None) -> PreferenceBox:
    from suffrage.errors import require_installed

    require_installed("fastapi", "consult", "A consultation's server")
    from suffrage.server.chat.preferences import open_box

    return open_box(where, slug)


def _typed(prompt: str) -> str:
    """A line that the user typed; empty at the end of the input."""
    try:
        return input(prompt).strip()
    except EOFError:
        return ""
