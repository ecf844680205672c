from __future__ import annotations

import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.manifest.samples import (
    COLUMN_KINDS,
    COMMENTS,
    DEVORA,
    HOSTILE,
    draw_manifests,
)

from assise.manifest.model import Column, Manifest, Table
from assise.manifest.paths import format_path
from assise.manifest.read import parse_manifest
from assise.manifest.write import dump_manifest


def test_a_manifest_is_written_as_a_person_would() -> None:
    assert dump_manifest(parse_manifest(DEVORA), comments=COMMENTS) == DEVORA


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(draw_manifests(), st.one_of(st.sampled_from(HOSTILE), st.text(st.characters())))
def test_load_reads_what_dump_writes(manifest: Manifest, comment: str) -> None:
    places: list[tuple[str, ...]] = [("tables", name) for name in manifest.tables]
    places += [
        ("tables", name, "columns", column)
        for name, table in manifest.tables.items()
        for column in table.columns
    ]
    text = dump_manifest(manifest, comments=dict.fromkeys(places, comment))
    assert parse_manifest(text) == manifest
    assert dump_manifest(parse_manifest(text)) == dump_manifest(manifest)
    assert list(parse_manifest(text).tables) == list(manifest.tables)
    assert Manifest.model_validate_json(manifest.as_json()) == manifest
    assert all(c.isprintable() or c == "\n" for c in text)
    assert len(text.splitlines()) == len(dump_manifest(manifest).splitlines()) + len(
        manifest.tables
    )


def test_every_type_and_kind_is_written_and_read() -> None:
    columns = {f"{t} {k}": Column(type=t, kind=k) for t, k in COLUMN_KINDS}
    table = Table(
        collection="c",
        primary_key=("id",),
        columns={"id": Column(type="text", kind="any", from_="_id")} | columns,
    )
    keyed = Table(
        collection="d",
        primary_key=("at",),
        columns={"at": Column(type="int8", kind="offset"), "empty": Column(type="text", from_="")},
    )
    manifest = Manifest(assise=1, name="a", tables={"t": table, "keyed": keyed})
    assert parse_manifest(dump_manifest(manifest)) == manifest
    assert Manifest.model_validate_json(manifest.as_json()) == manifest


def test_long_texts_are_not_wrapped() -> None:
    path = format_path(["k" * 5_000, "é b" * 2_000])
    table = Table(
        collection="c" * 5_000,
        primary_key=("id",),
        columns={
            "id": Column(type="uuid", from_="_id"),
            "😀" * 15: Column(type="text", from_=path),
        },
    )
    manifest = Manifest(assise=1, name="a", tables={"t": table})
    assert parse_manifest(dump_manifest(manifest)) == manifest
    assert len(dump_manifest(manifest).splitlines()) == 12


def test_a_comment_stays_a_comment() -> None:
    text = dump_manifest(
        parse_manifest(DEVORA),
        comments={
            ("tables", "users", "columns", "no"): "a\n      b: text\u2028\x85\r#",
            ("tables", "gone"): "x",
        },
    )
    assert '      "no": {type: bool, absent: null}  # a\\n      b: text\\u2028\\x85\\r#\n' in text
    assert parse_manifest(text) == parse_manifest(DEVORA)


def test_three_thousand_columns_are_written_and_read_in_time() -> None:
    columns = {f"column_{i}": Column(type="text", from_=f"a.b{i}") for i in range(750)}
    table = {"id": Column(type="uuid", from_="_id")} | columns
    manifest = Manifest(
        assise=1,
        name="a",
        tables={
            f"t{n}": Table(collection=f"c{n}", primary_key=("id",), columns=table) for n in range(4)
        },
    )
    started = time.process_time()
    text = dump_manifest(manifest)
    written = time.process_time()
    assert parse_manifest(text) == manifest
    assert written - started < 1
    assert time.process_time() - written < 3
