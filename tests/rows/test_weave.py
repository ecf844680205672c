"""Children get the fields of their own parents' rows, whatever the documents."""

from __future__ import annotations

import bson
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.rows.rebuild import PATHS, read_manifest, read_row
from tests.rows.woven import TABLES, draw_woven, merge, migrations

from assise.manifest.layout import TableLayout
from assise.rows.model import Batch, WovenColumns
from assise.rows.shred import Shredder
from assise.rows.weave import LONGEST, Weaver
from assise.types.wire import Cell


def weave_slowly(
    layouts: tuple[TableLayout, ...], woven: WovenColumns, batch: Batch
) -> list[list[list[Cell | None]]]:
    """The cells of all rows: each child's parent is looked up by its document and ordinals."""
    found: list[list[list[Cell | None]]] = []
    known: dict[tuple[str, int, tuple[Cell | None, ...]], dict[str, Cell | None]] = {}
    for i, layout in enumerate(layouts):
        rows = [read_row(row) for row in batch.rows[i]]
        for owner, row in zip(batch.owners[i], rows, strict=True):
            ordinals = tuple(row[1 : layout.key_width])
            cells = dict(zip(layout.names, row, strict=True))
            for name, source in woven.get(layout.table, {}).items():
                cell = known[str(layout.parent), owner, ordinals[:-1]][source]
                cells[name] = None if cell is not None and len(cell) > LONGEST else cell
                row.append(cells[name])
            known[layout.table, owner, ordinals] = cells
        found.append(rows)
    return found


@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(migrations(), st.data())
def test_children_get_the_fields_of_their_parents(
    migration: tuple[object, list[bytes]], data: st.DataObject
) -> None:
    plain, raws = migration
    layout = read_manifest(plain).layout
    root = next(iter(layout.roots))
    for is_native in PATHS:
        shredder = Shredder(layout, root, is_native=is_native)
        batch = shredder.shred(enumerate(raws))
        woven = draw_woven(data, shredder.layouts)
        found = Weaver(shredder.layouts, woven, is_native=is_native).weave(batch)
        rows = [[read_row(row) for row in each] for each in merge(batch, found)]
        assert rows == weave_slowly(shredder.layouts, woven, batch)
        positions = {i for i, each in enumerate(shredder.layouts) if each.table in woven}
        assert {*found} == positions


def test_long_fields_those_of_other_types_and_nulls_are_null() -> None:
    layout = read_manifest({"assise": 1, "name": "a", "tables": TABLES}).layout
    woven = {"child": {"v": "v"}, "grandchild": {"v": "v", "w": "w"}}
    given: list[object] = ["a", None, {"b": 7}, "b" * LONGEST, "c" * (LONGEST + 1)]
    inner = [{"inner": [1, 2], "w": "p"}, {"w": 1}, {"w": "q", "inner": [3]}]
    raws = [bson.encode({"_id": n, "children": inner, "v": v}) for n, v in enumerate(given)]
    expected = [b"a", None, None, b"b" * LONGEST, None]
    for is_native in PATHS:
        shredder = Shredder(layout, "t", is_native=is_native)
        batch = shredder.shred(enumerate(raws))
        woven_rows = Weaver(shredder.layouts, woven, is_native=is_native).weave(batch)
        children, grandchildren = ([*map(read_row, woven_rows[i])] for i in (1, 2))
        assert [row[-1] for row in children] == [v for v in expected for _ in inner]
        assert [row[-2:] for row in grandchildren] == [
            [v, w] for v in expected for w in (b"p", b"p", b"q")
        ]
