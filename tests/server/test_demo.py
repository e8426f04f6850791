"""The demonstration: its known groups are found again."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.server.demo import PEOPLE, found_again, polis_demo, simulated_demo


@pytest.mark.slow
def test_the_groups_found_are_the_known_ones() -> None:
    demo = simulated_demo()
    assert demo.content.participants.height == PEOPLE and len(demo.names) == 3
    agreement = found_again(demo)
    assert agreement is not None and agreement > 0.7
    assert demo.content.question and demo.content.demographics.height == 2 * PEOPLE
    assert demo.content.prompts.height == 6 and demo.content.answers.height == 24


@pytest.mark.slow
def test_known_groups_that_are_shuffled_are_not_found() -> None:
    demo = simulated_demo(120)
    people = list(demo.known)
    groups = np.random.default_rng(0).permutation(list(demo.known.values()))
    shuffled = dict(zip(people, groups.tolist(), strict=True))
    other = type(demo)(demo.content, shuffled, demo.names, demo.targets)
    agreement = found_again(other)
    assert agreement is not None and abs(agreement) < 0.1


@pytest.mark.slow
def test_a_real_export_becomes_a_demonstration(shared_data: Path) -> None:
    demo = polis_demo(shared_data / "polis" / "scoop-hivemind.biodiversity")
    assert demo.content.votes.height > 10_000
    agreement = found_again(demo)
    assert agreement is None or -1 <= agreement <= 1


def test_too_few_people_are_refused() -> None:
    with pytest.raises(InputError, match="20 people or more"):
        simulated_demo(5)


def without_extras(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.without_extras", "consult", "demo", *words]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_a_look_needs_the_core_install_alone() -> None:
    looked = without_extras("--look", "--people", "60")
    assert looked.returncode == 0, looked.stderr
    assert "60 people" in looked.stdout and "adjusted Rand index" in looked.stdout


@pytest.mark.slow
def test_serving_it_says_which_extra_is_missing() -> None:
    refused = without_extras("--people", "60")
    assert refused.returncode == 2 and "consult" in refused.stderr and "fastapi" in refused.stderr
