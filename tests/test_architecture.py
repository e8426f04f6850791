"""The tree at the head of the architecture page is the tree of the code."""

import re
from pathlib import Path

import suffrage

SOURCE = Path(suffrage.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
# Inside these the page says what the whole is for, and no more.
CLOSED = {"server/store/migrations", "server/web/organise"}


def drawn_tree() -> set[str]:
    """Every folder and top-level file that the page draws, relative to the package."""
    block = PAGE.read_text(encoding="utf-8").split("```text\n", 1)[1].split("```", 1)[0]
    found: set[str] = set()
    outer = ""
    for line in block.splitlines()[1:]:
        depth = (len(line) - len(line.lstrip())) // 2
        words = re.split(r"\s{2,}", line.strip(), maxsplit=1)[0].split()
        for word in words:
            if word.endswith("/"):
                name = word.rstrip("/")
                outer = name if depth == 1 else outer
                found.add(name if depth == 1 else f"{outer}/{name}")
            else:
                found.add(word)
    return found


def tree_of_code() -> set[str]:
    """Every package below the first, and every module next to them."""
    packages = {
        path.parent.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*/__init__.py")
    }
    kept = {name for name in packages if not any(name.startswith(part) for part in CLOSED)}
    return kept | {path.name for path in SOURCE.glob("*.py") if path.name != "__main__.py"}


def test_the_page_opens_with_the_tree_of_the_code() -> None:
    assert drawn_tree() == tree_of_code()


def test_the_tree_is_short_enough_to_read() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.index("```text") < 200, "the page opens with the tree"
    assert page.split("```text\n", 1)[1].split("```", 1)[0].count("\n") <= 36


def test_every_decision_has_its_day() -> None:
    page = PAGE.read_text(encoding="utf-8")
    decisions = page.split("## Decisions", 1)[1].split("\n## ", 1)[0]
    entries = re.findall(r"^- .*", decisions, flags=re.MULTILINE)
    assert entries and all(re.match(r"- \*\*20\d\d-\d\d-\d\d\. ", entry) for entry in entries)
