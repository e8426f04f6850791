"""Progress: what is at work and how long it still takes, with and without a terminal."""

import io
import time

import pytest

from suffrage.study import progress
from suffrage.study.progress import Progress, seconds_left


def test_time_left_begins_with_the_plan_and_ends_with_the_stages_own_pace() -> None:
    assert seconds_left(600, 0.0, 0.0) == 600
    # One step of a hundred took ten times as long as planned: loading is no pace yet.
    assert 600 < seconds_left(600, 0.01, 60) < 1200
    assert seconds_left(600, 0.5, 900) == pytest.approx(900)
    assert seconds_left(600, 1.0, 900) == 0


def test_a_training_that_goes_on_has_the_pace_of_this_run() -> None:
    # Two thirds were done before. A tenth more has taken 90 s since the first step ended.
    assert seconds_left(600, 0.77, 110, first=(0.67, 20)) == pytest.approx(207)
    # At the first step nothing but the plan is known.
    assert seconds_left(600, 0.67, 20, first=(0.67, 20)) == pytest.approx(198)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.9])
@pytest.mark.parametrize("elapsed", [0.0, 10.0, 5000.0])
def test_time_left_is_never_negative(share: float, elapsed: float) -> None:
    left = seconds_left(100, share, elapsed)
    assert (left is None) == (share == 0 and elapsed > 100)
    assert left is None or left >= 0


def test_a_stage_past_its_plan_with_nothing_done_is_not_said_to_end_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT", 0.02)
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    with Progress(300) as shown, shown.stage("ask it", 0.01):
        time.sleep(0.1)
    assert "ask it: 0% done, longer than planned; the whole run more than 5 min" in (
        written.getvalue()
    )


def test_a_last_stage_past_its_plan_gives_no_time_for_the_whole_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT", 0.02)
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    with Progress(0.01) as shown, shown.stage("ask it", 0.01):
        time.sleep(0.1)
    assert "0% done, longer than planned; the whole run longer than planned" in written.getvalue()
    assert "more than" not in written.getvalue()


def test_without_a_terminal_every_stage_has_lines_and_one_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT", 0.02)
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    with Progress(400) as shown:
        with shown.stage("train [odd], seed 1", 100) as update:
            update(0.5)
            time.sleep(0.15)
        with shown.stage("ask it", 300):
            pass
    lines = [line.split("  ", 1)[1] for line in written.getvalue().splitlines()]
    assert lines[0] == "train [odd], seed 1: about 1 min 40 s"
    beats = [line for line in lines if "50% done" in line]
    assert beats and "the whole run about 5 min" in beats[0]
    assert [line.startswith("train [odd], seed 1: finished in") for line in lines].count(True) == 1
    assert lines[-1].startswith("ask it: finished in")


def test_the_rest_is_estimated_at_the_pace_of_what_is_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress, "HEARTBEAT", 0.05)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)

    def said() -> str:
        return written.getvalue().splitlines()[-1].split("  ", 1)[1]

    with Progress({"align": 300, "probes": 300}) as shown:
        # Planned for 100 s, it takes 10 s to load and then a second for each hundredth.
        with shown.stage("train a", 100, "align") as update:
            assert said() == "train a: about 1 min 40 s"
            now[0] += 10.2
            update(0.01)
            for hundredth in range(2, 101):
                now[0] += 0.2
                update(hundredth / 100)
        # So do the other trainings, at a fifth of the plan.
        with shown.stage("train b", 200, "align"):
            assert said() == "train b: about 40 s"
            now[0] += 40
        # A kind that was not seen yet is taken to be like the others, until it shows its own.
        with shown.stage("ask a", 100, "probes") as update:
            assert said() == "ask a: about 20 s"
            now[0] += 5
            update(0.05)
            now[0] += 30
            update(0.2)
            time.sleep(0.2)
            assert (
                said() == "ask a: 20% done, about 2 min 40 s left; the whole run about 9 min 20 s"
            )


def test_a_stage_that_fails_is_not_called_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    with pytest.raises(RuntimeError), Progress(10) as shown, shown.stage("train", 10):
        raise RuntimeError
    assert "finished" not in written.getvalue()


def test_quiet_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    with Progress(10, quiet=True) as shown, shown.stage("train", 10) as update:
        update(0.5)
    assert not written.getvalue()


@pytest.mark.slow
def test_bars_show_the_time_left_of_the_stage_and_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    written = Terminal()
    monkeypatch.setattr("sys.stderr", written)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with Progress(400) as shown, shown.stage("train [odd]", 100) as update:
        update(0.0)
        time.sleep(0.3)
    text = written.getvalue()
    assert "train [odd]" in text and "1 min 40 s left" in text and "6 min 40 s left" in text
