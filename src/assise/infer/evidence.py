"""Comments for the manifest: what the profile saw."""

from __future__ import annotations

from collections.abc import Mapping

from assise.infer.tree import Path
from assise.wording import count_of


def column_evidence(path: Path, held: frozenset[str], *, rows: int, row: str) -> str:
    """The kinds that a column holds, those that stand in `_extra`, and the nulls.

    Only the kind's name where every row has it.
    """
    kinds = _by_count({kind: count for kind, count in path.kinds.items() if kind != "null"})
    kept, others = (
        [pair for pair in kinds if pair[0] in held],
        [pair for pair in kinds if pair[0] not in held],
    )
    return _sentence(kept, others, path, rows=rows, row=row)


def array_evidence(path: Path, *, rows: int, row: str, is_typed: bool) -> str:
    """The same for arrays, with the kinds of their elements."""
    arrays = path.kinds["array"]
    elements = _by_count(path.element.kinds if path.element else {})
    inside = f" of {elements[0][0]}" if elements else ""
    if len(elements) > 1:
        inside = " (" + ", ".join(f"{kind} {count:,}" for kind, count in elements) + ")"
    kept = [(f"array{inside}", arrays)]
    others = _by_count(
        {kind: count for kind, count in path.kinds.items() if kind not in {"array", "null"}}
    )
    return (
        _sentence(kept, others, path, rows=rows, row=row)
        if is_typed
        else _sentence(kept + others, [], path, rows=rows, row=row)
    )


def id_evidence(path: Path, documents: int) -> str:
    """How many documents there are, and the kinds of their `_id`."""
    kinds = _by_count(path.kinds)
    parts = (
        [kind for kind, _ in kinds]
        if len(kinds) == 1
        else [f"{kind} {count:,}" for kind, count in kinds]
    )
    missing = documents - path.values
    if missing:
        parts.append(f"missing or repeated {missing:,}")
    return count_of(documents, "document") + (f", _id: {', '.join(parts)}" if parts else "")


def _sentence(
    kept: list[tuple[str, int]], others: list[tuple[str, int]], path: Path, *, rows: int, row: str
) -> str:
    if len(kept) == 1 and kept[0][1] == rows:
        return kept[0][0]
    nulls = path.kinds.get("null", 0)
    parts = [
        f"{kept[0][0]} in {count_of(kept[0][1], row)}",
        *(f"{kind} in {count:,}" for kind, count in kept[1:]),
    ]
    if others:
        parts.append(
            ", ".join(f"{kind} in {count:,}" for kind, count in others) + " (kept in _extra)"
        )
    if nulls:
        parts.append(f"null in {nulls:,}")
    return ", ".join(parts)


def _by_count(kinds: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))
