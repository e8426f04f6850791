"""The results of a run: its figures, with who was asked, what ran where and what it cost."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from suffrage.align import Checkpoint
from suffrage.evaluate import EvaluationInput, Results, Scorecard
from suffrage.evaluate.fit import AVERAGE, CEILING, NEAREST, OTHERS, SIMILAR, UNIFORM
from suffrage.evaluate.results import (
    AskingCost,
    BlendFacts,
    Cost,
    EndpointFacts,
    EvaluationFacts,
    ItemFacts,
    MethodFacts,
    MixingFacts,
    RoundingError,
    StudyFacts,
    SurveyFacts,
    Target,
    ValueSetFacts,
)
from suffrage.models.endpoint_abilities import (
    Memory,
    ability_notes,
    known_abilities,
    spent_by_purpose,
)
from suffrage.population import ValueSet
from suffrage.study.journals import training_journal
from suffrage.study.limits import limits_of_run
from suffrage.study.machine import machine, versions
from suffrage.study.pre_aligned import start_facts
from suffrage.study.schema import Study
from suffrage.study.self_feedback_facts import self_feedback
from suffrage.study.sources import Sources
from suffrage.survey import Survey, effective_sample_size
from suffrage.survey.published_table import PublishedTable

if TYPE_CHECKING:
    from suffrage.study.wiring import Wiring


def results_of(
    wiring: Wiring,
    sources: Sources,
    given: EvaluationInput,
    by_evaluation: Mapping[str, Scorecard],
    memory: Memory,
) -> Results:
    """Everything a run found, with the facts around it.

    Parameters
    ----------
    wiring : Wiring
    sources : mapping
        What the study read, by the source's name.
    given : EvaluationInput
        What the evaluations were given.
    by_evaluation : mapping
        What each evaluation found, by its name.
    memory : Memory
        What an endpoint cost and can do.
    """
    study = wiring.study
    endpoint = _endpoint_facts(wiring, memory)
    rounding = _rounding_errors(given)
    cards = list(by_evaluation.values())
    return Results(
        study=_study_facts(wiring),
        surveys=[_survey_facts(name, source) for name, source in sources.items()],
        value_sets=[
            _value_set_facts(value_set, value_set.name in given.left_out)
            for value_set in given.value_sets
        ],
        held_out=study.held_out.model_dump(mode="json", exclude_defaults=True),
        items=_item_facts(given),
        methods=_method_facts(wiring, given, memory),
        mixing=_mixing_facts(given),
        blends=_blend_facts(wiring),
        targets=_targets(given),
        answers=[answer for card in cards for answer in card.answers],
        readouts=[row for card in cards for row in card.readouts],
        limits=limits_of_run(study, sources, given, endpoint, rounding),
        endpoint=endpoint,
        rounding=rounding,
        evaluations=_evaluation_facts(study, by_evaluation),
        figures=[row for card in cards for row in card.figures],
        figure_differences=[row for card in cards for row in card.figure_differences],
        self_feedback=[
            found
            for (method, seed, group), stage in wiring.align.items()
            if (found := self_feedback(stage.folder, method, seed, group)) is not None
        ],
        starts=start_facts(study),
        journals=[
            journal
            for (method, seed, group), stage in wiring.align.items()
            if (journal := training_journal(stage.folder, method, seed, group)) is not None
        ],
    )


def _study_facts(wiring: Wiring) -> StudyFacts:
    study = wiring.study
    return StudyFacts(
        name=study.study,
        title=study.title or study.study,
        seeds=list(study.seeds),
        config=study.text,
        command=command_to_run(study),
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        versions=versions(),
        machine=machine(),
        model=wiring.model.described,
        model_licence=wiring.model.licence,
        number_format=None if study.endpoint else study.scoring.number_format,
        content_hash=wiring.results.key,
    )


def _targets(given: EvaluationInput) -> list[Target]:
    """What each population answered to each item."""
    return [
        Target(
            value_set=value_set.name,
            item=item_id,
            shares=d.shares.tolist(),
            standard_errors=d.standard_errors.tolist(),
            n=d.n,
            n_eff=d.n_eff,
            non_response=dict(d.non_response),
        )
        for value_set in given.value_sets
        for item_id, d in value_set.distributions.items()
    ]


def _evaluation_facts(
    study: Study, by_evaluation: Mapping[str, Scorecard]
) -> list[EvaluationFacts]:
    return [
        EvaluationFacts(
            name=spec.name,
            question=spec.evaluation.question,
            cannot_show=spec.evaluation.cannot_show,
            measures=list(spec.evaluation.measures),
            notes=list(by_evaluation[spec.name].notes),
            details=dict(by_evaluation[spec.name].details),
        )
        for spec in study.evaluate
    ]


def command_to_run(study: Study) -> str:
    """Return the command that runs a study, as a shell reads it."""
    return f"suffrage run {shlex.quote(str(_shown(study.source)))}"


def _shown(path: Path) -> str:
    """A path as a reader of the report could type it: inside the working folder, or its name."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return path.name


def _survey_facts(name: str, source: Survey | PublishedTable) -> SurveyFacts:
    provenance = source.provenance
    return SurveyFacts(
        name=name,
        title=source.codebook.title,
        reader=provenance.reader,
        respondents=0 if isinstance(source, PublishedTable) else source.responses.height,
        populations=len(source.populations) if isinstance(source, PublishedTable) else 0,
        weight_variable=provenance.weight_variable,
        n_eff=0.0 if isinstance(source, PublishedTable) else effective_sample_size(source.weights),
        statement=provenance.statement,
        set_aside=[aside.__dict__ for aside in provenance.set_aside],
        files=provenance.files,
        citation=source.codebook.citation,
        terms=source.codebook.terms,
    )


def _value_set_facts(value_set: ValueSet, left_out: bool) -> ValueSetFacts:
    return ValueSetFacts(
        name=value_set.name,
        description=value_set.description,
        where=dict(value_set.where),
        n=value_set.n,
        n_eff=value_set.n_eff,
        design_effect=value_set.design_effect,
        weighting=value_set.weighting,
        set_aside=list(value_set.set_aside),
        pooled_items={item: d.pooled for item, d in value_set.distributions.items() if d.pooled},
        left_out=left_out,
    )


def _item_facts(given: EvaluationInput) -> list[ItemFacts]:
    items = {item.id: item for value_set in given.value_sets for item in value_set.items}
    first = next(iter(given.splits.values()))
    return [
        ItemFacts(
            id=item.id,
            question=item.question,
            options=list(item.texts),
            ordered=item.ordered,
            topic=item.topic,
            battery=item.battery,
            note=item.remarks,
            cluster=first.clusters[item.id],
            side={
                seed: side
                for seed, split in given.splits.items()
                if (side := split.side(item.id)) != "held_back"
            },
            trained_before=item.id in first.trained_before,
        )
        for item in items.values()
    ]


def _asking_cost(wiring: Wiring, method: str, memory: Memory) -> AskingCost | None:
    endpoint = wiring.study.endpoint
    if endpoint is None:
        return None
    spent = spent_by_purpose(memory, endpoint).get(method)
    if spent is None:
        return None
    prices = endpoint.prices
    return AskingCost(
        requests=spent.requests,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        estimated=spent.estimated,
        money=spent.money if prices else None,
        currency=prices.currency if prices else None,
    )


def _endpoint_facts(wiring: Wiring, memory: Memory) -> EndpointFacts | None:
    endpoint = wiring.study.endpoint
    abilities = known_abilities(memory, endpoint) if endpoint else None
    if endpoint is None or abilities is None:
        return None
    return EndpointFacts(
        endpoint=endpoint.endpoint,
        name=endpoint.name,
        answered_by=abilities.model,
        version=endpoint.version,
        listed=abilities.listed,
        samples=0 if abilities.top else endpoint.samples,
        reads_texts=abilities.echo,
        notes=ability_notes(abilities, endpoint),
    )


def _rounding_errors(given: EvaluationInput) -> list[RoundingError]:
    return [
        RoundingError(method=method, seed=seed, **asdict(answers.rounding))
        for (method, seed), answers in given.answers.items()
        if answers.rounding is not None
        # Untrained methods have one and the same answers in every seed.
        and (method in given.trained or seed == next(iter(given.splits)))
    ]


def _blend_facts(wiring: Wiring) -> list[BlendFacts]:
    """What every checkpoint that was blended with its start says of it."""
    found = []
    for (method, seed, _), stage in wiring.align.items():
        own = Checkpoint.read(stage.folder).manifest.get("blend")
        if own is not None:
            place = str(stage.folder.relative_to(wiring.study.output))
            found.append(BlendFacts(method=method, seed=seed, checkpoint=place, **own))
    return found


def _method_facts(wiring: Wiring, given: EvaluationInput, memory: Memory) -> list[MethodFacts]:
    floors = [
        MethodFacts(
            name=UNIFORM,
            label="Even answer",
            kind="floor",
            explanation="Every option equally often; needs no model and no data.",
        ),
    ]
    floors += [] if given.trains_on_none else _trained_floors()
    if given.left_out:
        floors += [
            MethodFacts(
                name=OTHERS,
                label="Mean of the groups trained on",
                kind="floor",
                explanation="What the groups trained on answered to the same question, on average, "
                "as the answer of a group left out: what a model could know without telling the "
                "groups apart. It has read the answers to held-out questions, which no model has.",
            ),
            MethodFacts(
                name=SIMILAR,
                label="Mean of the most similar groups",
                kind="floor",
                explanation="The same over the groups trained on that are most like the group left "
                "out. Similar are groups that answered the other trained questions alike; it has "
                "read the left-out group's answers to those, which no model has.",
            ),
        ]
    ceiling = MethodFacts(
        name=CEILING,
        label="Half of the respondents",
        kind="ceiling",
        explanation="One random half of the same respondents as the model of the other half, the "
        "mean over many splits.",
    )
    found = []
    for spec in wiring.study.methods:
        checkpoints = [
            Checkpoint.read(stage.folder)
            for (method, _, _), stage in wiring.align.items()
            if method == spec.name
        ]
        found.append(
            MethodFacts(
                name=spec.name,
                label=spec.label,
                kind="trained" if spec.method.train else "untrained",
                writes=spec.method.load is None,
                explanation=spec.explanation,
                settings=spec.options.model_dump(mode="json", exclude_none=True)
                | ({"records": spec.records} if spec.records != "survey" else {})
                | ({"without": list(spec.without)} if spec.without else {}),
                checkpoints=[
                    str(checkpoint.folder.relative_to(wiring.study.output))
                    for checkpoint in checkpoints
                ],
                costs=[Cost.model_validate(c.manifest["cost"]) for c in checkpoints],
                asking=_asking_cost(wiring, spec.name, memory),
            )
        )
    return [*floors, *found, *_reading_facts(given), ceiling]


def _trained_floors() -> list[MethodFacts]:
    """What is made of the answers to the questions trained on."""
    return [
        MethodFacts(
            name=AVERAGE,
            label="Average answer",
            kind="floor",
            explanation="The population's mean answer to the items trained on, whatever the "
            "question: the best answer that ignores it.",
        ),
        MethodFacts(
            name=NEAREST,
            label="Nearest question",
            kind="floor",
            explanation="The population's answers to the trained questions whose texts are most "
            "like this one's and that have as many options; how many of them is chosen on the "
            "trained questions. It reads texts, and needs no model. A group left out of training "
            "is given the mean answers of the others.",
        ),
    ]


def _reading_facts(given: EvaluationInput) -> list[MethodFacts]:
    return [
        MethodFacts(
            name=reading.name,
            label=reading.label,
            kind="reading",
            explanation=reading.explanation,
        )
        for reading in given.readings
    ]


def _mixing_facts(given: EvaluationInput) -> list[MixingFacts]:
    return [
        MixingFacts(method=reading.method, reading=reading.name, seed=seed, **asdict(weight))
        for reading in given.readings
        for seed, weight in reading.weights.items()
    ]
