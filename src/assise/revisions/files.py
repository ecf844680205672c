"""Revisions as files: `revisions/NNNN_title.sql`, plain SQL with a few marks in comments.

-- assise: revision 0002 add plan
-- assise: manifest 5b0c…            the sha256 of the manifest's SQL that it leads to
-- assise: kept unique t.t_a_key    rows break this key: something lesser stands in its place
-- assise: long unique t.t_a_key    values are too long for its index, which has digests of them
-- assise: left check t.t_a_check   rows break it, and nothing stands in its place
-- assise: up
-- assise: and                       in the transaction of the statement before
-- assise: batch users 10000         the UPDATE that follows, 10,000 rows a transaction
-- assise: each                      the index or foreign key that follows, partition by partition
-- assise: rename users name called  the load's stored layout, moved along
-- assise: table users people        the same of a table
-- assise: close users.name          the load is closed: its documents can no longer be rebuilt
-- assise: down
-- assise: undoes 2                  runs if the second step of the up part was done
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Literal, cast

from assise.errors import UsageError
from assise.revisions.statements import Statement, read_statements
from assise.schema.objects import Lesser
from assise.schema.plan import BATCH_ROWS
from assise.schema.planned import PlannedStep

FOLDER = "revisions"
_MARK = re.compile(r"^[ \t]*-- assise: *(\w+) *(.*?)[ \t]*$", re.MULTILINE)
_FILE = re.compile(r"(\d{4})_\w+\.sql")
_SIZES = {
    "up": 0,
    "down": 0,
    "and": 0,
    "each": 0,
    "undoes": 1,
    "batch": 2,
    "rename": 3,
    "table": 2,
    "close": 1,
}
"""How many words follow each mark; those of the first lines are not looked at."""

_FIRST = frozenset({"revision", "manifest", "kept", "long", "left"})
_LESSER = re.compile(r"^-- assise: (kept|long|left) (.+)$", re.MULTILINE)


@dataclass
class Block:
    """Statements of one transaction: a step, or what takes one back.

    undoes: the step of the up part that it takes back; 0 where it always runs.
    is_each: whether it is run for one partition after the other.
    moves: what becomes of the load's stored layout.
    """

    statements: list[Statement]
    batch: tuple[str, int] | None = None
    undoes: int = 0
    is_each: bool = False
    moves: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def is_alone(self) -> bool:
        """Whether no transaction may be around it."""
        return any(each.is_alone for each in self.statements)

    @property
    def drops(self) -> list[tuple[str, str]]:
        """The tables, and columns of tables, that it drops."""
        return [drop for each in self.statements for drop in each.drops]

    @property
    def closes(self) -> list[str]:
        """What closes the load if it has written it: what the marks say, is dropped or retyped."""
        marked = [values[0] for word, *values in self.moves if word == "close"]
        retyped = [column for each in self.statements for column in each.retypes]
        lost = [".".join(filter(None, each)) for each in [*self.drops, *retyped]]
        return list(dict.fromkeys(name.replace('"', "") for name in [*marked, *lost]))

    @property
    def text(self) -> str:
        """Its statements."""
        return ";\n".join(each.text for each in self.statements)


@dataclass(frozen=True)
class Revision:
    """A revision: its number from 1, its title, the hash that it leads to, and its text.

    The parts are parsed when they are asked for, which needs PostgreSQL's parser.
    """

    number: int
    title: str
    manifest: str
    text: str
    file: str

    @property
    def sha256(self) -> str:
        """By which an edited file is told."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def name(self) -> str:
        """The number with its title, such as `0002 add plan`."""
        return f"{self.number:04} {self.title}"

    @cached_property
    def lesser(self) -> dict[str, Lesser]:
        """The keys of the manifest in whose place something lesser stands, by their ids."""
        head = self.text.partition("-- assise: up")[0]
        return {name: cast("Lesser", form) for form, name in _LESSER.findall(head)}

    @property
    def up(self) -> list[Block]:
        """The steps, in order.

        Raises:
            UsageError: an unknown mark, or what is not SQL.
        """
        return self._parts["up"]

    @property
    def down(self) -> list[Block]:
        """What takes the steps back, in the order in which it runs; raises as `up` does."""
        return self._parts["down"]

    @cached_property
    def _parts(self) -> dict[str, list[Block]]:
        reader, end = _Reader(self.text, self.file), 0
        for statement in read_statements(self.text, file=self.file):
            reader.read_marks(end, statement.start)
            reader.add(statement)
            end = statement.stop
        reader.read_marks(end, len(self.text))
        return reader.parts


def read_folder(folder: Path) -> list[Revision]:
    """The revisions of a folder in the order of their numbers, which leave none out.

    Raises:
        UsageError: two files have one number, one is missing, or a file cannot be read as SQL.
    """
    paths = sorted(path for path in folder.glob("*.sql")) if folder.is_dir() else []
    for number, path in enumerate(paths, 1):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise UsageError(
                f"{path} is not named as a revision", remedy=f"Call it {number:04}_title.sql."
            )
        if int(match[1]) < number:
            raise UsageError(
                f"{path.name} and {paths[number - 2].name} have one number",
                remedy="Give the newer one the next number, in its name and its first line.",
            )
        if int(match[1]) > number:
            raise UsageError(
                f"revision {number:04} is missing before {path.name}",
                remedy=f"Put its file back into {folder}.",
            )
    return [read_revision(path) for path in paths]


def read_revision(path: Path) -> Revision:
    """A revision of its file."""
    try:
        return parse_revision(path.read_text(encoding="utf-8"), file=str(path))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8", remedy="Save it as UTF-8.") from error


def parse_revision(text: str, *, file: str) -> Revision:
    """A revision of its text.

    Raises:
        UsageError: its first lines are not those of a revision.
    """
    head = re.match(r"-- assise: revision (\d{4}) (.*)\n-- assise: manifest (\w+)\n", text)
    number = int(head[1]) if head else 0
    if head is None or not Path(file).name.startswith(f"{number:04}_"):
        raise UsageError(
            f"{file}: its first lines are not those of a revision of this number",
            remedy="They are `-- assise: revision NNNN title` and `-- assise: manifest HASH`.",
        )
    return Revision(number, head[2].strip(), head[3], text, file)


class _Reader:
    """Puts statements into blocks, as the marks between them say."""

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.parts: dict[str, list[Block]] = {"up": [], "down": []}
        self._part: Literal["up", "down"] | None = None
        self._next = Block([])
        self._is_joined = False

    def read_marks(self, start: int, stop: int) -> None:
        """Read the marks of a gap between statements."""
        for mark in _MARK.finditer(self.text, start, stop):
            self._read_mark(mark[1], mark[2].split(), mark.start())

    def _read_mark(self, word: str, values: Sequence[str], place: int) -> None:
        if word in _FIRST:
            return
        is_number = word not in {"undoes", "batch"} or (values and values[-1].isdigit())
        if _SIZES.get(word) != len(values) or not is_number:
            line = self.text.count("\n", 0, place) + 1
            raise UsageError(
                f"{self.file}:{line}: -- assise: {word} {' '.join(values)} is no mark",
                remedy="Marks are up, down, and, each, batch TABLE ROWS, undoes STEP,"
                " rename TABLE OLD NEW, table OLD NEW, close TABLE.COLUMN.",
            )
        match word:
            case "up" | "down":
                self._part = "up" if word == "up" else "down"
            case "each":
                self._next.is_each = True
            case "and":
                self._is_joined = True
            case "undoes":
                self._next.undoes = int(values[0])
            case "batch":
                self._next.batch = values[0], max(1, int(values[1]))
            case _:
                self._next.moves.append((word, *values))

    def add(self, statement: Statement) -> None:
        """Add a statement to the block that the marks before it have begun."""
        line = self.text.count("\n", 0, statement.start) + 1
        if self._part is None:
            raise UsageError(
                f"{self.file}:{line}: a statement before -- assise: up",
                remedy="Put it behind that mark.",
            )
        blocks = self.parts[self._part]
        if self._is_joined and blocks:
            blocks[-1].statements.append(statement)
            blocks[-1].moves += self._next.moves
        else:
            self._next.statements.append(statement)
            blocks.append(self._next)
        block, self._next, self._is_joined = blocks[-1], Block([]), False
        block.moves += [move for move in statement.moves if move not in block.moves]
        if len(block.statements) > 1 and block.is_alone:
            raise UsageError(
                f"{self.file}:{line}: no transaction may be around a statement of this step",
                remedy="Remove `-- assise: and` there.",
            )
        if block.is_each and (len(block.statements) > 1 or not statement.for_each):
            raise UsageError(
                f"{self.file}:{line}: -- assise: each stands before one CREATE INDEX, or one ALTER"
                " TABLE that adds a foreign key",
                remedy="Remove the mark, or what follows it.",
            )
        if block.batch and (len(block.statements) > 1 or not statement.update):
            raise UsageError(
                f"{self.file}:{line}: -- assise: batch stands before one UPDATE alone",
                remedy="Remove the mark, or what follows it.",
            )


def name_file(number: int, title: str) -> str:
    """The name of a revision's file."""
    words = re.sub(r"\W+", "_", title.casefold()).strip("_")[:60]
    return f"{number:04}_{words or 'change'}.sql"


def write_revision(
    number: int,
    title: str,
    manifest: str,
    steps: Sequence[PlannedStep],
    *,
    lesser: Mapping[str, Lesser],
    start: str = "",
) -> str:
    """The text of a revision with these steps; `start` is the up part of one that has no down."""
    lines = [f"-- assise: revision {number:04} {title}", f"-- assise: manifest {manifest}"]
    lines += [f"-- assise: {form} {name}" for name, form in sorted(lesser.items())]
    lines += ["", "-- assise: up", ""]
    if start:
        return "\n".join([*lines, start])
    down, place = list[str](), 0
    for step in steps:
        undoes = list[str]()
        if step.up:
            place += 1
            undoes = [f"undoes {place}"]
            lines += [f"-- {step.says}"] if step.says else []
            marks = _write_marks(step.batch, is_each=step.is_each)
            lines += _write_block(step.up, [*marks, *step.moves])
        if step.down:
            marks = _write_marks(step.batch_back, is_each=step.is_each_back)
            down[:0] = _write_block(step.down, [*undoes, *marks, *step.moves_back])
    return "\n".join([*lines, "-- assise: down", "", *down]).rstrip("\n") + "\n"


def _write_marks(batch: str, *, is_each: bool) -> list[str]:
    return [*([f"batch {batch} {BATCH_ROWS}"] if batch else []), *(["each"] if is_each else [])]


def _write_block(statements: Sequence[str], marks: Sequence[str]) -> list[str]:
    lines = [f"-- assise: {each}" for each in marks]
    for place, statement in enumerate(statements):
        lines += ["-- assise: and"] if place else []
        lines += [f"{statement};", ""]
    return lines
