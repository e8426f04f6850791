"""`Study`: a declared experiment, as `study.yaml` says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from suffrage import registry, settings
from suffrage.align import Method, MethodOptions
from suffrage.align.combined import COMBINED, SURVEY
from suffrage.arguments import PATH, instance_of, takes
from suffrage.errors import InputError, did_you_mean, naming_file, near_files
from suffrage.evaluate import Evaluation, EvaluationOptions, Scoring
from suffrage.models.endpoint_settings import EndpointSettings, check_no_secrets
from suffrage.models.local_settings import LocalModelSettings
from suffrage.population.segments import SegmentSettings
from suffrage.survey import NonResponse, Survey, read_survey
from suffrage.survey.non_response import with_non_response_as_options
from suffrage.survey.published_table import PublishedTable
from suffrage.survey.reading import read_survey_or_table, reads_respondents, survey_files
from suffrage.survey.weighting import Representativeness, WeightingSpec, weighted
from suffrage.training_data import HeldOut
from suffrage.training_data.answers_in_context import InContextSettings
from suffrage.training_data.constitution import FROM_CONSULTATION
from suffrage.training_data.consultation_source import ConsultationSpec
from suffrage.training_data.records import Source

# How errors about a source begin where they are about the study, and not about the source's file.
OWN_KEYS_OF_A_SOURCE = ("survey", "weights", "non_response_as_options")
# What a study has that its file does not say.
FILLED_IN = {"each", "source", "text"}
_RESERVED = ("uniform", "average", "nearest", "others", "similar_others", "ceiling", "all")


class SourceSpec(BaseModel):
    """One survey or published table of a study."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="", pattern=rf"{settings.NAME}|^$")
    """What value sets and item ids call it; empty where a study has one source only."""
    section: dict[str, Any]
    """The reader, and what the reader is told."""

    @property
    def prefix(self) -> str:
        """What is put before the ids of its items."""
        return f"{self.name}:" if self.name else ""


class ValueSetSpec(BaseModel):
    """One population."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=settings.NAME)
    """What the study and its report call it."""
    where: dict[str, Any] = Field(default_factory=dict)
    """Which respondents belong to it, by demographic: a value, a list of values, or
    {min: 18, max: 29}."""
    of: str | None = None
    """Another value set that this one is a part of. Its conditions hold here as well, and a small
    group is drawn toward it."""
    description: str | None = None
    """How prompts name the population, to fit "Answer as ... would."."""
    parent: dict[str, Any] = Field(default_factory=dict)
    """The conditions of the population that a small group is drawn toward; filled in from `of`."""
    segments: SegmentSettings | None = None
    """Find segments of this population, each a value set of its own: how many, "auto", or
    settings."""
    segment: tuple[str, int] | None = None
    """The folder of the segments and which of them this is; filled in for each of them."""
    source: str | None = None
    """The source whose respondents or populations it is made of; not needed where there is one."""
    population: str | None = None
    """A population of a published table, as the table names it."""
    sources: dict[str, str | dict[str, Any]] = Field(default_factory=dict)
    """Several sources of one population: to each source's name a population of its table, or the
    conditions that its respondents meet."""
    train: bool = True
    """False for a population that models are asked about and never trained on, to see whether a
    model that learnt from others reaches it."""

    @field_validator("segments", mode="before")
    @classmethod
    def _number_or_settings(cls, given: Any) -> Any:
        return {"classes": given} if isinstance(given, int | str) else given


class EachSpec(BaseModel):
    """Value sets for all populations of the study's sources at once: `value_sets: {each: ...}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    each: str
    """A demographic of respondents, such as "country". Every population of a published table
    counts, whatever this says. Populations of one name in several sources are one value set."""
    description: str | None = None
    """How prompts name each, with its name for `{name}`; by default as its source does."""
    least_items: int = Field(default=5, ge=1)
    """Populations with answers to fewer items are left out, and the command says which."""
    only: tuple[str, ...] = ()
    """Only these populations; default: all."""


class Price(BaseModel):
    """What an hour of this machine costs, for the report's cost table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_hour: float = Field(ge=0)
    """The cost of an hour."""
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    """The currency's three letters."""


class MethodSpec(BaseModel):
    """One entry of `methods`."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    method: Method
    options: MethodOptions
    """What the method itself understands."""
    start: str | None = None
    """The method whose checkpoint this one starts from (`from:` in the file)."""
    checkpoint: str | None = None
    """The folder of another study's checkpoint that it starts from (also `from:` in the file)."""
    records: Source = "survey"
    """Where its records come from: the survey, or a consultation's comparisons, reactions or
    votes."""
    without: tuple[str, str] | None = None
    """Of an ablation: the complete entry, and the signal of it that this one does not have."""

    @property
    def uses_consultation(self) -> bool:
        """Whether it learns anything from the study's consultation."""
        own = getattr(self.options, "constitution", None) == FROM_CONSULTATION
        return own or self.records != "survey"

    @property
    def label(self) -> str:
        """The method's label, with the entry's own name where it has one."""
        label, _ = self._described
        return label if self.name == self.method.name else f"{label} ({self.name})"

    @property
    def _described(self) -> tuple[str, str]:
        """The label and explanation of the method, or those that its options call for."""
        own: tuple[str, str] | None = getattr(self.options, "described", None)
        return own or (self.method.label, self.method.explanation)

    @property
    def explanation(self) -> str:
        """The method's explanation, and how it describes populations where it does."""
        _, explanation = self._described
        described: InContextSettings | None = getattr(self.options, "in_context", None)
        if described is None:
            return explanation
        where = "next to their name" if described.name else "instead of a name"
        return (
            f"{explanation} The prompt shows {described.answers} of a population's "
            f"answers to other questions, {where}."
        )


class EvaluationSpec(BaseModel):
    """One entry of `evaluate`."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    evaluation: Evaluation
    options: EvaluationOptions
    """What the evaluation itself understands."""

    @property
    def name(self) -> str:
        """The evaluation's name; a study has each evaluation once."""
        return self.evaluation.name


class Study(settings.MadeInPython):
    """A study. Paths in it are relative to its file."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    study: str = Field(pattern=settings.NAME)
    title: str | None = None
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(7,), min_length=1)
    survey: tuple[SourceSpec, ...] = Field(min_length=1)
    weights: WeightingSpec | None = None
    non_response_as_options: tuple[NonResponse, ...] = ()
    value_sets: tuple[ValueSetSpec, ...]
    each: EachSpec | None = None
    """Filled in from `value_sets: {each: ...}`; its value sets are found when sources are read."""
    held_out: HeldOut
    calibrate: bool | float = False
    """Whether to choose how much of each method to mix with the average answer. A share holds so
    many of the questions to train on back from every method to choose on; true chooses on what
    methods hold back by themselves (`validation`)."""
    consultation: ConsultationSpec | None = None
    model: str | LocalModelSettings | EndpointSettings
    methods: tuple[MethodSpec, ...] = Field(min_length=1)
    evaluate: tuple[EvaluationSpec, ...] = Field(min_length=1)
    scoring: Scoring = Scoring()
    tune: dict[str, Any] = Field(default_factory=dict)
    """What `suffrage tune` tries: values by option of a method, see `study.trials`."""
    price: Price | None = None
    output: Path
    source: Path
    text: str

    @model_validator(mode="before")
    @classmethod
    def _one_seed_or_many(cls, content: Any) -> Any:
        if isinstance(content, dict) and "seed" in content:
            if "seeds" in content:
                raise ValueError("give seed or seeds, not both")
            content = {**content, "seeds": [content["seed"]]}
            del content["seed"]
        return content

    @field_validator("survey", mode="before")
    @classmethod
    def _one_source_or_many(cls, given: Any) -> Any:
        if isinstance(given, dict):
            return ({"section": given},)
        if not isinstance(given, list):
            raise ValueError("must be a reader with its keys, or a list of them, each with a name")
        found = []
        for entry in given:
            if not isinstance(entry, dict) or "name" not in entry:
                raise ValueError("each of several sources needs a name, such as name: wvs")
            section = {key: value for key, value in entry.items() if key != "name"}
            found.append({"name": entry["name"], "section": section})
        return tuple(found)

    @model_validator(mode="before")
    @classmethod
    def _each_population(cls, content: Any) -> Any:
        if isinstance(content, dict) and isinstance(content.get("value_sets"), dict):
            return {**content, "each": content["value_sets"], "value_sets": ()}
        return content

    @model_validator(mode="after")
    def _value_sets_have_sources(self) -> Study:
        if not self.value_sets and self.each is None:
            raise ValueError("value_sets: must name at least one population, or {each: ...}")
        names = [source.name for source in self.survey]
        for spec in self.value_sets:
            given = [key for key in ("population", "sources") if getattr(spec, key)]
            if (given and spec.where) or len(given) > 1 or (spec.sources and spec.source):
                raise ValueError(
                    f"value_sets: {spec.name}: give one of where, population and sources"
                )
            for source in (*spec.sources, *([spec.source] if spec.source else [])):
                if source not in names:
                    raise ValueError(
                        f"value_sets: {spec.name}: there is no source {source!r}; there are "
                        f"{', '.join(names)}.{did_you_mean(source, names)}"
                    )
        return self

    @field_validator("calibrate", mode="before")
    @classmethod
    def _share_to_calibrate_on(cls, given: Any) -> Any:
        if isinstance(given, bool) or (isinstance(given, int | float) and 0 < given < 0.5):
            return given
        raise ValueError("must be true, or a share of the questions above 0 and below 0.5")

    @model_validator(mode="after")
    def _calibrates_on_something(self) -> Study:
        if self.calibrate is True and not any(
            getattr(spec.options, "validation", 0) for spec in self.methods
        ):
            raise ValueError(
                "calibrate: true chooses on questions that a method holds back, and none has "
                "validation: SHARE; give one, or say calibrate: 0.1 to hold questions back from "
                "all methods"
            )
        return self

    @field_validator("non_response_as_options", mode="before")
    @classmethod
    def _kinds(cls, words: Any) -> Any:
        if not isinstance(words, list):
            raise ValueError('must be a list, such as ["don\'t know"]')
        return tuple(NonResponse.parse(str(word)) for word in words)

    @field_validator("seeds", "survey", "value_sets", "methods", "evaluate")
    @classmethod
    def _each_once(cls, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [getattr(entry, "name", entry) for entry in entries]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} appears twice; give one of them another name")
        return entries

    @field_validator("methods")
    @classmethod
    def _starts_come_before(cls, specs: tuple[MethodSpec, ...]) -> tuple[MethodSpec, ...]:
        trained: dict[str, MethodSpec] = {}
        for spec in specs:
            if spec.checkpoint is not None and spec.method.load:
                raise ValueError(
                    f"{spec.name}: from: {spec.name} trains no language model, so that it starts "
                    "from nothing; say the checkpoint under model:"
                )
            if spec.start is not None:
                if spec.method.train is None:
                    raise ValueError(
                        f"{spec.name}: from: is for methods that are trained; one that is not can "
                        "name another study's checkpoint by its folder, such as ./FOLDER"
                    )
                if spec.start not in trained:
                    raise ValueError(
                        f"{spec.name}: from: {spec.start!r} is no trained method above it; there "
                        f"are {', '.join(trained) or 'none'} (a folder is written ./{spec.start})."
                        f"{did_you_mean(spec.start, trained)}"
                    )
                if spec.method.load or trained[spec.start].method.load:
                    shares = spec if spec.method.load else trained[spec.start]
                    raise ValueError(
                        f"{spec.name}: from: {shares.name} trains no language model, so nothing "
                        "can start from it and it starts from nothing"
                    )
                own, other = spec.options, trained[spec.start].options
                if getattr(own, "together", True) and not getattr(other, "together", True):
                    raise ValueError(
                        f"{spec.name}: from: {spec.start!r} has a checkpoint for each value set; "
                        "say together: false here too"
                    )
            if spec.method.train is not None:
                trained[spec.name] = spec
        return specs

    @field_validator("value_sets")
    @classmethod
    def _parts_of_others(cls, specs: tuple[ValueSetSpec, ...]) -> tuple[ValueSetSpec, ...]:
        whole: dict[str, ValueSetSpec] = {}
        for spec in specs:
            if spec.parent or spec.segment:
                key = "parent is not a key; say of: NAME"
                raise ValueError(f"{spec.name}: {key}")
            if spec.of is not None:
                if spec.of not in whole:
                    raise ValueError(
                        f"{spec.name}: of: {spec.of!r} is no value set above it; there are "
                        f"{', '.join(whole) or 'none'}.{did_you_mean(spec.of, whole)}"
                    )
                above = whole[spec.of].where
                twice = sorted(set(above) & set(spec.where))
                if twice:
                    raise ValueError(
                        f"{spec.name}: {twice[0]} is in its where and in that of {spec.of}"
                    )
                update = {"where": {**above, **spec.where}, "parent": dict(above)}
                spec = spec.model_copy(update=update)
            whole[spec.name] = spec
        return tuple(whole.values())

    @model_validator(mode="after")
    def _left_out_groups_can_be_asked(self) -> Study:
        if not self.left_out:
            return self
        if self.value_sets and len(self.left_out) == len(self.value_sets):
            raise ValueError("value_sets: train: false is in all of them; one must be trained on")
        for spec in self.methods:
            if spec.method.train is not None and not getattr(spec.options, "together", True):
                raise ValueError(
                    f"methods: {spec.name}: together: false makes one model for each value set, "
                    f"and none for {self.left_out[0]} (train: false); leave out one of the two"
                )
        return self

    @model_validator(mode="after")
    def _consultations_are_named(self) -> Study:
        for spec in self.methods:
            if spec.uses_consultation and self.consultation is None:
                raise ValueError(
                    f"methods: {spec.name} learns from a consultation, and the study has none; add "
                    "consultation: {folder: ...}"
                )
        return self

    @model_validator(mode="after")
    def _evaluations_have_a_consultation(self) -> Study:
        for spec in self.evaluate:
            if not spec.evaluation.needs_consultation:
                continue
            if self.consultation is None:
                raise ValueError(
                    f"evaluate: {spec.name} needs a consultation, and the study has none; add "
                    "consultation: {folder: ..., held_out_statements: 0.25}"
                )
            for name in ("held_out", "held_out_statements"):
                if not getattr(self.consultation, name):
                    raise ValueError(
                        f"evaluate: {spec.name} compares with what is held out; say "
                        f"consultation.{name}, such as 0.25"
                    )
        return self

    @model_validator(mode="after")
    def _value_sets_without_participants_exist(self) -> Study:
        names = [spec.name for spec in self.value_sets]
        for name in self.consultation.without if self.consultation else ():
            if name not in names:
                raise ValueError(
                    f"consultation.without: there is no value set {name!r}; there are "
                    f"{', '.join(names)}.{did_you_mean(name, names)}"
                )
        return self

    @model_validator(mode="after")
    def _endpoints_are_asked_only(self) -> Study:
        if not isinstance(self.model, EndpointSettings):
            return self
        for spec in self.methods:
            if spec.method.train is not None:
                raise ValueError(
                    f"methods: {spec.name} trains a model, and one behind an endpoint can only be "
                    "asked; leave it out, or give model: a folder or hub id"
                )
            if spec.checkpoint is not None:
                raise ValueError(
                    f"methods: {spec.name}: from: a checkpoint runs here, and this study's model "
                    "is behind an endpoint; leave it out, or give model: a folder or hub id"
                )
        if "dtype" in self.scoring.model_fields_set:
            raise ValueError(
                "scoring.dtype is for models that run here; the endpoint's server decides its own"
            )
        return self

    @property
    def left_out(self) -> tuple[str, ...]:
        """The value sets no model is trained on."""
        return tuple(spec.name for spec in self.value_sets if not spec.train)

    @property
    def folder(self) -> Path:
        """The folder relative paths start from."""
        return self.source.parent

    @property
    def endpoint(self) -> EndpointSettings | None:
        """The address the model is behind, None for one that runs here."""
        return self.model if isinstance(self.model, EndpointSettings) else None

    @property
    def calibration_share(self) -> float:
        """The share of the questions to train on that is held back from every method."""
        return 0.0 if isinstance(self.calibrate, bool) else self.calibrate

    @property
    def trains(self) -> bool:
        """Whether any method is trained."""
        return any(spec.method.train is not None for spec in self.methods)


def study_survey(study: Study) -> Survey:
    """The study's respondents, with non-response as options and raked to targets where it says so.

    Raises InputError on whatever is wrong with the file or the targets, and where the study has
    respondents of several sources, or none.
    """
    found = read_study_source(study, respondents_source(study))
    assert isinstance(found, Survey)
    return found


def respondents_source(study: Study) -> SourceSpec:
    """The one source of a study that has respondents.

    Raises InputError where there are none, or several.
    """
    with naming_file(study.source.name):
        found = [source for source in study.survey if reads_respondents(source.section)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(source.name for source in found)
        raise InputError(
            f"{study.source.name}: respondents of several sources ({names}) cannot be looked at "
            "together; make a study of one of them."
        )
    raise InputError(
        f"{study.source.name}: the study has published tables only, and this needs respondents' "
        "answers."
    )


def read_study_source(study: Study, source: SourceSpec) -> Survey | PublishedTable:
    """Read one source of a study, with non-response as options and raked where it says so.

    Raises InputError on whatever is wrong with the file or the targets.
    """
    with naming_file(study.source.name, OWN_KEYS_OF_A_SOURCE):
        found = read_survey_or_table(source.section, study.folder)
        if isinstance(found, PublishedTable):
            return found
        found = with_non_response_as_options(found, study.non_response_as_options)
        return weighted(found, study.weights)[0] if study.weights else found


def study_source_files(study: Study, source: SourceSpec) -> list[Path]:
    """The files that `read_study_source` reads. Raises InputError when one does not exist."""
    with naming_file(study.source.name):
        return survey_files(source.section, study.folder)


def study_representativeness(study: Study) -> Representativeness:
    """The study's sample against its targets. Raises InputError when it names no targets."""
    if study.weights is None:
        raise InputError(
            f"{study.source.name}: there is no `weights:` with targets to compare the sample with; "
            "docs/weights.md shows how to write them."
        )
    section = respondents_source(study).section
    with naming_file(study.source.name, OWN_KEYS_OF_A_SOURCE):
        return weighted(read_survey(section, study.folder), study.weights)[1]


# What verbs that run a study take.
A_STUDY = instance_of(Study, words="a study, as suffrage.read_study reads it from its file")


@takes(path=PATH)
def read_study(path: str | Path) -> Study:
    """Read and check the file that declares a study.

    Parameters
    ----------
    path : str or Path
        The YAML file. Relative paths in it start from its folder.

    Returns
    -------
    Study
        The study, every option filled in.

    Raises
    ------
    InputError
        A key is unknown, missing or wrong. The message names the file, the key, and what it may be.

    Examples
    --------
    >>> study = read_study("study.yaml")
    >>> [own.name for own in study.value_sets], [method.name for method in study.methods]
    (['north', 'south'], ['base', 'prompt'])
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"{path}: no such file.{near_files(path)} Check the path. `suffrage init DATA` writes "
            "a study for a data file, and `suffrage examples` lists studies to begin with."
        )
    content = settings.read_yaml(path)
    _check_keys(content, path.name)
    if "methods" in content:
        if not isinstance(content["methods"], list):
            raise InputError(f"{path.name}: methods: must be a list, such as [prompt, sft].")
        content["methods"] = [
            spec
            for place, entry in enumerate(content["methods"])
            for spec in _methods(entry, f"methods[{place}]", path.name)
        ]
    evaluations = content.get("evaluate", ["fit"])
    if not isinstance(evaluations, list):
        raise InputError(f"{path.name}: evaluate: must be a list, such as [fit, robustness].")
    content["evaluate"] = [
        _evaluation(entry, f"evaluate[{place}]", path.name)
        for place, entry in enumerate(evaluations)
    ]
    if isinstance(content.get("survey"), dict | list):
        content["survey"] = settings.expand_variables(content["survey"], path.name, "survey")
    if isinstance(content.get("model"), str):
        content["model"] = settings.expand_variables(content["model"], path.name, "model")
    if isinstance(content.get("model"), dict):
        content["model"] = model_settings(content["model"], path.name)
    content["source"] = path.resolve()
    content["text"] = path.read_text(encoding="utf-8")
    study = settings.validated(Study, content, path.name)
    output = (study.folder / study.output).resolve()
    for folder in (output, *output.parents):
        if folder.exists() and not folder.is_dir():
            raise InputError(
                f"{path.name}: output: {folder} is a file; name a folder that is there or can be "
                "made."
            )
    return study.model_copy(update={"output": output})


def _check_keys(content: Mapping[str, Any], source: str) -> None:
    """Raises InputError where a study's file has a key that it may not have."""
    known = sorted({*Study.model_fields, "seed"} - FILLED_IN)
    for key in content:
        if key not in known:
            raise InputError(
                f"{source}: {key}: unknown key; there are {', '.join(known)}."
                f"{did_you_mean(str(key), known)}"
            )


def model_settings(entry: dict[str, Any], source: str) -> LocalModelSettings | EndpointSettings:
    """Check a model with settings: one behind an address has an `endpoint`, any other runs here.

    Parameters
    ----------
    entry : dict
        What a study has under `model:`.
    source : str
        The file's name, for messages.

    Raises
    ------
    InputError
        A key is unknown or wrong, or a password is written in it.
    """
    check_no_secrets(entry, source)
    given = settings.expand_variables(entry, source, "model")
    if "endpoint" in given:
        return settings.validated(EndpointSettings, given, source, "model")
    return settings.validated(LocalModelSettings, given, source, "model")


def _methods(entry: Any, place: str, source: str) -> list[MethodSpec]:
    """The method of an entry and, where it asks for an ablation, one without each signal."""
    if not isinstance(entry, dict) or "ablation" not in entry:
        return [_method(entry, place, source)]
    given = dict(entry)
    wanted = given.pop("ablation")
    if given.get("method") != COMBINED or not isinstance(wanted, bool):
        raise InputError(
            f"{source}: {place}.ablation: must be true or false, and is for the method {COMBINED}."
        )
    whole = _method(given, place, source)
    if not wanted:
        return [whole]
    signals = given.get("signals")
    if not isinstance(signals, dict):
        raise InputError(
            f"{source}: {place}.ablation: takes one signal away at a time; say which there are, "
            "such as signals: {survey: 4, votes: 2, comparisons: 1}."
        )
    found = [whole]
    for name in signals:
        left = {key: weight for key, weight in signals.items() if key != name}
        if set(left) - {SURVEY}:
            without = {**given, "name": f"{whole.name}-without-{name}", "signals": left}
            if name == SURVEY:
                # Answers to survey records are what is kept close.
                without.pop("keep_close", None)
            spec = _method(without, place, source)
            found.append(spec.model_copy(update={"without": (whole.name, name)}))
    return found


def _method(entry: Any, place: str, source: str) -> MethodSpec:
    content = {"method": entry} if isinstance(entry, str) else entry
    if not isinstance(content, dict) or "method" not in content:
        raise InputError(
            f"{source}: {place}: must be a method's name, or {{method: name, ...}}; "
            f"there are {', '.join(registry.names('methods'))}."
        )
    given = dict(content)
    method_name = str(given.pop("method"))
    method: Method = _known("methods", method_name, f"{source}: {place}")
    name = str(given.pop("name", method_name))
    if not re.match(settings.NAME, name) or name in _RESERVED:
        raise InputError(
            f'{source}: {place}.name: "{name}" must be letters, digits, ".", "_" or "-", and none '
            f"of {', '.join(_RESERVED)}."
        )
    start = given.pop("from", None)
    if start is not None:
        start = str(settings.expand_variables(start, source, place))
    from_folder = start is not None and _is_folder(start)
    records = given.pop("records", "survey")
    if method.records == COMBINED:
        if records != "survey":
            raise InputError(f"{source}: {place}.records: {method.name} says signals instead.")
        records = COMBINED
    if records != "survey":
        _check_records(method, records, given, f"{source}: {place}")
        if records not in ("votes", COMBINED):
            # People compared and judged whole answers, never labels of options.
            given["format"] = "written"
    options = settings.validated(method.options, given, source, place)
    _check_anchors(method, options, records, f"{source}: {place}")
    return MethodSpec(
        name=name,
        method=method,
        options=options,
        start=None if from_folder else start,
        checkpoint=start if from_folder else None,
        records=records,
    )


def _is_folder(start: str) -> bool:
    """Whether `from:` names a folder; a method's name has no slash."""
    return "/" in start or "\\" in start or start.startswith((".", "~"))


def _check_records(method: Method, records: Any, given: dict[str, Any], place: str) -> None:
    """Raises InputError where a method cannot learn from these records."""
    if records not in get_args(Source):
        raise InputError(
            f"{place}.records: must be one of {', '.join(get_args(Source))}; principles are said "
            f"to ccai, as constitution: {FROM_CONSULTATION}."
        )
    kinds = {
        builder.kind
        for name in registry.names("record_builders")
        if (builder := registry.load("record_builders", name)).source == records
    }
    if method.records not in kinds:
        raise InputError(
            f"{place}.records: {method.name} learns from {method.records or 'no'} records; "
            f"{records} make {', '.join(sorted(kinds)) or 'none'}."
        )
    if records not in ("votes", COMBINED) and given.get("format", "written") != "written":
        raise InputError(f"{place}.format: records: {records} are written answers; leave it out.")
    if "epochs" in given:
        raise InputError(f"{place}.epochs: is for records from the survey; say steps.")


def _check_anchors(method: Method, options: MethodOptions, records: str, place: str) -> None:
    """Raises InputError where a method cannot be anchored to the survey as its options say."""
    for name in ("replay", "own_text"):
        if getattr(options, name, 0) and not method.replays:
            raise InputError(
                f"{place}.{name}: {method.name} cannot mix other records in; leave it out, or use "
                "distribution, sft, dpo, kto or combined."
            )
        if getattr(options, name, 0) and records == "survey":
            raise InputError(
                f"{place}.{name}: is for records of a consultation, and these are the survey's; "
                "leave it out."
            )
    if getattr(options, "offset", "none") != "none" and records != "survey":
        raise InputError(
            f"{place}.offset: is the average answer to the survey's questions; leave it out where "
            f"records: {records} are learnt."
        )


def _evaluation(entry: Any, place: str, source: str) -> EvaluationSpec:
    content = {"evaluation": entry} if isinstance(entry, str) else entry
    if not isinstance(content, dict) or "evaluation" not in content:
        raise InputError(
            f"{source}: {place}: must be an evaluation's name, or {{evaluation: name, ...}}; "
            f"there are {', '.join(registry.names('evaluations'))}."
        )
    given = dict(content)
    evaluation: Evaluation = _known(
        "evaluations", str(given.pop("evaluation")), f"{source}: {place}"
    )
    given = settings.expand_variables(given, source, place)
    options = settings.validated(evaluation.options, given, source, place)
    return EvaluationSpec(evaluation=evaluation, options=options)


def _known(group: registry.Group, name: str, place: str) -> Any:
    try:
        return registry.load(group, name)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
