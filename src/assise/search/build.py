"""Builds an index: rows get their tsvectors, then numbers and weights, then blocks.

All of it is online and goes on where it stopped. A trigger that takes entries of a changed row away
waits for a batch that has them, and then finds where the batch has put them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from assise.errors import BusyError
from assise.postgres import locks
from assise.postgres.connection import Connection
from assise.schema.search import searched
from assise.schema.search.parts import list_parts
from assise.schema.search.searched import Searched, fill, read_blocks

UNSEALED = 2_000
"""Rows that are not in blocks; with more of them the last block is written again."""

SMALL = 20_000
"""A table of so many rows needs no blocks: all rows that a user sees are scored."""

LEARNED, MERGED = 20_000, 5_000
"""Rows whose words are put into the vocabulary in one transaction; those of fewer are merged with
what is there."""

GROWTH, DRIFT = 2.0, 0.1
"""Statistics are counted again when rows double, or their average length moves by a tenth."""

_STATEMENTS = read_blocks("build.sql")
_LITERAL = re.compile(r"%(?!\(\w+\)s)")


@dataclass(frozen=True)
class Generation:
    """Statistics of a table, and how far its index is.

    Rows with numbers below `sealed` are in blocks, the words of those below `learned` are in the
    vocabulary, those below `numbered` have weights: as many as
    `weighed`, which are `length` long together. `waiting` rows have tsvectors alone.
    """

    generation: int
    is_active: bool
    n: float
    average: float | None
    sealed: int
    learned: int
    weighed: int
    length: float
    is_filled: bool
    numbered: int
    waiting: int

    @property
    def is_outdated(self) -> bool:
        """Whether rows have doubled, or become longer or shorter, since they were counted."""
        rows = self.weighed + self.waiting
        if not self.n or not self.average:
            return rows > 0
        average = self.length / self.weighed if self.weighed else self.average
        return rows >= GROWTH * self.n or abs(average - self.average) > DRIFT * self.average


@dataclass(frozen=True)
class Builder:
    """Builds the index of one table; `should_stop` is asked between batches."""

    connection: Connection
    table: Searched
    should_stop: Callable[[], bool] = lambda: False
    progress: Callable[[str, int], None] = lambda _what, _rows: None

    @contextmanager
    def lock(self, patience_s: float = 0) -> Iterator[None]:
        """Nobody else numbers rows of this schema meanwhile.

        Raises:
            BusyError: another session does.
        """
        key = f"assise search {self.table.rules.schema}"
        with locks.hold(self.connection, key, patience_s=patience_s):
            yield

    def run(self, name: str, **values: object) -> list[tuple[object, ...]]:
        """Run one of the statements of `build.sql`."""
        return self.connection.execute(self._statements(name), values)

    def _statements(self, name: str) -> str:
        return _LITERAL.sub("%%", fill(_STATEMENTS[name], self._parts))

    @cached_property
    def _parts(self) -> Mapping[str, str]:
        return list_parts(self.table)

    def read_generations(self) -> list[Generation]:
        """The generations of the table, the oldest first; one is active."""
        statement = self._statements("state")
        return self.connection.fetch(Generation, statement, {"unused": 0})

    @property
    def active(self) -> Generation:
        """The generation that queries read."""
        return next(each for each in self.read_generations() if each.is_active)

    def build(self) -> int:
        """Index all rows that are not yet, and count again what is outdated; how many rows."""
        with self.lock(patience_s=60):
            indexed = self.index_rows()
            self.number_rows()
            if not self.should_stop() and self.active.is_outdated:
                self.count_again()
                self.number_rows()
            self.learn_words(self.active)
            self.seal_rows(all_of_them=True)
        if indexed >= LEARNED:
            # Queries read the fresh rows one after the other: also the room of those that were.
            self.run("tidy_fresh")
        return indexed

    def keep_up(self) -> int:
        """What the worker does now and then: as `build`, but no half-full block is written."""
        try:
            with self.lock():
                indexed = self.index_rows()
                self.number_rows()
                if self.active.is_outdated and not self.should_stop():
                    self.count_again()
                    self.number_rows()
                self.learn_words(self.active, share=DRIFT)
                self.seal_rows()
        except BusyError:
            return 0
        return indexed

    def index_rows(self) -> int:
        """Give the rows whose keys are noted their tsvectors."""
        if not self.active.is_filled:
            with self.connection.transaction():
                self.run("fill")
                self.run("set_filled")
        total = 0
        self.progress("indexed", 0)
        while not self.should_stop():
            found = int(str(self.run("index_some")[0][0]))
            total += found
            self.progress("indexed", total)
            if not found:
                break
        return total

    def number_rows(self) -> None:
        """Give rows numbers and weights in the active generation."""
        if self.table.vector is None:
            return
        active = self.active
        if not active.n:
            return
        self.run("begin_batch")
        total = 0
        self.progress("weighed", 0)
        while not self.should_stop():
            with self.connection.transaction():
                self.run("take_fresh")
                found = self._number(active)
                self.run("forget_fresh")
            total += found
            self.progress("weighed", total)
            if not found:
                break

    def _number(self, into: Generation) -> int:
        self.run("learn_words")
        values = {"generation": into.generation, "average": into.average}
        rows = self.run("number_rows", **values)
        return int(str(rows[0][0])) if rows else 0

    def learn_words(self, generation: Generation, *, share: float = 0) -> None:
        """Put the words of rows into the vocabulary of a generation.

        Without pgvector rows have no numbers: all are read again when this share of them came or went.
        """
        if self.table.vector is None:
            self._learn_all(generation, share)
            return
        low, high = generation.learned, generation.numbered
        while low < high and not self.should_stop():
            until = min(low + LEARNED, high)
            values = {"generation": generation.generation, "high": until}
            with self.connection.transaction():
                # Nobody knows how many words there are: a loop over them would never end.
                self.connection.execute("SET LOCAL enable_nestloop = off")
                self.connection.execute("SET LOCAL work_mem = '64MB'")
                self.run("learn_vocabulary", low=low, merges=until - low < MERGED, **values)
                self.run("set_learned", **values)
            low = until
            self.progress("learned", low)
        if low - generation.learned >= MERGED:
            self._merge_words(generation.generation)

    def _merge_words(self, generation: int) -> None:
        """Put the words of an owner that stand in many arrays into one: each is read by queries."""
        for (letter,) in self.run("list_letters", generation=generation):
            if self.should_stop():
                return
            with self.connection.transaction():
                self.connection.execute("SET LOCAL enable_nestloop = off")
                self.connection.execute("SET LOCAL work_mem = '64MB'")
                self.run("merge_vocabulary", generation=generation, letter=letter)

    def _learn_all(self, generation: Generation, share: float) -> None:
        rows, learned = generation.waiting, generation.learned
        if generation.n and abs(rows - learned) > share * learned:
            values = {"generation": generation.generation, "high": rows}
            with self.connection.transaction():
                self.connection.execute("SET LOCAL enable_nestloop = off")
                self.connection.execute("SET LOCAL work_mem = '64MB'")
                self.run("forget_vocabulary", generation=generation.generation)
                self.run("learn_vocabulary", low=0, merges=False, **values)
                self.run("set_learned", **values)
            self.progress("learned", rows)

    def seal_rows(self, *, all_of_them: bool = False) -> None:
        """Write the blocks of rows that are in none."""
        if self.table.vector is None:
            return
        active = self.active
        waiting = active.numbered - active.sealed
        if active.numbered > SMALL and (waiting > UNSEALED or (waiting and all_of_them)):
            self._seal(active.generation, active.sealed, active.numbered)

    def _seal(self, generation: int, sealed: int, numbered: int) -> None:
        size = searched.BLOCK
        for block in range(sealed // size, -(-numbered // size)):
            if self.should_stop():
                return
            end = min((block + 1) * size, numbered)
            with self.connection.transaction():
                self.connection.execute("SET LOCAL work_mem = '128MB'")
                self.run("forget_block", generation=generation, block=block)
                self.run("seal_block", generation=generation, block=block)
                if self.table.is_shown_by_owners:
                    self.run("seal_owners", generation=generation, block=block)
                self.run("set_sealed", generation=generation, sealed=end)
            self.progress("sealed", end)

    def count_again(self) -> None:
        """Count a new generation, write its weights and blocks, and let queries read it.

        While others change rows, which cannot be copied then, it stays begun: the next build goes on.
        """
        active = self.active
        new = self._begin_generation(active)
        if self.table.vector is not None:
            self._copy_rows(active, new)
            of_both = {"active": active.generation, "generation": new.generation}
            if self.run("left", **of_both)[0][0]:
                return
            new = self.read_generations()[-1]
            if new.numbered > SMALL:
                self._seal(new.generation, new.sealed, new.numbered)
        self.learn_words(new)
        if self.should_stop():
            return
        values = {"generation": new.generation, "active": active.generation}
        with self.connection.transaction():
            if active.n:
                self.run("drop_changed", **values)
            self.run("switch", generation=new.generation)
        with self.connection.transaction():
            self.run("forget_generations", generation=new.generation)
            if self.table.vector is not None:
                self.run("forget_old_blocks", generation=new.generation)

    def _begin_generation(self, active: Generation) -> Generation:
        """The statistics of a new generation, or of one that was begun and is not finished."""
        found = self.read_generations()
        begun = [each for each in found if each.generation > active.generation]
        if begun:
            return begun[-1]
        generation = active.generation + 1
        self.progress("counted", 0)
        with self.connection.transaction(isolation="REPEATABLE READ"):
            self.run("count_words")
            n = int(str(self.run("count_rows", active=active.generation)[0][0]))
            length = self._add_lengths()
            self.run("learn_counted")
            self.run("keep_counted", generation=generation)
            average = length / n if n and length else None
            self.run("begin_generation", generation=generation, n=n, average=average)
        self.progress("counted", n)
        return self.read_generations()[-1]

    def _add_lengths(self) -> float:
        """How long all rows are together; where a word counts once, that is what was counted."""
        is_plain = "sum" not in self.table.frequency and len(self.table.search.languages) == 1
        return float(str(self.run("count_entries" if is_plain else "count_lengths")[0][0]))

    def _copy_rows(self, active: Generation, new: Generation) -> None:
        self.run("begin_batch")
        generations = {"active": active.generation, "generation": new.generation}
        for total in count(1):
            if self.should_stop():
                return
            with self.connection.transaction():
                self.run("take_rows", after=0, **generations)
                if not self._number(new):
                    return
            self.progress("weighed", total * 1_000)
