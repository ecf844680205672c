"""How many values a document holds."""

from __future__ import annotations

from tests.oracle.walk import Value


def count_leaves(value: Value) -> int:
    """Scalars and empty containers; code with scope is one, whatever its scope holds. The empty document itself holds none."""
    inner = [field for _, field in value.fields]
    count = 0
    while inner:
        found = inner.pop()
        if found.kind in {"document", "array"} and found.fields:
            inner += [field for _, field in found.fields]
        else:
            count += 1
    return count
