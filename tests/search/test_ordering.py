"""Hits in the order of columns, and one hit for each value of a column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.scenes.databases import Template

from assise.errors import UsageError
from assise.project import Project
from assise.search.query import Answer, Hit, Request

Query = Callable[..., list[tuple[Any, ...]]]
REQUEST = Request("w3 w7", ["books"], 1_000)


@pytest.fixture
def books(template: Template) -> Callable[..., Answer]:
    """Searches the books as an administrator."""
    library = Project(template.folder, to=template.conninfo)

    def find(**options: Any) -> Answer:  # noqa: ANN401
        return library.search.query(replace(REQUEST, **options), role="admin")

    return find


def size_of(hit: Hit) -> int:
    return int(str(hit.metadata["size"]))


def test_hits_are_ordered_by_columns_and_equal_ones_by_score(books: Callable[..., Answer]) -> None:
    plain = books()
    place = {hit.id: n for n, hit in enumerate(plain.results)}
    found = books(sort=["-size"])
    expected = sorted(plain.results, key=lambda hit: (-size_of(hit), place[hit.id]))
    assert [hit.id for hit in found.results] == [hit.id for hit in expected]
    assert found.total == plain.total == len(plain.results)
    assert {hit.id: hit.score for hit in found.results} == {
        hit.id: hit.score for hit in plain.results
    }
    by_two = books(sort=["size", "-id"]).results
    keys = [(size_of(hit), -int(str(hit.id))) for hit in by_two]
    assert keys == sorted(keys)


def test_pages_of_ordered_hits_are_disjoint_and_complete(books: Callable[..., Answer]) -> None:
    whole = [hit.id for hit in books(sort=["size"]).results]
    found: list[object] = []
    cursor = None
    while len(found) < len(whole):
        page = books(sort=["size"], limit=37, cursor=cursor)
        assert page.results
        assert page.total == len(whole)
        found += [hit.id for hit in page.results]
        cursor = page.cursor
    assert found == whole
    assert books(sort=["size"], limit=37, cursor=cursor).results == []


def test_each_value_has_its_best_hit(books: Callable[..., Answer]) -> None:
    best: dict[int, object] = {}
    for hit in books().results:
        best.setdefault(size_of(hit), hit.id)
    found = books(distinct="size", limit=5)
    assert [hit.id for hit in found.results] == [*best.values()][:5]
    assert found.total == len(best) == 7
    rest = books(distinct="size", limit=5, cursor=found.cursor)
    assert [hit.id for hit in rest.results] == [*best.values()][5:]
    ordered = books(distinct="size", sort=["-size"])
    assert [size_of(hit) for hit in ordered.results] == [6, 5, 4, 3, 2, 1, 0]


def test_rows_without_a_value_come_last_and_are_all_kept(library: Project, query: Query) -> None:
    query("UPDATE books SET size = NULL WHERE id < 60")
    find = library.search.query
    empty = sum(hit.metadata["size"] is None for hit in find(REQUEST, role="admin").results)
    assert empty > 2
    for sort in ("size", "-size"):
        found = find(replace(REQUEST, sort=[sort], distinct="size"), role="admin").results
        assert [hit.metadata["size"] is None for hit in found] == [False] * 7 + [True] * empty
    first = find(replace(REQUEST, sort=["-size"], limit=3), role="admin")
    query("DELETE FROM books WHERE id = %s", (first.results[-1].id,))
    page = find(replace(REQUEST, sort=["-size"], limit=3, cursor=first.cursor), role="admin")
    assert page.results[0].id not in {hit.id for hit in first.results}
    query("DELETE FROM books WHERE size = 6")
    with pytest.raises(UsageError, match="are gone"):
        find(replace(REQUEST, sort=["-size"], limit=3, cursor=first.cursor), role="admin")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sort": ["siez"]}, "books has no column 'siez'"),
        ({"distinct": "size; DROP"}, "books has no column"),
        ({"types": None, "sort": ["size"]}, "sort and distinct are of one table"),
        ({"sort": ["size"], "cursor": '["pages", [[1]]]'}, "none of this search"),
        ({"sort": ["size"], "cursor": "[1"}, "none of this search"),
    ],
)
def test_an_order_that_cannot_be_is_refused(
    books: Callable[..., Answer], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        books(**options)
