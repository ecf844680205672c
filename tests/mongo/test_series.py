"""Time series as a source: measurements, buckets that are left, chunks, samples, workers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bson
import pytest
from bson import Int64, ObjectId
from tests.archives import write_archive
from tests.dumps import write_dump
from tests.mongo.columns import OPTIONS
from tests.mongo.series import (
    HOSTILE,
    OPTIONS_OF_SERIES,
    PACKED,
    START,
    Measurement,
    change,
    write_buckets,
    write_packed,
    write_plain,
    write_series,
)

from assise.errors import SourceError, UsageError
from assise.mongo.chunks import Chunk
from assise.mongo.opening import open_source, rebuild_source
from assise.mongo.source import CollectionKind, Source, SourceOptions


def read_all(source: Source, collection: str, size: int, *, is_read: bool) -> list[Chunk]:
    """The chunks of a collection, as one reader or as workers read them."""
    chunks = []
    worker = rebuild_source(json.loads(json.dumps(source.describe())))
    for piece in source.list_chunks([collection], size, is_read=is_read):
        if piece.start < piece.stop:
            chunks.append(piece.chunk or worker.read_chunk(collection, piece.start, piece.stop))
            bounds = chunks[-1].start, chunks[-1].stop
            assert bounds == (piece.start, piece.stop)
    return chunks


def decode(chunks: Sequence[Chunk]) -> list[Measurement]:
    return [bson.decode(raw, OPTIONS) for chunk in chunks for _, raw in chunk.documents]


@pytest.mark.parametrize("is_packed", [False, True])
def test_measurements_are_documents_whatever_the_version_of_their_bucket(
    tmp_path: Path, *, is_packed: bool
) -> None:
    buckets, measurements = write_buckets()
    source = open_source(write_series(tmp_path / "app", buckets, is_packed=is_packed))
    assert {each.name: each.content for each in source.collections} == {
        "cities": CollectionKind.DOCUMENTS,
        "weather": CollectionKind.MEASUREMENTS,
        "weather_buckets": CollectionKind.REST,
        "system.buckets.weather": CollectionKind.BUCKETS,
    }
    assert source.notes == ("weather is a time series: its buckets are read as measurements",)
    for size in (1, 5_000, 1 << 20):
        for is_read in (False, True):
            chunks = read_all(source, "weather", size, is_read=is_read)
            assert decode(chunks) == measurements
            assert not decode(read_all(source, "weather_buckets", size, is_read=is_read))
    raw = read_all(source, "system.buckets.weather", 1 << 20, is_read=True)
    found = [document["_id"] for document in decode(raw)]
    assert found == [each["_id"] for each in buckets]


def test_offsets_are_those_of_buckets_and_numbers_in_them(tmp_path: Path) -> None:
    buckets, _ = write_buckets(3)
    source = open_source(write_series(tmp_path / "app", buckets))
    starts = [0, len(bson.encode(buckets[0]))]
    chunks = read_all(source, "weather", 1, is_read=True)
    offsets = [offset for chunk in chunks for offset, _ in chunk.documents]
    first, second = (start << 20 for start in starts)
    assert offsets[:20] == [*range(first, first + 20)]
    assert offsets[20:41] == [*range(second, second + 21)]
    again = read_all(source, "weather", 1, is_read=False)
    assert [each.digest for each in again] == [each.digest for each in chunks]
    bounds = [piece[1:3] for piece in source.list_bounds(["weather"], 1)]
    assert bounds[:-1] == [(chunk.start, chunk.stop) for chunk in chunks]


def test_an_archive_has_the_same_measurements_under_either_name(tmp_path: Path) -> None:
    """From MongoDB 8.3 on the buckets in an archive have the name of the series."""
    buckets, measurements = write_buckets()
    text = json.dumps({"options": OPTIONS_OF_SERIES, "indexes": []})
    metadata = [{"db": "app", "collection": "weather", "type": "timeseries", "metadata": text}]
    for name in ("system.buckets.weather", "weather"):
        path = tmp_path / f"{name}.archive"
        collections = {name: [bson.encode(each) for each in buckets]}
        path.write_bytes(gzip.compress(write_archive(collections, metadata=metadata)))
        source = open_source(path)
        assert [each.name for each in source.collections if each.is_listed] == ["weather"]
        assert decode(read_all(source, "weather", 3_000, is_read=False)) == measurements


def test_without_metadata_the_meta_field_is_called_meta(tmp_path: Path) -> None:
    buckets, measurements = write_buckets(2)
    folder = write_series(tmp_path / "app", buckets)
    (folder / "weather.metadata.json").unlink()
    source = open_source(folder / "system.buckets.weather.bson")
    assert "its metadata are missing: meta" in source.notes[0]
    for found, each in zip(
        decode(read_all(source, "weather", 1 << 20, is_read=True)), measurements, strict=True
    ):
        shared = each.pop("sensor")
        assert found == {"meta": shared, **each}


def test_a_series_without_a_meta_field_may_have_a_field_of_that_name(tmp_path: Path) -> None:
    rows: list[Measurement] = [{"ts": START, "meta": 1}, {"ts": START, "meta": 2}]
    bucket = write_plain(rows, None)
    del bucket["meta"]
    folder = write_series(tmp_path / "app", [bucket])
    options = {"options": {"timeseries": {"timeField": "ts"}}}
    (folder / "weather.metadata.json").write_text(json.dumps(options))
    source = open_source(folder)
    assert decode(read_all(source, "weather", 1 << 20, is_read=True)) == rows


def test_only_and_skip_know_a_time_series_by_its_name(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "app", write_buckets(1)[0])
    for options in (SourceOptions(only=("weather",)), SourceOptions(skip=("cities",))):
        source = open_source(folder, options)
        assert [each.name for each in source.collections if each.is_listed] == ["weather"]
    source = open_source(folder, SourceOptions(skip=("weather",)))
    assert [each.name for each in source.collections] == ["cities"]
    with pytest.raises(UsageError, match="'wheather' fits no collection"):
        open_source(folder, SourceOptions(only=("wheather",)))


def test_a_collection_of_that_name_keeps_it_and_buckets_stay_buckets(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "app", write_buckets(1)[0])
    write_dump(folder, {"weather": [{"_id": 1}]})
    source = open_source(folder)
    names = [each.name for each in source.collections]
    assert names == ["cities", "system.buckets.weather", "weather"]


OUTSIDE = [
    {"max": {"temp": 20.15}},
    {"max": {"ts": START}},
    {"min": {"ts": START + timedelta(seconds=1)}},
    {"min": {"_id": ObjectId("665a64800000000000000001")}},
    {"max": {"_id": ObjectId("665a64800000000000000001")}},
]


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_bucket_that_cannot_be_unpacked_is_left_and_told(tmp_path: Path, reason: str) -> None:
    buckets, measurements = write_buckets(2)
    hostile = bson.encode(HOSTILE[reason])
    buckets.insert(1, HOSTILE[reason])
    source = open_source(write_series(tmp_path / "app", buckets))
    names = ["weather", "weather_buckets"]
    source.prepare(names, 1 << 20, {})
    assert decode(read_all(source, "weather", 1, is_read=False)) == measurements
    (left,) = read_all(source, "weather_buckets", 1 << 20, is_read=False)
    offset = len(bson.encode(buckets[0]))
    assert left.documents == [(offset, hostile)]
    assert left.guesses == {f"a bucket that cannot be unpacked, as {reason}": 1}
    source.prepare(["weather"], 1 << 20, {})
    with pytest.raises(SourceError, match=f"at byte {offset:,} cannot be unpacked") as found:
        read_all(source, "weather", 1, is_read=False)
    assert "weather_buckets: {collection: weather_buckets" in found.value.remedy


@pytest.mark.parametrize("bounds", OUTSIDE)
def test_a_value_outside_the_bounds_of_its_bucket_is_no_measurement(
    tmp_path: Path, bounds: dict[str, object]
) -> None:
    """So a column that is unpacked wrongly is seen, which verify cannot."""
    bucket = change(PACKED, "control", **bounds)
    source = open_source(write_series(tmp_path / "app", [bucket]))
    source.prepare(["weather", "weather_buckets"], 1 << 20, {})
    assert not decode(read_all(source, "weather", 1, is_read=True))
    (left,) = read_all(source, "weather_buckets", 1, is_read=True)
    assert [*left.guesses] == [
        "a bucket that cannot be unpacked, as a value is not between its least and greatest one"
    ]


def test_values_within_their_bounds_are_taken(tmp_path: Path) -> None:
    """Of a time before 1970 the least is rounded up."""
    old = datetime(1950, 1, 1, tzinfo=UTC)
    rows: list[Measurement] = [{"ts": old, "n": Int64(2**60), "s": "a"}]
    bucket = write_packed(rows, 5, 2)
    control = {
        "min": {"ts": old + timedelta(seconds=9), "n": 5.5, "s": "a"},
        "max": {"ts": old, "n": 2.0**61, "s": "a"},
    }
    source = open_source(write_series(tmp_path / "app", [change(bucket, "control", **control)]))
    (found,) = decode(read_all(source, "weather", 1, is_read=True))
    assert found == {"sensor": 5, **rows[0]}


def test_bytes_between_buckets_are_runs_of_the_measurements(tmp_path: Path) -> None:
    buckets, measurements = write_buckets(2)
    garbage = b"\xff" * 40
    first, second = map(bson.encode, buckets)
    parts = [first, garbage + second]
    source = open_source(write_series(tmp_path / "app", parts))
    for is_read in (False, True):
        chunks = read_all(source, "weather", 1, is_read=is_read)
        assert decode(chunks) == measurements
        runs = [(run.offset, run.raw) for chunk in chunks for run in chunk.runs]
        assert runs == [(len(parts[0]) << 20, garbage)]


def test_a_sample_of_garbage_alone_has_no_documents(tmp_path: Path) -> None:
    source = open_source(write_series(tmp_path / "app", [b"\xff" * 9_000]))
    assert [*source.read_samples("weather", 2_000, 12)] == [([], 1.0)]


def test_samples_are_of_a_share_and_not_of_everything(tmp_path: Path) -> None:
    buckets, measurements = write_buckets(60)
    source = open_source(write_series(tmp_path / "app", buckets))
    (sample, share), *_ = source.read_samples("weather", 2_000, 12)
    assert 20 <= len(sample) < 100
    assert len(sample) / share == pytest.approx(len(measurements), rel=0.6)
