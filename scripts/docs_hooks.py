"""What `make docs` adds to MkDocs: the examples, the project's own pages, and the notebooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
# Pages at the root of the repository that the site has too.
PROJECT = ("CHANGELOG.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md")


def on_files(files: Files, config: Any) -> Files:
    """Put the examples, the project's pages and a page for each notebook next to the pages."""
    for name in PROJECT:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for path in sorted((ROOT / "examples").glob("*.*")):
        files.append(File.generated(config, f"examples/{path.name}", abs_src_path=str(path)))
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        page = page_of(json.loads(path.read_text(encoding="utf-8")), path.name)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
    return files


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
