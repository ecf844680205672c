"""The way into the code: what docs/architecture.md names exists; each decision has its page."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "assise"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
FILE = re.compile(r"(?<![\w/])[\w/]+\.(?:py|sql)\b")
FOLDER = re.compile(r"(?<![\w/])(?:[a-z]\w*/)+(?![\w.])")
QUOTED = re.compile(r"`((?:\w+/)+|[\w/]+\.(?:py|sql))`")
NAMED = re.compile(r"`([\w/]+\.py)`(?: \|)?((?:,? `\w+`)+)")
"""A file and the names after it, in the same cell or in the next."""


def names_defined_in(path: Path) -> set[str]:
    """Return the functions, classes and methods of a module."""
    nodes = ast.walk(ast.parse(path.read_text()))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in nodes if isinstance(node, kinds)}


@pytest.mark.parametrize("name", sorted({*FILE.findall(PAGE), *FOLDER.findall(PAGE)}))
def test_every_file_and_folder_that_is_named_exists(name: str) -> None:
    assert (SOURCE / name).exists()


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_every_file_and_folder_that_a_decision_names_exists(path: Path) -> None:
    for name in QUOTED.findall(path.read_text()):
        assert (SOURCE / name).exists() or (ROOT / name).exists(), name


def test_every_function_that_is_named_stands_in_its_file() -> None:
    pairs = [(file, name) for file, names in NAMED.findall(PAGE) for name in names.split()]
    assert len(pairs) > 10
    for file, name in pairs:
        assert name.strip("`,") in names_defined_in(SOURCE / file), (file, name)


def test_every_package_and_module_at_the_top_is_named() -> None:
    for path in SOURCE.iterdir():
        if path.is_dir() and path.name != "__pycache__":
            assert f"{path.name}/" in PAGE, path.name
        elif path.suffix == ".py" and not path.name.startswith("__"):
            assert path.name in PAGE, path.name


def test_the_page_is_one_page() -> None:
    assert len(PAGE.splitlines()) <= 120


def test_every_decision_is_numbered_titled_and_listed() -> None:
    index = (ROOT / "docs" / "decisions" / "index.md").read_text()
    site = (ROOT / "mkdocs.yml").read_text()
    assert len(DECISIONS) > 20
    for number, path in enumerate(DECISIONS, start=1):
        assert path.name.startswith(f"{number:04}-")
        title = path.read_text().splitlines()[0].removeprefix("# ")
        assert title.startswith(f"{number}. ")
        assert f"* [{title}]({path.name})\n" in index + "\n"
        assert f"decisions/{path.name}" in site
