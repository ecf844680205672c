"""Embeds the rows that have changed: their passages get vectors, each text once a model.

All of it goes on where it stopped: a batch is written in one transaction, with the notes that its
rows had changed. Users write meanwhile: a row that changed while it was embedded keeps its note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import cast

from assise.errors import EmbedderError, TargetError
from assise.postgres import locks
from assise.postgres.connection import Connection
from assise.schema.search.made import has_owner
from assise.schema.search.meaning import (
    EmbeddedTable,
    create_passages,
    name_passages,
    write_statement,
)
from assise.schema.sql import quote
from assise.search.meaning.choose import find_daily_tokens
from assise.search.meaning.embedder import Embedder, measure_scale, write_vector
from assise.search.meaning.passages import Passage, compose, count_tokens, cut

ROWS = 100
"""Rows of a batch."""

READ_BYTES = 4_000_000
"""Bytes of text that are read at once, where they are not of one row."""

TEXTS = 16
"""Texts that are embedded at once."""

GRAPH = 50_000
"""Passages from which on an index of neighbours pays."""

WIDEST = 4_000
"""Dimensions that an index of neighbours can have, of halfvec."""

NEIGHBOUR_BYTES = 1_000
"""What a passage takes in memory beside its vector while the index of neighbours is built."""

OF_PASSAGES = 0.9
"""Of the tokens of a day: the others are left to queries."""

DEAD = 0.02
"""The share of dead passages from which on they are vacuumed: an index of neighbours finds them."""


@dataclass(frozen=True)
class Using:
    """A model, the text of its configuration, and what runs it."""

    embedder: Embedder
    configuration: str


@dataclass
class Spent:
    """What was done: rows, passages written, and texts that were embedded."""

    rows: int = 0
    passages: int = 0
    texts: int = 0


@dataclass(frozen=True)
class PassageState:
    """How far a table is embedded: passages, those that are stale, and rows that wait, since when."""

    table: str
    passages: int
    stale: int
    waiting: int
    since: datetime | None


@dataclass(frozen=True)
class PassageBuilder:
    """Embeds the tables of a load by one model, and those that are still used beside it.

    `should_stop` is asked between batches; `progress` gets a table, rows done and rows in all.
    """

    connection: Connection
    tables: Sequence[EmbeddedTable]
    using: Using
    others: Mapping[str, Embedder]
    should_stop: Callable[[], bool] = lambda: False
    progress: Callable[[str, int, int], None] = lambda _table, _rows, _size: None

    def build(self, patience_s: float = 60) -> dict[str, Spent]:
        """Embed what has changed; then queries read this model, and the others are dropped.

        Raises:
            BusyError: another session does. EmbedderError: the model cannot be run.
        """
        with self.alone(patience_s):
            self.begin()
            spent = {table.name: self._embed_table(table) for table in self.tables}
            if not self.should_stop():
                self.switch()
                self.tidy(is_changed=any(each.passages for each in spent.values()))
        return spent

    @contextmanager
    def alone(self, patience_s: float = 60) -> Iterator[None]:
        """Nobody else embeds the tables of this schema meanwhile; what is made is the owner's.

        Raises:
            BusyError: another session does.
        """
        key = f"assise meaning {self.tables[0].rules.schema}"
        with locks.hold(self.connection, key, patience_s=patience_s), _as_owner(self):
            yield

    def begin(self) -> None:
        """Make the table of the model's passages, and note all rows of tables that it has not."""
        first, model = self.tables[0], self.using.embedder.model
        if not self.is_made():
            scale = measure_scale(self.using.embedder)
            with self.connection.transaction():
                for statement in create_passages(
                    first.rules, model.full_name, model.dimensions, first.vector
                ):
                    self.connection.execute(statement)
                values = {
                    "name": model.full_name,
                    "place": self._place,
                    "dimensions": model.dimensions,
                    "embedder": self.using.configuration,
                    "weight": model.weight,
                    **asdict(scale),
                }
                self._run(first, "begin_model", **values)
        for (source,) in self._run(first, "list_gone", sources=[each.name for each in self.tables]):
            self._run(first, "forget_source", source=source)
        for table in self.list_new():
            values = {"model": model.full_name, "source": table.name}
            with self.connection.transaction():
                self._run(table, "fill")
                self._run(table, "keep_source", made_from=table.made_from, **values)

    def is_made(self) -> bool:
        """Whether the model has a table of passages."""
        name = self.using.embedder.model.full_name
        return any(str(known) == name for known, *_ in self.list_models())

    def list_models(self) -> list[tuple[object, ...]]:
        """All models, as `list_models` of embed.sql has them."""
        return self._run(self.tables[0], "list_models")

    def list_new(self) -> list[EmbeddedTable]:
        """The tables that the model has not, or has from other columns or under other rules."""
        name = self.using.embedder.model.full_name
        return [
            table
            for table in self.tables
            if self._run(table, "made_from", model=name, source=table.name) != [(table.made_from,)]
        ]

    def count_waiting(self, table: EmbeddedTable) -> int:
        """How many rows of a table have changed."""
        return int(str(self._run(table, "count_changed", source=table.name)[0][0]))

    def estimate(self) -> tuple[int, int]:
        """How many texts are new, and about how many tokens they have; all changed rows are read.

        Those of tables that the model has not count as changed: they are noted.
        """
        for table in self.list_new():
            self._run(table, "fill")
        texts, tokens, is_made = 0, 0, self.is_made()
        for table in self.tables:
            after = None
            while noted := self._list_changed(table, after):
                after = str(noted[-1][0])
                for passages in self._read(table, [str(key) for key, _ in noted]):
                    new = {each.hash: each.embedded for row in passages.values() for each in row}
                    known = self._run(table, "known_vectors", hashes=[*new]) if is_made else []
                    for hashed, _ in known:
                        new.pop(bytes(cast("bytes", hashed)), None)
                    texts += len(new)
                    tokens += sum(map(count_tokens, new.values()))
        return texts, tokens

    def _list_changed(self, table: EmbeddedTable, after: str | None) -> list[tuple[object, ...]]:
        values = {"source": table.name, "after": after, "limit": ROWS}
        return self._run(table, "list_changed", **values)

    def read_state(self, table: EmbeddedTable) -> PassageState:
        """How far a table is embedded by the model whose vectors queries read."""
        waiting, since = self._run(table, "count_changed", source=table.name)[0]
        passages, stale, made_from = 0, 0, list[tuple[object, ...]]()
        for name, place, _, is_active, _ in self.list_models():
            if is_active:
                found = self._run(table, "count_passages", str(place), source=table.name)[0]
                passages, stale = int(str(found[0])), int(str(found[1]))
                made_from = self._run(table, "made_from", model=name, source=table.name)
        if made_from != [(table.made_from,)]:
            # The next run notes all rows, before it embeds any.
            ((waiting,),) = self._run(table, "count_rows")
        noted = since if isinstance(since, datetime) else None
        return PassageState(table.name, passages, stale, int(str(waiting)), noted)

    def switch(self) -> None:
        """Let queries read this model, if it has all rows; the others go."""
        first, name = self.tables[0], self.using.embedder.model.full_name
        models = self.list_models()
        if all(str(other) == name for other, *_ in models):
            return
        if any(self.count_waiting(table) for table in self.tables):
            return
        with self.connection.transaction():
            self._run(first, "leave_models")
            self._run(first, "enter_model", name=name)
        for other, place, *_ in models:
            if other != name:
                with self.connection.transaction():
                    self._run(first, "drop_model", name=other)
                    self.connection.execute(f"DROP TABLE IF EXISTS {place}")

    def tidy(self, *, is_changed: bool) -> None:
        """Vacuum the passages where that is due, and make the index of neighbours where it pays."""
        first = self.tables[0]
        if not self.is_made():
            return
        rows, dead, has_graph = self._run(first, "size")[0]
        share = float(str(dead)) / max(float(str(rows)), 1)
        if share > DEAD or (is_changed and not has_graph):
            self._run(first, "analyze")
            rows, _, _ = self._run(first, "size")[0]
        is_narrow = self.using.embedder.model.dimensions <= WIDEST
        if not has_graph and float(str(rows)) > GRAPH and is_narrow:
            self._build_graph(float(str(rows)))

    def _build_graph(self, rows: float) -> None:
        """Build the index of neighbours in memory: what does not fit makes it many times slower."""
        first, dimensions = self.tables[0], self.using.embedder.model.dimensions
        try:
            self._run(first, "allow", memory=int(rows * (2 * dimensions + NEIGHBOUR_BYTES)))
            try:
                self._build_near()
            except TargetError:
                # Several processes share memory, of which containers may have little.
                self.connection.execute("SET max_parallel_maintenance_workers = 0")
                self._build_near()
        finally:
            self.connection.execute("RESET max_parallel_maintenance_workers")
            self.connection.execute("RESET maintenance_work_mem")

    def _build_near(self) -> None:
        """Make it anew: one whose making was stopped is left behind, and no query reads it."""
        self._run(self.tables[0], "drop_near")
        self._run(self.tables[0], "build_near")

    def _embed_table(self, table: EmbeddedTable) -> Spent:
        spent, after, size = Spent(), None, self.count_waiting(table)
        models = self._find_models()
        while not self.should_stop():
            noted = self._list_changed(table, after)
            if not noted:
                break
            after = str(noted[-1][0])
            versions = {str(key): int(str(version)) for key, version in noted}
            groups = (group for read in self._read(table, [*versions]) for group in _group(read))
            for group in groups:
                if self.should_stop():
                    break
                vectors = self._embed_group(table, models, group, spent)
                self._write(table, group, versions, vectors)
                spent.rows += len(group)
                spent.passages += sum(map(len, group.values()))
                self.progress(table.name, spent.rows, size)
        for place in models:
            self._run(table, "forget_kept", place)
        return spent

    def _read(
        self, table: EmbeddedTable, keys: Sequence[str]
    ) -> Iterator[dict[str, list[Passage]]]:
        """The passages of rows, of so much text at once; none of one that is gone, or not wanted."""
        sizes = dict.fromkeys(keys, 0)
        sizes |= {str(key): int(str(size)) for key, size in self._run(table, "measure", keys=keys)}
        for some in _split(sizes, READ_BYTES):
            found: dict[str, list[Passage]] = {key: [] for key in some}
            for key, is_wanted, *values in self._run(table, "read_rows", keys=some):
                if is_wanted:
                    found[str(key)] = cut(compose(values), table.embed.tokens)
            yield found

    def _embed_group(
        self,
        table: EmbeddedTable,
        models: dict[str, Embedder],
        group: Mapping[str, Sequence[Passage]],
        spent: Spent,
    ) -> dict[str, dict[bytes, str]]:
        """The vectors of passages by each model; one of before that cannot be run is left out."""
        found = {}
        for place, embedder in [*models.items()]:
            try:
                found[place] = self._find_vectors(table, place, embedder, group, spent)
            except EmbedderError:
                if embedder is self.using.embedder:
                    raise
                del models[place]
        return found

    def _find_vectors(
        self,
        table: EmbeddedTable,
        place: str,
        embedder: Embedder,
        group: Mapping[str, Sequence[Passage]],
        spent: Spent,
    ) -> dict[bytes, str]:
        """The vectors of passages by their hashes: those that are known, and new ones."""
        texts = {each.hash: each.embedded for row in group.values() for each in row}
        rows = self._run(table, "known_vectors", place, hashes=[*texts])
        known = {bytes(cast("bytes", hashed)): str(vector) for hashed, vector in rows}
        missing = [each for each in texts if each not in known]
        for begin in range(0, len(missing), TEXTS):
            hashes = missing[begin : begin + TEXTS]
            sent = [texts[each] for each in hashes]
            self._spend(table, embedder, sent)
            vectors = embedder.embed(sent, "passage")
            new = dict(zip(hashes, map(write_vector, vectors), strict=True))
            spent.texts += len(new)
            known |= new
            if len(missing) > TEXTS:
                # A long row takes many calls: what they have cost is not lost with the last one.
                self._run(table, "keep_vectors", place, hashes=[*new], vectors=[*new.values()])
        return known

    def _spend(self, table: EmbeddedTable, embedder: Embedder, texts: Sequence[str]) -> None:
        """Note that texts are sent, where the manifest says how many tokens may be in a day.

        Raises:
            EmbedderError: these would be too many.
        """
        most = find_daily_tokens(embedder)
        if most is None:
            return
        values = {"tokens": sum(map(count_tokens, texts)), "most": int(most * OF_PASSAGES)}
        ((is_kept,),) = self._run(table, "spend", model=embedder.model.full_name, **values)
        if not is_kept:
            raise EmbedderError(
                f"the {most:,} tokens that {embedder.model.full_name} may be sent in a day are"
                " spent, but for those that queries keep",
                remedy="What is embedded is kept: the same command goes on tomorrow (UTC), or with"
                " more tokens_a_day in the manifest.",
            )

    def _write(
        self,
        table: EmbeddedTable,
        group: Mapping[str, Sequence[Passage]],
        versions: Mapping[str, int],
        vectors: Mapping[str, Mapping[bytes, str]],
    ) -> None:
        """Write the passages of the rows that have not changed again since they were read."""
        source = table.name
        with self.connection.transaction():
            noted = {"keys": [*group], "versions": [versions[key] for key in group]}
            taken = [
                str(key) for (key,) in self._run(table, "take_changed", source=source, **noted)
            ]
            rows = [
                (key, number, passage) for key in taken for number, passage in enumerate(group[key])
            ]
            hashes = [each.hash for _, _, each in rows]
            columns: dict[str, object] = {
                "keys": [key for key, _, _ in rows],
                "numbers": [number for _, number, _ in rows],
                "firsts": [each.first for _, _, each in rows],
                "lasts": [each.last for _, _, each in rows],
                "headings": [each.heading for _, _, each in rows],
                "hashes": hashes,
            }
            for place, known in vectors.items():
                found = [known[each] for each in hashes]
                self._run(table, "forget_passages", place, source=source, keys=taken)
                values = {"source": source, "vectors": found, **columns}
                self._run(table, "write_passages", place, **values)

    def _find_models(self) -> dict[str, Embedder]:
        """The tables of passages that are kept up, each with what embeds for it."""
        known = {**self.others, self.using.embedder.model.full_name: self.using.embedder}
        rows = self.list_models()
        return {str(place): known[str(name)] for name, place, *_ in rows if str(name) in known}

    @property
    def _place(self) -> str:
        return name_passages(self.tables[0].rules, self.using.embedder.model.full_name)

    def _run(
        self, table: EmbeddedTable, name: str, place: str = "", /, **values: object
    ) -> list[tuple[object, ...]]:
        statement = write_statement(table, name, place or self._place)
        return self.connection.execute(statement, values or {"unused": 0})


def _split(sizes: Mapping[str, int], most: int) -> Iterator[list[str]]:
    """The keys of rows whose sizes together are at most so much, or of one larger row."""
    some, size = list[str](), 0
    for key, more in sizes.items():
        if some and size + more > most:
            yield some
            some, size = [], 0
        some.append(key)
        size += more
    if some:
        yield some


def _group(passages: Mapping[str, list[Passage]]) -> Iterator[dict[str, list[Passage]]]:
    """Rows that together have about as many passages as are embedded at once."""
    sizes = {key: len(row) for key, row in passages.items()}
    for keys in _split(sizes, TEXTS):
        yield {key: passages[key] for key in keys}


@contextmanager
def _as_owner(builder: PassageBuilder) -> Iterator[None]:
    """What is made belongs to the owner of the tables, who may also vacuum it."""
    rules, connection = builder.tables[0].rules, builder.connection
    if not has_owner(rules):
        yield
        return
    connection.execute(f"SET ROLE {quote(rules.owner)}")
    try:
        yield
    finally:
        connection.execute("RESET ROLE")
