"""The contract of sources: every kind gives the same documents, tables and errors."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from tests.dumps import confirm
from tests.oracle.equality import equal
from tests.sources.held import change, cuts
from tests.sources.kinds import FILES, SERVER, Kind, Write, write_server
from tests.sources.reading import CHUNK_BYTES, data_files, names, open_prepared, read, read_all

from assise.errors import ChangedError, SourceError, UsageError
from assise.mongo.opening import open_source, rebuild_source
from assise.mongo.source import (
    SourceOptions,
    find_collections,
)
from assise.project import Project

at_places = pytest.mark.parametrize("places", [40, pytest.param(200, marks=pytest.mark.soak)])
"""Places where a file is cut, and changes of its bytes."""

Query = Callable[..., list[tuple[object, ...]]]

by_file = pytest.mark.parametrize("kind", FILES, ids=lambda kind: kind.name)
by_kind = pytest.mark.parametrize(
    "kind",
    [*FILES, pytest.param(SERVER, marks=pytest.mark.contract)],
    ids=lambda kind: kind.name,
)


WHOLE = 20_000
"""Documents that give the same tables from every kind of source."""


def list_comparisons() -> Iterator[ParameterSet]:
    """List kinds, each with a number of documents and of workers; large ones are of the soak."""
    for kind in (*FILES, SERVER):
        marks = [pytest.mark.contract] * (kind is SERVER)
        yield pytest.param(kind, kind.documents, 1, marks=marks, id=kind.name)
        if kind.is_in_lines:
            yield pytest.param(kind, 2_000, 2, id=f"{kind.name}-by two")
        if kind.documents < WHOLE:
            marks += [pytest.mark.soak]
            yield pytest.param(kind, WHOLE, 1, marks=marks, id=f"{kind.name}-whole")


@pytest.fixture
def write(kind: Kind, request: pytest.FixtureRequest) -> Write:
    """Write collections as a kind of source has them."""
    if kind is SERVER:
        return partial(write_server, request.getfixturevalue("mongo"))
    return kind.write


@by_kind
def test_every_document_is_there_once_and_in_order(
    kind: Kind, write: Write, tmp_path: Path
) -> None:
    held = kind.hold(1_000)
    source = open_prepared(write(tmp_path, held))
    assert names(source) == [*held]
    documents: dict[str, list[bytes]] = {name: [] for name in held}
    stops, ended = dict.fromkeys(held, 0), set[str]()
    for piece, chunk in read_all(source):
        assert piece.collection not in ended
        assert piece.start >= stops[piece.collection]
        assert piece.problems == ()
        if piece.start == piece.stop:
            ended.add(piece.collection)
            continue
        assert chunk
        assert (chunk.start, chunk.stop) == (piece.start, piece.stop)
        offsets = [offset for offset, _ in chunk.documents]
        assert offsets == sorted(set(offsets))
        assert all(chunk.start <= offset < chunk.stop for offset in offsets)
        assert chunk.runs == []
        documents[piece.collection] += [raw for _, raw in chunk.documents]
        stops[piece.collection] = piece.stop
    assert ended == {*held}
    for name, expected in held.items():
        assert len(documents[name]) == len(expected)
        assert all(map(equal, documents[name], expected)), name


@by_kind
def test_bounds_and_bytes_are_the_same_however_they_are_read(
    kind: Kind, write: Write, tmp_path: Path
) -> None:
    held = kind.hold(1_000)
    source = open_prepared(write(tmp_path, held))
    read_here = [*read_all(source)]
    assert len(read_here) > len(held) + 5
    read_elsewhere = [*read_all(source, is_read=False)]
    listed = [*source.list_bounds(names(source), CHUNK_BYTES)]
    bounds = [piece[:3] for piece, _ in read_here]
    assert bounds == [piece[:3] for piece, _ in read_elsewhere] == [piece[:3] for piece in listed]
    facts = json.loads(json.dumps(source.describe()))
    worker = rebuild_source(facts)
    for (piece, here), (left_out, elsewhere) in zip(read_here, read_elsewhere, strict=True):
        if here is None or elsewhere is None:
            assert here is elsewhere is None
            continue
        contents = [(each.digest, each.documents) for each in (here, elsewhere)]
        if left_out.chunk is None:
            chunk = worker.read_chunk(piece.collection, piece.start, piece.stop)
            contents.append((chunk.digest, chunk.documents))
        assert all(content == contents[0] for content in contents)


@by_kind
def test_it_is_opened_again_by_its_address(kind: Kind, write: Write, tmp_path: Path) -> None:
    source = open_prepared(write(tmp_path, kind.hold(100)))
    again = open_prepared(source.address)
    assert (again.address, again.name, again.collections) == (
        source.address,
        source.name,
        source.collections,
    )
    assert source.name
    with pytest.raises(SourceError, match="holds no collection 'nothing'"):
        find_collections(source, ["nothing"])


@by_file
def test_samples_are_some_of_the_documents(kind: Kind, tmp_path: Path) -> None:
    held = kind.hold(1_000)
    source = open_prepared(kind.write(tmp_path, held))
    everything = {name: set[bytes]() for name in held}
    for piece, chunk in read_all(source):
        everything[piece.collection] |= {raw for _, raw in chunk.documents} if chunk else set()
    for name, documents in everything.items():
        whole = [*source.read_samples(name, 1 << 20, 10)]
        assert {raw for sample, _ in whole for _, raw in sample} == documents
        assert sum(share for _, share in whole) == pytest.approx(1, abs=0.05)
        few = [*source.read_samples(name, 2_000, 2)]
        assert {raw for sample, _ in few for _, raw in sample} <= documents


@by_kind
def test_patterns_leave_collections_out(kind: Kind, write: Write, tmp_path: Path) -> None:
    held = kind.hold(100)
    place = write(tmp_path, held)
    assert names(open_source(place, SourceOptions(only=("user?",)))) == ["users"]
    kept = [name for name in held if not name.startswith("n")]
    assert names(open_source(place, SourceOptions(skip=("n*",)))) == kept
    with pytest.raises(UsageError, match="--only 'nobody' fits no collection"):
        names(open_source(place, SourceOptions(only=("nobody",))))


@by_file
@at_places
def test_a_file_that_is_cut_loses_nothing_in_silence(
    kind: Kind, places: int, tmp_path: Path
) -> None:
    held = kind.hold(100)
    place = kind.write(tmp_path, held)
    whole = read(place)
    assert not whole.is_told
    for file in data_files(place):
        content = file.read_bytes()
        for stop in cuts(len(content), places // len(data_files(place)), seed=len(content)):
            file.write_bytes(content[:stop])
            found = read(place)
            for name, documents in found.documents.items():
                # Behind broken bytes a document inside a document may be whole.
                known = {*whole.documents[name]}
                kept = [each for each in documents if each in known or not found.is_told]
                assert kept == whole.documents[name][: len(kept)]
            assert found.is_told or is_cut_between(content, stop), (file, stop)
        file.write_bytes(content)


def is_cut_between(content: bytes, stop: int) -> bool:
    """Whether a file is cut where a document of it ends, so that nothing shows it."""
    if content.startswith((b"{", b"[")):
        return not stop or b"\n" in content[stop - 1 : stop + 1]
    p = 0
    while p < stop:
        p += int.from_bytes(content[p : p + 4], "little")
    return p == stop


@by_file
@at_places
def test_a_file_whose_bytes_are_changed_loses_nothing_in_silence(
    kind: Kind, places: int, tmp_path: Path
) -> None:
    held = kind.hold(100)
    place = kind.write(tmp_path, held)
    whole, chance = read(place), random.Random(7)
    files = data_files(place)
    for file in files:
        content = file.read_bytes()
        for _ in range(places // len(files)):
            file.write_bytes(change(content, chance))
            found = read(place)
            for name, documents in whole.documents.items():
                now = Counter(found.documents.get(name, []))
                lost, others = Counter(documents) - now, now - Counter(documents)
                assert found.is_told or lost.total() <= others.total(), file
        file.write_bytes(content)
    assert read(place).documents == whole.documents


EXPECTED: dict[str, object] = {}
"""Manifest and rows of collections that came from a dump folder, by what they hold."""


def migrate(project: Project, place: Path | str, query: Query) -> tuple[str, list[object]]:
    """Migrate a source; its manifest, and the rows of all tables as text."""
    report = project.migrate(place, name="held", confirm=confirm)
    assert report.exit_code == 0, report.as_json()
    _, _, text = project.path.read_text().partition("\ntables:\n")
    tables = sorted(table for each in report.collections for table in each.tables)
    rows: list[object] = [
        (table, query(f'SELECT t::text FROM "{table}" AS t ORDER BY t::text COLLATE "C"'))
        for table in tables
    ]
    counts = [(each.name, each.documents, each.loaded, each.values) for each in report.collections]
    project.undo(confirm=confirm)
    project.path.unlink()
    return text, [counts, *rows]


@pytest.mark.parametrize(("kind", "count", "workers"), [*list_comparisons()])
def test_the_same_documents_give_the_same_tables(
    kind: Kind,
    count: int,
    workers: int,
    write: Write,
    project: Project,
    database: str,
    tmp_path: Path,
    query: Query,
) -> None:
    held = kind.hold(count)
    key = repr({name: hash(tuple(documents)) for name, documents in held.items()})
    if key not in EXPECTED:
        plain = FILES[0].write(tmp_path / "plain", held)
        EXPECTED[key] = migrate(project, plain, query)
    place = write(tmp_path / "other", held)
    if workers > 1:
        settings = {"workers": workers, "load.chunk_bytes": 1 << 16}
        project = Project(tmp_path, to=database, settings=settings)
    assert migrate(project, place, query) == EXPECTED[key]


@by_file
def test_a_source_that_has_changed_since_the_load_is_refused(
    kind: Kind, project: Project, tmp_path: Path, query: Query
) -> None:
    held = kind.hold(200)
    place = kind.write(tmp_path, held)
    assert project.migrate(place, confirm=confirm).exit_code == 0
    users = held["users"]
    # The third user swaps places with the fourth, one is gone, one is new.
    swapped = [*users[:2], users[3], users[2], *users[4:]]
    for changed in (swapped, users[:-1], [*users, users[0]]):
        assert kind.write(tmp_path, {**held, "users": changed}) == place
        for verb in (project.verify, project.load):
            with pytest.raises(ChangedError) as error:
                verb()
            assert "it has changed since it was loaded" in error.value.message
            assert "assise undo" in error.value.remedy
            assert error.value.exit_code == 2
    kind.write(tmp_path, held)
    assert project.verify().exit_code == 0
    assert query("SELECT count(*) FROM users") == [(len(users),)]
