"""Puzzles before joining: what solves them, whom they are asked of, and that each counts once."""

import hashlib
import math
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from suffrage.server.store import consultations, invitations, participants, puzzles
from suffrage.server.store.consultations import ConsultationSettings
from suffrage.server.store.database import RefusedError, Store
from suffrage.server.store.database_schema import used_puzzle
from suffrage.server.store.puzzles import PARTS, Proof, Puzzle, make_puzzle, solve_puzzle

BITS = 8


def consultation(store: Store, slug: str = "water") -> str:
    settings = ConsultationSettings(
        open_to_all=True, organiser="The council", contact="c@example.org", proof_of_work=BITS
    )
    made = consultations.create_consultation(store, slug, {"en": "W"}, {"en": "?"}, settings)
    consultations.set_phase(store, made.id, "open", "tests")
    return made.id


def solved(store: Store, id: str) -> Proof:
    return solve_puzzle(make_puzzle(store.secrets, id, BITS))


def join(store: Store, id: str, proof: Proof | None, token: str | None = None) -> str:
    return participants.join_consultation(store, id, token, "en", proof).participant.id


def refused(store: Store, id: str, proof: Proof | None) -> bool:
    before = participants.count_participants(store, id)
    try:
        join(store, id, proof)
    except RefusedError as error:
        assert error.reason == "puzzle"
        assert participants.count_participants(store, id) == before
        return True
    return False


def test_every_part_of_a_solution_begins_with_the_zero_bits_asked_for(store: Store) -> None:
    puzzle = make_puzzle(store.secrets, "of", 10)
    solution = solve_puzzle(puzzle).solution
    assert puzzle.zero_bits == 6 and len(solution) == 8 * PARTS
    for part in range(PARTS):
        text = f"{puzzle.mark}{part:04}{solution[8 * part : 8 * part + 8]}"
        assert bin(int(hashlib.sha256(text.encode()).hexdigest(), 16) | 1 << 256)[3:9] == "000000"


@pytest.mark.slow
def test_solving_takes_about_two_to_the_bits_hashes() -> None:
    tried = [
        sum(int(solve.solution[at : at + 8], 16) + 1 for at in range(0, len(solve.solution), 8))
        for n in range(100)
        for solve in [solve_puzzle(Puzzle("", hashlib.md5(b"%d" % n).hexdigest(), 9 - 4))]
    ]
    # A sum of 16 geometric waits: the mean is 2 ** 9, its standard deviation a quarter of that.
    assert abs(statistics.mean(tried) / 2**9 - 1) < 4 * 0.25 / math.sqrt(len(tried))
    assert 0.18 < statistics.stdev(tried) / 2**9 < 0.32


def test_a_solved_puzzle_lets_one_person_in_once(store: Store) -> None:
    id = consultation(store)
    proof = solved(store, id)
    assert join(store, id, proof)
    assert refused(store, id, proof)


def test_of_many_who_send_one_solution_at_the_same_time_one_gets_in(store: Store) -> None:
    id = consultation(store)
    proof = solved(store, id)

    def gets_in(_: int) -> bool:
        with suppress(RefusedError):
            return bool(join(store, id, proof))
        return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(gets_in, range(8))) == 1
    assert participants.count_participants(store, id)["joined"] == 1


@pytest.mark.parametrize(
    "changed",
    [
        lambda p: None,
        lambda p: Proof("", ""),
        lambda p: replace(p, solution=""),
        lambda p: replace(p, solution="0" * 8 * PARTS),
        lambda p: replace(p, solution=p.solution[8:] + p.solution[:8]),
        lambda p: replace(p, solution=p.solution.upper().replace("A", "a") + "0"),
        # Easier, and good for longer.
        lambda p: replace(p, puzzle=p.puzzle.replace(f".{BITS}.", ".0.")),
        lambda p: replace(p, puzzle="9" + p.puzzle),
        lambda p: replace(p, puzzle="٣" + p.puzzle[1:]),
    ],
)
def test_anything_else_is_refused_and_stores_nobody(
    store: Store, changed: Callable[[Proof], Proof | None]
) -> None:
    id = consultation(store)
    proof = solved(store, id)
    assert refused(store, id, changed(proof))
    # What was refused did not use it up.
    assert not refused(store, id, proof)


def test_a_puzzle_is_of_one_consultation_and_one_secret(store: Store) -> None:
    id, other = consultation(store), consultation(store, "parks")
    assert refused(store, other, solved(store, id))
    strange = replace(store.secrets, keys=(b"another key of thirty-two letters",))
    assert refused(store, id, solve_puzzle(make_puzzle(strange, id, BITS)))


def test_a_puzzle_ends_and_then_its_mark_is_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = consultation(store)
    late, used = solved(store, id), solved(store, id)
    join(store, id, used)
    now = puzzles.now()
    monkeypatch.setattr(puzzles, "now", lambda: now + puzzles.GOOD_FOR + 10_000)
    assert refused(store, id, late) and refused(store, id, used)
    join(store, id, solved(store, id))
    with store.read() as c:
        assert c.scalar(select(func.count()).select_from(used_puzzle)) == 1


def test_who_has_an_invitation_or_a_code_needs_no_puzzle(store: Store) -> None:
    id = consultation(store)
    token = invitations.create_invitations(store, id, 1, "tests")[0]
    person = join(store, id, None, token)
    code = participants.return_code(store, id, person)
    assert participants.come_back(store, id, code).participant.id == person
