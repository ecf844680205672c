"""The number of values in a document."""

from __future__ import annotations

from tests.oracle.walk import Value


def count_leaves(value: Value) -> int:
    """Count scalars and empty containers; code with scope is one. An empty document has none."""
    inner = [field for _, field in value.fields]
    count = 0
    while inner:
        found = inner.pop()
        if found.kind in {"document", "array"} and found.fields:
            inner += [field for _, field in found.fields]
        else:
            count += 1
    return count
