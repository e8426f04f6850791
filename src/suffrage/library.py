"""The library's verbs that join several packages: load, ask and audit models, find opinion groups.

Every other verb is defined where its subject is. `suffrage/__init__.py` lists them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from suffrage import registry
from suffrage.align import Checkpoint
from suffrage.align.checkpoint import MANIFEST, load_model_or_checkpoint
from suffrage.arguments import (
    FLAG,
    MAPPING,
    NOT_EMPTY,
    NOTHING,
    NUMBER,
    PATH,
    SEED,
    TEXT,
    ArgumentKind,
    instance_of,
    several,
    takes,
    written,
)
from suffrage.consult.consultation import Consultation
from suffrage.consult.groups.analysis import OpinionAnalysis, analyse, read_margins, read_people
from suffrage.consult.groups.opinion_groups import GroupSettings
from suffrage.consult.polis.conversation import Conversation, conversation_of
from suffrage.errors import InputError, did_you_mean
from suffrage.evaluate import Scoring
from suffrage.evaluate.asking.interviews import (
    Interview,
    KnownQuestions,
    Side,
    check_side_names,
    item_in_words,
    learnt_wordings,
)
from suffrage.evaluate.auditing import Audit
from suffrage.models import (
    Answerer,
    ItemProbe,
    LanguageModel,
    ModelAnswer,
    bundled,
    read_letters,
)
from suffrage.models.asking import Persona
from suffrage.models.identity import check_name, is_hub_id
from suffrage.models.local_settings import LocalModelSettings
from suffrage.population import ValueSet
from suffrage.report.audit_page import write_audit_page
from suffrage.study.commands.auditing import (
    REPORT,
    AuditedSurvey,
    asked_model,
    audit_command_line,
    check_audit_folder,
    is_reader,
    run_audit,
    surveyed_by,
    surveyed_by_study,
    take_audit_folder,
)
from suffrage.study.progress import note
from suffrage.study.schema import A_STUDY, Study, read_study
from suffrage.study.segmenting import study_value_set, with_value_sets
from suffrage.study.stages import FOLDERS
from suffrage.survey import Item
from suffrage.survey.reading import naming_keys_after
from suffrage.survey.weighting import WeightingSpec
from suffrage.training_data.answers_in_context import Answered, persona_from

if TYPE_CHECKING:
    import polars as pl

# What the verbs below take, in the words of their messages.
_NAMED_MODEL = (PATH | instance_of(Checkpoint, words="a Checkpoint")).but_say(
    "a folder, a hub id, bundled:NAME or a Checkpoint"
)
_LOADED_MODEL = ArgumentKind(
    "what load_model returned", lambda given: hasattr(type(given), "choose")
)
_POPULATION = (NOT_EMPTY | instance_of(ValueSet, Mapping, words="a value set")).but_say(
    "a population's name, a value set, answers to other questions"
)
_VOTES = instance_of(
    Conversation, Consultation, words="what read_polis or read_consultation returned"
)
_MARGINS = instance_of(WeightingSpec, words="a WeightingSpec")
_TABLE = ArgumentKind(
    "a Polars DataFrame",
    lambda given: (
        type(given).__module__.startswith("polars.") and type(given).__name__ == "DataFrame"
    ),
)
_FORMATS = ("float32", "bfloat16", "float16")
# Value sets of a run that are read for its questions; a run can have hundreds.
MOST_READ = 12


@takes(model=_NAMED_MODEL, dtype=TEXT, trust_remote_code=FLAG)
def load_model(
    model: str | Path | Checkpoint, dtype: str = "float32", trust_remote_code: bool = False
) -> LanguageModel:
    """Load a model or a checkpoint, so that it can be asked many questions.

    Parameters
    ----------
    model : str, Path or Checkpoint
        A folder that Transformers or a training of Suffrage wrote, a hub id such as
        "owner/name", or "bundled:smollm2-135m". An adapter is loaded over the model that its
        manifest names.
    dtype : {"float32", "bfloat16", "float16"}
        The number format of the weights.
    trust_remote_code : bool
        Whether to run Python code that comes with the model.

    Returns
    -------
    LanguageModel
        On the GPU where there is one.

    Raises
    ------
    InputError
        There is no such model, it is not a causal language model, an adapter has no manifest, or
        the model below it is not the one that was trained.

    Examples
    --------
    >>> load_model("tiny-model").dtype
    'float32'
    """
    if dtype not in _FORMATS:
        raise InputError(f'load_model: dtype is "{dtype}"; give {", ".join(_FORMATS)}.')
    settings = LocalModelSettings(name=str(_folder(model)), trust_remote_code=trust_remote_code)
    return load_model_or_checkpoint(settings, dtype)


@dataclass(frozen=True, eq=False)
class ItemAnswer:
    """What a model answered to one question."""

    item: Item
    # The population that the model answered for, as the question named it; None for itself.
    persona: Persona | None
    # How the answer was read: shares, the probability on the options, order sensitivity.
    reading: ModelAnswer

    @property
    def shares(self) -> dict[str, float]:
        """The share of each option by its text; they sum to 1, or are all NaN."""
        return dict(zip(self.item.texts, self.reading.shares.tolist(), strict=True))

    @property
    def refused(self) -> bool:
        """Whether too little probability was on the options for the shares to mean anything."""
        return self.reading.refused


@takes(
    model=_NAMED_MODEL | _LOADED_MODEL,
    question=instance_of(str, Item, words="a question's text or an Item"),
    options=several("a list of texts", TEXT),
    as_=_POPULATION | NOTHING,
    ordered=FLAG,
)
def ask(
    model: str | Path | Checkpoint | Answerer,
    question: str | Item,
    options: Sequence[str] = (),
    as_: str | ValueSet | Answered | None = None,
    ordered: bool = True,
) -> ItemAnswer:
    """Ask a model or a checkpoint one question, and read the distribution of its answer.

    The question has the wording that methods train on and evaluations ask. It is asked with two
    sets of labels, a scale forwards and backwards, and other options in every rotation. The
    probabilities of the labels are averaged over all of these.

    Parameters
    ----------
    model : str, Path, Checkpoint or Answerer
        A model as `load_model` takes it, or one that is loaded.
    question : str or Item
        The question's text, or a survey item with its options.
    options : sequence of str
        The texts of the answers, 2 to 26 of them; left out for an item.
    as_ : str, ValueSet or mapping, optional
        The population the model answers for, as in "Answer as people in Germany would"; a value
        set; or what the population answered to other questions, shares by option by question. The
        name of a value set that a checkpoint was trained on stands for its description there.
        A checkpoint that was trained with `in_context` describes populations by their answers.
        Default: the model answers as itself.
    ordered : bool
        Whether the options form a scale; an item says so itself.

    Returns
    -------
    ItemAnswer
        The share of each option, and how much probability was on the options at all.

    Raises
    ------
    InputError
        There is no such model, the options are missing, too many or not distinct, or the checkpoint
        knows populations by their answers only and has none of this one.

    Examples
    --------
    >>> answer = ask(
    ...     "tiny-model",
    ...     "Is enough spent on roads?",
    ...     ["Too little", "About right", "Too much"],
    ...     as_="people up north",
    ... )
    >>> list(answer.shares), round(sum(answer.shares.values()), 6)
    (['Too little', 'About right', 'Too much'], 1.0)
    """
    item = _item(question, options, ordered)
    answerer = load_model(model) if isinstance(model, str | Path | Checkpoint) else model
    persona = None if as_ is None else _persona(model, as_)
    known = _checkpoint(model) if isinstance(model, str | Path | Checkpoint) else None
    probe = ItemProbe(item, persona, known.ways if known else "all")
    (reading,) = read_letters(answerer, [probe], Scoring().lowest_mass)
    return ItemAnswer(item, persona, reading)


def _persona(
    model: str | Path | Checkpoint | Answerer, population: str | ValueSet | Answered
) -> Persona:
    """How a model is told whose answer is wanted; a checkpoint knows how it was in training."""
    if isinstance(model, str | Path | Checkpoint) and (checkpoint := _checkpoint(model)):
        return checkpoint.persona(population)
    return persona_from(population)


def _item(question: str | Item, options: Sequence[str], ordered: bool) -> Item:
    if isinstance(question, Item):
        if options:
            raise InputError("ask: an item has options of its own; leave out `options`.")
        return question
    return item_in_words(question, options, ordered)


@takes(
    model=_NAMED_MODEL,
    as_=NOT_EMPTY.but_say("a population's name") | NOTHING,
    against=_NAMED_MODEL.but_say("another population's name, another model") | NOTHING,
    study=A_STUDY | NOTHING,
)
def chat(
    model: str | Path | Checkpoint,
    as_: str | None = None,
    against: str | Path | Checkpoint | None = None,
    study: Study | None = None,
) -> Interview:
    """Prepare to ask one or two sides, and to see what their people said next to it.

    Parameters
    ----------
    model : str, Path or Checkpoint
        A model as `load_model` takes it.
    as_ : str, optional
        The population that it answers for: a value set of the checkpoint's study by name, or any
        description. Default: the model answers as itself.
    against : str, Path or Checkpoint, optional
        The other side: another population that the same model answers for, or another model that
        answers for the same population.
    study : Study, optional
        The study whose survey says what people answered. Default: the run that the checkpoint is
        in, where it is in one.

    Returns
    -------
    Interview
        `ask` puts a question to every side. Both sides share one model in memory where they can.

    Raises
    ------
    InputError
        There is no such model, both sides are the same, or the checkpoint knows populations by
        their answers only and has none of this one.

    Examples
    --------
    >>> from suffrage import read_study
    >>> study = read_study("study.yaml")
    >>> talk = chat("tiny-model", as_="north", against="south", study=study)
    >>> for answer in talk.ask("roads"):
    ...     print(answer.side, list(answer.shares), answer.survey_shares["Too little"])
    north ['Too little', 'About right', 'Too much'] 0.63...
    south ['Too little', 'About right', 'Too much'] 0.16...
    """
    return chat_to_load(model, as_, against, study).load()


def chat_to_load(
    model: str | Path | Checkpoint,
    as_: str | None = None,
    against: str | Path | Checkpoint | None = None,
    study: Study | None = None,
) -> ChatToLoad:
    """Prepare a chat up to its models, which take long to load.

    Parameters and errors are those of `chat`; models of the hub are only looked for by `load`.
    """
    items = _survey_items(_checkpoint(model), study)
    if against is None:
        return ChatToLoad([_side(model, as_, study, as_ or "the model")], items)
    if isinstance(against, Checkpoint | Path) or _names_a_model(against):
        names = [_short_name(own) for own in (model, against)]
        if names[0] == names[1]:
            names = [str(_folder(own)) for own in (model, against)]
        pairs = zip((model, against), names, strict=True)
        return ChatToLoad([_side(own, as_, study, name) for own, name in pairs], items)
    sides = [_side(model, own, study, own or "the model") for own in (as_, against)]
    return ChatToLoad(sides, items)


@dataclass(frozen=True)
class _SideToLoad:
    """A side of a chat without its model."""

    name: str
    model: str | Path | Checkpoint
    note: str
    value_set: ValueSet | None
    # Makes the side of its model.
    made: Callable[[Answerer], Side]


class ChatToLoad:
    """A chat whose sides are known and whose models are not in memory yet."""

    def __init__(self, sides: Sequence[_SideToLoad], items: Sequence[Item]) -> None:
        check_side_names([side.name for side in sides])
        self._sides, self._items = sides, items

    @property
    def questions(self) -> KnownQuestions:
        """The questions that can be named by their id."""
        answered = [i for side in self._sides if side.value_set for i in side.value_set.items]
        return KnownQuestions([*answered, *self._items])

    @property
    def notes(self) -> list[str]:
        """What users should know of the sides' populations."""
        return [side.note for side in self._sides if side.note]

    def load(self) -> Interview:
        """Load each model once. Raises InputError as `load_model` does."""
        loaded: dict[str, LanguageModel] = {}
        for side in self._sides:
            place = str(_folder(side.model))
            if place not in loaded:
                loaded[place] = load_model(side.model)
        sides = [side.made(loaded[str(_folder(side.model))]) for side in self._sides]
        return Interview(sides, self._items)


def _side(
    model: str | Path | Checkpoint, group: str | None, study: Study | None, name: str
) -> _SideToLoad:
    """One side of a chat, without its model."""
    checkpoint = _checkpoint(model)
    folder = _folder(model)
    if checkpoint is None and not (folder / "adapter_config.json").is_file():
        check_name(str(model), Path())
    value_set = None if group is None else _value_set(checkpoint, study, group)
    persona: Persona | None = None
    if group is not None:
        wanted = value_set.description if value_set is not None and checkpoint is None else group
        persona = checkpoint.persona(wanted) if checkpoint else wanted
    questions = (checkpoint.trained_questions or []) if checkpoint else []
    note = _untrained_note(checkpoint, group)

    def made(answerer: Answerer) -> Side:
        return Side(
            name=name,
            answerer=answerer,
            persona=persona,
            population=value_set.name if value_set else group or "",
            value_set=value_set,
            learnt=learnt_wordings([one["question"] for one in questions]),
            average=checkpoint.average_answers if checkpoint and group else None,
            ways=checkpoint.ways if checkpoint else "all",
            note=note,
        )

    return _SideToLoad(name, model, note, value_set, made)


def _untrained_note(checkpoint: Checkpoint | None, group: str | None) -> str:
    """What to say of a population that a checkpoint was not trained to answer for."""
    if checkpoint is None or group is None:
        return ""
    known = checkpoint.value_sets
    if group in known or group in known.values():
        return ""
    return (
        f'"{group}" is not a population that this checkpoint was trained on ({", ".join(known)}); '
        f"the name goes into the question as it is.{did_you_mean(group, known)}"
    )


def _value_set(checkpoint: Checkpoint | None, study: Study | None, group: str) -> ValueSet | None:
    """What a population answered, by its name or description; None where nobody knows.

    Of the study where one is given, or else of the run that the checkpoint is in.
    """
    if study is not None:
        named = (
            spec.name
            for spec in with_value_sets(study).value_sets
            if group in (spec.name, spec.description)
        )
        name = next(named, None)
        return study_value_set(study, name) if name else None
    if checkpoint is None:
        return None
    by_words = {words: name for name, words in checkpoint.value_sets.items()}
    folder = _kept_value_sets(checkpoint) / by_words.get(group, group)
    return ValueSet.read(folder) if (folder / "value_set.json").is_file() else None


def _kept_value_sets(checkpoint: Checkpoint) -> Path:
    """Where the run that a checkpoint is in keeps its value sets."""
    return checkpoint.folder.resolve().parent.parent / FOLDERS["value_sets"]


def _survey_items(checkpoint: Checkpoint | None, study: Study | None) -> list[Item]:
    """The questions that some populations of a study or of a checkpoint's run were asked.

    Whoever is asked, and as whom, questions can be named by their id.
    """
    if study is not None:
        first = with_value_sets(study).value_sets[0]
        return list(study_value_set(study, first.name).items)
    if checkpoint is None:
        return []
    folders = sorted(_kept_value_sets(checkpoint).glob("*/value_set.json"))[:MOST_READ]
    return [item for file in folders for item in ValueSet.read(file.parent).items]


def _checkpoint(model: str | Path | Checkpoint) -> Checkpoint | None:
    """The model as a checkpoint; None where it has no manifest of Suffrage's."""
    if isinstance(model, Checkpoint):
        return model
    folder = Path(model)
    return Checkpoint.read(folder) if (folder / MANIFEST).is_file() else None


def _folder(model: str | Path | Checkpoint) -> Path:
    return model.folder if isinstance(model, Checkpoint) else Path(model)


def _short_name(model: str | Path | Checkpoint) -> str:
    return _folder(model).name or str(model)


def _names_a_model(text: str) -> bool:
    """Whether a text names a model rather than a population."""
    return Path(text).is_dir() or text.startswith(bundled.PREFIX) or is_hub_id(text)


@takes(
    models=PATH.but_say("a model's name or folder") | several("a list of them", PATH),
    survey=instance_of(Study, words="a study")
    | PATH.but_say("the path of its file, a data file")
    | TEXT.but_say("the name of a reader"),
    by=TEXT.but_say("a demographic") | several("a list of them", TEXT),
    out=PATH,
    endpoint=TEXT.but_say("a server's address up to /v1") | NOTHING,
    key=TEXT.but_say("the name of an environment variable") | NOTHING,
    codebook=PATH | NOTHING,
    options=MAPPING.but_say('a mapping such as {"wave": 10}') | NOTHING,
    quiet=FLAG,
)
def audit_models(
    models: str | Path | Sequence[str | Path],
    survey: str | Path | Study,
    by: str | Sequence[str] = (),
    *,
    out: str | Path = "audit",
    endpoint: str | None = None,
    key: str | None = None,
    codebook: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> Audit:
    """Ask models every question of a survey as themselves, and compare them with its groups.

    Parameters
    ----------
    models : str, Path or sequence of them
        Folders, checkpoints, hub ids, YAML files with the settings of a study's `model:`, or with
        an endpoint the models as the server calls them.
    survey : str, Path or Study
        A study or its YAML file, whose value sets are the groups; a data file; or the name of a
        reader such as "gss_spending".
    by : str or sequence of str
        Demographics whose values are the groups. A study says its own groups, and the
        populations of a published table are groups.
    out : str or Path
        The folder to write: new, empty, or of the same audit, which then continues.
    endpoint : str, optional
        The address of an OpenAI-compatible server up to /v1.
    key : str, optional
        The environment variable that holds the endpoint's key.
    codebook : str or Path, optional
        The codebook of a data file.
    options : mapping, optional
        More options of the reader, such as {"wave": 10}.
    quiet : bool
        Whether to show no progress.

    Returns
    -------
    Audit
        `models` has a row for each model, with its fit to each group between the group's own floor
        and ceiling; `group_gaps` and `model_gaps` have the tested differences.

    Raises
    ------
    InputError
        The survey or a model cannot be read, a group is unknown, or `out` has something in it.

    Examples
    --------
    >>> found = audit_models("tiny-model", "town.csv", by="area", codebook="town.yaml", quiet=True)
    >>> found.models[0].name, found.models[0].asked
    ('tiny-model', 4)
    """
    named = [models] if isinstance(models, str | Path) else models
    if not named:
        raise InputError("audit_models: models is empty; give at least one model.")
    asked = dict(asked_model(str(name), endpoint, key) for name in named)
    if len(asked) < len(named):
        raise InputError("two of the models have one name; move one to a folder of another name.")
    demographics = [by] if isinstance(by, str) else list(by)
    given = {
        "by": demographics,
        "endpoint": endpoint,
        "key": key,
        "codebook": None if codebook is None else str(codebook),
        "option": [f"{name}={value}" for name, value in (options or {}).items()],
    }
    source = str(survey.source if isinstance(survey, Study) else survey)
    of_survey = {"survey": source} | {name: given[name] for name in ("by", "codebook", "option")}
    check_audit_folder(Path(out), of_survey)
    note("Reading the survey and building the groups.", quiet)
    scoring, groups = _audited_groups(survey, demographics, codebook, options or {})
    take_audit_folder(Path(out), of_survey)
    command = audit_command_line([str(name) for name in named], source, given)
    found = run_audit(asked, groups, Path(out), scoring, quiet, command)
    write_audit_page(found, Path(out) / REPORT)
    return found


def _audited_groups(
    survey: str | Path | Study,
    by: list[str],
    codebook: str | Path | None,
    options: Mapping[str, Any],
) -> tuple[Scoring | None, AuditedSurvey]:
    """The groups, and how a study says that answers are read; None without a study."""
    is_study_file = Path(str(survey)).suffix.lower() in (".yaml", ".yml")
    if isinstance(survey, Study) or is_study_file:
        if by or codebook or options:
            raise InputError(
                f"{written('by')}, {written('codebook')} and {written('options', '--option')} go "
                "with a data file or a reader; the study says its own groups."
            )
        study = survey if isinstance(survey, Study) else read_study(survey)
        return study.scoring, surveyed_by_study(study)
    if is_reader(str(survey)):
        with naming_keys_after(f"{written('survey')} {survey}"):
            return None, surveyed_by({"reader": str(survey), **options}, by)
    if not Path(survey).is_file():
        raise InputError(
            f"{written('survey')} {survey}: no such file, and no such reader; name a study, a data "
            "file or one of the readers in docs/surveys.md."
            f"{did_you_mean(str(survey), registry.names('readers'))}"
        )
    section = {"reader": "labelled_file", "path": str(survey), **options}
    if codebook is not None:
        section["codebook"] = str(codebook)
    if "codebook" not in section:
        raise InputError(
            f"{written('survey')} {survey}: a data file needs {written('codebook')}; "
            "`suffrage init` drafts one."
        )
    with naming_keys_after(f"{written('survey')} {survey}"):
        return None, surveyed_by(section, by)


@takes(
    votes=_VOTES,
    groups=NUMBER | NOTHING,
    moderated=TEXT.but_say('"drop" or "zero"'),
    strict=FLAG,
    resamples=NUMBER,
    seed=SEED,
    people=PATH | _TABLE | NOTHING,
    margins=PATH | _MARGINS | NOTHING,
)
def find_opinion_groups(
    votes: Conversation | Consultation,
    groups: int | None = None,
    moderated: Literal["drop", "zero"] = "drop",
    strict: bool = False,
    resamples: int = 50,
    seed: int = 0,
    people: str | Path | pl.DataFrame | None = None,
    margins: str | Path | WeightingSpec | None = None,
) -> OpinionAnalysis:
    """Find groups of people who vote alike: what marks each, what all agree on, how stable it is.

    Parameters
    ----------
    votes : Conversation or Consultation
        What `read_polis` or `read_consultation` read.
    groups : int, optional
        How many groups, 2 or more. Default: the number that is most stable.
    moderated : {"drop", "zero"}
        What becomes of statements moderated out: dropped, or zeroed as Polis does.
    strict : bool
        Whether statements that nobody has moderated are left out too.
    resamples : int
        How many resamples measure how stable the groups are.
    seed : int
        The seed of every random draw.
    people : Path or data frame, optional
        Demographics: a column `participant` and one column a demographic. Needs `margins`.
    margins : Path or WeightingSpec, optional
        The population's shares, to weight the participants to. Needs `people`.

    Returns
    -------
    OpinionAnalysis
        The groups, their stability, and each statement's support with intervals.

    Raises
    ------
    InputError
        There are too few votes, a setting is out of range, or `people` comes without `margins`.

    References
    ----------
    Small, Bjorkegren, Erkkila, Shaw and Megill (2021), Polis: scaling deliberation by mapping high
    dimensional opinion spaces, Recerca 26(2).

    Examples
    --------
    >>> from suffrage import read_polis
    >>> found = find_opinion_groups(read_polis("polis-export"), resamples=5)
    >>> found.groups.sizes.tolist()
    [64, 52]
    """
    conversation = votes if isinstance(votes, Conversation) else conversation_of(votes)
    return analyse(
        conversation,
        GroupSettings(groups=groups, moderated=moderated, seed=seed),
        strict,
        resamples,
        read_people(Path(people)) if isinstance(people, str | Path) else people,
        read_margins(Path(margins)) if isinstance(margins, str | Path) else margins,
    )
