"""What a figure can be is said of every measure, so that no interval goes beyond it."""

from suffrage import registry
from suffrage.evaluate import Evaluation

# Measures without an upper or a lower end, and why. All others are shares, fits, distances on a
# scale from 0 to 1, correlations, or differences of them.
RATIOS = "a ratio, whose denominator may be small"
LOG_PROBABILITIES = "a difference of log-probabilities"
WITHOUT_ENDS = {
    "behaviour": (
        RATIOS,
        "survey_effect behavioural_effect behavioural_effect_written behavioural_effect_judged "
        "depth_ratio in_proportion",
    ),
    "distances": (
        "a share of a way, or a distance in the codes of a file",
        "wasserstein_codes way_js_similarity way_wasserstein way_total_variation",
    ),
    "equity": (RATIOS, "within between"),
    "fit": (RATIOS, "entropy_ratio slope"),
    "memorisation": (LOG_PROBABILITIES, "recall_gap familiar_wording"),
    "preferences": ("1 minus a ratio of errors: its upper end is 1", "votes_skill reactions_skill"),
    "robustness": (RATIOS, "least order words format turned pushed pressed language"),
    "steerability": (RATIOS, "apart"),
    "structure": (RATIOS, "weakest spread"),
    "transfer": ("a share of a way", "way"),
}


def evaluation_named(name: str) -> Evaluation:
    found: Evaluation = registry.load("evaluations", name)
    return found


def test_every_measure_that_cannot_be_just_anything_has_ends() -> None:
    open_ended = {
        (evaluation.name, measure.name)
        for evaluation in map(evaluation_named, registry.names("evaluations"))
        for measure in evaluation.measures
        if measure.lowest is None or measure.highest is None
    }
    known = {(name, own) for name, (_, words) in WITHOUT_ENDS.items() for own in words.split()}
    assert open_ended == known
