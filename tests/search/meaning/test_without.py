"""A server that has no pgvector: words are searched, and what is missing is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.dumps import confirm
from tests.search import library
from tests.search.meaning.conftest import MANIFEST

from assise.errors import UsageError
from assise.project import Project
from assise.search.query import Request

Query = Callable[..., list[tuple[object, ...]]]


@pytest.mark.contract
def test_on_a_server_without_pgvector_words_are_searched(
    project: Project, tmp_path: Path, query: Query
) -> None:
    if query("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
        pytest.skip("this server has pgvector; Debian's PostgreSQL 15 of the contract has none")
    lines = list[str]()
    project = Project(project.path, to=project.workspace.to, log=lines.append)
    project.path.write_text(MANIFEST)
    report = project.migrate(library.write_library(tmp_path), confirm=confirm)
    assert report.exit_code == 0
    project.search.build()
    with pytest.raises(UsageError, match=r"has no pgvector 0\.7 or later") as caught:
        project.search.embed()
    assert caught.value.remedy
    lines.clear()
    hybrid = project.search.query(Request("w0", ["books"], method="hybrid"), role="admin")
    keyword = project.search.query(Request("w0", ["books"], method="keyword"), role="admin")
    assert [each.id for each in hybrid.results] == [each.id for each in keyword.results]
    assert hybrid.results
    assert lines == [
        "searched by words alone: the server has no pgvector, or nothing is embedded yet"
    ]
    with pytest.raises(UsageError, match="cannot be searched by meaning"):
        project.search.query(Request("w0", ["books"], method="semantic"), role="admin")
    assert project.undo(confirm=confirm).is_done
