import ast
from pathlib import Path

import pytest

import pabal

ALLOWED = {
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "heapq",
    "itertools",
    "math",
    "re",
    "typing",
}
ALLOWED |= {"msgspec", "pabal", "unicodedata"}
FILES = sorted(Path(pabal.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_the_ground_floor_imports_nothing_that_acts(path):
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                imported |= {name.name.partition(".")[0] for name in names}
            case ast.ImportFrom(module=module):
                imported.add((module or "").partition(".")[0])
    assert imported <= ALLOWED
