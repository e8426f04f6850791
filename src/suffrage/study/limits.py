"""What a run cannot show, in sentences made from its own numbers."""

from __future__ import annotations

from collections.abc import Sequence

from suffrage.evaluate import EvaluationInput
from suffrage.evaluate.asking.sampled_cells import is_trained
from suffrage.evaluate.results import EndpointFacts, RoundingError
from suffrage.plurals import plural
from suffrage.population.published import source_disagreements
from suffrage.study.schema import Study
from suffrage.study.sources import Sources
from suffrage.survey import Survey
from suffrage.survey.published_table import PublishedTable
from suffrage.survey.reading import first_names


def limits_of_run(
    study: Study,
    sources: Sources,
    given: EvaluationInput,
    endpoint: EndpointFacts | None,
    rounding: Sequence[RoundingError],
) -> list[str]:
    """The sentences of the report's section on limits.

    Parameters
    ----------
    study : Study
    sources : mapping
        What the study read, by the source's name.
    given : EvaluationInput
        What the evaluations were given.
    endpoint : EndpointFacts or None
        The address that was asked; None where the model ran here.
    rounding : sequence of RoundingError
        What a shorter number format changed.
    """
    return [
        *_general_limits(sources, given),
        *_floor_limits(given),
        *_sample_limits(given),
        *_source_limits(sources, given),
        *_endpoint_limits(endpoint, given),
        *_rounding_limits(rounding),
        *_consultation_limits(study),
        *_mixing_limits(study, given),
    ]


def _mixing_limits(study: Study, given: EvaluationInput) -> list[str]:
    """The methods of which no weight could be chosen, though the study asks for it."""
    weighed = [reading.method.partition("+")[0] for reading in given.readings if reading.weights]
    missing = [name for name in given.methods if name not in weighed] if study.calibrate else []
    return [
        f"{name} has no weight in a mixture with the average answer: no question is left to "
        "choose it on that the model has neither learnt nor been shown. With calibrate: 0.1 every "
        "method has one."
        for name in missing
    ]


def _general_limits(sources: Sources, given: EvaluationInput) -> list[str]:
    """What this run cannot show, from its own numbers."""
    held_out = sorted({item for split in given.splits.values() for item in split.held_out})
    clusters = {split.clusters[item] for split in given.splits.values() for item in split.held_out}
    sentences = [
        "Answering a survey like a public is not acting like it: nothing here tests what the "
        "model does in conversation or in decisions.",
        f"The intervals rest on {plural(len(held_out), 'held-out item')} in "
        f"{plural(len(clusters), 'group')} of "
        "related questions. Other items could give other figures.",
        "What the model says is not an estimate of what the public would say to a new question.",
    ]
    surveys = [s for s in sources.values() if isinstance(s, Survey)]
    if any(survey.provenance.weight_variable is None for survey in surveys):
        sentences.append(
            "The respondents are not weighted: the figures describe the sample, and the population "
            "only where the sample resembles it."
        )
    if len(given.splits) == 1:
        sentences.append(
            "There is one seed: how much the figures change with the choice of held-out items and "
            "with the randomness of training was not measured."
        )
    pooled = [v.name for v in given.value_sets if any(d.pooled for d in v.distributions.values())]
    if pooled:
        sentences.append(
            f"Small groups ({', '.join(pooled)}) were drawn toward their parent population on "
            "some items, by the weights shown next to them. Their ceiling is drawn in the same "
            "way, so it says less where the weight is greater."
        )
    notes = [item for v in given.value_sets[:1] for item in v.items if item.note]
    if notes:
        sentences.append(
            f"{len(notes)} items carry a note in the codebook (such as two wordings pooled)."
        )
    apart = [item for v in given.value_sets[:1] for item in v.items if item.caution]
    if apart:
        sentences.append(
            f"On {plural(len(apart), 'item')} a country, wave or mode never used options that "
            f"the others use "
            f"({first_names([item.id for item in apart])}); differences between populations on "
            "them may come from how they were asked or coded."
        )
    sentences.append(
        "Respondents who gave no answer are left out of each item's shares; the share of them is "
        "shown next to the item."
    )
    return sentences


def _floor_limits(given: EvaluationInput) -> list[str]:
    """Which floors there are not, because nothing was trained on."""
    if given.trains_on_none:
        return [
            "Every question is held out. There is no average of trained answers and no nearest "
            "trained question, so the even answer is the only floor."
        ]
    without = [
        v.name
        for v in given.value_sets
        if not any(split.trains_on(i) for split in given.splits.values() for i in v.distributions)
    ]
    return [
        f"No question that was asked of {', '.join(without)} is trained on: the average training "
        "answer of such a group is the even one."
    ] * bool(without)


def _sample_limits(given: EvaluationInput) -> list[str]:
    """That of what was trained on only a sample was asked, where that is so."""
    if not given.trained_sample:
        return []
    seed, drawn = next(iter(given.trained_sample.items()))
    split, left_out = given.splits[seed], given.left_out
    every = [(v.name, item) for v in given.value_sets for item in v.distributions]
    trained = sum(is_trained(cell, split, left_out) for cell in every)
    questions = len({item for _, item in drawn})
    return [
        f"Of {trained:,} answers of populations to questions trained on, {len(drawn):,} were asked "
        f"(`scoring: trained_cells`): those to {questions:,} questions, drawn at random, the same "
        "share of each source's. Figures on trained questions rest on them; all "
        "that was held out was asked."
    ]


def _source_limits(sources: Sources, given: EvaluationInput) -> list[str]:
    """What published tables leave open, and where two sources do not agree."""
    sentences = []
    tables = [s.codebook.title for s in sources.values() if isinstance(s, PublishedTable)]
    if tables:
        sentences.append(
            f"Published shares ({', '.join(tables)}) do not say who answered. Where the number of "
            "people is not published either, intervals resample questions only."
        )
    if len(sources) > 1:
        found = [(v, d) for v in given.value_sets for d in source_disagreements(v)]
        if found:
            value_set, worst = max(found, key=lambda pair: pair[1].distance)
            sentences.append(
                f"In {len(found)} places two sources give one population other answers to the "
                f"same question; both were kept. The farthest apart: {value_set.name} on "
                f"{worst.first.item.id} and {worst.second.item.id}, {worst.distance:.0%} of "
                "answers."
            )
    return sentences


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
        "The model was asked through an address. Which weights answered cannot be checked, and the "
        "provider may change them under the same name."
    ]
    if endpoint.listed:
        unseen = [answer.unseen for answer in letters]
        sentences.append(
            f"The endpoint gives the probabilities of its {endpoint.listed} likeliest tokens only. "
            "Option labels outside them count 0; together they could have had at most "
            f"{sum(unseen) / len(unseen):.4f} of the probability on average over questions, and "
            f"{max(unseen):.4f} on one."
        )
    else:
        named = [answer.named for answer in letters if answer.named]
        fewest = min(named, default=0)
        error = f", a standard error of up to {0.5 / fewest**0.5:.2f}" if fewest else ""
        sentences.append(
            "Labels were read from drawn answers: each answer is the shares of "
            f"{endpoint.samples} sampled answers to each way of asking{error} a share. The "
            "intervals include that error. It also lowers each fit somewhat, and raises order "
            "sensitivity."
        )
    sentences += endpoint.notes
    if not endpoint.reads_texts:
        sentences.append(
            "The endpoint gives no probabilities of whole texts, so the readouts of whole texts "
            "are left out."
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
            f"average and {max(row.largest or 0.0 for row in measured):.4f} at most (total "
            "variation, 0 to 1)."
        )
    missing = [row.method for row in errors if row.mean is None]
    if missing:
        found.append(
            f"Answers were computed in {errors[0].dtype}. What that changed could not be measured "
            f"for {', '.join(dict.fromkeys(missing))}: the model does not fit in float32 here."
        )
    return found


def _consultation_limits(study: Study) -> list[str]:
    """What learning from a consultation leaves open, where a method did."""
    heard = [spec.name for spec in study.methods if spec.uses_consultation]
    if not heard or study.consultation is None:
        return []
    spec = study.consultation
    read = "one vote each" if spec.read_as == "sample" else "weighted to the population"
    return [
        f"{', '.join(heard)} learnt from a consultation (participants {read}). These people chose "
        "to take part, and what they have in common is learnt too, where weights cannot correct "
        "it.",
        f"{spec.held_out:.0%} of the participants were never trained on. The evaluation "
        "`preferences` shows how far each checkpoint agrees with them.",
    ]
