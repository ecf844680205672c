"""SQL text of a layout: tables, keys, functions, and the statements that read and write rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files

from assise.manifest.layout import ColumnLayout, Layout, TableLayout, layouts
from assise.manifest.names import split_table
from assise.types.table import find_type

DEFAULTS = {"uuid": "_new_objectid", "text": "_new_objectid_text"}
"""Key type -> the function that new rows of the application get their key from."""

CONVERSIONS = {"objectid_to_uuid": "text", "uuid_to_objectid": "uuid"}
"""The functions that users call -> the types of their arguments.

Like those of `DEFAULTS` they stand in the tables' own schema.
"""


def quote(*names: str) -> str:
    """A (qualified) identifier, quoted.

    >>> quote("public", 'a"b')
    '"public"."a""b"'
    """
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def quote_table(schema: str | None, table: str) -> str:
    """A table of a manifest; `schema` is that of the tables whose names give none.

    Without one they are found by the search path. Functions of ours are named like tables.

    >>> quote_table("public", "users"), quote_table("public", "auth.users"), quote_table(None, "users")
    ('"public"."users"', '"auth"."users"', '"users"')
    """
    own, name = split_table(table)
    return quote(*filter(None, (own or schema, name)))


def qualify(row: str, columns: Iterable[str]) -> list[str]:
    """The columns of a row, or of a table by its alias."""
    return [f"{row}.{quote(column)}" for column in columns]


def equate(left: Iterable[str], right: Iterable[str]) -> list[str]:
    """Pairs of expressions with = between them."""
    return [f"{one} = {other}" for one, other in zip(left, right, strict=True)]


def quote_list(names: Iterable[str]) -> str:
    """Quoted identifiers with commas between them."""
    return ", ".join(quote(name) for name in names)


def quote_text(text: str) -> str:
    """A string literal, whatever `standard_conforming_strings` says."""
    quoted = text.replace("'", "''")
    escaped = quoted.replace("\\", "\\\\")
    return f"E'{escaped}'" if "\\" in text else f"'{quoted}'"


def all_layouts(layout: Layout) -> list[TableLayout]:
    """All tables, each collection's parents before their children."""
    return [table for root in layout.roots for table in layouts(layout, root)]


def _create_table(table: TableLayout, schema: str) -> str:
    """The CREATE TABLE of one table, with its primary key and the key's default."""
    function = _default_function(table.key) if table.parent is None else None
    lines = []
    for name, column_type in zip(table.names, table.types, strict=True):
        text = f"    {quote(name)} {column_type}"
        if name == table.primary_key[0]:
            text += ' COLLATE "C"' if table.key_is_any else ""
            text += f" DEFAULT {quote(schema, function)}()" if function else ""
        lines.append(text)
    lines.append(f"    PRIMARY KEY ({quote_list(table.primary_key)})")
    body = ",\n".join(lines)
    return f"CREATE TABLE {quote_table(schema, table.table)} (\n{body}\n)"


def _default_function(key: ColumnLayout) -> str | None:
    return DEFAULTS[key.type] if key.kind == "objectid" else None


def key_functions(layout: Layout) -> list[str]:
    """The names of the functions that the tables' keys use.

    One makes keys of new rows; two turn an ObjectId, as users write it, into a key and back.
    """
    columns = [column for table in all_layouts(layout) for column in table.columns.values()]
    is_objectid = any(
        column.kind == "objectid" and column.type in {"uuid", "uuid[]"} for column in columns
    )
    found = {_default_function(layout.key_column(root)) for root in layout.roots}
    found.update(CONVERSIONS if is_objectid else ())
    return sorted(name for name in found if name)


def signature(name: str, schema: str) -> str:
    """One of our functions, with the types of its arguments."""
    return f"{quote(schema, name)}({CONVERSIONS.get(name, '')})"


def create_function(name: str, schema: str) -> str:
    """The CREATE FUNCTION of one of our functions; it fails where there is one."""
    folder = files("assise.schema").joinpath("functions")
    text = folder.joinpath(f"{name.strip('_')}.sql").read_text()
    return text.strip().replace("{name}", quote(schema, name))


def function_body(name: str) -> str:
    """The body of one of our functions, as `pg_proc.prosrc` has it."""
    return create_function(name, "").split("$$")[1]


def drop_function(name: str, schema: str) -> str:
    """The DROP of one of our functions."""
    return f"DROP FUNCTION {signature(name, schema)}"


def move_function(name: str, schema: str, target: str) -> str:
    """Move one of our functions to the schema `target`, with all that depends on it."""
    return f"ALTER FUNCTION {signature(name, schema)} SET SCHEMA {quote(target)}"


def wrap_function(name: str, schema: str, wrapper_schema: str) -> str:
    """A function of the same name in another schema that calls one of ours, and depends on it."""
    (back,) = CONVERSIONS.keys() - {name}
    return (
        f"CREATE FUNCTION {signature(name, wrapper_schema)} RETURNS {CONVERSIONS[back]}"
        f" LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN {quote(schema, name)}($1)"
    )


def extensions(types: Iterable[str]) -> list[str]:
    """The extensions that the types of columns come from."""
    return ["citext"] if any("citext" in each for each in types) else []


def create_extension(name: str, schema: str) -> str:
    """The CREATE EXTENSION of one of them."""
    return f"CREATE EXTENSION {quote(name)} WITH SCHEMA {quote(schema)}"


def create_tables(layout: Layout, schema: str) -> list[str]:
    """What a load creates before the rows, behind the functions: the tables, parents first."""
    return [_create_table(table, schema) for table in all_layouts(layout)]


def add_foreign_keys(layout: Layout, schema: str) -> list[tuple[str, str]]:
    """What a load creates after the rows, in the order of the tables.

    Child table, and the statement for its key to its parent's.
    """
    found = []
    for child in all_layouts(layout):
        if child.parent:
            parent_key = quote_list(layout.tables[child.parent].primary_key)
            statement = (
                f"ALTER TABLE {quote_table(schema, child.table)}"
                f" ADD FOREIGN KEY ({quote_list(child.primary_key[:-1])})"
                f" REFERENCES {quote_table(schema, child.parent)} ({parent_key}) ON DELETE CASCADE"
            )
            found.append((child.table, statement))
    return found


def validate_constraint(table: str, name: str, *, schema: str) -> str:
    """Check the old rows of a constraint that was added NOT VALID.

    Those of several tables can be checked at the same time.
    """
    return f"ALTER TABLE {quote_table(schema, table)} VALIDATE CONSTRAINT {quote(name)}"


def drop_tables(names: Iterable[str], schema: str) -> str:
    """The one statement that drops tables that reference each other, and nothing else."""
    return f"DROP TABLE {', '.join(quote_table(schema, name) for name in names)}"


def drop_schemas(names: Iterable[str]) -> str:
    """The statement that drops schemas in which nothing is left; empty without any."""
    listed = quote_list(names)
    return f"DROP SCHEMA {listed}" if listed else ""


def lock_tables(names: Iterable[str], schema: str) -> str:
    """Nobody else reads or writes the tables until the transaction ends."""
    return f"LOCK TABLE {', '.join(quote_table(schema, name) for name in names)} IN ACCESS EXCLUSIVE MODE"


def copy_rows(layout: TableLayout, schema: str, *, more: Iterable[str] = ()) -> str:
    """The COPY that takes rows in binary, with `more` columns behind those of the layout."""
    table, names = quote_table(schema, layout.table), quote_list((*layout.names, *more))
    return f"COPY {table} ({names}) FROM STDIN (FORMAT binary)"


def select_rows(layout: TableLayout, schema: str, *, is_joined: bool = False) -> str:
    """The rows of the documents whose keys are in the array $1, child rows in order.

    With `is_joined` each row is one cell: what `record_send` gives.
    """
    table, key = quote_table(schema, layout.table), quote(layout.primary_key[0])
    names = quote_list(layout.names)
    cells = f"record_send(ROW({names}))" if is_joined else names
    rows = f"SELECT {cells} FROM {table} WHERE {key} = ANY ($1)"
    return f"{rows} ORDER BY {quote_list(layout.primary_key)}" if layout.parent else rows


def select_by_keys(table: str, key: str, kind: str, *, columns: Iterable[str]) -> str:
    """The rows whose keys are in one array, a parameter."""
    place = quote_table(None, table)
    return f"SELECT {quote_list(columns)} FROM {place} WHERE {quote(key)} = ANY (%s::{kind}[])"


def select_keys(layout: TableLayout, schema: str) -> str:
    """The keys in the array $1 that the table has."""
    key = quote(layout.primary_key[0])
    return f"SELECT {key} FROM {quote_table(schema, layout.table)} WHERE {key} = ANY ($1)"


def count_rows(table: str, schema: str) -> str:
    """How many rows a table has."""
    return f"SELECT count(*) FROM {quote_table(schema, table)}"


def count_orphans(child: TableLayout, root: TableLayout, *, schema: str) -> str:
    """How many keys the rows of a child table have that no row of the collection's table has."""
    key, child_table = quote(child.primary_key[0]), quote_table(schema, child.table)
    root_key, root_table = quote(root.primary_key[0]), quote_table(schema, root.table)
    parent = f"SELECT FROM {root_table} AS root WHERE root.{root_key} = child.{key}"
    return f"SELECT count(DISTINCT {key}) FROM {child_table} AS child WHERE NOT EXISTS ({parent})"


def select_all_keys(layout: TableLayout, schema: str) -> str:
    """Every key of a collection's table, as text and as it is."""
    key = quote(layout.primary_key[0])
    return f"SELECT {key}::text, {key} FROM {quote_table(schema, layout.table)}"


def select_sizes(layouts: Sequence[TableLayout], schema: str) -> str:
    """Every key of a collection's table in order, and about how many bytes its document has."""
    root, *children = layouts
    key = quote(root.primary_key[0])
    sizes = [_size_of(root, "root")]
    for child in children:
        table, child_key = quote_table(schema, child.table), quote(child.primary_key[0])
        rows = f"{table} AS child WHERE child.{child_key} = root.{key}"
        sizes.append(f"(SELECT coalesce(sum({_size_of(child, 'child')}), 0) FROM {rows})")
    size = f"({' + '.join(sizes)})::int8"
    root_table = quote_table(schema, root.table)
    return f"SELECT root.{key}, {size} FROM {root_table} AS root ORDER BY root.{key}"


def _size_of(layout: TableLayout, alias: str) -> str:
    """The size of a row in bytes, by its cells."""
    sizes = [str(24 + 8 * len(layout.names))]
    for name, kind in zip(layout.names, layout.types, strict=True):
        if size := find_type(kind).size:
            cell = f"{alias}.{quote(name)}"
            sizes.append(f"coalesce({size.replace('{cell}', cell)}, 0)")
    return " + ".join(sizes)
