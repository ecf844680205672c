"""Expressions of SQL in a manifest: each is parsed, and refused unless it is one expression."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from assise import extras
from assise.errors import MissingExtraError
from assise.manifest.problems import Place, Problem
from assise.wording import nearest, show

EXTRA = "schema"
MAX_EXPRESSION = 2_000

_CLAUSES = frozenset({"targetList", "limitOption", "op", "all", "groupDistinct"})
"""What PostgreSQL's parser sets in `SELECT expression`, and nothing else."""

_ONE = "Write one expression over the columns of this table, such as price >= 0."


def check_expression(place: Place, text: str, columns: Collection[str]) -> Iterator[Problem]:
    """Check that `text` is one expression of SQL without subqueries, over these columns."""
    if not text.strip() or "\0" in text or len(text) > MAX_EXPRESSION:
        message = f"is empty, has a NUL or more than {MAX_EXPRESSION:,} characters"
        yield Problem(place, message, show(text), _ONE)
        return
    try:
        parser = extras.load("pglast.parser", extra=EXTRA)
        tree = extras.load("pglast", extra=EXTRA)
    except MissingExtraError as error:
        message = "cannot be checked: PostgreSQL's parser is not installed"
        yield Problem(place, message, show(text), error.remedy)
        return
    try:
        statements = tree.parse_sql(f"SELECT ({text}\n)")
        tokens = parser.scan(text)
    except parser.ParseError as error:
        reason = str(error.args[0])
        yield Problem(place, f"is not an expression of SQL: {show(reason)}", show(text), _ONE)
        return
    if any(token.name in {"SQL_COMMENT", "C_COMMENT"} for token in tokens):
        yield Problem(place, "has a comment in it", show(text), "Remove the comment.")
    elif not _is_one(statements):
        yield Problem(place, "is more than one expression", show(text), _ONE)
    else:
        yield from _check_nodes(place, text, statements[0], columns)


def _is_one(statements: object) -> bool:
    """Whether `SELECT (text)` was parsed as that, and not as something the text has opened."""
    if not isinstance(statements, tuple) or len(statements) != 1:
        return False
    statement = statements[0].stmt
    if type(statement).__name__ != "SelectStmt" or len(statement.targetList or ()) != 1:
        return False
    target = statement.targetList[0]
    given = {name for name in statement if getattr(statement, name)}
    return given <= _CLAUSES and target.name is None and target.indirection is None


def _check_nodes(
    place: Place, text: str, tree: object, columns: Collection[str]
) -> Iterator[Problem]:
    for node in _walk(tree):
        kind = type(node).__name__
        if kind in {"SubLink", "WindowDef"}:
            what = "a subquery" if kind == "SubLink" else "a window function"
            yield Problem(place, f"has {what} in it", show(text), _ONE)
        elif kind == "ParamRef":
            yield Problem(place, "has a parameter in it", show(text), _ONE)
        elif kind == "ColumnRef":
            yield from _check_column(place, node, columns)


def _check_column(place: Place, node: object, columns: Collection[str]) -> Iterator[Problem]:
    fields = getattr(node, "fields", ())
    names = [str(getattr(field, "sval", "*")) for field in fields]
    if len(names) != 1 or names[0] not in columns:
        name = ".".join(names)
        yield Problem(
            place,
            f"names {show(name)}, which is not a column of this table",
            remedy=nearest(names[-1], columns),
        )


def _walk(node: object) -> Iterator[object]:
    """All nodes of a syntax tree."""
    pending = [node]
    while pending:
        found = pending.pop()
        if isinstance(found, list | tuple):
            pending += reversed(found)
        elif hasattr(found, "__slots__") and type(found).__module__ == "pglast.ast":
            yield found
            pending += [getattr(found, name) for name in reversed(list(iter(found)))]  # type: ignore[call-overload]
