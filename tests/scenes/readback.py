"""What a load has left in PostgreSQL, as the tests read it.

Texts for the second law, documents for the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from tests.oracle.expected import Rows
from tests.oracle.texts import print_array

from assise.manifest.model import Manifest
from assise.rows.assemble import Assembler
from assise.rows.model import ChildRows, Row
from assise.types.wire import Cell

Plain = dict[str, object]
Key = tuple[str | None, ...]
Texts = dict[Key, dict[str, str | None]]
"""The rows of a table by primary key: column -> text, None for NULL."""


def quote(*names: str) -> str:
    """An identifier of SQL."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def as_dict(entry: object) -> Plain:
    """A part of a plain manifest that must be a mapping."""
    assert isinstance(entry, dict)
    return entry


def read_keys(entry: Plain) -> list[str]:
    """The columns of the primary key of a table of a plain manifest."""
    keys = entry["primary_key"]
    return [str(key) for key in keys] if isinstance(keys, list) else [str(keys)]


class Target:
    """A schema of the target, read through libpq alone, without psycopg's loaders."""

    def __init__(self, conninfo: str, schema: str = "public") -> None:
        options = f"-c search_path={schema},public -c timezone=UTC -c extra_float_digits=1"
        self.schema = schema
        self.conninfo = make_conninfo(conninfo, options=options)
        self.connection = psycopg.connect(self.conninfo, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def run(
        self, statement: str, parameters: Iterable[bytes | None] = (), *, is_binary: bool = False
    ) -> list[list[bytes | None]]:
        """The rows of a statement, each cell as the server sends it."""
        result = self.connection.pgconn.exec_params(
            statement.encode(), list(parameters), result_format=int(is_binary)
        )
        assert result.status in {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK}, (
            result.error_message
        )
        return [
            [result.get_value(row, column) for column in range(result.nfields)]
            for row in range(result.ntuples)
        ]

    def read_texts(
        self, table: str, columns: list[str], keys: list[str], only: set[str] | None = None
    ) -> Texts:
        """Every row of a table (of the documents with the keys `only`) as `column::text`."""
        listed = ", ".join(f"{quote(column)}::text" for column in columns)
        found: Texts = {}
        of_sample = "" if only is None else f" WHERE {quote(keys[0])}::text = ANY ($1)"
        rows = self.run(
            f"SELECT {listed} FROM {quote(self.schema, table)}{of_sample}",
            [] if only is None else [print_list([*only])],
        )
        for cells in rows:
            row = dict(
                zip(
                    columns,
                    [None if cell is None else cell.decode() for cell in cells],
                    strict=True,
                )
            )
            found[tuple(row[key] for key in keys)] = row
        assert len(found) == len(rows)
        return found

    def print_jsonb(self, texts: Iterable[str]) -> dict[str, str]:
        """JSON text -> the text that PostgreSQL has for every equal jsonb with the same scales."""
        listed = sorted(set(texts))
        rows = self.run(
            "SELECT text::jsonb::text FROM unnest($1::text[]) WITH ORDINALITY AS texts (text, n)"
            " ORDER BY n",
            [print_list(listed)],
        )
        return {text: (row[0] or b"").decode() for text, row in zip(listed, rows, strict=True)}

    def first_of_equal(self, keys: list[str], column_type: str) -> list[int]:
        """For each key the position of the first one that PostgreSQL calls equal to it."""
        key = 'key COLLATE "C"' if column_type == "text" else f"key::{column_type}"
        query = f"""SELECT min(n) OVER (PARTITION BY {key}) - 1
            FROM unnest($1::text[]) WITH ORDINALITY AS keys (key, n) ORDER BY n"""
        return [int(row[0] or b"") for row in self.run(query, [print_list(keys)])]

    def check_rows(self, plain: Plain, expected: Rows, only: set[str] | None = None) -> None:
        """The second law: every row of every table is there as expected, and no other.

        With `only`, those of the documents with these keys.
        """
        for name, entry in as_dict(plain["tables"]).items():
            keys, rows = read_keys(as_dict(entry)), expected[name]
            columns = list(rows[0]) if rows else keys
            found = self.read_texts(name, columns, keys, only)
            check_texts(name, found, self.canonical(as_dict(entry), rows, keys) if rows else {})

    def canonical(self, entry: Plain, rows: list[dict[str, str | None]], keys: list[str]) -> Texts:
        """Expected rows by key, with jsonb as PostgreSQL prints it."""
        columns = as_dict(entry.get("columns", {}))
        of_jsonb = find_jsonb(columns, rows[0], keys)
        printed = self.print_jsonb(
            text for row in rows for name in of_jsonb if (text := row[name]) is not None
        )
        found: Texts = {}
        for row in rows:
            texts = {
                name: printed[text] if name in of_jsonb and text is not None else text
                for name, text in row.items()
            }
            found[tuple(row[key] for key in keys)] = texts
        assert len(found) == len(rows)
        return found

    def assemble(
        self, manifest: Manifest, root: str, *, is_strict: bool = True
    ) -> dict[str, bytes]:
        """The documents that the product builds from the rows, by the text of their key.

        Every child row must be used.
        """
        assembler = Assembler(manifest.layout, root, is_strict=is_strict)
        layouts = assembler.layouts
        kids: dict[bytes, ChildRows] = {}
        for i, layout in enumerate(layouts):
            if layout.parent is not None:
                for _, row in self._read_cells(layout.table, layout.names, layout.primary_key):
                    of_document = kids.setdefault(row[0] or b"", [{} for _ in layouts])
                    of_document[i].setdefault(
                        b"".join(cell or b"" for cell in row[1 : layout.key_width - 1]), []
                    ).append(row)
        found = {}
        top, position = layouts[0], layouts[0].names.index(layouts[0].primary_key[0])
        for key, row in self._read_cells(top.table, top.names, top.primary_key):
            of_document = kids.pop(row[position] or b"", [{} for _ in layouts])
            found[key] = assembler.assemble(row, of_document)
            assert not any(of_document), f"{key}: a child row was not reached"
        assert not kids, "child rows without a document"
        return found

    def _read_cells(
        self, table: str, names: Iterable[str], keys: Iterable[str]
    ) -> list[tuple[str, Row]]:
        first = quote(next(iter(keys)))
        listed, order = ", ".join(map(quote, names)), ", ".join(quote("t", key) for key in keys)
        rows = self.run(
            f"SELECT {first}::text, {listed} FROM {quote(self.schema, table)} AS t ORDER BY"
            f" {order}",
            is_binary=True,
        )
        cells = [[None if cell is None else Cell(cell) for cell in row[1:]] for row in rows]
        return [((row[0] or b"").decode(), found) for row, found in zip(rows, cells, strict=True)]


def print_list(texts: list[str]) -> bytes:
    """An array of texts as PostgreSQL reads it."""
    return print_array(list(texts)).encode()


def read_type(entry: object) -> str:
    """The type of a column of a plain manifest, in its short or its long form."""
    return str(entry["type"]) if isinstance(entry, Mapping) else str(entry)


def find_jsonb(columns: Plain, row: Mapping[str, object], keys: list[str]) -> set[str]:
    """The columns of jsonb: those of the manifest, and our own."""
    own = {name for name in row if name not in columns and name not in keys}
    return own | {name for name, entry in columns.items() if read_type(entry) == "jsonb"}


def check_texts(table: str, found: Texts, expected: Texts) -> None:
    """The same keys, and the same texts in every cell."""
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        if found[key] != row:
            different = {
                name: (found[key][name], text)
                for name, text in row.items()
                if found[key][name] != text
            }
            assert not different, f"{table} {key}: {different}"
