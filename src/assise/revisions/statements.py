"""Statements of a revision, read by PostgreSQL's own parser: what each is and how it may run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from assise import extras
from assise.errors import UsageError
from assise.schema.sql import quote

EXTRA = "schema"


Node = Any  # a node of pglast's tree, which is loaded when it is needed
"""A statement or a part of one."""


@dataclass(frozen=True)
class Statement:
    """A statement, where it begins and ends in its text, and what the runner must know of it.

    is_alone: whether no transaction may be around it.
    index: the index that it makes CONCURRENTLY, as SQL names it.
    update: the table that an UPDATE changes.
    drops: the tables, and columns as (table, column), that it drops.
    tables: all that it names, as SQL names them.
    """

    text: str
    start: int
    stop: int
    is_alone: bool = False
    index: str = ""
    update: str = ""
    drops: tuple[tuple[str, str], ...] = ()
    tables: tuple[str, ...] = ()


def read_statements(text: str, *, file: str) -> list[Statement]:
    """The statements of a text, in order.

    Raises:
        UsageError: it is no SQL of PostgreSQL, or has a statement that ends transactions.
        MissingExtraError: the parser is not installed.
    """
    parser, tree = (extras.load(name, extra=EXTRA) for name in ("pglast.parser", "pglast"))
    try:
        raw = tree.parse_sql(text)
    except parser.ParseError as error:
        message, *place = error.args
        line = text.count("\n", 0, place[0] if place else 0) + 1
        raise UsageError(f"{file}:{line}: {message}", remedy="Correct the SQL there.") from None
    found = []
    for each in raw:
        stop = each.stmt_location + each.stmt_len if each.stmt_len else len(text.rstrip())
        statement = _describe(text, each.stmt_location, stop, each.stmt)
        if type(each.stmt).__name__ == "TransactionStmt":
            line = text.count("\n", 0, statement.start) + 1
            raise UsageError(
                f"{file}:{line}: {statement.text} begins or ends a transaction",
                remedy="Remove it: each statement is a transaction of its own.",
            )
        found.append(statement)
    return found


def narrow_update(text: str, condition: str) -> str:
    """An UPDATE that changes only those of its rows that fulfil a condition too."""
    tree, nodes = (extras.load(name, extra=EXTRA) for name in ("pglast", "pglast.ast"))
    printer = extras.load("pglast.stream", extra=EXTRA)
    update = tree.parse_sql(text)[0].stmt
    more = tree.parse_sql(f"SELECT WHERE {condition}")[0].stmt.whereClause
    if update.whereClause is not None:
        both = tree.enums.BoolExprType.AND_EXPR
        more = nodes.BoolExpr(boolop=both, args=(update.whereClause, more))
    update.whereClause = more
    return str(printer.RawStream()(update))


def _describe(text: str, start: int, stop: int, node: Node) -> Statement:
    kind, tables = type(node).__name__, tuple(dict.fromkeys(_list_tables(node)))
    is_concurrent = bool(getattr(node, "concurrent", False))
    index, update, drops = "", "", list[tuple[str, str]]()
    match kind:
        case "IndexStmt" if is_concurrent and node.idxname:
            index = quote(*filter(None, [node.relation.schemaname, node.idxname]))
        case "UpdateStmt":
            update = _name(node.relation)
        case "ReindexStmt":
            is_concurrent = any(each.defname == "concurrently" for each in node.params or ())
        case "VacuumStmt" | "CreatedbStmt" | "DropdbStmt" | "AlterSystemStmt":
            is_concurrent = True
        case "AlterTableStmt":
            for command in node.cmds:
                if command.subtype.name == "AT_DropColumn":
                    drops.append((_name(node.relation), command.name))
                is_concurrent |= bool(getattr(command.def_, "concurrent", False))
        case "DropStmt" if node.removeType.name == "OBJECT_TABLE":
            drops += [(quote(*(part.sval for part in name)), "") for name in node.objects]
    return Statement(
        text[start:stop], start, stop, is_concurrent, index, update, tuple(drops), tables
    )


def _list_tables(node: Node) -> Iterator[str]:
    if type(node).__name__ == "RangeVar":
        yield _name(node)
    elif isinstance(node, tuple):
        for each in node:
            yield from _list_tables(each)
    elif type(node).__module__ == "pglast.ast":
        for name in node:
            yield from _list_tables(getattr(node, name))


def _name(table: Node) -> str:
    return quote(*filter(None, [table.schemaname, table.relname]))


def plain_name(name: str, schema: str) -> str:
    """A table or column as a person names it: without quotes, and without the load's schema."""
    return name.replace('"', "").removeprefix(f"{schema}.")
