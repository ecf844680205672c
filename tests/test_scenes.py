"""No test module is imported: what tests share stands in `tests/scenes` or `tests/oracle`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MODULES = sorted(TESTS.rglob("*.py"))


def list_imports(module: Path) -> Iterator[str]:
    """The dotted names that a module imports; `from a import b` may import the module a.b."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def find_test_modules(names: Iterator[str]) -> list[str]:
    """Those names that lead into a test module of ours."""
    return [
        name
        for name in names
        if name.startswith("tests.") and any(part.startswith("test_") for part in name.split("."))
    ]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_module_is_imported(module: Path) -> None:
    assert find_test_modules(list_imports(module)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import tests.rows.test_keys",
        "from tests.rows.test_keys import read",
        "from tests.rows import test_keys as keys",
        "def f():\n    from tests.rows import test_keys",
    ],
)
def test_every_form_of_import_is_found(text: str, tmp_path: Path) -> None:
    module = tmp_path / "test_it.py"
    module.write_text(text)
    assert len(find_test_modules(list_imports(module))) == 1
