"""Buckets of a time series in files, of all versions, and buckets that cannot be unpacked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import bson
from bson import ObjectId
from tests.dumps import write_dump
from tests.mongo.columns import make_bucket, pack

START = datetime(2024, 6, 1, tzinfo=UTC)
OPTIONS_OF_SERIES = {"timeseries": {"timeField": "ts", "metaField": "sensor"}}
BROKEN = {"_id": 1, "control": {"version": 9}, "data": {}}

Measurement = dict[str, object]


def measure(bucket: int, count: int) -> list[Measurement]:
    """Measurements of one bucket, without what they share."""
    first = START + timedelta(hours=bucket)
    return [
        {
            "ts": first + timedelta(seconds=n),
            "_id": ObjectId(f"665a6480000000{bucket:04x}{n:06x}"),
            "temp": 20.0 + n / 10,
            **({"note": f"n{n}"} if n % 5 == 0 else {}),
        }
        for n in range(count)
    ]


def write_plain(rows: Sequence[Measurement], shared: object) -> dict[str, object]:
    """A bucket of version 1."""
    names = dict.fromkeys(name for row in rows for name in row)
    data = {
        name: {str(n): row[name] for n, row in enumerate(rows) if name in row} for name in names
    }
    return {"_id": ObjectId(), "control": {"version": 1}, "meta": shared, "data": data}


def write_packed(rows: Sequence[Measurement], shared: object, version: int) -> dict[str, object]:
    """A bucket of version 2 or 3."""
    names = dict.fromkeys(name for row in rows for name in row)
    draw = Random(len(rows)).randrange
    columns = dict[str, bytes]()
    for name in names:
        columns[name] = pack([row.get(name, ...) for row in rows], draw)
    return make_bucket(columns, len(rows), version=version, meta=shared)


def write_buckets(count: int = 6) -> tuple[list[dict[str, object]], list[Measurement]]:
    """Buckets of all versions, and the measurements in them."""
    buckets: list[dict[str, object]] = []
    measurements: list[Measurement] = []
    for n in range(count):
        rows, shared = measure(n, 20 + n), {"id": n, "city": "Lyon"}
        version = 1 + n % 3
        buckets.append(
            write_plain(rows, shared) if version == 1 else write_packed(rows, shared, version)
        )
        measurements += [{"sensor": shared, **row} for row in rows]
    return buckets, measurements


def write_series(folder: Path, buckets: Sequence[object], *, is_packed: bool = False) -> Path:
    """A folder with the buckets of one series, and a collection beside it."""
    documents = [each if isinstance(each, bytes) else bson.encode(each) for each in buckets]  # type: ignore[arg-type]
    write_dump(
        folder,
        {"system.buckets.weather": documents, "cities": [{"_id": 1}]},
        is_packed=is_packed,
    )
    metadata = {"options": OPTIONS_OF_SERIES, "indexes": [], "type": "timeseries"}
    (folder / "weather.metadata.json").write_text(json.dumps(metadata))
    return folder


PLAIN = write_plain(measure(0, 3), {"id": 1})
PACKED = write_packed(measure(0, 3), {"id": 1}, 2)


def change(bucket: dict[str, object], part: str, **values: object) -> dict[str, object]:
    """A bucket with other values in `control` or `data`."""
    inner = bucket[part]
    assert isinstance(inner, dict)
    return {**bucket, part: {**inner, **values}}


HOSTILE: dict[str, dict[str, object]] = {
    "it is no bucket": {"_id": 1},
    "its version is not known": BROKEN,
    "it has no data": {**PLAIN, "data": {}},
    "a field has the name of the meta field": change(PLAIN, "data", sensor={"0": 1}),
    "it has too many fields": change(PLAIN, "data", **{f"f{n}": {} for n in range(1 << 14)}),
    "a column is no document": change(PLAIN, "data", temp=5),
    "a key of a column is no number of a measurement": change(PLAIN, "data", temp={"01": 1}),
    "a measurement is without its time": change(PLAIN, "data", temp={"7": 1}),
    "the number of its measurements is missing, or cannot be": change(PACKED, "control", count=0),
    "a column has another number of values than the bucket": change(PACKED, "control", count=2),
    "a column is not packed": change(PACKED, "data", temp={"0": 1.0}),
    "it is broken": change(PACKED, "data", temp=bson.Binary(b"", 7)),
    "a value is not between its least and greatest one": change(
        PACKED, "control", min={"temp": 20.05}
    ),
}
