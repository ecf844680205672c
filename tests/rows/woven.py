"""Migrations whose child tables copy columns of their parents' rows."""

from __future__ import annotations

from hypothesis import strategies as st
from tests.oracle.strategies import documents, in_order, manifests

from assise.manifest.layout import TableLayout
from assise.rows.model import Batch, JoinedRows, WovenColumns

TABLES = {
    "t": {
        "collection": "t",
        "primary_key": "id",
        "columns": {"v": "text", "id": {"type": "int4", "from": "_id"}},
    },
    "child": {
        "parent": "t",
        "from": "children.*",
        "primary_key": ["t_id", "position"],
        "columns": {"w": "text"},
    },
    "grandchild": {
        "parent": "child",
        "from": "inner.*",
        "primary_key": ["t_id", "position", "inner_position"],
        "columns": {"x": {"type": "int4", "from": "*"}},
    },
}


def draw_woven(data: st.DataObject, layouts: tuple[TableLayout, ...]) -> WovenColumns:
    """Some columns of its parent for each child table, those too that are copied themselves."""
    woven: dict[str, dict[str, str]] = {}
    names = {layout.table: layout.names for layout in layouts}
    for layout in layouts:
        if layout.parent is not None:
            sources = [*names[layout.parent], *woven.get(layout.parent, ())]
            drawn = data.draw(st.lists(st.sampled_from(sources), max_size=3))
            columns = {f"copy {i} of {name}": name for i, name in enumerate(drawn)}
            woven |= {layout.table: columns} if columns else {}
    return woven


def merge(batch: Batch, woven: dict[int, JoinedRows]) -> list[JoinedRows]:
    """The rows of all tables, woven or not."""
    return [woven.get(i, rows) for i, rows in enumerate(batch.rows)]


@st.composite
def migrations(draw: st.DrawFn) -> tuple[object, list[bytes]]:
    raws = draw(st.lists(documents().map(in_order), min_size=1, max_size=6))
    return draw(manifests(raws, has_readings=False)), raws + raws[:1] + [b"no BSON"]
