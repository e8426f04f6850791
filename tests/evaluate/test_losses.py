"""One rule decides what was lost: the corrected difference, beyond the margin."""

from suffrage.evaluate.results import FigureDifference
from suffrage.evaluate.statistics.losses import is_loss, loss_warnings


def gap(
    value: float, adjusted: float, method: str = "m", against: str = "base"
) -> FigureDifference:
    return FigureDifference(
        evaluation="capability", measure="capability", method=method, against=against,
        value=value, low=value - 0.05, high=value + 0.05, n=40, p=adjusted, adjusted=adjusted,
    )  # fmt: skip


def test_a_loss_is_told_from_nothing_and_beyond_the_margin() -> None:
    assert is_loss(-0.1, "lower", 0.02)
    assert not is_loss(-0.01, "lower", 0.02)
    assert not is_loss(-0.1, "same", 0.02)
    assert not is_loss(0.1, "higher", 0.02)


def test_the_notes_say_which_losses_are_certain_whichever_way_a_pair_is_stored() -> None:
    found = [gap(-0.2, 0.001), gap(-0.2, 0.3, "unsure"), gap(0.2, 0.001, "base", "turned")]
    notes = list(loss_warnings(found, "capability", "base", 0.02, "of its abilities"))
    assert [note.split(" lost")[0] for note in notes] == ["m", "unsure", "turned"]
    certain = "beyond the margin of 0.02."
    assert [note.endswith(certain) for note in notes] == [True, False, True]
