"""Two versions of Assise on one database: what a later one wrote hinders only what needs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.dumps import confirm, write_dump

from assise.errors import ManifestError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def projects(tmp_path: Path, database: str) -> dict[str, Project]:
    """Two loads in one database."""
    found = {}
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        found[name] = Project(folder, to=database)
        dump = write_dump(folder / name, {f"c_{name}": [{"_id": n} for n in range(5)]})
        assert found[name].migrate(dump, confirm=confirm).loaded == 5
    return found


LATER = [
    """UPDATE assise.load SET layout = layout || '{"later": 1}' WHERE name = 'two'""",
    """UPDATE assise.load SET layout = jsonb_set(layout, '{rules}', '99') WHERE name = 'two'""",
    """UPDATE assise.load SET layout = jsonb_set(layout, '{tables,0,later}', '"x"')
        WHERE name = 'two'""",
]


@pytest.mark.parametrize("statement", LATER)
def test_a_load_with_a_later_layout_hinders_only_itself(
    projects: dict[str, Project], query: Query, statement: str
) -> None:
    query(statement)
    one, two = projects["one"], projects["two"]
    assert one.load().was_done
    assert one.verify().exit_code == 0
    assert one.export("c_one", lambda _raw: None).documents == 5
    for verb in (two.load, two.verify, two.rejects, two.undo):
        with pytest.raises(ManifestError, match="this program does not know it") as error:
            verb()
        assert error.value.exit_code == 2
        assert "newer Assise" in error.value.remedy
    done = one.undo(confirm=confirm)
    assert (done.is_done, done.drops_ledger) == (True, False)
    assert query("SELECT to_regclass('c_one'), count(*) FROM c_two") == [(None, 5)]


def test_a_load_whose_text_has_later_keys_is_readable(
    projects: dict[str, Project], query: Query
) -> None:
    query("UPDATE assise.load SET manifest = 'later: {nonsense' WHERE name = 'two'")
    for project in projects.values():
        assert project.verify().exit_code == 0
        assert project.load().was_done
    assert query("SELECT count(*) FROM assise.load WHERE manifest LIKE 'later%'") == [(0,)]


def test_columns_that_a_later_program_added_to_the_ledger_are_passed_over(
    projects: dict[str, Project], query: Query
) -> None:
    query("ALTER TABLE assise.load ADD later text")
    query("ALTER TABLE assise.chunk ADD later text")
    for project in projects.values():
        assert project.verify().exit_code == 0
        assert project.undo(confirm=confirm).is_done
