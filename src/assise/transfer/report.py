"""The report of a migration, a load or a verification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from assise.rows.columns import ColumnCounts
from assise.rows.model import Values
from assise.wording import escape

if TYPE_CHECKING:
    from assise.transfer.misfits import Misfit

SHOWN_KEYS = 3
"""Keys of rows that a line names."""


@dataclass
class Plan:
    """What a load would do.

    The target without its password, the tables to create, the collections with their bytes on disk
    and about how many documents, and how many seconds load and verify would take. `misfits` are
    columns that would not hold their values, as far as samples tell. Of what `is_loaded` already,
    `changes` are the statements that change it in place; `refusals` say what cannot be changed.
    """

    source: str
    target: str
    tables: list[str]
    collections: dict[str, int]
    documents: dict[str, int]
    load_seconds: float
    verify_seconds: float
    misfits: list[Misfit] = field(default_factory=list)
    is_loaded: bool = False
    changes: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 when all is well, 3 with misfits that are findings and with refusals."""
        has_findings = any(misfit.is_finding for misfit in self.misfits)
        return 3 if has_findings or self.refusals else 0

    def as_json(self) -> dict[str, object]:
        """Return what `--dry-run --json` prints."""
        return {**vars(self), "misfits": [misfit.as_json() for misfit in self.misfits]}


@dataclass
class Verified:
    """Documents that are equal, different, missing in the target, and rows that are extra in it."""

    equal: int = 0
    different: int = 0
    missing: int = 0
    extra: int = 0

    def add(self, part: Verified) -> None:
        """Add the counts of a part, such as a chunk."""
        self.equal += part.equal
        self.different += part.different
        self.missing += part.missing
        self.extra += part.extra

    @property
    def is_clean(self) -> bool:
        """Whether every document was found as it was."""
        return not (self.different or self.missing or self.extra)


@dataclass
class Since:
    """Documents of a live source that were changed, deleted and added since they were loaded.

    The rows of the first two are equal to what was loaded, or else they are different.
    """

    changed: int = 0
    deleted: int = 0
    added: int = 0

    def add(self, part: Since) -> None:
        """Add the counts of a part, such as a chunk."""
        self.changed += part.changed
        self.deleted += part.deleted
        self.added += part.added

    def __str__(self) -> str:
        """Return the counts that are not 0 in words."""
        counts = [f"{number:,} {word}" for word, number in vars(self).items() if number]
        return f"in the source since: {', '.join(counts)}" if counts else ""


@dataclass
class CollectionReport:
    """Figures of one collection: `documents == loaded + rejected`.

    Bytes are those of the uncompressed source. `problems` are what is wrong with the collection in
    the source as a whole, such as a checksum. `guesses` counts the values of which the source says
    too little, by what was guessed, in the chunks of this run. `columns` are without the chunks that
    a program that did not count them loaded.
    """

    name: str
    documents: int = 0
    loaded: int = 0
    rejected: int = 0
    bytes: int = 0
    seconds: float = 0.0
    tables: dict[str, int] = field(default_factory=dict)
    values: Values = field(default_factory=Values)
    columns: ColumnCounts = field(default_factory=ColumnCounts)
    verified: Verified | None = None
    differences: list[str] = field(default_factory=list)
    since: Since | None = None
    problems: list[str] = field(default_factory=list)
    guesses: dict[str, int] = field(default_factory=dict)

    def add(self, part: CollectionReport) -> None:
        """Add the figures of a part, such as a chunk."""
        self.documents += part.documents
        self.loaded += part.loaded
        self.rejected += part.rejected
        self.bytes += part.bytes
        self.seconds += part.seconds
        self.values.add(part.values)
        self.columns.add(part.columns)
        for table, rows in part.tables.items():
            self.tables[table] = self.tables.get(table, 0) + rows
        for guess, count in part.guesses.items():
            self.guesses[guess] = self.guesses.get(guess, 0) + count

    def amend(self, figures: CollectionReport) -> None:
        """Take over the figures of what is loaded by now, when some documents were rejected."""
        self.loaded, self.rejected, self.tables = figures.loaded, figures.rejected, figures.tables
        self.values, self.columns = figures.values, figures.columns

    def as_json(self) -> dict[str, object]:
        """Return what `--json` prints."""
        return {
            "name": self.name,
            "documents": self.documents,
            "loaded": self.loaded,
            "rejected": self.rejected,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "tables": self.tables,
            "values": vars(self.values),
            "columns": self.columns.as_json(),
            "verified": vars(self.verified) if self.verified else None,
            **({"differences": self.differences} if self.differences else {}),
            **({"since": vars(self.since)} if self.since else {}),
            **({"problems": self.problems} if self.problems else {}),
            **({"guesses": self.guesses} if self.guesses else {}),
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Self:
        """Return the figures that `as_json` described, of a collection that is not verified."""
        columns = ColumnCounts.from_json(facts["columns"])
        return cls(**{**facts, "values": Values(**facts["values"]), "columns": columns})


@dataclass(frozen=True)
class Finding:
    """Something that the manifest asks of a table and its rows do not fulfil.

    `kind` is what is asked for, such as `unique`, `key` the key of the manifest that asks for it.
    `rows` of `among` rows do what `says` says. `keys` are the `_id`s of the first of them. `made`
    is what the table has in place of what was asked for, or what became of the rows. `statement`
    makes what was asked for by hand, once the rows are corrected; so does the next load. It is
    empty where the rows were rejected or set to NULL.
    """

    table: str
    kind: str
    key: str
    name: str
    rows: int
    among: int
    says: str
    keys: tuple[str, ...]
    made: str
    statement: str

    def describe(self) -> list[str]:
        """The finding in words, and the statement."""
        shown = ", ".join(self.keys[:SHOWN_KEYS])
        more = ", …" if len(self.keys) > SHOWN_KEYS else ""
        rows = f"{self.rows:,} of {self.among:,} rows {self.says} ({shown}{more}); "
        said = f"{self.name}: {rows if self.says else ''}{self.made}"
        remedy = f"  once they are corrected: `assise load`, or {self.statement};"
        return [said, remedy] if self.statement else [said]

    def as_json(self) -> dict[str, object]:
        """Return what `--json` prints."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Self:
        """Return the finding that `as_json` described."""
        return cls(**{**facts, "keys": tuple(facts["keys"])})


def describe_guesses(name: str, guesses: Mapping[str, int]) -> list[str]:
    """Say of a collection what was guessed in its source, and how often."""
    return [f"{escape(name)}: {guess}: {count:,}" for guess, count in sorted(guesses.items())]


@dataclass
class Report:
    """Source, target (without its password), seconds in all, and the collections.

    `was_done` says that nothing was left to load, `sample` how many documents of each collection
    were verified, when not all were, and `queries` what left out documents of a collection.
    `findings` are what rows do not fulfil of the manifest, `misfits` columns that do not hold their
    values.
    """

    source: str
    target: str
    seconds: float = 0.0
    collections: list[CollectionReport] = field(default_factory=list)
    was_done: bool = False
    sample: int | None = None
    queries: Mapping[str, str] = field(default_factory=dict)
    misfits: list[Misfit] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def documents(self) -> int:
        """Documents in the source."""
        return sum(collection.documents for collection in self.collections)

    @property
    def loaded(self) -> int:
        """Documents that became rows."""
        return sum(collection.loaded for collection in self.collections)

    @property
    def rejected(self) -> int:
        """Documents that stand in assise.reject."""
        return sum(collection.rejected for collection in self.collections)

    @property
    def verified(self) -> Verified | None:
        """The sums over all collections; None when nothing was verified."""
        total = Verified()
        for collection in self.collections:
            if collection.verified is None:
                return None
            total.add(collection.verified)
        return total

    @property
    def exit_code(self) -> int:
        """0 when all is well; 3 with rejects, differences, findings, misfits, or a bad source."""
        is_clean = self.verified is None or self.verified.is_clean
        has_misfits = any(misfit.is_finding for misfit in self.misfits)
        has_problems = any(collection.problems for collection in self.collections)
        is_told = self.rejected or self.findings or has_misfits or has_problems
        return 3 if is_told or not is_clean else 0

    def as_json(self) -> dict[str, object]:
        """Return what `--json` prints."""
        return {
            "source": self.source,
            "target": self.target,
            "seconds": round(self.seconds, 3),
            "documents": self.documents,
            "loaded": self.loaded,
            "rejected": self.rejected,
            "verified": vars(self.verified) if self.verified else None,
            **({"sample": self.sample} if self.sample else {}),
            **({"queries": self.queries} if self.queries else {}),
            "collections": [collection.as_json() for collection in self.collections],
            **({"misfits": [each.as_json() for each in self.misfits]} if self.misfits else {}),
            **({"findings": [each.as_json() for each in self.findings]} if self.findings else {}),
        }
