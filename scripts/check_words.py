"""Refuse the words of scripts/words_to_avoid.txt in pages, texts, docstrings and comments.

    python scripts/check_words.py [FILE ...]

Without files it reads the documentation and the code's own words. Standard library only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("words_to_avoid.txt")
READ = (
    ("*.md", "."),
    ("**/*.md", "docs"),
    ("**/*.yaml", "examples"),
    ("**/*.py", "src"),
    ("**/*.html", "src"),
    ("**/*.j2", "src"),
    ("**/*.py", "benchmarks"),
)

# A number and its percent sign with a space between them; `7 % 3` in code is none.
SPACED_PERCENT = re.compile(r"[\d}][ \u00a0]%(?![\w}(])(?!\s+[\d(]|\s+\w+\()")


def words_to_avoid(text: str) -> dict[str, str]:
    """The words and what to write instead, from the list's lines."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {word.strip(): plain.strip() for word, _, plain in (x.partition("=") for x in lines)}


def found_in(text: str, words: dict[str, str]) -> Iterator[tuple[int, str]]:
    """The line number of each word to avoid, and the word as the list has it."""
    phrases = sorted(words, key=len, reverse=True)
    pattern = re.compile(
        r"(?i)(?<![\w-])("
        + "|".join(re.escape(p).replace(r"\ ", r"\s+") for p in phrases)
        + r")(?![\w-])(?!\s+for\b)"
    )
    for match in pattern.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, " ".join(match.group(1).lower().split())
    for match in SPACED_PERCENT.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group()


def main(files: Sequence[str]) -> int:
    """Print every finding, and return 1 if there is one."""
    words = words_to_avoid(LIST.read_text(encoding="utf-8"))
    paths = [Path(name) for name in files] or sorted(
        {path for pattern, folder in READ for path in (ROOT / folder).glob(pattern)}
    )
    findings = 0
    for path in paths:
        for line, word in found_in(path.read_text(encoding="utf-8"), words):
            shown = path.relative_to(ROOT) if path.is_absolute() else path
            plain = words.get(word) or word.replace(" ", "").replace("\u00a0", "")
            print(f"{shown}:{line}: {word!r}; write: {plain}")
            findings += 1
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
