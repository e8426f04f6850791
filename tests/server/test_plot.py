"""The drawing of the groups."""

import re
from pathlib import Path

from suffrage.consult.group_letters import COLOURS
from suffrage.server import web
from suffrage.server.plot import group_mark, groups_drawing


def test_a_drawing_tells_groups_apart_without_colour_and_is_escaped() -> None:
    drawn = groups_drawing(
        [[0, 0, 0], [1, 1, 1], [2, 0, -1]], {0: [0, 0], 1: [1, 1]}, "<b>", "A & B"
    )
    assert "&lt;b&gt;" in drawn and "A &amp; B" in drawn and "<b>" not in drawn
    assert ">A</text>" in drawn and ">B</text>" in drawn
    marks = {group_mark(g).split(">")[1].split(" ")[0] for g in range(2)}
    assert marks == {"<circle", "<polygon"}
    assert len({group_mark(g) for g in range(5)}) == 5


def test_groups_have_the_same_colours_on_the_pages_of_participants_and_of_organisers() -> None:
    folder = Path(web.__file__).parent / "static"
    found = [
        re.findall(r"(--g\d): (#\w+);", (folder / name).read_text())
        for name in ("style.css", "organise.css")
    ]
    # Light, then dark; five colours that differ in each.
    assert found[0] == found[1] and len(found[0]) == 2 * COLOURS == len(set(found[0]))
    assert 'class="mark g2"' in group_mark(2) and 'class="mark g2"' in group_mark(2 + COLOURS)
