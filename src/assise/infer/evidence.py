"""Comments for the manifest: the kinds and counts in the profile."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from assise.infer.readings import ColumnChoice
from assise.infer.tree import PathProfile
from assise.wording import count_of

KEPT = " (kept in _extra)"
READ = " (read where they fit)"

KindCounts = list[tuple[str, int]]
"""Kinds with the number of their values, the most frequent first."""


def column_evidence(path: PathProfile, choice: ColumnChoice, *, rows: int, row: str) -> str:
    """Describe the kinds that a column holds, those that it reads or leaves out, and the nulls.

    Where every row has the one kind, the text is the kind's name alone.
    """
    kinds = _by_count(path.kinds, leave_out=("null",))
    kept = [pair for pair in kinds if pair[0] in choice.held]
    others = [pair for pair in kinds if pair[0] not in choice.held]
    return _sentence(kept, others, path, choice.reads, rows=rows, row=row)


def array_evidence(path: PathProfile, choice: ColumnChoice | None, *, rows: int, row: str) -> str:
    """Describe the kinds of an array column and of its elements; of jsonb without a choice."""
    elements = _by_count(path.element.kinds if path.element else {})
    inside = f" of {elements[0][0]}" if elements else ""
    if len(elements) > 1:
        inside = f" ({', '.join(_list_counts(elements))})"
    kept = [(f"array{inside}", path.kinds["array"])]
    others = _by_count(path.kinds, leave_out=("array", "null"))
    if choice is not None:
        takes = choice.held | choice.reads
        return _sentence(kept, others, path, takes, rows=rows, row=row)
    return _sentence(kept + others, [], path, frozenset(), rows=rows, row=row)


def id_evidence(path: PathProfile, documents: int, *, has_hex_ids: bool = False) -> str:
    """Describe how many documents there are, and the kinds of their `_id`.

    With `has_hex_ids` all are texts of 24 hex digits.
    """
    kinds = _by_count(path.kinds)
    parts = [kind for kind, _ in kinds] if len(kinds) == 1 else _list_counts(kinds)
    missing = documents - path.values
    if missing:
        parts.append(f"missing or repeated {missing:,}")
    if documents and has_hex_ids:
        parts.append("which look like ObjectIds that were written as text")
    total = count_of(documents, "document")
    return f"{total}, _id: {', '.join(parts)}" if parts else total


def _sentence(
    kept: KindCounts,
    others: KindCounts,
    path: PathProfile,
    reads: frozenset[str],
    *,
    rows: int,
    row: str,
) -> str:
    kind, count = kept[0]
    if len(kept) == 1 and count == rows:
        return kind
    nulls = path.kinds.get("null", 0)
    parts = [f"{kind} in {count_of(count, row)}"]
    if len(kept) > 1:
        parts += _list_counts(kept[1:], " in ")
    for is_read, said in ((True, READ), (False, KEPT)):
        left = [pair for pair in others if (pair[0] in reads) == is_read]
        if left:
            parts.append(", ".join(_list_counts(left, " in ")) + said)
    if nulls:
        parts.append(f"null in {nulls:,}")
    return ", ".join(parts)


def _list_counts(kinds: KindCounts, between: str = " ") -> list[str]:
    return [f"{kind}{between}{count:,}" for kind, count in kinds]


def _by_count(kinds: Mapping[str, int], leave_out: Collection[str] = ()) -> KindCounts:
    chosen = [pair for pair in kinds.items() if pair[0] not in leave_out]
    return sorted(chosen, key=lambda pair: (-pair[1], pair[0]))
