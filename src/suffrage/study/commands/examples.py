"""The example studies that ship: what each shows and takes, and beginning with one.

The facts are in the comment at the head of a study's file. `suffrage examples` and
`examples/README.md` say the same, because both come from there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from suffrage import storage
from suffrage.errors import InputError, did_you_mean
from suffrage.study.commands.starting import STUDY, StartedStudy

SHIPS = "installed with the demo"
_FACTS = re.compile(r"Data: (.+?)\. Time: (.+?)\. Memory: (.+?)\.(?: |$)")


@dataclass(frozen=True)
class ExampleStudy:
    """A study that ships with Suffrage."""

    name: str
    path: Path
    # The first sentence of its comment.
    about: str
    # Environment variables that name data of one's own.
    needs: tuple[str, ...]
    # Whose data it reads, and what a run takes.
    data: str
    time: str
    memory: str


def example_studies() -> list[ExampleStudy]:
    """The studies that ship, those that need no data of one's own first.

    Raises
    ------
    InputError
        They are not installed.
    """
    found = []
    for path in sorted(_example_folder().glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        if re.search(r"^study:", text, flags=re.MULTILINE):
            needs = tuple(dict.fromkeys(re.findall(r"\$\{?([A-Z]\w+)\b", text)))
            found.append(ExampleStudy(path.stem, path, _about(text), needs, *_facts(path, text)))
    return sorted(found, key=lambda one: (one.data != SHIPS, one.name != "quickstart", one.name))


def examples_page(examples: Sequence[ExampleStudy]) -> str:
    """A table of the examples in Markdown, as `examples/README.md` has it."""
    lines = ["| Study | What it shows | Data | Time | Memory |", "| --- | --- | --- | --- | --- |"]
    for one in examples:
        lines.append(
            f"| [{one.name}]({one.path.name}) | {one.about} | {one.data} | {one.time} "
            f"| {one.memory} |"
        )
    return "\n".join(lines) + "\n"


def copy_example(name: str, folder: Path) -> StartedStudy:
    """Copy an example, and what it reads, into a folder as `study.yaml`.

    Parameters
    ----------
    name : str
        As `example_studies` names it.
    folder : Path
        The study's results go into `runs` inside it.

    Raises
    ------
    InputError
        There is no such example, or the folder has a study.
    """
    known = {one.name: one for one in example_studies()}
    if name not in known:
        raise InputError(
            f'there is no example "{name}"; there are {", ".join(known)}.'
            f"{did_you_mean(name, known)}"
        )
    example = known[name]
    if (folder / STUDY).exists():
        raise InputError(f"{folder / STUDY} is there already; name another folder with --out.")
    text = example.path.read_text(encoding="utf-8").replace("../runs/", "runs/")
    text = text.replace(f"examples/{name}.yaml", STUDY)
    folder.mkdir(parents=True, exist_ok=True)
    for other in example.path.parent.glob("*.yaml"):
        content = other.read_text(encoding="utf-8")
        if other.name in text and not re.search(r"^study:", content, flags=re.MULTILINE):
            storage.write_text(folder / other.name, content)
    storage.write_text(folder / STUDY, text)
    started = StartedStudy(folder, [f"Example  {name}: {example.about}"])
    for variable in example.needs:
        started.to_do.append(f"export {variable}=... where its data is; {STUDY} says from whom.")
    return started


def _about(text: str) -> str:
    """The first sentence of the comment that a study begins with."""
    words = " ".join(_first_paragraph(text))
    return re.split(r"(?<=[.?!]) ", words, maxsplit=1)[0] if words else ""


def _facts(path: Path, text: str) -> tuple[str, str, str]:
    """Data, time and memory, as the comment that a study begins with says them."""
    found = _FACTS.search(" ".join(_first_paragraph(text)))
    if found is None:
        raise InputError(
            f"{path.name} does not say what it takes; end its first comment with "
            '"Data: ... Time: ... Memory: ...", each with a full stop.'
        )
    data, time, memory = found.groups()
    return data, time, memory


def _first_paragraph(text: str) -> list[str]:
    """The lines of the comment at a file's head, up to an empty one."""
    comment: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#") or not line.strip("# "):
            break
        comment.append(line.strip("# "))
    return comment


def _example_folder() -> Path:
    """Where the examples are: in a checkout, or where the installed package put them."""
    checkout = Path(__file__).parents[4] / "examples"
    if (checkout / "quickstart.yaml").is_file():
        return checkout
    try:
        files = distribution("suffrage").files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix().endswith("suffrage/examples/quickstart.yaml"):
            return Path(str(file.locate())).resolve().parent
    raise InputError(
        "the examples are not installed; install Suffrage again from its wheel, or use a clone."
    )
