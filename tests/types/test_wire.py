"""The cells of rows that COPY gets."""

from __future__ import annotations

import bson
import pytest
from tests.rows.rebuild import PATHS, read_manifest, read_row

from assise.rows.shred import Shredder
from assise.types import wire

MANIFEST = {
    "assise": 1,
    "name": "app",
    "tables": {
        "users": {
            "collection": "users",
            "primary_key": "id",
            "columns": {"id": {"type": "int4", "from": "_id"}, "name": "text", "tags": "text[]"},
        },
        "user_items": {
            "parent": "users",
            "from": "items.*",
            "primary_key": ["user_id", "_position"],
            "columns": {"n": "int4"},
        },
    },
}


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("is_native", PATHS)
def test_the_cells_of_a_row_are_read_as_a_result_has_them(count: int, is_native: bool) -> None:
    raws = [
        bson.encode(
            {
                "_id": n,
                "name": "é" * n if n % 3 else None,
                "tags": ["a"] * (n % 2),
                "items": [{"n": n}, {}, 7],
            }
        )
        for n in range(count)
    ]
    shredder = Shredder(read_manifest(MANIFEST).layout, "users", is_native=is_native)
    batch = shredder.shred(enumerate(raws))
    assert len(batch.rows[1]) == 3 * count
    for row in [*batch.rows[0], *batch.rows[1]]:
        assert wire.read_row(row) == read_row(row)
