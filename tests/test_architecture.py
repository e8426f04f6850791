"""The tree at the head of the architecture page is the tree of the code."""

import re
from pathlib import Path

import suffrage
from tests.test_layers import FOUNDATION, LAYERS

SOURCE = Path(suffrage.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
# Inside these the page says what the whole is for, and no more.
CLOSED = {"server/store/migrations", "server/web/organise"}


def drawn_tree() -> list[str]:
    """Every folder and top-level file that the page draws, relative to the package, in order."""
    block = PAGE.read_text(encoding="utf-8").split("```text\n", 1)[1].split("```", 1)[0]
    found: list[str] = []
    outer = ""
    for line in block.splitlines()[1:]:
        depth = (len(line) - len(line.lstrip())) // 2
        words = re.split(r"\s{2,}", line.strip(), maxsplit=1)[0].split()
        for word in words:
            if word.endswith("/"):
                name = word.rstrip("/")
                outer = name if depth == 1 else outer
                found.append(name if depth == 1 else f"{outer}/{name}")
            else:
                found.append(word)
    return found


def tree_of_code() -> set[str]:
    """Every package below the first, and every module next to them."""
    packages = {
        path.parent.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*/__init__.py")
    }
    kept = {name for name in packages if not any(name.startswith(part) for part in CLOSED)}
    return kept | {path.name for path in SOURCE.glob("*.py") if path.name != "__main__.py"}


def test_the_page_opens_with_the_tree_of_the_code() -> None:
    drawn = drawn_tree()
    assert len(drawn) == len(set(drawn)) and set(drawn) == tree_of_code()


def test_the_tree_has_the_layers_in_their_order() -> None:
    """The page says that imports point down the tree, and tests/test_layers.py that they do."""
    names = [name.removesuffix(".py") for name in drawn_tree() if "/" not in name]
    layers = [name for name in names if name not in FOUNDATION and name != "__init__"]
    assert layers == [name for name in LAYERS if name != "__main__"]
    assert names[len(layers) + 1 :] == [name for name in names if name in FOUNDATION]


def test_the_tree_is_short_enough_to_read() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.index("```text") < 200, "the page opens with the tree"
    assert page.split("```text\n", 1)[1].split("```", 1)[0].count("\n") <= 36


def test_every_decision_has_its_day() -> None:
    page = PAGE.read_text(encoding="utf-8")
    decisions = page.split("## Decisions", 1)[1].split("\n## ", 1)[0]
    entries = re.findall(r"^- .*", decisions, flags=re.MULTILINE)
    assert entries and all(re.match(r"- \*\*20\d\d-\d\d-\d\d\. ", entry) for entry in entries)


def test_every_decision_has_a_figure_or_says_why_not() -> None:
    page = PAGE.read_text(encoding="utf-8")
    decisions = page.split("## Decisions", 1)[1].split("\n## ", 1)[0]
    entries = re.split(r"^- \*\*20\d\d-\d\d-\d\d\. ", decisions, flags=re.MULTILINE)[1:]
    # A date is no figure.
    told = [re.sub(r"20\d\d-\d\d-\d\d", "", entry) for entry in entries]
    assert not [entry for entry in told if not re.search(r"\d|Not measured", entry)]
