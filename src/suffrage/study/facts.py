"""What the report says of a run besides its scores: who was asked, what ran where, the limits."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suffrage.align import Checkpoint
from suffrage.evaluate import EvaluationInput, Results, Scorecard
from suffrage.evaluate.fit import AVERAGE, CEILING, OTHERS, UNIFORM
from suffrage.evaluate.results import (
    AskingCost,
    Cost,
    EndpointFacts,
    EvaluationFacts,
    ItemFacts,
    MethodFacts,
    RoundingError,
    StudyFacts,
    SurveyFacts,
    Target,
    ValueSetFacts,
)
from suffrage.models.endpoint_abilities import Memory, known_abilities, spent_by_purpose
from suffrage.population import ValueSet
from suffrage.study.self_feedback_facts import self_feedback
from suffrage.survey import Survey, effective_sample_size

if TYPE_CHECKING:
    from suffrage.study.wiring import Wiring

PACKAGES = ("suffrage", "torch", "transformers", "trl", "peft", "numpy", "polars")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide results."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What this machine is; no name, user or path of it."""
    from suffrage.models.device import cpu_threads

    facts: dict[str, Any] = {
        "system": platform.system(),
        "processor": _processor(),
        "cores": cpu_threads(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }
    if find_spec("torch") is None:
        return facts  # a model behind an endpoint needs none
    import torch

    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
        facts["gpu_memory_bytes"] = torch.cuda.get_device_properties(0).total_memory
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def results_of(
    wiring: Wiring,
    survey: Survey,
    given: EvaluationInput,
    by_evaluation: Mapping[str, Scorecard],
    memory: Memory,
) -> Results:
    """Everything a run found, with the facts around it. memory: what an endpoint cost and can do."""
    study = wiring.study
    endpoint = _endpoint_facts(wiring, memory)
    rounding = _rounding_errors(given)
    cards = list(by_evaluation.values())
    return Results(
        study=StudyFacts(
            name=study.study,
            title=study.title or study.study,
            seeds=list(study.seeds),
            config=study.text,
            command=f"suffrage run {_shown(study.source)}",
            finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            versions=versions(),
            machine=machine(),
            model=study.model_name,
            model_licence=wiring.model.licence,
            content_hash=wiring.results.key,
        ),
        survey=_survey_facts(survey),
        value_sets=[
            _value_set_facts(value_set, value_set.name in given.left_out)
            for value_set in given.value_sets
        ],
        held_out=study.held_out.model_dump(mode="json", exclude_defaults=True),
        items=_item_facts(given),
        methods=_method_facts(wiring, given, memory),
        targets=[
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
        ],
        answers=[answer for card in cards for answer in card.answers],
        readouts=[row for card in cards for row in card.readouts],
        limits=[
            *limits(survey, given),
            *_endpoint_limits(endpoint, given),
            *_rounding_limits(rounding),
            *_consultation_limits(wiring),
        ],
        endpoint=endpoint,
        rounding=rounding,
        evaluations=[
            EvaluationFacts(
                name=spec.name,
                question=spec.evaluation.question,
                cannot_show=spec.evaluation.cannot_show,
                measures=list(spec.evaluation.measures),
                notes=list(by_evaluation[spec.name].notes),
                details=dict(by_evaluation[spec.name].details),
            )
            for spec in study.evaluate
        ],
        figures=[row for card in cards for row in card.figures],
        figure_differences=[row for card in cards for row in card.figure_differences],
        self_feedback=[
            found
            for (method, seed, group), stage in wiring.align.items()
            if (found := self_feedback(stage.folder, method, seed, group)) is not None
        ],
    )


def _shown(path: Path) -> str:
    """A path as a reader of the report could type it: inside the working folder, or its name."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return path.name


def _survey_facts(survey: Survey) -> SurveyFacts:
    provenance = survey.provenance
    return SurveyFacts(
        title=survey.codebook.title,
        reader=provenance.reader,
        respondents=survey.responses.height,
        weight_variable=provenance.weight_variable,
        n_eff=effective_sample_size(survey.weights),
        statement=provenance.statement,
        set_aside=[aside.__dict__ for aside in provenance.set_aside],
        files=provenance.files,
        citation=survey.codebook.citation,
        terms=survey.codebook.terms,
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
            note=item.note,
            cluster=first.clusters[item.id],
            side={seed: split.side(item.id) for seed, split in given.splits.items()},
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
        listed=abilities.top,
        samples=0 if abilities.top else endpoint.samples,
        reads_texts=abilities.echo,
    )


def _rounding_errors(given: EvaluationInput) -> list[RoundingError]:
    return [
        RoundingError(method=method, seed=seed, **asdict(answers.rounding))
        for (method, seed), answers in given.answers.items()
        if answers.rounding is not None
        # Untrained methods have one and the same answers in every seed.
        and (method in given.trained or seed == next(iter(given.splits)))
    ]


def _endpoint_limits(endpoint: EndpointFacts | None, given: EvaluationInput) -> list[str]:
    """What asking through an endpoint leaves open."""
    if endpoint is None:
        return []
    letters = [
        answer
        for answers in given.answers.values()
        for some in answers.by_value_set.values()
        for answer in some
        if answer.readout == "letters"
    ]
    sentences = [
        "The model was asked behind an address. Which weights answered there cannot be checked, and "
        "the provider may change them under the same name."
    ]
    if endpoint.listed:
        unseen = [answer.unseen for answer in letters]
        sentences.append(
            f"The endpoint tells the probabilities of its {endpoint.listed} likeliest tokens only. "
            "Option labels outside them count 0; together they could have had at most "
            f"{sum(unseen) / len(unseen):.4f} of the probability on average over questions, and "
            f"{max(unseen):.4f} on one."
        )
    else:
        named = [answer.named for answer in letters if answer.named]
        fewest = min(named, default=0)
        error = f", a standard error of up to {0.5 / fewest**0.5:.2f}" if fewest else ""
        sentences.append(
            "The endpoint gives no probabilities: each answer is the shares of "
            f"{endpoint.samples} sampled answers to each way of asking{error} a share. The "
            "intervals hold that error; it also lowers each fit somewhat, and raises order sensitivity."
        )
    if not endpoint.reads_texts:
        sentences.append(
            "The endpoint gives no probabilities of whole texts: answers said in full were not read."
        )
    return sentences


def _rounding_limits(errors: Sequence[RoundingError]) -> list[str]:
    """What a shorter number format moved."""
    found = []
    measured = [row for row in errors if row.mean is not None and row.largest is not None]
    if measured:
        questions = sum(row.questions for row in measured)
        mean = sum(row.questions * (row.mean or 0.0) for row in measured) / questions
        found.append(
            f"Answers were computed in {measured[0].dtype}. Asked again in float32, {questions} "
            f"answers of {len({row.method for row in measured})} methods moved by {mean:.4f} on "
            f"average and {max(row.largest or 0.0 for row in measured):.4f} at most (total variation, "
            "0 to 1)."
        )
    missing = [row.method for row in errors if row.mean is None]
    if missing:
        found.append(
            f"Answers were computed in {errors[0].dtype}, and what that moved could not be measured "
            f"for {', '.join(dict.fromkeys(missing))}: the model does not fit in float32 here."
        )
    return found


def _method_facts(wiring: Wiring, given: EvaluationInput, memory: Memory) -> list[MethodFacts]:
    floors = [
        MethodFacts(
            name=UNIFORM,
            label="Uniform answer",
            kind="floor",
            explanation="Every option equally often; needs no model and no data.",
        ),
        MethodFacts(
            name=AVERAGE,
            label="Average training answer",
            kind="floor",
            explanation="The population's mean answer to the items trained on, whatever the "
            "question: the best answer that ignores it.",
        ),
    ]
    if given.left_out:
        floors.append(
            MethodFacts(
                name=OTHERS,
                label="Mean of the groups trained on",
                kind="floor",
                explanation="What the groups trained on answered to the same question, on average, "
                "as the answer of a group left out: what a model could know without telling the "
                "groups apart. It has read the answers to held-out questions, which no model has.",
            )
        )
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
                explanation=spec.method.explanation,
                settings=spec.options.model_dump(mode="json", exclude_none=True)
                | ({"records": spec.records} if spec.records != "survey" else {}),
                checkpoints=[
                    str(checkpoint.folder.relative_to(wiring.study.output))
                    for checkpoint in checkpoints
                ],
                costs=[Cost.model_validate(c.manifest["cost"]) for c in checkpoints],
                asking=_asking_cost(wiring, spec.name, memory),
            )
        )
    return [*floors, *found, ceiling]


def _consultation_limits(wiring: Wiring) -> list[str]:
    """What learning from a consultation leaves open, where a method did."""
    study = wiring.study
    heard = [spec.name for spec in study.methods if spec.uses_consultation]
    if not heard or study.consultation is None:
        return []
    spec = study.consultation
    read = "one vote each" if spec.read_as == "sample" else "weighted to the population"
    return [
        f"{', '.join(heard)} learnt from a consultation (participants {read}): people who chose to "
        "take part, so that what they share beyond what weights can mend is learnt as well.",
        f"{spec.held_out:.0%} of the participants were never trained on; how far each checkpoint "
        "agrees with them is what the evaluation `preferences` shows.",
    ]


def limits(survey: Survey, given: EvaluationInput) -> list[str]:
    """What this run cannot show, from its own numbers."""
    held_out = sorted({item for split in given.splits.values() for item in split.held_out})
    clusters = {split.clusters[item] for split in given.splits.values() for item in split.held_out}
    sentences = [
        "Answering a survey like a public is not acting like it: nothing here tests what the "
        "model does in conversation or in decisions.",
        f"The intervals rest on {len(held_out)} held-out items in {len(clusters)} groups that "
        "stand or fall together; another choice of items could give another figure.",
        "What the model says is no estimate of what the public would say to a new question.",
    ]
    if survey.provenance.weight_variable is None:
        sentences.append(
            "The respondents are not weighted: the figures stand for the sample, and for the "
            "population only as far as the sample resembles it."
        )
    if len(given.splits) == 1:
        sentences.append(
            "One seed: how much the figures move with the choice of held-out items and with "
            "training's own randomness was not measured."
        )
    pooled = [v.name for v in given.value_sets if any(d.pooled for d in v.distributions.values())]
    if pooled:
        sentences.append(
            f"Small groups ({', '.join(pooled)}) were drawn toward their parent population on some "
            "items, by the weights shown beside them. Their ceiling is drawn along, and says less the "
            "greater the weight."
        )
    notes = [item for v in given.value_sets[:1] for item in v.items if item.note]
    if notes:
        sentences.append(
            f"{len(notes)} items carry a note in the codebook (such as two wordings pooled)."
        )
    sentences.append(
        "Respondents who gave no answer are left out of each item's shares; their part is shown "
        "beside the item."
    )
    return sentences
