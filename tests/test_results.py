"""The results pages: every row names a command that exists, and every citation leads to a row."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from tests.test_docs import PAGES, ROOT, identified, unknown

RESULTS = ROOT / "docs" / "results.md"
JOURNAL = ROOT / "docs" / "results-journal.md"
COLUMNS = ["Claim", "Figure", "Study and command", "Date, machine", "Since then"]
# How the last cell begins; the page says what the words mean. A claim whose figure could have moved
# has no row.
CHANGES = {"same", "speed", "no command"}
# A page that sends its reader to the results as a whole, and cites no figure.
WHOLE_PAGE = {"README.md", "benchmarks/README.md", "docs/index.md", "examples/README.md"}


@dataclass(frozen=True)
class Row:
    """A claim of a results page."""

    anchor: str
    figure: str
    command: str
    made: str
    since: str


def rows_of(text: str) -> list[Row]:
    """The rows of all tables with the results' columns; ValueError where one has other cells."""
    rows = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells == COLUMNS:
            inside = True
        elif inside and not set(line) <= set("|-: "):
            anchor = re.match(r'<a id="([a-z0-9-]+)"></a>\S', cells[0])
            if len(cells) != len(COLUMNS) or anchor is None:
                raise ValueError(f"not a row of results: {line[:80]}")
            rows.append(Row(anchor.group(1), *cells[1:]))
    return rows


def wrong_with(row: Row) -> list[str]:
    """What a row lacks, or names that does not exist."""
    wrong = []
    commands = re.findall(r"`((?:[A-Z0-9_]+=\S+ )*(?:suffrage|python) [^`]+)`", row.command)
    if not commands:
        wrong.append("no command")
    for command in commands:
        words = [w for w in shlex.split(command) if not re.fullmatch(r"[A-Z0-9_]+=.*", w)]
        files = [w for w in words if re.fullmatch(r"(benchmarks|examples)/\S+\.(py|yaml)", w)]
        wrong += [f"no file {name}" for name in files if not (ROOT / name).is_file()]
        if words[0] == "suffrage" and (found := unknown(words)) is not None:
            wrong.append(found)
        if words[0] == "python":
            if not files:
                wrong.append(f"no file in {command}")
            for name in files:
                text = (ROOT / name).read_text(encoding="utf-8") if not wrong else ""
                options = [w for w in words if w.startswith("--")]
                wrong += [f"no option {o}" for o in options if f'"{o}"' not in text]
    if not re.search(r"\d", row.figure):
        wrong.append("no figure")
    made = re.match(r"\[(\d{4}-\d\d-\d\d)\]\([\w./-]+\.md[^)]*\), \S", row.made)
    if made is None or date.fromisoformat(made.group(1)) < date(2026, 11, 1):
        wrong.append("no date with its section, or no machine")
    words_since = re.split(r"[,:] ", row.since.lower())
    if words_since[0] not in CHANGES:
        wrong.append(f"{row.since}: not a word of the list")
    return wrong


ROWS = rows_of(RESULTS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.anchor)
def test_a_row_of_results_has_a_figure_a_date_and_a_command_that_exists(row: Row) -> None:
    assert not wrong_with(row)


def test_every_table_of_results_has_the_same_columns() -> None:
    text = RESULTS.read_text(encoding="utf-8")
    assert len(re.findall(r"(?m)^\|[-:| ]+\|$", text)) == text.count("| " + " | ".join(COLUMNS))


def test_no_two_results_have_one_address() -> None:
    anchors = [row.anchor for row in ROWS]
    assert len(anchors) > 30 and len(set(anchors)) == len(anchors)


def test_every_change_since_is_explained_above_the_tables() -> None:
    head = RESULTS.read_text(encoding="utf-8").split("## What training")[0].lower()
    assert not [word for word in CHANGES if f"*{word}*" not in head]


def test_no_claim_rests_on_models_that_earlier_code_trained_or_asked() -> None:
    last = "2026-11-28"
    assert f"Sections dated {last} and before" in JOURNAL.read_text(encoding="utf-8")
    journals = re.findall(r"\(results-journal\.md#(\d{4}-\d\d-\d\d)", RESULTS.read_text("utf-8"))
    assert journals and min(journals) > last


@pytest.mark.parametrize("page", PAGES, ids=identified)
def test_a_page_that_cites_a_result_links_to_its_row(page: Path) -> None:
    if page.name.startswith("results") or identified(page) == "CHANGELOG.md":
        return
    anchors = {f"#{row.anchor}" for row in ROWS}
    text = page.read_text(encoding="utf-8")
    cited = re.findall(r"\]\((?:[\w./-]*/)?results\.md(#[\w-]+)?\)", text)
    loose = [anchor for anchor in cited if anchor not in anchors]
    assert set(loose) <= ({""} if identified(page) in WHOLE_PAGE else set())


def test_the_checks_see_a_wrong_row() -> None:
    good = "| " + " | ".join(COLUMNS) + " |\n| --- | --- | --- | --- | --- |\n"
    cells = [
        '<a id="one"></a>It is so.',
        "0.1 [0.0, 0.2]",
        "quickstart: `suffrage run examples/quickstart.yaml`",
        "[2026-11-29](results-journal.md#x), any",
        "Same",
    ]

    def wrong(index: int, cell: str) -> list[str]:
        changed = [cell if i == index else old for i, old in enumerate(cells)]
        (row,) = rows_of(good + "| " + " | ".join(changed) + " |")
        return wrong_with(row)

    assert wrong(4, "Same") == []
    assert wrong(1, "much") == ["no figure"]
    assert wrong(2, "quickstart") == ["no command"]
    assert wrong(2, "`suffrage run examples/none.yaml`") == ["no file examples/none.yaml"]
    assert wrong(2, "`suffrage runn examples/quickstart.yaml`") == ["no command runn"]
    assert wrong(2, "`python benchmarks/raking.py --none`") == ["no option --none"]
    assert wrong(3, "yesterday") == ["no date with its section, or no machine"]
    for word in ("Fine", "Training"):
        assert wrong(4, word) == [f"{word}: not a word of the list"]
    with pytest.raises(ValueError, match="not a row"):
        rows_of(good + "| It is so. | 0.1 | `suffrage run` | today | Same |")
