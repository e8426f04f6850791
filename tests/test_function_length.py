"""No function is longer than a reader can hold in mind."""

import ast
from pathlib import Path

import suffrage

LONGEST = 80


def test_no_function_is_longer_than_eighty_lines():
    found = {
        f"{path.name}: {node.name}": node.end_lineno - node.lineno + 1
        for path in Path(suffrage.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }
    assert found
    assert {name: lines for name, lines in found.items() if lines > LONGEST} == {}
