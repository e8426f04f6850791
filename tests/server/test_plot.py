"""The drawing of the groups."""

from suffrage.server.plot import group_mark, groups_drawing


def test_a_drawing_tells_groups_apart_without_colour_and_is_escaped() -> None:
    drawn = groups_drawing([[0, 0, 0], [1, 1, 1], [2, 0, -1]], [[0, 0], [1, 1]], "<b>", "A & B")
    assert "&lt;b&gt;" in drawn and "A &amp; B" in drawn and "<b>" not in drawn
    assert ">A</text>" in drawn and ">B</text>" in drawn
    marks = {group_mark(g).split("fill=")[1].split(">")[1].split(" ")[0] for g in range(2)}
    assert marks == {"<circle", "<polygon"}
    assert len({group_mark(g) for g in range(5)}) == 5
