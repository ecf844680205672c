"""Both laws through PostgreSQL: hostile documents and manifests drawn from their paths are loaded, verified and read back."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from assise.manifest.file import dump_manifest
from assise.project import Project
from tests.dumps import agree, write_dump
from tests.oracle import values
from tests.oracle.equality import differences
from tests.oracle.expected import Rows, expected_rows, reject_reason, split_path
from tests.oracle.fits import DEFAULT_KINDS
from tests.oracle.jsonform import escape_key
from tests.oracle.strategies import KINDS, UUID_KINDS, documents, manifests
from tests.oracle.values import Element, Elements
from tests.oracle.walk import frames, parse
from tests.rows.rebuild import read_manifest
from tests.transfer.readback import Plain, Target, as_dict, read_keys, read_type

Hit = tuple[object, ...]
MISSING = object()
EXAMPLES = 40
NOT_BSON, DUPLICATE_ID, KEY_MISFIT = 1, 2, 5
RULES = [(type_, kind) for type_, kinds in KINDS.items() for kind in kinds]
RULES += [(f"{type_}[]", kind) for type_, kind in RULES if type_ not in {"bytea", "jsonb"}]
WANTED: set[Hit] = {(*rule, fits) for rule in RULES for fits in (True, False)}
WANTED |= {("text", "any", True), ("int4", "offset", True), ("int8", "offset", True), ("key", "sha256"), ("key", "equal")}
WANTED |= {("rows", what) for what in ("child", "grandchild", "great-grandchild")}
WANTED |= {("array", what) for what in ("[]", "null", "other")} | {("document", what) for what in ("{}", "null", "other")}
WANTED |= {("escape", what) for what in ("$bson value", "$bson fields", "$$ key", "$numberDouble", "$element")}
WANTED |= {("reject", NOT_BSON), ("reject", DUPLICATE_ID), ("reject", KEY_MISFIT)}

RIGHT: dict[str, Elements] = {
    "objectid": values.ids,
    "string": values.names | values.strings,
    "bool": values.bools,
    "int32": values.int32s,
    "int64": values.int64s | values.int32s,
    "double": values.doubles,
    "number": values.numbers,
    "decimal": values.decimals,
    "date": values.dates,
    "every": values.anything,
}


def _binaries(subtype: int, payload: st.SearchStrategy[bytes]) -> Elements:
    return payload.map(lambda content: (0x05, values.write_binary(subtype, content)))


RIGHT |= {f"binary_{n}" if n else "binary": _binaries(n, st.binary(max_size=20)) for n in range(256)}
RIGHT |= {kind: _binaries(n, st.binary(min_size=16, max_size=16)) for n, kinds in UUID_KINDS.items() for kind in kinds}


def _values_for(type_: str, kind: str) -> Elements:
    """Values most of which are of the kind of a column."""
    right = RIGHT[kind]
    if type_.endswith("[]"):
        items = st.lists(st.one_of(right, right, right, values.nulls), min_size=1, max_size=3)
        right = items.map(lambda found: (0x04, values.write_array(found)))
    return st.one_of(right, right, values.nulls, values.anything)


@st.composite
def aimed(draw: st.DrawFn) -> tuple[Plain, list[bytes]]:
    """Some rules of the table of what fits, each as a column, and documents that have most of their fields."""
    rules = draw(st.lists(st.sampled_from(RULES), min_size=12, max_size=24, unique=True))
    columns: Plain = {"id": {"type": "int8", "kind": "offset"}}
    columns |= {f"c{n}": {"type": type_, "kind": kind} for n, (type_, kind) in enumerate(rules)}
    raws = []
    for _ in range(draw(st.integers(3, 6))):
        fields: list[tuple[bytes, Element]] = [(b"c%d" % n, draw(_values_for(*rule))) for n, rule in enumerate(rules)]
        raws.append(values.write_document(fields))
    return {"assise": 1, "name": "drawn", "tables": {"docs": {"collection": "docs", "primary_key": "id", "columns": columns}}}, raws


def _damage(raw: bytes) -> st.SearchStrategy[list[bytes]]:
    """A document, seldom with what is no document before it, cut, or twice."""
    broken = values.write_document([(b"a", (0x08, b"\2"))])
    odd = [[b"\xff" * 7, raw], [raw[:-1]], [broken, raw], [raw, raw], [raw[: len(raw) // 2], raw]]
    return st.integers(0, 11).map(lambda n: odd[n] if n < len(odd) else [raw])


@st.composite
def migrations(draw: st.DrawFn) -> tuple[Plain, bytes]:
    """A manifest and the content of a file: documents, and now and then something else."""
    if draw(st.integers(0, 3)) == 0:
        plain, raws = draw(aimed())
    else:
        raws = draw(st.lists(documents(), min_size=1, max_size=6))
        plain = draw(manifests(raws))
    return plain, b"".join(part for raw in raws for part in draw(_damage(raw)))


class Migration:
    """One example on its way through the server, in a schema of its own."""

    def __init__(self, target: Target, folder: Path, hits: set[Hit]) -> None:
        self.target, self.folder, self.hits = target, folder, hits

    def check(self, plain: Plain, content: bytes) -> None:
        """Load, verify, read back and compare."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.target.run(f"DROP SCHEMA IF EXISTS {self.target.schema} CASCADE")
        self.target.run(f"CREATE SCHEMA {self.target.schema}")
        if self.target.run("SELECT to_regclass('assise.load')") != [[None]]:
            self.target.run("DELETE FROM assise.load")
        expected, rejects, sources = self.expect(plain, content)
        manifest = read_manifest(plain)
        dump = write_dump(self.folder / "dump", {"docs": [content]})
        project = Project(self.folder, to=self.target.conninfo)
        project.path.write_text(dump_manifest(manifest), encoding="utf-8")
        report = project.migrate(dump, agree=agree)
        assert (report.documents, report.loaded, report.rejected) == (len(sources) + len(rejects), len(sources), len(rejects))
        assert report.verified is not None
        assert vars(report.verified) == {"equal": len(sources), "different": 0, "missing": 0, "extra": 0}, report.collections[0].differences
        self.check_rejects(rejects, content)
        self.target.check_rows(plain, expected)
        root = next(name for name, table in manifest.tables.items() if table.collection)
        found = self.target.assemble(manifest, root)
        assert found.keys() == sources.keys()
        for key, raw in sources.items():
            assert differences(raw, found[key]) == []

    def expect(self, plain: Plain, content: bytes) -> tuple[Rows, dict[int, tuple[int, int]], dict[str, bytes]]:
        """The rows, the rejects (offset -> end, reason), and the documents by the text of their key."""
        tables = {name: as_dict(entry) for name, entry in as_dict(plain["tables"]).items()}
        root, entry = next((name, entry) for name, entry in tables.items() if "collection" in entry)
        key = read_keys(entry)[0]
        rejects: dict[int, tuple[int, int]] = {}
        candidates: list[tuple[int, int, Rows]] = []
        for what, start, end in frames(content):
            reason = NOT_BSON if what != "document" else reject_reason(plain, content[start:end], start)
            if reason:
                rejects[start] = end, reason
            else:
                candidates.append((start, end, expected_rows(plain, content[start:end], start)))
        texts = [str(rows[root][0][key]) for _, _, rows in candidates]
        firsts = self.target.first_of_equal(texts, read_type(as_dict(entry["columns"])[key]))
        expected: Rows = {name: [] for name in tables}
        sources: dict[str, bytes] = {}
        for n, (start, end, rows) in enumerate(candidates):
            if firsts[n] != n:
                rejects[start] = end, DUPLICATE_ID
                self.hits |= {("key", "equal")} if texts[firsts[n]] != texts[n] else set()
                continue
            sources[texts[n]] = content[start:end]
            for name, entry in tables.items():
                expected[name] += rows[name]
        self.hits |= {("reject", reason) for _, reason in rejects.values()}
        self.hits |= set(find_hits(tables, expected))
        return expected, rejects, sources

    def check_rejects(self, rejects: dict[int, tuple[int, int]], content: bytes) -> None:
        """Reason, place and bytes of every reject."""
        found = self.target.run("SELECT start_offset, size, reason, raw, sha256 FROM assise.reject ORDER BY 1", is_binary=True)
        numbers = [tuple(int.from_bytes(cell or b"") for cell in row[:3]) for row in found]
        assert numbers == [(start, end - start, reason) for start, (end, reason) in sorted(rejects.items())]
        assert [row[3] for row in found] == [content[start : start + size] for start, size, _ in numbers]


def find_hits(tables: dict[str, Plain], expected: Rows) -> Iterator[Hit]:
    """What the rows of one example show of the rules."""
    for name, entry in tables.items():
        keys, columns = read_keys(entry), as_dict(entry.get("columns", {}))
        arrays = [split_path(str(child["from"]))[:-1] for child in tables.values() if child.get("parent") == name]
        if expected[name] and len(keys) > 1:
            yield "rows", ["child", "grandchild", "great-grandchild"][min(len(keys), 4) - 2]
        for row in expected[name]:
            own = next(column for column in row if column not in keys and column not in columns)
            notes = json.loads(row[own] or "null")
            yield from find_escapes(notes)
            yield from find_containers(notes, arrays, [read_rule(column, written)[2] for column, written in columns.items()])
            yield from find_fits(columns, row, notes)
            if (row[keys[0]] or "").startswith("sha256:") and len(keys) == 1:
                yield "key", "sha256"


def read_rule(column: str, written: object) -> tuple[str, str, tuple[str, ...]]:
    """Type, kind and path of a column of a plain manifest."""
    long = written if isinstance(written, dict) else {"type": written}
    type_ = str(long["type"])
    return type_, str(long.get("kind", DEFAULT_KINDS[type_.removesuffix("[]")])), split_path(str(long.get("from", column)))


def find_fits(columns: Plain, row: dict[str, str | None], notes: object) -> Iterator[Hit]:
    """The rules that one row follows: a cell with a value, or a value beside an empty cell."""
    for column, written in columns.items():
        type_, kind, path = read_rule(column, written)
        if row[column] is not None and row[column] != "{}":
            yield type_, kind, True
        elif row[column] is None:
            note = find_note(notes, path)
            if note is not MISSING and (note is not None or type_ == "jsonb"):
                yield type_, kind, False


def find_note(notes: object, path: tuple[str, ...]) -> object:
    """What stands in `_extra` at a path."""
    for key in path:
        if not isinstance(notes, dict) or escape_key(key) not in notes:
            return MISSING
        notes = notes[escape_key(key)]
    return notes


def find_containers(notes: object, arrays: list[tuple[str, ...]], columns: list[tuple[str, ...]]) -> Iterator[Hit]:
    """Notes in the place of child rows and of flattened documents."""
    for path in arrays:
        note = find_note(notes, path)
        if note is not MISSING:
            yield "array", "[]" if note == [] else "null" if note is None else "other"
    for path in columns:
        for size in range(1, len(path)):
            note = find_note(notes, path[:size])
            if note is not MISSING and (note == {} or not isinstance(note, dict)):
                yield "document", "{}" if note == {} else "null" if note is None else "other"


def find_escapes(note: object) -> Iterator[Hit]:
    """The escapes in a jsonb value."""
    if isinstance(note, list):
        for inner in note:
            yield from find_escapes(inner)
    elif isinstance(note, dict):
        if isinstance(note.get("$bson"), str):
            fields = parse(base64.b64decode(note["$bson"])).fields
            yield "escape", "$bson value" if [key for key, _ in fields] == [b""] else "$bson fields"
        for key, inner in note.items():
            if key.startswith("$$") or key in {"$numberDouble", "$element"}:
                yield "escape", "$$ key" if key.startswith("$$") else key
            yield from find_escapes(inner)


def test_both_laws_hold_for_hostile_documents_and_every_rule_is_met(database: str, tmp_path: Path) -> None:
    target = Target(database, "drawn")
    migration = Migration(target, tmp_path / "project", set())

    @settings(max_examples=EXAMPLES)
    @given(migrations())
    def check(example: tuple[Plain, bytes]) -> None:
        migration.check(*example)

    check()
    target.connection.close()
    assert WANTED - migration.hits == set()
