"""What is known of the values of unique indexes, chunk by chunk."""

from __future__ import annotations

import bson

from assise.documents.kinds import DATE, STRING
from assise.infer.composites import Composites

NO_DATE = bson.encode({"a": bson.DatetimeMS(2**62)})
NO_TEXT = bson.encode({"a": "nul: \0"})


def test_values_without_a_cell_are_known_of_every_chunk() -> None:
    first, other = Composites(unique=["a"]), Composites(unique=["a"])
    first.add_all([NO_TEXT])
    other.add_all([NO_DATE])
    first.merge(other)
    assert first.unfit == {"a": {STRING, DATE}}
