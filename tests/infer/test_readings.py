"""Types that read other kinds, as infer proposes them: where that is certain, and not elsewhere."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import bson
import pytest
from bson import Binary, Int64, ObjectId
from tests.dumps import write_dump

from assise.infer.looks import find_double, find_form
from assise.infer.tree import (
    DAY,
    FRACTION,
    HEX,
    ISO,
    ISO_MS,
    NO_TEXT,
    OTHER_HEX,
    OTHER_ISO,
    OTHER_UUID,
    UUID_TEXT,
    VAST,
    WIDE,
    WORDS,
)
from assise.manifest.read import parse_manifest
from assise.manifest.write import dump_manifest
from assise.project import Project
from assise.rows.shred import Shredder

OID = ObjectId("507f1f77bcf86cd799439011")
Document = dict[str, object]
Make = Callable[[int], object]
MOMENT = dt.datetime(2024, 3, 1, 10, 0, 0, 500_000, tzinfo=dt.UTC)


def infer(folder: Path, **collections: Sequence[Mapping[str, object]]) -> list[str]:
    """The lines of the manifest that is proposed, without blanks at their ends."""
    proposal = Project(folder).infer(write_dump(folder / "app", collections))
    text = dump_manifest(proposal.manifest, comments=proposal.comments)
    assert parse_manifest(text) == proposal.manifest
    return [line.strip() for line in text.splitlines()]


def infer_field(folder: Path, make: Make, *, count: int = 200, key: str = "x") -> str:
    """The line of the field that `make` gives, for documents by number."""
    lines = infer(folder, docs=write_field(make, count, key))
    return next(line for line in lines if line.startswith(f"{key}:"))


def write_field(make: Make, count: int, key: str) -> list[Document]:
    """Documents by number with one field, which is missing where `make` gives `...`."""
    docs: list[Document] = []
    for n in range(count):
        value = make(n)
        docs.append({"_id": n} if value is ... else {"_id": n, key: value})
    return docs


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", NO_TEXT),
        ("2024-02-29", DAY),
        ("Wed Aug 27 13:08:45 +0000 2008", WORDS),
        ("Wed, 27 Aug 2008 13:08:45 GMT", WORDS),
        ("Wet Aug 27 13:08:45 +0000 2008", 0),
        ("Wed Aug 27 13:08.45 +0000 2008", 0),
        ("Wed; 27 Aug 2008 13:08:45 GMT", 0),
        ("2023-02-29", 0),
        ("2024-03-01T10:00:00Z", ISO),
        ("2024-03-01T10:00:00.000Z", ISO_MS),
        ("2024-03-01T10:00:00.5Z", OTHER_ISO),
        ("2024-03-01T10:00:00+02:00", OTHER_ISO),
        ("2024-03-01T10:00:00.000000+02:00", OTHER_ISO),
        ("2024-03-01T10:00:60Z", 0),
        ("2024-02-30T10:00:00Z", 0),
        ("2024-03-01 10:00:00Z", 0),
        ("507f1f77bcf86cd799439011", HEX),
        ("507F1f77bcf86cd799439011", OTHER_HEX),
        ("507f1f77bcf86cd79943901g", 0),
        ("507f1f77-bcf8-46cd-8799-439011000000", UUID_TEXT),
        ("507F1f77-bcf8-46cd-8799-439011000000", OTHER_UUID),
        ("507f1f77bcf8-46cd-8799-4390110000000", 0),
        ("à024-02-29", 0),
    ],
)
def test_what_a_text_looks_like(text: str, form: int) -> None:
    assert find_form(text.encode()) == form


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (0.0, 0),
        (-0.0, FRACTION),
        (0.5, FRACTION),
        (2.0**31 - 1, 0),
        (-(2.0**31), 0),
        (2.0**31, WIDE),
        (2.0**53 - 1, WIDE),
        (2.0**53, VAST),
        (1 - 2.0**53, WIDE),
        (-(2.0**53), VAST),
        (-(2.0**63), VAST),
        (2.0**63, FRACTION),
        (float("inf"), FRACTION),
        (float("nan"), FRACTION),
    ],
)
def test_what_a_double_looks_like(value: float, form: int) -> None:
    assert find_double(value) == form


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda n: f"2024-03-01T10:00:{n % 60:02}Z",
            "x: {type: timestamptz, kind: iso}  # string; ISO moments; undo: {type: text, from: x}",
        ),
        (
            lambda n: f"2024-03-01T10:00:{n % 60:02}.{n:03}Z" if n % 9 else MOMENT,
            "x: {type: timestamptz, kind: iso3}  # string in 177 documents, date in 23; ISO moments;",
        ),
        (
            lambda n: "" if n < 10 else "2024-03-01T10:00:00Z",
            "x: {type: timestamptz, kind: iso}  # string; 190 of 200 are ISO moments, others are kept",
        ),
        (lambda n: "" if n < 21 else "2024-03-01T10:00:00Z", "x: text  # string"),
        (lambda n: "soon" if n < 3 else "2024-03-01T10:00:00Z", "x: text  # string"),
        (
            lambda n: "soon" if n < 2 else "2024-03-01T10:00:00Z",
            "x: {type: timestamptz, kind: iso}  # string; 198 of 200 are ISO moments",
        ),
        (lambda _: "2024-03-01T10:00:00+02:00", "x: text  # string"),
        (lambda _: MOMENT, "x: timestamptz  # date"),
        (
            lambda n: f"2024-03-{n % 28 + 1:02}",
            "x: {type: date, kind: text}  # string; days; undo: {type: text, from: x}",
        ),
        (lambda n: "2024-02-30" if n < 3 else "2024-03-01", "x: text  # string"),
    ],
)
def test_texts_of_moments_and_days(tmp_path: Path, make: Make, line: str) -> None:
    assert infer_field(tmp_path, make).startswith(line)


@pytest.mark.parametrize(
    ("make", "count", "key", "line"),
    [
        (float, 1_000, "visits", "visits: {type: int4, kind: double}  # double; all whole; undo"),
        (float, 999, "visits", "visits: float8  # double; all whole: {type: int4, from: visits,"),
        (float, 1_000, "price", "price: float8  # double; all whole: {type: int4, from: price,"),
        (float, 1_000, "unitPrices", "unit"),
        (lambda n: n + 0.5 * (n == 7), 1_000, "visits", "visits: float8  # double"),
        (lambda n: -0.0 if n == 7 else 1.0, 1_000, "visits", "visits: float8  # double"),
        (lambda n: 2.0**40 * n, 1_000, "visits", "visits: {type: int8, kind: double}"),
        (float, 30, "userId", "userId"),
        (lambda n: n if n % 2 else float(n), 1_000, "visits", "visits: numeric"),
    ],
)
def test_whole_doubles(tmp_path: Path, make: Make, count: int, key: str, line: str) -> None:
    wanted = {"unit": "unit_prices: {type: float8", "userId": "user_id: {type: int4, from: userId"}
    lines = infer(tmp_path, docs=write_field(make, count, key))
    assert [found for found in lines if found.startswith(wanted.get(line, line))]


@pytest.mark.parametrize(
    ("ids", "line"),
    [
        (float, "id: {type: int4, from: _id, kind: double}  # all whole; undo: {type: numeric"),
        (lambda n: 2.0**40 + n, "id: {type: int8, from: _id, kind: double}"),
        (lambda n: n if n % 3 else float(n), "id: {type: int4, from: _id}  # all whole"),
        (lambda n: Int64(n) if n % 3 else float(n), "id: {type: int8, from: _id}  # all whole"),
        (lambda n: n + 0.5, "id: {type: numeric, from: _id}"),
        (lambda n: -0.0 if n == 1 else n + 2.0, "id: {type: text, from: _id, kind: any, "),
    ],
)
def test_ids_that_are_whole_doubles(tmp_path: Path, ids: Make, line: str) -> None:
    docs: list[Document] = [{"_id": ids(n)} for n in range(30)]
    assert [found for found in infer(tmp_path, docs=docs) if found.startswith(line)]


def test_ids_that_have_lost_digits_are_told_with_the_text_that_has_them(tmp_path: Path) -> None:
    docs: list[Document] = [
        {
            "_id": n,
            "id": 2.0**53 + 2 * n if n > 9 else float(n),
            "id_str": "x",
            "user": {"ownerId": 2.0**60, "owner_id_str": "y"},
            "size": 2.0**60 + 0.5 if n else 0.5,
        }
        for n in range(30)
    ]
    lines = infer(tmp_path, docs=docs)
    said = {line.partition(":")[0]: line.partition("  # ")[2] for line in lines}
    assert said["id_2"].startswith(
        "double; all whole; undo: {type: float8, from: id};"
        " 20 of 30 are 2^53 or more, where a double loses digits; id_str has them"
    )
    assert said["user_owner_id"].endswith(
        "; 30 of 30 are 2^53 or more, where a double loses digits; owner_id_str has them"
    )
    assert said["size"] == "double"


@pytest.mark.parametrize(
    ("count", "size", "line"),
    [
        (20, 60, 'visits: {type: "int4[]", kind: double}  # array of double; all whole; undo: {type: "float8[]", from: visits}'),
        (20, 40, 'visits: "float8[]"  # array of double; all whole: {type: "int4[]", from: visits'),
    ],
)  # fmt: skip
def test_whole_doubles_in_arrays_are_counted_one_by_one(
    tmp_path: Path, count: int, size: int, line: str
) -> None:
    lines = infer(tmp_path, docs=write_field(lambda n: [float(n)] * size, count, "visits"))
    assert [found for found in lines if found.startswith(line)], lines


@pytest.mark.parametrize(
    "moment", ["Wed Aug 27 13:08:45 +0000 2008", "Wed, 27 Aug 2008 13:08:45 GMT"]
)
def test_moments_in_words_are_told_with_the_cast_that_reads_them(
    tmp_path: Path, moment: str, query: Callable[..., list[tuple[object, ...]]]
) -> None:
    lines = infer(tmp_path, docs=write_field(lambda _: moment, 200, "seenAt"))
    said = "seen_at: {type: text, from: seenAt}  # string; moments in words, which a cast to timestamptz reads"
    assert [line for line in lines if line.startswith(said)]
    (tmp_path / "b").mkdir()
    lines = infer(tmp_path / "b", docs=write_field(lambda n: moment[: 27 - n % 9], 200, "seenAt"))
    assert not [line for line in lines if "in words" in line]
    assert query("SELECT %s::timestamptz = '2008-08-27T13:08:45Z'", (moment,)) == [(True,)]


def test_few_whole_doubles_may_be_larger_tomorrow(tmp_path: Path) -> None:
    docs: list[Document] = [{"_id": n, "shopId": 7.0 if n < 9 else None} for n in range(20)]
    lines = infer(tmp_path, docs=docs)
    assert [line for line in lines if line.startswith("shop_id: {type: int8, from: shopId")]


def test_what_joins_an_id_has_its_type(tmp_path: Path) -> None:
    ids = [ObjectId(f"{n:024x}") for n in range(40)]
    uuids = [Binary(bytes([n]) * 16, 4) for n in range(40)]
    docs: list[Document] = [
        {
            "_id": ids[n],
            "hex": str(ids[(n + 1) % 40]),
            "many": [str(ids[n]), str(ids[n - 1])],
            "uuid": str(uuids[n].as_uuid()),
            "keyId": float(n),
            "old": ids[n],
        }
        for n in range(40)
    ]
    lines = infer(
        tmp_path,
        docs=docs,
        uuids=[{"_id": found} for found in uuids],
        keys=[{"_id": n} for n in range(40)],
    )
    starts = [
        "hex: {type: uuid, kind: hex",
        'many: {type: "uuid[]", kind: hex}',
        "uuid: {type: uuid, kind: uuid_text, references: uuids}",
        "key_id: {type: int4, from: keyId, kind: double, references: keys}",
        "old: {type: uuid, references: docs}",
    ]
    for start in starts:
        assert [line for line in lines if line.startswith(start)], start


def test_object_ids_beside_a_key_of_texts_are_texts(tmp_path: Path) -> None:
    ids = [ObjectId(f"{n:024x}") for n in range(40)]
    docs: list[Document] = [{"_id": n, "user": ids[n]} for n in range(40)]
    users: list[Document] = [{"_id": str(found)} for found in ids]
    lines = infer(tmp_path, docs=docs, users=users)
    line = next(line for line in lines if line.startswith("user:"))
    assert line.startswith(
        "user: {type: text, kind: objectid, references: users}  # objectId; undo"
    )


def test_whole_doubles_that_refer_to_a_unique_field_are_integers_as_it_is(tmp_path: Path) -> None:
    dump = write_dump(
        tmp_path / "app",
        {
            "shops": [{"_id": ObjectId(f"{n:024x}"), "number": 3.0 * n} for n in range(40)],
            "visits": [{"_id": n, "shopNumber": 3.0 * n} for n in range(40)],
        },
    )
    index = {"key": {"number": 1}, "name": "n", "unique": True}
    (dump / "shops.metadata.json").write_text(json.dumps({"indexes": [index]}))
    columns = Project(tmp_path).infer(dump).manifest.tables
    own, other = columns["visits"].columns["shop_number"], columns["shops"].columns["number"]
    assert (own.type, own.kind, other.type, other.kind) == ("int4", "double", "int4", "double")


def test_one_document_or_an_array_of_them_is_a_child_table(tmp_path: Path) -> None:
    def make(n: int) -> object:
        one = {"sku": f"s{n}", "only": n}
        return one if n % 3 == 0 else [{"sku": "a", "price": 1.5}] * (n % 3)

    lines = infer(tmp_path, docs=write_field(make, 60, "items"))
    at = lines.index("doc_items:")
    assert lines[at - 1] == "# 80 elements"
    columns = lines[lines.index("columns:", at) + 1 :]
    assert [line.split(":")[0] for line in columns] == ["sku", "price", "only"]
    assert "jsonb" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda n: None if n % 3 else n, "x: {type: int4, absent: null}"),
        (lambda n: [n, n, ..., None][n % 4], "x: int4"),
        (lambda n: None if n % 5 else ... if n % 2 else n, "x: {type: int4, absent: null}"),
        (lambda n: None if n % 3 else ["a"], 'x: {type: "text[]", absent: null}'),
        (lambda n: None if n % 3 else [1, "a", {}], "x: {type: jsonb, absent: null}"),
    ],
)
def test_a_column_says_what_most_of_its_nulls_are(tmp_path: Path, make: Make, line: str) -> None:
    assert infer_field(tmp_path, make).startswith(line)


def test_fields_without_a_column_that_are_null_in_most_documents(tmp_path: Path) -> None:
    docs: list[Document] = [
        {
            "_id": n,
            "never": None,
            "seldom": None if n % 2 else ...,
            "place": {"city": "x", "none": None} if n % 9 == 0 else None,
            "tags": [{"a": 1, "gone": None}],
        }
        for n in range(300)
    ]
    docs = [{key: value for key, value in doc.items() if value is not ...} for doc in docs]
    lines = infer(tmp_path, docs=docs)
    assert [line for line in lines if line.startswith("nulls:")] == [
        "nulls: [never, place, place.none]",
        "nulls: [gone]",
    ]


@pytest.mark.parametrize(
    ("make", "line"),
    [
        # Nothing but an empty array is left of two in three.
        (lambda n: {"urls": [{"u": n}] if n % 3 == 0 else []}, "documents: [x]"),
        (lambda n: {"in": {"a": n if n % 2 else None}}, "documents: [x, x.in]"),
        (lambda n: {"in": {}, "b": n}, "documents: [x.in]"),
        # A column tells of each, or the document is missing in too many rows.
        (lambda n: {"a": None if n % 3 else n, "b": n}, None),
        (lambda n: ... if n % 50 == 0 else {"a": None if n % 3 else n}, None),
        (lambda n: {"a": n} if n % 2 else {"b": n}, None),
    ],
)
def test_documents_that_are_there_without_a_cell(
    tmp_path: Path, make: Make, line: str | None
) -> None:
    lines = infer(tmp_path, docs=write_field(make, 300, "x"))
    assert [found for found in lines if found.startswith("documents")] == ([line] if line else [])


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda n: [] if n % 3 else [{"a": n}], "absent: []"),
        (lambda n: None if n % 3 else [{"a": n}], "absent: null"),
        (lambda n: ... if n % 3 else [{"a": n}], None),
    ],
)
def test_a_child_table_says_what_no_rows_are(tmp_path: Path, make: Make, line: str | None) -> None:
    lines = infer(tmp_path, docs=write_field(make, 60, "xs"))
    assert [found for found in lines if found.startswith("absent")] == ([line] if line else [])


@pytest.mark.parametrize(
    ("make", "count", "key", "line"),
    [
        (lambda n: 7.0 if n < 10 else n, 1_000, "year", "year: int4"),
        (lambda n: 7.0 if n < 11 else n, 1_000, "year", "year: numeric"),
        (lambda n: 7.5 if n < 10 else n, 1_000, "year", "year: numeric"),
        (lambda n: 7.0 if n < 9 else n, 999, "year", "year: numeric"),
        (lambda n: 7.0 if n < 10 else n, 1_000, "price", "price: numeric"),
    ],
)
def test_a_whole_double_among_a_hundred_ints_is_one_of_them(
    tmp_path: Path, make: Make, count: int, key: str, line: str
) -> None:
    found = infer_field(tmp_path, make, count=count, key=key)
    assert found.startswith(f"{line}  #")
    is_whole = ".5" not in str(make(0))
    assert ("all whole" in found) == is_whole
    assert ("undo: {type: numeric" in found) == line.endswith("int4")


READ_WORDS, KEPT_WORDS = "(read where they fit)", "(kept in _extra)"


@pytest.mark.parametrize(
    ("usual", "rare", "words"),
    [
        (1, "7", READ_WORDS),
        (1, OID, KEPT_WORDS),
        ("a", 7, READ_WORDS),
        ("a", 1.5, KEPT_WORDS),
        (True, 1, READ_WORDS),
        (OID, "507f1f77bcf86cd799439012", READ_WORDS),
        (OID, Binary(bytes(16), 4), READ_WORDS),
        (OID, 5, KEPT_WORDS),
        (MOMENT, "2024-01-01T00:00:00Z", READ_WORDS),
        (MOMENT, 5, KEPT_WORDS),
        (["a"], "a", READ_WORDS),
        (["a"], 1.5, KEPT_WORDS),
    ],
)
def test_a_comment_says_whether_the_column_has_the_other_values(
    tmp_path: Path, usual: object, rare: object, words: str
) -> None:
    docs = [{"_id": n, "x": rare if n == 0 else usual} for n in range(20)]
    source = write_dump(tmp_path / "app", {"docs": docs})
    proposal = Project(tmp_path).infer(source)
    comment = proposal.comments["tables", "docs", "columns", "x"]
    assert [word for word in (READ_WORDS, KEPT_WORDS) if word in comment] == [words]
    shredder = Shredder(proposal.manifest.layout, "docs")
    raws = [bson.encode(doc) for doc in docs]
    count = shredder.shred(list(enumerate(raws))).columns["docs"]["x"]
    assert count.held == (20 if words == READ_WORDS else 19)
