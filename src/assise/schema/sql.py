"""SQL text of a manifest: tables, keys, functions, foreign keys, and the statements that read and write rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files

from assise.manifest.layout import Layout, layouts
from assise.manifest.model import Column, Manifest

KEY_FUNCTIONS = {"uuid": "_new_objectid", "text": "_new_objectid_text"}
"""Key type -> the function, in the tables' own schema, that new rows of the application get their key from."""


def quote(*names: str) -> str:
    """A (qualified) identifier, quoted.

    >>> quote("public", 'a"b')
    '"public"."a""b"'
    """
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def quote_list(names: Iterable[str]) -> str:
    """Quoted identifiers with commas between them."""
    return ", ".join(quote(name) for name in names)


def quote_text(text: str) -> str:
    """A string literal, whatever `standard_conforming_strings` says."""
    quoted = text.replace("'", "''")
    escaped = quoted.replace("\\", "\\\\")
    return f"E'{escaped}'" if "\\" in text else f"'{quoted}'"


def all_layouts(manifest: Manifest) -> list[Layout]:
    """The layouts of all tables, each collection's parents before their children."""
    return [layout for root in manifest.roots for layout in layouts(manifest, root)]


def _key_function(column: Column) -> str | None:
    return KEY_FUNCTIONS[column.type] if column.kind == "objectid" else None


def _create_table(manifest: Manifest, layout: Layout, schema: str) -> str:
    """The CREATE TABLE of one table, with its primary key and the key's default."""
    function = _key_function(manifest.key_column(layout.table)) if layout.parent is None else None
    lines = []
    for name, column_type in zip(layout.names, layout.types, strict=True):
        text = f"    {quote(name)} {column_type}"
        if name == layout.primary_key[0]:
            text += ' COLLATE "C"' if layout.key_is_any else ""
            text += f" DEFAULT {quote(schema, function)}()" if function else ""
        lines.append(text)
    lines.append(f"    PRIMARY KEY ({quote_list(layout.primary_key)})")
    body = ",\n".join(lines)
    return f"CREATE TABLE {quote(schema, layout.table)} (\n{body}\n)"


def key_functions(manifest: Manifest) -> list[str]:
    """The names of the functions that the keys' defaults call."""
    return sorted(
        {
            function
            for root in manifest.roots
            if (function := _key_function(manifest.key_column(root)))
        }
    )


def _create_function(name: str, schema: str) -> str:
    text = files("assise.schema").joinpath("functions", f"{name.strip('_')}.sql").read_text()
    return text.strip().replace("{name}", quote(schema, name))


def create_tables(manifest: Manifest, schema: str) -> list[str]:
    """What a load creates before the rows: functions, then tables, parents first."""
    functions = [_create_function(name, schema) for name in key_functions(manifest)]
    return [
        *functions,
        *(_create_table(manifest, layout, schema) for layout in all_layouts(manifest)),
    ]


def add_foreign_keys(manifest: Manifest, schema: str) -> list[tuple[str, str]]:
    """What a load creates after the rows: child table, and the statement for its key to its parent's, in the order of the tables."""
    found = []
    for child in all_layouts(manifest):
        if child.parent:
            parent = f"{quote(schema, child.parent)} ({quote_list(manifest.tables[child.parent].primary_key)})"
            columns = quote_list(child.primary_key[:-1])
            found.append(
                (
                    child.table,
                    f"ALTER TABLE {quote(schema, child.table)} ADD FOREIGN KEY ({columns}) REFERENCES {parent} ON DELETE CASCADE",
                )
            )
    return found


def validate_constraint(table: str, name: str, *, schema: str) -> str:
    """Check the old rows of a constraint that was added NOT VALID: those of several tables can be checked at the same time."""
    return f"ALTER TABLE {quote(schema, table)} VALIDATE CONSTRAINT {quote(name)}"


def drop_tables(names: Iterable[str], schema: str) -> str:
    """The one statement that drops tables that reference each other, and nothing that others made."""
    return f"DROP TABLE {', '.join(quote(schema, name) for name in names)}"


def drop_function(name: str, schema: str) -> str:
    """The DROP of a key's function."""
    return f"DROP FUNCTION {quote(schema, name)}()"


def lock_tables(names: Iterable[str], schema: str) -> str:
    """Nobody else reads or writes the tables until the transaction ends."""
    return f"LOCK TABLE {', '.join(quote(schema, name) for name in names)} IN ACCESS EXCLUSIVE MODE"


def copy_rows(layout: Layout, schema: str) -> str:
    """The COPY that takes rows in binary."""
    return f"COPY {quote(schema, layout.table)} ({quote_list(layout.names)}) FROM STDIN (FORMAT binary)"


def select_rows(layout: Layout, schema: str) -> str:
    """The rows of the documents whose keys are in the array $1, child rows in order."""
    key = quote(layout.primary_key[0])
    order = f" ORDER BY {quote_list(layout.primary_key)}" if layout.parent else ""
    return f"SELECT {quote_list(layout.names)} FROM {quote(schema, layout.table)} WHERE {key} = ANY ($1){order}"


def select_keys(layout: Layout, schema: str) -> str:
    """Those of the keys in the array $1 that the table has."""
    key = quote(layout.primary_key[0])
    return f"SELECT {key} FROM {quote(schema, layout.table)} WHERE {key} = ANY ($1)"


def count_rows(layout: Layout, schema: str) -> str:
    """How many rows a table has."""
    return f"SELECT count(*) FROM {quote(schema, layout.table)}"


def count_orphans(child: Layout, root: Layout, *, schema: str) -> str:
    """How many keys the rows of a child table have that no row of the collection's table has."""
    key, parent_key = quote(child.primary_key[0]), quote(root.primary_key[0])
    return (
        f"SELECT count(DISTINCT {key}) FROM {quote(schema, child.table)} AS child"
        f" WHERE NOT EXISTS (SELECT FROM {quote(schema, root.table)} AS root WHERE root.{parent_key} = child.{key})"
    )


def select_all_keys(layout: Layout, schema: str) -> str:
    """Every key of a collection's table, as text and as it is."""
    key = quote(layout.primary_key[0])
    return f"SELECT {key}::text, {key} FROM {quote(schema, layout.table)}"


def select_sizes(layouts: Sequence[Layout], schema: str) -> str:
    """Every key of a collection's table in order, and about how many bytes the document's rows have."""
    root, *children = layouts
    key = quote(root.primary_key[0])
    sizes = [_size_of(root, "root")]
    for child in children:
        place = f"{quote(schema, child.table)} AS child WHERE child.{quote(child.primary_key[0])} = root.{key}"
        sizes.append(f"(SELECT coalesce(sum({_size_of(child, 'child')}), 0) FROM {place})")
    return f"SELECT root.{key}, ({' + '.join(sizes)})::int8 FROM {quote(schema, root.table)} AS root ORDER BY root.{key}"


def _size_of(layout: Layout, alias: str) -> str:
    """In bytes. Nothing is unpacked: how long a packed text is stands in its head, what else is packed counts eight times."""
    sizes = [str(24 + 8 * len(layout.names))]
    for name, kind in zip(layout.names, layout.types, strict=True):
        cell = f"{alias}.{quote(name)}"
        if kind in {"text", "bytea"}:
            sizes.append(f"coalesce(octet_length({cell}), 0)")
        elif kind == "jsonb" or kind.endswith("]"):
            sizes.append(
                f"coalesce(pg_column_size({cell}) * CASE WHEN pg_column_compression({cell}) IS NULL THEN 1 ELSE 8 END, 0)"
            )
    return " + ".join(sizes)


def script(manifest: Manifest, schema: str) -> str:
    """Everything that a load creates, as one SQL script."""
    statements = [
        *create_tables(manifest, schema),
        *(text for _, text in add_foreign_keys(manifest, schema)),
    ]
    return "\n\n".join(f"{statement};" for statement in statements) + "\n"
