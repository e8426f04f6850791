"""What `make docs` adds to MkDocs: examples, the project's own pages, notebooks, and commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[1]
# Pages at the root of the repository that the site has too.
PROJECT = ("CHANGELOG.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md")


def on_files(files: Files, config: Any) -> Files:
    """Put the examples, the project's pages and a page for each notebook next to the pages."""
    from mkdocs.structure.files import File  # a test reads the page of commands without it

    for name in PROJECT:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for path in sorted((ROOT / "examples").glob("*.*")):
        files.append(File.generated(config, f"examples/{path.name}", abs_src_path=str(path)))
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        page = page_of(json.loads(path.read_text(encoding="utf-8")), path.name)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    return files


def commands_page() -> str:
    """Every command with its arguments and options, as `--help` has them."""
    # Not at the top: only a build of the site needs the commands.
    import typer.main

    from suffrage.cli import app

    parts = [
        "# Commands",
        "*For people who use the command line: each command's arguments and options.*",
        "`suffrage COMMAND --help` shows the same in a terminal.",
    ]
    for name, command in _commands(typer.main.get_command(app), "suffrage"):
        parts += [
            f"## {name}",
            _unindented(command.help or ""),
            f"```sh\n{_usage(name, command)}\n```",
        ]
        rows = [row for parameter in command.params if (row := _row(parameter))]
        if rows:
            parts.append("\n".join(["| argument or option | meaning |", "| --- | --- |", *rows]))
    return "\n\n".join(parts) + "\n"


def _commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The commands of a group and of its groups, with what is typed to call them."""
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{name} {word}")
        elif not command.hidden:
            yield f"{name} {word}", command


def _usage(name: str, command: Any) -> str:
    places = [
        p.name.upper() if p.required else f"[{p.name.upper()}]"
        for p in command.params
        if p.param_type_name == "argument"
    ]
    needed = [
        f"{p.opts[0]} {p.metavar or p.name.upper()}"
        for p in command.params
        if p.param_type_name == "option" and p.required
    ]
    return " ".join([name, *places, *needed, "[OPTIONS]"])


def _row(parameter: Any) -> str | None:
    """A row of a command's table; None for what its help does not show."""
    if getattr(parameter, "hidden", False) or "--help" in parameter.opts:
        return None
    is_argument = parameter.param_type_name == "argument"
    names = (
        [parameter.name.upper()] if is_argument else [*parameter.opts, *parameter.secondary_opts]
    )
    meaning = " ".join((parameter.help or "").split()).replace("|", "\\|").replace("<", "&lt;")
    default = parameter.default
    shown = isinstance(default, str | int | float | Path) and not isinstance(default, bool)
    if shown and str(default) and not is_argument:
        meaning += f" Default: `{default}`."
    return f"| {', '.join(f'`{name}`' for name in names)} | {meaning} |"


def _unindented(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())


def page_of(notebook: dict[str, Any], name: str) -> str:
    """A notebook in Markdown: its text, its code, and what the code printed."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        shown = "".join(
            "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
            for output in cell["outputs"]
        )
        if shown.strip():
            parts.append(f"```text\n{shown.rstrip()}\n```")
    parts.insert(1, f"[Download this notebook]({name})")
    return "\n\n".join(parts) + "\n"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point links between pages, examples and notebooks at where the site has them."""
    if page.file.src_uri in PROJECT:
        return markdown.replace("](docs/", "](")
    here = markdown.replace("](../examples/", "](examples/").replace("](../docs/", "](../")
    here = here.replace("](../../examples/", "](../examples/")
    if page.file.src_uri.startswith("notebooks/"):
        return here
    return here.replace(".ipynb)", ".md)")
