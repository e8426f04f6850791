"""`suffrage audit`: ask models every question of a survey, and compare them with its groups."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from suffrage import __version__, registry, settings, storage
from suffrage.align.checkpoint import (
    ADAPTER_SETTINGS,
    MANIFEST,
    Checkpoint,
    load_model_or_checkpoint,
)
from suffrage.arguments import written
from suffrage.arrays import FloatArray
from suffrage.errors import InputError, did_you_mean, require_installed
from suffrage.evaluate import Scoring
from suffrage.evaluate.auditing import (
    Audit,
    AuditedModel,
    Auditor,
    Departure,
    MapPoint,
    ValuesMap,
)
from suffrage.models import (
    Answerer,
    ItemProbe,
    ModelAnswer,
    identify,
    read_letters,
    ways_of_asking,
)
from suffrage.models.cache import AnswerStore, CachedAnswerer
from suffrage.models.endpoint import Endpoint
from suffrage.models.endpoint_abilities import ability_notes
from suffrage.models.endpoint_settings import EndpointSettings, endpoint_key
from suffrage.models.endpoint_usage import EndpointUsage
from suffrage.models.identity import check_at_hand, source_shape
from suffrage.models.local_settings import LocalModelSettings
from suffrage.models.shape import ModelShape
from suffrage.plurals import plural
from suffrage.population import ValueSet, build_value_set
from suffrage.population.distribution_distances import fit
from suffrage.population.published import SourcePopulation, published_value_set
from suffrage.population.where import Where
from suffrage.study.planning.plan import seconds_to_ask, seconds_to_request
from suffrage.study.progress import Progress, note
from suffrage.study.schema import Study, model_settings
from suffrage.study.segmenting import with_value_sets
from suffrage.study.sources import read_sources, value_set_of
from suffrage.survey import Codebook, Survey
from suffrage.survey.draft import check_worded
from suffrage.survey.published_table import PublishedTable
from suffrage.survey.reading import read_survey_or_table
from suffrage.values import world_values
from suffrage.values.circle import priorities
from suffrage.values.item_keys import ItemKey, instruments, item_key
from suffrage.values.scores import mean_scores_of_shares

# Files of an audit's folder.
AUDIT, ANSWERS, GROUPS = "audit.json", "answers.csv", "groups.csv"
REPORT, WORK = "audit.html", ".work"
# What an audit asks, next to the answers, so that a folder is never used for another audit.
ASKED = "asked.json"
# Questions of the nearest group that a report shows, those where the model is farthest from it.
DEPARTURES = 5

AskedModel = LocalModelSettings | EndpointSettings
# An answer distribution of each item, by the item's id.
_Shares = Mapping[str, FloatArray]


@dataclass(frozen=True, eq=False)
class AuditedSurvey:
    """The groups that models are compared with, and where they come from."""

    title: str
    statement: str
    terms: str
    value_sets: tuple[ValueSet, ...]
    # The respondents, where there is one survey of them; a map of values needs them.
    survey: Survey | None = None
    # Groups that are too small, each with the reason.
    left_out: tuple[str, ...] = ()
    # The content hash of each source.
    hashes: tuple[str, ...] = ()


def surveyed_by_study(study: Study) -> AuditedSurvey:
    """Take the groups of a study: its sources and its value sets. Nothing is split.

    Raises InputError as reading the study's survey does.
    """
    sources = read_sources(study)
    study = with_value_sets(study, sources)
    made, left = _made({spec.name: _built(study, sources, spec) for spec in study.value_sets})
    surveys = [found for found in sources.values() if isinstance(found, Survey)]
    return _audited(list(sources.values()), made, left, surveys[0] if len(sources) == 1 else None)


def _built(study: Study, sources: Any, spec: Any) -> Callable[[], ValueSet]:
    return lambda: value_set_of(study, sources, spec)


def surveyed_by(
    section: Mapping[str, Any], by: Sequence[str], folder: Path = Path()
) -> AuditedSurvey:
    """Read a survey, with a group for each value of each demographic.

    Parameters
    ----------
    section : mapping
        The reader and its options, as a study's `survey:` has them.
    by : sequence of str
        Demographics. Not needed for a published table, whose populations are the groups.
    folder : Path
        Where relative paths start.

    Raises
    ------
    InputError
        The survey cannot be read, no demographic is named, or it has none of that name.
    """
    found = read_survey_or_table(section, folder)
    wanted: dict[str, Callable[[], ValueSet]] = {}
    if isinstance(found, PublishedTable):
        for population in found.populations:
            wanted[population] = _published(found, population)
    else:
        known = found.codebook.demographics
        if not by:
            raise InputError(
                f"{written('by')}: name a demographic that makes the groups: "
                f"{', '.join(known) or 'none'}."
            )
        for name in by:
            if name not in known:
                raise InputError(
                    f'{written("by")}: the survey has no demographic "{name}"; it has '
                    f"{', '.join(known) or 'none'}.{did_you_mean(name, known)}"
                )
            for value in found.responses[name].drop_nulls().unique().sort().to_list():
                # Two demographics may have the same values, such as yes and no.
                group = f"{name}: {value}" if len(by) > 1 else str(value)
                wanted[group] = _of_value(found, group, {name: str(value)})
    made, left = _made(wanted)
    return _audited([found], made, left, found if isinstance(found, Survey) else None)


def _published(table: PublishedTable, population: str) -> Callable[[], ValueSet]:
    return lambda: published_value_set([SourcePopulation(table, population)], population)


def _of_value(survey: Survey, group: str, where: Where) -> Callable[[], ValueSet]:
    return lambda: build_value_set(survey, group, where)


def _made(
    wanted: Mapping[str, Callable[[], ValueSet]],
) -> tuple[list[ValueSet], list[str]]:
    """The value sets that can be made, and why others cannot."""
    made, left = [], []
    for make in wanted.values():
        try:
            made.append(make())
        except InputError as error:
            left.append(str(error))
    if not made:
        raise InputError(f"no group of the survey is large enough: {left[0]}")
    return made, left


def _audited(
    sources: Sequence[Survey | PublishedTable],
    made: Sequence[ValueSet],
    left: Sequence[str],
    survey: Survey | None,
) -> AuditedSurvey:
    return AuditedSurvey(
        title="; ".join(one.codebook.title for one in sources),
        statement=" ".join(one.provenance.statement for one in sources),
        terms=" ".join(one.codebook.terms for one in sources if one.codebook.terms),
        value_sets=tuple(made),
        survey=survey,
        left_out=tuple(left),
        hashes=tuple(one.content_hash for one in sources),
    )


def asked_model(
    name: str, endpoint: str | None = None, key: str | None = None
) -> tuple[str, AskedModel]:
    """What the command line calls a model, and how it is asked.

    Parameters
    ----------
    name : str
        A folder, a hub id, "bundled:NAME", a YAML file with the settings of a study's `model:`, or
        with an endpoint the model as the server calls it.
    endpoint : str, optional
        The address up to /v1.
    key : str, optional
        The environment variable that holds the endpoint's key.

    Raises
    ------
    InputError
        A setting is unknown or wrong.
    """
    if Path(name).suffix.lower() in (".yaml", ".yml"):
        content = settings.read_yaml(Path(name))
        given = content.get("model", content)
        if not isinstance(given, dict):
            raise InputError(
                f"{name}: model is {given!r}, which has no settings; name that model itself "
                "instead of the file."
            )
        found = model_settings(given, Path(name).name)
        return found.name, found
    if endpoint is not None:
        given = {"endpoint": endpoint, "name": name, **({"key": key} if key else {})}
        return name, model_settings(given, written("endpoint"))
    if key is not None:
        raise InputError(f"{written('key')} is for a model behind {written('endpoint')}.")
    found = settings.validated(LocalModelSettings, {"name": name}, "", "model")
    return Path(name).name if Path(name).is_dir() else name, found


def check_audit_folder(folder: Path, asked: Mapping[str, Any]) -> None:
    """Check that writing an audit into a folder destroys nothing.

    An audit that was stopped goes on in its folder, and another model can be added to it.

    Parameters
    ----------
    folder : Path
    asked : mapping
        Which survey and groups: plain values, the same each time for one audit.

    Raises
    ------
    InputError
        The folder has something else in it, or the audit of another survey or other groups.
    """
    kept = folder / WORK / ASKED
    if not kept.is_file():
        storage.check_free_for_writing(folder)
        return
    others = {one.name for one in folder.iterdir()} - {AUDIT, ANSWERS, GROUPS, REPORT, WORK}
    if others:
        raise InputError(
            f"{folder}: has something in it that is not of an audit ({min(others)}); name another "
            "folder."
        )
    before = storage.read_json(kept)
    if before != asked and (folder / AUDIT).exists():
        by = f" by {', '.join(before['by'])}" if before["by"] else ""
        raise InputError(
            f"{folder}: has the audit of {before['survey']}{by} in it, which would be lost; name "
            "another folder."
        )


def take_audit_folder(folder: Path, asked: Mapping[str, Any]) -> None:
    """Note in an audit's folder, once it was checked, what is asked."""
    storage.write_json(folder / WORK / ASKED, dict(asked))


def run_audit(
    models: Mapping[str, AskedModel],
    surveyed: AuditedSurvey,
    folder: Path,
    scoring: Scoring | None = None,
    quiet: bool = False,
    command: str = "",
) -> Audit:
    """Ask every model every question as itself, and compare it with every group.

    Answers are kept in the folder, so that an audit that was stopped goes on, and another model
    can be added to it.

    Parameters
    ----------
    models : mapping
        By the name that the report gives each.
    surveyed : AuditedSurvey
    folder : Path
        Where `audit.json`, `answers.csv` and `groups.csv` are written.
    scoring : Scoring, optional
        The number format, and below which probability an answer is not counted.
    quiet : bool
        Whether to show no progress.
    command : str
        The command that the report names.

    Raises
    ------
    InputError
        A model cannot be loaded or asked.
    """
    _check_at_hand(models.values())
    scoring = scoring or Scoring()
    auditor = Auditor(surveyed.value_sets)
    files = surveyed.survey.provenance.files if surveyed.survey else ()
    check_worded(auditor.items, files)
    probes = [ItemProbe(item, None) for item in auditor.items]
    ways = sum(len(ways_of_asking(probe.item, None)) for probe in probes)
    answers: dict[str, list[ModelAnswer]] = {}
    notes = [f"Left out: {why}" for why in surveyed.left_out] + _provenance(surveyed)
    planned = {name: _seconds(wanted, probes, scoring) for name, wanted in models.items()}
    with ExitStack() as open_now:
        store = open_now.enter_context(AnswerStore(folder / WORK / "answers.sqlite"))
        progress = open_now.enter_context(Progress(sum(planned.values()), quiet))
        for name, wanted in models.items():
            with progress.stage(f"asking {name}", planned[name]) as update:
                done = 0

                def advance(count: int) -> None:
                    nonlocal done
                    done += count
                    update(min(done / ways, 1.0))

                model, endpoint, identified = _opened(wanted, store, scoring)
                notes.append(f"{name}: {identified}")
                answers[name] = read_letters(model, probes, scoring.lowest_mass, advance)
                if endpoint is not None:
                    notes += [f"{name}: {said}" for said in _endpoint_notes(endpoint)]
                del model, endpoint
    note(f"Comparing the answers with {plural(len(auditor.groups), 'group')}.", quiet)
    found = audit_of_answers(surveyed, answers, notes, auditor).model_copy(
        update={"made_on": datetime.now(UTC).date().isoformat(), "command": command}
    )
    write_audit(found, answers, auditor, folder)
    return found


def _seconds(wanted: AskedModel, probes: Sequence[ItemProbe], scoring: Scoring) -> float:
    """About how long it takes to ask a model."""
    if isinstance(wanted, EndpointSettings):
        return seconds_to_request(probes, wanted)
    return seconds_to_ask(probes, scoring, shape_of(wanted))


def shape_of(wanted: LocalModelSettings) -> ModelShape | None:
    """How large a model is, or the one that an adapter was trained on; None where nobody knows."""
    folder = Path(wanted.name).expanduser()
    if (folder / ADAPTER_SETTINGS).is_file() and (folder / MANIFEST).is_file():
        checkpoint = Checkpoint.read(folder)
        return source_shape(checkpoint.base_source, checkpoint.base_model.revision)
    source = str(folder.resolve()) if folder.exists() else wanted.name
    return source_shape(source, wanted.revision)


def audit_command_line(
    models: Sequence[str], survey: str, options: Mapping[str, str | Sequence[str] | None]
) -> str:
    """The command that makes an audit again; whole paths are cut to the file's or folder's name.

    A report is shown to others, whom the auditor's own folders do not concern.

    Examples
    --------
    >>> audit_command_line(["/home/me/tiny"], "my town.csv", {"by": ["area"], "codebook": None})
    "suffrage audit tiny --survey 'my town.csv' --by area"
    """
    words = ["suffrage", "audit", *(_without_folder(name) for name in models)]
    words += ["--survey", _without_folder(survey)]
    for name, given in options.items():
        for value in [given] if isinstance(given, str) else given or ():
            words += [f"--{name}", _without_folder(value)]
    return shlex.join(words)


def _without_folder(name: str) -> str:
    return Path(name).name if Path(name).expanduser().is_absolute() else name


def _provenance(surveyed: AuditedSurvey) -> list[str]:
    """What an auditor needs to say later which survey was used, and by which program."""
    return [
        f"Made with Suffrage {__version__}.",
        *(f"The survey's content hash is {one}." for one in surveyed.hashes),
    ]


def _check_at_hand(models: Iterable[AskedModel]) -> None:
    """Check that all models can be had before the first one is asked.

    Raises InputError naming the first that cannot.
    """
    for wanted in models:
        if isinstance(wanted, EndpointSettings):
            require_installed("httpx", "endpoint", "a model behind an endpoint")
            endpoint_key(wanted)
        elif not Path(wanted.name).expanduser().exists():
            check_at_hand(identify(wanted, Path()))


def _opened(
    wanted: AskedModel, store: AnswerStore, scoring: Scoring
) -> tuple[Answerer, Endpoint | None, str]:
    """A model whose answers are kept, its endpoint where it is behind one, and which it is."""
    if isinstance(wanted, EndpointSettings):
        endpoint = Endpoint(wanted, Path(), store, "audit")
        which = f"asked at {wanted.endpoint}. Its weights cannot be checked from outside."
        return CachedAnswerer(endpoint, store, [wanted.identity.content]), endpoint, which
    loaded = load_model_or_checkpoint(wanted, scoring.number_format)
    place = Path(wanted.name)
    weights = storage.folder_hash(place) if (place / MANIFEST).is_file() else ""
    decides = [loaded.identity.content, weights, loaded.dtype, loaded.device]
    commit = f", revision {loaded.identity.revision}" if loaded.identity.revision else ""
    which = f"the model's content hash is {loaded.identity.content}{commit}."
    if weights:
        which += f" The checkpoint's is {weights}."
    return CachedAnswerer(loaded, store, decides), None, which


def _endpoint_notes(endpoint: Endpoint) -> list[str]:
    """How a server is asked, and what was sent to it in this audit, also before it was stopped."""
    ledger, prices, used = endpoint.client.ledger, endpoint.settings.prices, EndpointUsage()
    used.add(ledger.spent)
    used.add(ledger.used)
    said = ability_notes(endpoint.abilities, endpoint.settings)
    money = f" {used.money:.4f} {prices.currency}." if prices else ""
    return [
        *said,
        f"{plural(used.requests, 'request', ',')}, {used.input_tokens:,} tokens read, "
        f"{used.output_tokens:,} written.{money}",
    ]


def audit_of_answers(
    surveyed: AuditedSurvey,
    answers: Mapping[str, Sequence[ModelAnswer]],
    notes: Sequence[str] = (),
    auditor: Auditor | None = None,
) -> Audit:
    """Compare answers that models gave as themselves with every group of a survey.

    Parameters
    ----------
    surveyed : AuditedSurvey
    answers : mapping
        By model, its answer to each question.
    notes : sequence of str
        Sentences that the report repeats.
    auditor : Auditor, optional
        Of the survey's groups, where one was made already.
    """
    auditor = auditor or Auditor(surveyed.value_sets)
    models = [
        _with_departures(auditor.audit_model(name, given), auditor, given)
        for name, given in answers.items()
    ]
    return Audit(
        title=f"Whose answers {'do' if len(answers) > 1 else 'does'} {' and '.join(answers)} give?",
        survey=surveyed.title,
        statement=surveyed.statement,
        questions=len(auditor.items),
        clusters=len(set(auditor.clusters.values())),
        models=tuple(models),
        model_gaps=auditor.model_gaps(answers) if len(answers) > 1 else (),
        answers_map=auditor.answers_map(answers),
        cultural_map=_cultural_map(surveyed, answers),
        values_circle=_values_circle(surveyed, answers),
        notes=tuple(notes),
        terms=surveyed.terms,
    )


def _with_departures(
    found: AuditedModel, auditor: Auditor, answers: Sequence[ModelAnswer]
) -> AuditedModel:
    """The model with the questions on which it is farthest from the group it is nearest to."""
    if not found.groups:
        return found
    people = auditor.groups[found.groups[0].group].distributions
    apart = []
    for answer in answers:
        if not answer.refused and answer.item_id in people:
            own = people[answer.item_id]
            apart.append((float(fit(own.shares, answer.shares)), answer, own))
    apart.sort(key=lambda row: (row[0], row[1].item_id))
    departures = tuple(
        Departure(
            item=answer.item_id,
            question=own.item.question,
            options=own.item.texts,
            model=tuple(answer.shares.tolist()),
            people=tuple(own.shares.tolist()),
            fit=value,
        )
        for value, answer, own in apart[:DEPARTURES]
    )
    return found.model_copy(update={"departures": departures})


def _cultural_map(
    surveyed: AuditedSurvey, answers: Mapping[str, Sequence[ModelAnswer]]
) -> ValuesMap | None:
    """Inglehart and Welzel's axes, where the survey has their indicators."""
    survey = surveyed.survey
    if survey is None:
        return None
    ordered = survey.with_responses(survey.responses[survey.rows_by_id])
    try:
        axes = world_values.cultural_map(world_values.map_indicators(ordered), ordered.weights, [])
    except InputError:
        return None

    def place(codebook: Codebook, shares: _Shares) -> FloatArray:
        secular, expression = axes.place(world_values.indicators_of_shares(codebook, shares))
        return np.array([expression, secular])

    return _placed(surveyed, answers, survey.codebook, place, ())


def _values_circle(
    surveyed: AuditedSurvey, answers: Mapping[str, Sequence[ModelAnswer]]
) -> ValuesMap | None:
    """Schwartz's circle, where the survey has the items of one of his instruments."""
    survey = surveyed.survey
    key = None if survey is None else _circle_key(survey.codebook)
    if survey is None or key is None:
        return None
    places = {v.id: v.place or 0 for v in key.taxonomy.values if v.id in key.items}
    most = max(v.place or 0 for v in key.taxonomy.values)
    degrees = {value: place * 360 / most for value, place in places.items()}
    items_of = key.items_of(survey.codebook)
    names = {value.id: value.name for value in key.taxonomy.values}

    def place(codebook: Codebook, shares: _Shares) -> FloatArray:
        absent = [item.id for item in items_of.values() if item.id not in shares]
        if absent:
            raise InputError(f"no answer to {', '.join(absent)}.")
        return priorities(mean_scores_of_shares(items_of, key, shares), degrees)

    ring = tuple((names[value], angle) for value, angle in degrees.items())
    return _placed(surveyed, answers, survey.codebook, place, ring)


def _circle_key(codebook: Codebook) -> ItemKey | None:
    """The key of an instrument on a circle whose items the survey has, with known directions."""
    for name in instruments():
        key = item_key(name)
        if not key.taxonomy.is_circle:
            continue
        try:
            items_of = key.items_of(codebook)
            even = {i.id: np.full(len(i.options), 1 / len(i.options)) for i in items_of.values()}
            mean_scores_of_shares(items_of, key, even)
        except InputError:
            continue
        return key
    return None


def _placed(
    surveyed: AuditedSurvey,
    answers: Mapping[str, Sequence[ModelAnswer]],
    codebook: Codebook,
    place: Callable[[Codebook, _Shares], FloatArray],
    ring: tuple[tuple[str, float], ...],
) -> ValuesMap | None:
    """Models and groups at their places; a group's error is over its respondents' resamples."""
    points, missing = [], []
    for name, given in answers.items():
        try:
            x, y = place(codebook, {a.item_id: a.shares for a in given if not a.refused})
            points.append(MapPoint(name=name, is_model=True, x=float(x), y=float(y)))
        except InputError as error:
            missing.append(f"{name}: {error}")
    for value_set in surveyed.value_sets:
        try:
            points.append(_group_point(value_set, codebook, place))
        except InputError as error:
            missing.append(f"{value_set.name}: {error}")
    if not any(not point.is_model for point in points):
        return None
    return ValuesMap(points=tuple(points), ring=ring, missing=tuple(missing))


def _group_point(
    value_set: ValueSet, codebook: Codebook, place: Callable[[Codebook, _Shares], FloatArray]
) -> MapPoint:
    found = value_set.distributions
    x, y = place(codebook, {item: own.shares for item, own in found.items()})
    draws = min((len(own.replicates) for own in found.values()), default=0)
    errors: tuple[float | None, float | None] = (None, None)
    if draws > 1:
        moved = np.array(
            [
                place(codebook, {item: own.replicates[k] for item, own in found.items()})
                for k in range(draws)
            ]
        )
        spread = moved.std(axis=0, ddof=1)
        errors = (float(spread[0]), float(spread[1]))
    return MapPoint(
        name=value_set.name,
        is_model=False,
        x=float(x),
        y=float(y),
        x_error=errors[0],
        y_error=errors[1],
    )


def write_audit(
    found: Audit,
    answers: Mapping[str, Sequence[ModelAnswer]],
    auditor: Auditor,
    folder: Path,
) -> None:
    """Write an audit's tables into its folder: `audit.json`, `answers.csv` and `groups.csv`."""
    storage.write_json(folder / AUDIT, found.model_dump(mode="json"))
    texts = {item.id: item.texts for item in auditor.items}
    rows = [
        {
            "model": name,
            "item": answer.item_id,
            "option": text,
            "share": None if math.isnan(share) else share,
            "mass": answer.mass,
            "refused": answer.refused,
        }
        for name, given in answers.items()
        for answer in given
        for text, share in zip(texts[answer.item_id], answer.shares.tolist(), strict=True)
    ]
    storage.write_text(folder / ANSWERS, pl.DataFrame(rows, infer_schema_length=None).write_csv())
    groups = [
        {"model": one.name, **group.model_dump(mode="json", exclude={"above_floor"})}
        | {"above_floor": group.above_floor.value, "p_above_floor": group.above_floor.adjusted}
        for one in found.models
        for group in one.groups
    ]
    if groups:
        table = pl.DataFrame(groups, infer_schema_length=None)
        storage.write_text(folder / GROUPS, table.write_csv())


def is_reader(name: str) -> bool:
    """Whether a survey's reader has this name."""
    return name in registry.names("readers")
