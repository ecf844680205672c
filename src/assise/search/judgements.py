"""Files of queries, judgements and runs, as collections for measuring search have them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from assise.errors import UsageError

Rank = Callable[[str, int], Sequence[tuple[str, float]]]
"""The best rows for a query, at most so many: their ids and scores, the best first."""

HEADERS = {"id", "_id", "qid", "query-id", "query_id", "query", "topic"}


class _Line(NamedTuple):
    path: Path
    number: int
    text: str

    def refuse(self, what: str, remedy: str) -> NoReturn:
        raise UsageError(f"{self.path}, line {self.number}: {what}", remedy=remedy)


def read_queries(path: Path) -> dict[str, str]:
    """The queries of a file: id -> text.

    A line is `id<TAB>text`, below a header or not, or a JSON object with `_id` and `text`.

    Raises:
        UsageError: the file cannot be read; names the line.
    """
    queries: dict[str, str] = {}
    for line in _read_lines(path):
        key, text = (_read_object if line.text.lstrip().startswith("{") else _read_pair)(line)
        if _is_header(key, queries):
            continue
        if key in queries:
            line.refuse(f"query {key} a second time", "Give every query an id of its own.")
        queries[key] = text
    if not queries:
        raise UsageError(f"{path} has no query", remedy="Write one a line: id, tab, text.")
    return queries


def _read_object(line: _Line) -> tuple[str, str]:
    try:
        found = json.loads(line.text)
    except (ValueError, RecursionError):
        found = {}
    key, text = found.get("_id"), found.get("text")
    if not (isinstance(key, str | int) and isinstance(text, str)):
        line.refuse("no JSON object with _id and text", 'Write {"_id": "1", "text": "…"}.')
    return str(key), text


def _read_pair(line: _Line) -> tuple[str, str]:
    key, tab, text = line.text.partition("\t")
    if not (tab and key.strip()):
        line.refuse("no tab behind the id", "Write the id, a tab and the text of the query.")
    return key.strip(), text.strip()


def read_judgements(path: Path) -> dict[str, dict[str, int]]:
    """The judgements of a file: query -> row -> grade, 0 for one that does not fit.

    A line is `query<TAB>row<TAB>grade`, below a header or not, or `query 0 row grade` as TREC has it.

    Raises:
        UsageError: the file cannot be read; names the line.
    """
    judgements: dict[str, dict[str, int]] = {}
    for line in _read_lines(path):
        cells = [cell.strip() for cell in line.text.split("\t")]
        cells = cells if len(cells) > 1 else line.text.split()
        query, row, grade = cells if len(cells) == 3 else _read_trec(line, cells)
        if _is_header(query, judgements):
            continue
        try:
            judgements.setdefault(query, {})[row] = max(int(grade), 0)
        except ValueError:
            line.refuse(f"{grade} is no whole number", "Write grades such as 0, 1 and 2.")
    if not judgements:
        raise UsageError(f"{path} has no judgement", remedy="Write query, tab, row, tab, grade.")
    return judgements


def _read_trec(line: _Line, cells: list[str]) -> tuple[str, str, str]:
    if len(cells) != 4:
        line.refuse(f"{len(cells)} columns", "Write query, tab, row, tab, grade.")
    return cells[0], cells[2], cells[3]


def _is_header(first: str, found: Mapping[str, object]) -> bool:
    """Whether a line, of which this is the first column, is the header of a file."""
    return not found and first.lower() in HEADERS


def _read_lines(path: Path) -> Iterator[_Line]:
    """The lines that are not blank."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield _Line(path, number, text.rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{path} cannot be read: {reason}", remedy="Give another file.") from error


def write_run(rank: Rank, queries: dict[str, str], *, limit: int, tag: str) -> Iterator[str]:
    """The lines of a run as trec_eval reads it: query, Q0, row, rank, score, tag.

    The scores are those of the ranking; its order among equal ones is in the rank.
    """
    for query, text in queries.items():
        for place, (row, score) in enumerate(rank(text, limit), 1):
            yield f"{_join(query)} Q0 {_join(row)} {place} {score!r} {tag}"


def _join(name: str) -> str:
    """A name without blanks, which part the columns of a run."""
    return "_".join(name.split()) or "_"
