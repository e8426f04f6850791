"""What `make docs` adds to MkDocs: the repository's examples as files of the site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: Any) -> Files:
    """Put the examples, and the page about them, next to the pages."""
    for path in sorted((ROOT / "examples").glob("*.*")):
        files.append(File.generated(config, f"examples/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Point links between pages and examples at where the site has them."""
    here = markdown.replace("](../examples/", "](examples/").replace("](../docs/", "](../")
    return here.replace("](../../examples/", "](../examples/")
