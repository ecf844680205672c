"""Statements of a revision, read by PostgreSQL's own parser: what each is and how it may run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from assise import extras
from assise.errors import UsageError
from assise.schema.sql import quote

EXTRA = "schema"

_HOLDERS = frozenset(
    f"OBJECT_{kind}"
    for kind in ("SCHEMA", "TYPE", "DOMAIN", "EXTENSION", "COLLATION", "ACCESS_METHOD")
)
"""What tables stand in, or columns depend on."""


Node = Any  # a node of pglast's tree, which is loaded when it is needed
"""A statement or a part of one."""


@dataclass(frozen=True)
class Statement:
    """A statement, where it begins and ends in its text, and what the runner must know of it.

    is_alone: whether no transaction may be around it.
    index: the index that it makes CONCURRENTLY, as SQL names it.
    update: the table that an UPDATE changes.
    for_each: the table and the name of an index or foreign key that it adds, as SQL names them.
    drops: the tables, and columns as (table, column), that it drops.
    retypes: the columns that get another type, as (table, column).
    moves: the renames of columns and tables, as the marks of a file say them.
    tables: all that it names, as SQL names them.
    view: the view that it makes, which was not there.
    schema: the schema that it makes.
    """

    text: str
    start: int
    stop: int
    is_alone: bool = False
    index: str = ""
    update: str = ""
    for_each: tuple[str, str] | None = None
    drops: tuple[tuple[str, str], ...] = ()
    tables: tuple[str, ...] = ()
    view: str = ""
    schema: str = ""
    retypes: tuple[tuple[str, str], ...] = ()
    moves: tuple[tuple[str, ...], ...] = ()

    @property
    def is_index(self) -> bool:
        """Whether it makes an index."""
        return not self.text.lstrip().upper().startswith("ALTER")


def read_statements(text: str, *, file: str) -> list[Statement]:
    """The statements of a text, in order.

    Raises:
        UsageError: it is no SQL of PostgreSQL, ends transactions, or drops what it does not name.
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
        if _drops_unnamed(each.stmt):
            line = text.count("\n", 0, statement.start) + 1
            raise UsageError(
                f"{file}:{line}: {statement.text} drops columns and tables that it does not name",
                remedy="Drop each of them by name, and then this without CASCADE.",
            )
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
    update = tree.parse_sql(text)[0].stmt
    more = tree.parse_sql(f"SELECT WHERE {condition}")[0].stmt.whereClause
    if update.whereClause is not None:
        both = tree.enums.BoolExprType.AND_EXPR
        more = nodes.BoolExpr(boolop=both, args=(update.whereClause, more))
    update.whereClause = more
    return _print(update)


def write_only(text: str) -> str:
    """A CREATE INDEX for the whole of a table that is cut, without its partitions."""
    create = extras.load("pglast", extra=EXTRA).parse_sql(text)[0].stmt
    create.relation.inh = False
    return _print(create)


def write_part(text: str, part: str) -> str:
    """An ALTER TABLE that adds a foreign key, for a partition, whose rows are not checked yet."""
    tree = extras.load("pglast", extra=EXTRA)
    alter = tree.parse_sql(text)[0].stmt
    alter.relation = tree.parse_sql(f"TABLE {part}")[0].stmt.fromClause[0]
    alter.cmds[0].def_.skip_validation = True
    return _print(alter)


def _print(node: Node) -> str:
    return str(extras.load("pglast.stream", extra=EXTRA).RawStream()(node))


def _describe(text: str, start: int, stop: int, node: Node) -> Statement:
    kind, tables = type(node).__name__, tuple(dict.fromkeys(_list_tables(node)))
    is_concurrent = bool(getattr(node, "concurrent", False))
    index, update, view, schema = "", "", "", ""
    drops, retypes = list[tuple[str, str]](), list[tuple[str, str]]()
    for_each: tuple[str, str] | None = None
    match kind:
        case "IndexStmt" if is_concurrent and node.idxname:
            index = quote(*filter(None, [node.relation.schemaname, node.idxname]))
        case "IndexStmt" if node.idxname:
            place = quote(*filter(None, [node.relation.schemaname, node.idxname]))
            for_each = _name(node.relation), place
        case "ViewStmt" if not node.replace:
            view = _name(node.view)
        case "CreateTableAsStmt" if node.objtype.name == "OBJECT_MATVIEW":
            view = _name(node.into.rel)
        case "CreateSchemaStmt":
            schema = node.schemaname or ""
        case "UpdateStmt":
            update = _name(node.relation)
        case "ReindexStmt":
            is_concurrent = any(each.defname == "concurrently" for each in node.params or ())
        case "VacuumStmt" | "CreatedbStmt" | "DropdbStmt" | "AlterSystemStmt":
            is_concurrent = True
        case "AlterTableStmt":
            added: Node = node.cmds[0].def_ if len(node.cmds) == 1 else None
            if getattr(getattr(added, "contype", None), "name", "") == "CONSTR_FOREIGN":
                for_each = _name(node.relation), quote(added.conname or "")
            for command in node.cmds:
                if command.subtype.name == "AT_DropColumn":
                    drops.append((_name(node.relation), command.name))
                if command.subtype.name == "AT_AlterColumnType":
                    retypes.append((_name(node.relation), command.name))
                is_concurrent |= bool(getattr(command.def_, "concurrent", False))
        case "DropStmt" if node.removeType.name == "OBJECT_TABLE":
            drops += [(quote(*(part.sval for part in name)), "") for name in node.objects]
            tables = tuple(name for name, _ in drops)
    return Statement(
        text[start:stop],
        start,
        stop,
        is_concurrent,
        index,
        update,
        for_each,
        tuple(drops),
        tables,
        view,
        schema,
        tuple(retypes),
        tuple(_list_moves(node)),
    )


def _list_moves(node: Node) -> Iterator[tuple[str, ...]]:
    """How the load's stored layout follows a rename of one of its columns or tables."""
    if type(node).__name__ != "RenameStmt" or node.relation is None:
        return
    table = _name(node.relation).replace('"', "")
    if node.renameType.name == "OBJECT_COLUMN":
        yield "rename", table, node.subname, node.newname
    elif node.renameType.name == "OBJECT_TABLE":
        schema, dot, _ = table.rpartition(".")
        yield "table", table, f"{schema}{dot}{node.newname}"


def _drops_unnamed(node: Node) -> bool:
    """Whether values may go with a statement that names neither their table nor their column."""
    kind = type(node).__name__
    if kind != "DropStmt":
        return kind == "DropOwnedStmt"
    return node.behavior.name == "DROP_CASCADE" and node.removeType.name in _HOLDERS


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
