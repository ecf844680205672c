"""How a database differs from what it should be, in words and as SQL."""

from __future__ import annotations

from dataclasses import dataclass, field

from assise.schema.catalog import CatalogDifference, CatalogItem, Snapshot, collect, compare
from assise.schema.plan import plan


@dataclass(frozen=True)
class SchemaDrift:
    """What is missing or otherwise in a database, and what it has that is not ours.

    restore: the statements that make it as it should be. keep: those that made it as it is, for a
    revision that keeps it so. left: keys that are left out, as rows break them; no differences.
    """

    differences: list[str] = field(default_factory=list)
    restore: list[str] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)
    others: list[CatalogItem] = field(default_factory=list)
    present: int = 0
    left: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether all that is ours is there as it should be."""
        return not self.differences

    def describe(self) -> list[str]:
        """The differences, a line each."""
        return self.differences

    def as_json(self) -> dict[str, object]:
        """The drift as `--json` prints it."""
        others = [{"what": item.shown, "drop": item.drop} for item in self.others]
        return {
            "differences": self.differences,
            "restore": self.restore,
            "keep": self.keep,
            "not_ours": others,
            "left_out": self.left,
        }


def find_drift(actual: Snapshot, expected: Snapshot) -> SchemaDrift:
    """How a database differs from what it should be.

    Ours are the objects that it should have, and columns of ours that it should not: everything
    else is others', and stays.
    """
    difference = compare(actual, expected)
    foreign = {item.id for item in difference.dropped}
    tables = {item.on for item in difference.dropped if item.kind == "table"}
    ours = collect(item for item in actual.values() if item.id not in foreign)
    steps = plan(ours, expected).steps
    back = plan(expected, ours).steps
    return SchemaDrift(
        _describe(difference),
        [text for step in steps for text in step.up],
        [text for step in back for text in step.up],
        [item for item in difference.dropped if item.kind == "table" or item.on not in tables],
        len(expected) - len(difference.added),
    )


def _describe(difference: CatalogDifference) -> list[str]:
    missing = [f"{item.shown} is missing" for item in difference.added]
    return missing + [f"{item.shown} is another one" for _, item in difference.changed]
