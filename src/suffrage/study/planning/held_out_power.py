"""Whether a study's held-out questions can show a difference worth seeing, before it trains."""

from __future__ import annotations

from statistics import median

from suffrage.errors import InputError
from suffrage.evaluate.fit import NAME as FIT
from suffrage.evaluate.statistics.inference import (
    FEWEST_TEST_CLUSTERS,
    detectable_with,
    usual_errors_needed,
)
from suffrage.plurals import plural
from suffrage.report.tables import read_results
from suffrage.study.inputs import StudyInputs
from suffrage.study.schema import Study

# A difference in fit that is worth seeing.
WORTH_SEEING = 0.05
# The standard deviation of a difference in fit between clusters of questions, typical of the
# studies in docs/results-journal.md. A study that was run before has its own.
TYPICAL_DEVIATION = 0.08


def power_warnings(inputs: StudyInputs) -> tuple[str, ...]:
    """A sentence where the held-out side cannot show a difference worth seeing; else nothing.

    A study that holds nothing out is not warned: it says so everywhere else.
    """
    clusters = {split.clusters[item] for split in inputs.splits.values() for item in split.held_out}
    if not clusters:
        return ()
    count, own = len(clusters), _earlier_deviation(inputs.study)
    if count < FEWEST_TEST_CLUSTERS:
        return (
            f"Questions held out are in {plural(count, 'separate cluster')}, and with fewer than "
            f"{FEWEST_TEST_CLUSTERS} no verdict can be given; hold more out under `held_out:`.",
        )
    deviation = TYPICAL_DEVIATION if own is None else own
    seen = detectable_with(count, deviation)
    if seen is None or seen <= WORTH_SEEING:
        return ()
    basis = "typical of other studies" if own is None else "as in this study's last run"
    return (
        f"Questions held out are in {plural(count, 'separate cluster')}. With a standard "
        f"deviation of "
        f"{deviation:.2f} between them, {basis}, one comparison would show a difference in fit of "
        f"{seen:.2f} four times in five, and smaller ones less often; to see {WORTH_SEEING:g}, "
        f"hold out about {_needed(deviation)} under `held_out:`.",
    )


def _needed(deviation: float) -> int:
    """How many clusters show a difference worth seeing."""
    count = FEWEST_TEST_CLUSTERS
    while (detectable_with(count, deviation) or 0.0) > WORTH_SEEING:
        count += 1
    return count


def _earlier_deviation(study: Study) -> float | None:
    """The standard deviation between clusters that an earlier run of the study had, if any."""
    if not (study.output / "results.json").is_file():
        return None
    try:
        results = read_results(study.output)
    except InputError:
        return None
    side = results.main_side
    clusters = len({item.cluster for item in results.items if side in item.side.values()})
    found = [d.detectable for d in results.differences_of(FIT, "fit") if d.detectable is not None]
    if not found or clusters < FEWEST_TEST_CLUSTERS:
        return None
    return float(median(found) / usual_errors_needed(clusters) * clusters**0.5)
