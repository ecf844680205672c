"""The list of parts: each word of a part stands in all places that `Part` names, and only there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from assise.cli.nouns import NOUNS
from assise.extras import load
from assise.parts import PARTS, Part

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "assise"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NO_PART = {"pg"}
"""Words of the command line that belong to the floors below the parts."""


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_the_word_of_a_part_stands_in_all_places(part: Part) -> None:
    assert (SOURCE / part.name / "__init__.py").is_file()
    assert [*(ROOT / "tests" / part.name).glob("test_*.py")]
    assert (ROOT / "docs" / part.page).is_file()
    assert set(part.nouns) <= NOUNS.keys()
    for section in part.sections:
        assert (SOURCE / "manifest" / "sections" / f"{section}.py").is_file()
    if part.bookkeeping is not None:
        folder = SOURCE / part.name / "sql"
        assert [*folder.glob("0001_*.sql")]
        declared = "".join(path.read_text() for path in (SOURCE / part.name).glob("*.py"))
        assert re.search(rf'Bookkeeping\("{part.bookkeeping}", ', declared)
    if part.jobs is not None:
        assert callable(load(part.jobs).list_jobs)
    if part.extra is not None:
        assert part.extra in PROJECT["project"]["optional-dependencies"]


def test_every_part_and_every_command_is_listed() -> None:
    with_books = {path.parents[1].name for path in SOURCE.glob("*/sql/0001_*.sql")}
    assert with_books - {"postgres"} == {part.name for part in PARTS if part.bookkeeping}
    assert {noun for part in PARTS for noun in part.nouns} == NOUNS.keys() - NO_PART
    assert len({part.name for part in PARTS}) == len(PARTS)


def test_parts_never_import_each_other() -> None:
    """They are one floor of the layers, with | between them: import-linter keeps them apart."""
    layers = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    (floor,) = [layer for layer in layers if "transfer" in layer.split(" | ")]
    assert floor.split(" | ") == [part.name for part in PARTS if not part.is_face]
    faces = [part.name for part in PARTS if part.is_face]
    assert [layers.index(name) < layers.index("project | app") for name in faces] == [True]
