"""The tables of a load as parts see them, and what the load keeps of them beside revisions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from assise.manifest.layout import rename_column, rename_table
from assise.manifest.model import Manifest
from assise.postgres.connection import Connection
from assise.transfer.ledger import QUERIES, Load, find_load, write_repair
from assise.transfer.objects import list_broken
from assise.workspace import LoadedTables


def describe_tables(
    connection: Connection, load: Load, manifest: Manifest, *, home: Path
) -> LoadedTables:
    """The tables of a load, for parts that add something to them; `home` is the manifest's folder."""
    transactions = QUERIES["transactions"].replace("%(load_id)s", str(load.id))
    record = partial(write_repair, connection, load)
    follow = partial(move, connection, load)
    layouts = () if load.closed_by else load.layout.tables.values()
    columns = {f"{layout.table}.{name}" for layout in layouts for name in layout.names}
    facts = (load.name, load.schema, manifest, transactions, record, follow, columns, home)
    return LoadedTables(*facts, list_broken=partial(list_broken, connection, load))


def move(connection: Connection, load: Load, moves: Sequence[tuple[str, ...]]) -> None:
    """Let what the load keeps of its tables follow a revision, in the caller's transaction."""
    for word, *values in moves:
        layout = find_load(connection, load.name)
        match word, values:
            case "born", [table]:
                connection.execute(QUERIES["insert_born"], {"load_id": load.id, "names": [table]})
            case "schema", [name]:
                connection.execute(QUERIES["insert_schemas"], {"load_id": load.id, "names": [name]})
            case "own", []:
                connection.execute(QUERIES["own"], {"load_id": load.id})
            case "rename", [table, old, new] if layout:
                name = _find_name(layout, table)
                renamed = rename_column(layout.layout, name, old, new=new)
                text = json.dumps(renamed.as_json())
                connection.execute(QUERIES["set_layout"], {"load_id": load.id, "layout": text})
            case "table", [old, new] if layout:
                names = {"old": _find_name(layout, old), "new": _unqualify(layout, new)}
                renamed = rename_table(layout.layout, names["old"], new=names["new"])
                text = json.dumps(renamed.as_json())
                connection.execute(QUERIES["set_layout"], {"load_id": load.id, "layout": text})
                connection.execute(QUERIES["rename_table"], {"load_id": load.id, **names})
            case "close", [gone, revision] if layout:
                table, _, column = gone.rpartition(".")
                known = layout.layout.tables.get(_find_name(layout, table))
                is_table = _find_name(layout, gone) in layout.layout.tables
                if is_table or (known and column in known.names):
                    lines = {"load_id": load.id, "revision": revision}
                    connection.execute(QUERIES["close"], lines)


def _find_name(load: Load, table: str) -> str:
    """A table as the manifest names it, whose name may give the schema of the load."""
    return table if table in load.layout.tables else _unqualify(load, table)


def _unqualify(load: Load, table: str) -> str:
    return table.removeprefix(f"{load.schema}.")
