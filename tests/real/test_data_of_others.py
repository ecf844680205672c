"""Data of others: every dump folder and every file, and the exact figures in golden.json.

Both laws are checked by code of the tests. A file over MOST_BYTES is cut between documents, each
part a migration of its own; `make soak-data` migrates the folders of such files whole too.
`ASSISE_TEST_UPDATE=1 pytest -n 0 -m "soak or not soak" tests/real` writes golden.json anew. Of a
part of more than 5,000 documents the second law looks at the rows of every tenth, of a whole folder
at all; documents, rejects, keys and the first law are always those of all.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pytest
from ruamel.yaml import YAML
from tests.conftest import DATA
from tests.dumps import confirm
from tests.oracle.equality import compare
from tests.oracle.expected import Rows, add_rows, read_tables, split_path
from tests.oracle.fits import find_fit
from tests.oracle.leaves import count_leaves
from tests.oracle.profile import ELEMENTS, find_uniform, write_path
from tests.oracle.profile import Path as Keys
from tests.oracle.walk import Value, parse, read_frames
from tests.scenes.readback import Plain, Target, as_dict, quote, read_type

from assise.manifest.model import Manifest
from assise.manifest.read import load_manifest
from assise.project import Project
from assise.transfer.report import CollectionReport

FOLDER = DATA / "mongo"
GOLDEN = Path(__file__).with_name("golden.json")
MANY_FILES = ("libbson_tests", "mongo_tools_testdata")
"""What holds many tiny files: all of them become one migration, whatever folders they lie in."""
MOST_BYTES = 1_500_000
SAMPLED_ABOVE, SAMPLE_STEP = 5_000, 10
NOT_BSON, DUPLICATE_ID, KEY_MISFIT = 1, 2, 5
TYPED_SHARE = 0.97
Figures = dict[str, object]


def find_folders() -> dict[str, list[str]]:
    """The folders of dumps -> their files, and all the tiny files.

    As the golden file knows them without the data.
    """
    if not FOLDER.exists():
        return {name: list(files) for name, files in json.loads(GOLDEN.read_text()).items()}
    sets: dict[str, list[str]] = {}
    for path in sorted([*FOLDER.rglob("*.bson"), *FOLDER.rglob("*.bson.gz")]):
        name = path.relative_to(FOLDER)
        sets.setdefault(
            name.parts[0] if name.parts[0] in MANY_FILES else str(name.parent), []
        ).append(str(name))
    return sets


def cut_folders(folders: dict[str, list[str]]) -> dict[str, list[str]]:
    """The migrations to be made.

    A folder's files, or those that are not long, and each part of a long one.
    """
    sets: dict[str, list[str]] = {}
    for name, files in folders.items():
        parts = {
            file: -(-(FOLDER / file).stat().st_size // MOST_BYTES)
            for file in files
            if FOLDER.exists()
        }
        short = [file for file in files if parts.get(file, 1) <= 1]
        if short:
            sets[name if short == files else f"{name} without the long"] = short
        sets |= {
            f"{file} {n}/{parts[file]}": [file]
            for file in files
            if file not in short
            for n in range(1, parts[file] + 1)
        }
    return sets


FOLDERS = find_folders()
SETS = cut_folders(FOLDERS)
LONG = {name: files for name, files in FOLDERS.items() if name not in SETS}
GOLDEN_SETS = SETS | LONG


@pytest.fixture(autouse=True)
def data_of_others() -> None:
    """Nothing here runs without the data; that fails where the data is promised."""
    if not FOLDER.exists():
        missing = f"no data of others in {FOLDER}: set ASSISE_TEST_DATA"
        if os.environ.get("CI") == "true" and "ASSISE_TEST_DATA" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)


@dataclass
class Content:
    """The documents of one file by the text of their key, their leaves, and the rejects.

    A document is its offset and its value, a reject its offset, size and reason.
    """

    documents: dict[str, tuple[int, Value]] = field(default_factory=dict)
    leaves: int = 0
    rejects: list[tuple[int, int, int]] = field(default_factory=list)


def find_dump(
    name: str, files: list[str], folder: Path
) -> tuple[Path, dict[str, tuple[str, Path]]]:
    """The dump to migrate, and collection -> file and its place.

    What is not a whole folder gets one, many tiny files names of their own.
    """
    if name in FOLDERS and name not in MANY_FILES:
        return FOLDER / name, {
            name_collection(Path(file).name): (file, FOLDER / file) for file in files
        }
    folder.mkdir()
    found: dict[str, tuple[str, Path]] = {}
    for n, file in enumerate(files):
        place = folder / (f"f{n:03}_{Path(file).name}" if name in MANY_FILES else Path(file).name)
        found[name_collection(place.name)] = file, place
        if name.startswith(file):
            part, parts = name.removeprefix(file).split("/")
            place.write_bytes(
                cut_part(
                    (FOLDER / file).read_bytes(),
                    int(part),
                    int(parts),
                )
            )
        else:
            place.symlink_to(FOLDER / file)
    return folder, found


def cut_part(data: bytes, part: int, parts: int) -> bytes:
    """One of the parts, about equal in size, of a file of whole documents."""
    bounds, at = [0], 0
    while at < len(data):
        at += int.from_bytes(data[at : at + 4], "little")
        if at * parts >= len(data) * len(bounds):
            bounds.append(at)
    assert len(bounds) == parts + 1
    return data[bounds[part - 1] : bounds[part]]


def name_collection(file: str) -> str:
    """The name that mongodump has escaped into the name of a file."""
    return unquote(file.removesuffix(".gz").removesuffix(".bson"), errors="strict")


def read_content(path: Path) -> bytes:
    """The uncompressed bytes of a file."""
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def expect_content(data: bytes, key: tuple[str, str], target: Target) -> Content:
    """What of a file must be loaded under a key of a type and a kind, and what must be rejected."""
    type_, kind = key
    content, candidates, texts = Content(), list[tuple[int, int, Value]](), list[str]()
    for _, start, end, document in read_frames(data):
        text = read_key(document, start, type_, kind) if document else None
        if document and text is not None:
            candidates.append((start, end, document))
            texts.append(text)
        else:
            content.rejects.append((start, end - start, KEY_MISFIT if document else NOT_BSON))
    for n, first in enumerate(target.first_of_equal(texts, type_)):
        start, end, document = candidates[n]
        if first == n:
            content.documents[texts[n]] = start, document
            content.leaves += count_leaves(document)
        else:
            content.rejects.append((start, end - start, DUPLICATE_ID))
    content.rejects.sort()
    return content


def read_key(document: Value, offset: int, type_: str, kind: str) -> str | None:
    """The text of a document's key, None when its `_id` does not fit."""
    if kind == "offset":
        return str(offset)
    ids = [value for key, value in document.fields if key == b"_id"]
    return find_fit(ids[0], type_, kind).text if len(ids) == 1 else None


def take_tables(plain: Plain, root: str) -> Plain:
    """The part of a plain manifest that is about one collection."""
    tables = as_dict(plain["tables"])
    found = {root: tables[root]}
    for name, entry in tables.items():
        if as_dict(entry).get("parent") in found:
            found[name] = entry
    return {**plain, "tables": found}


def check_first_law(target: Target, manifest: Manifest, root: str, content: Content) -> None:
    found = target.assemble(manifest, root)
    assert found.keys() == content.documents.keys()
    for key, (_, document) in content.documents.items():
        assert document.source == found[key] or compare(document, parse(found[key])) == [], key


def check_second_law(target: Target, plain: Plain, content: Content, *, is_whole: bool) -> None:
    step = SAMPLE_STEP if len(content.documents) > SAMPLED_ABOVE and not is_whole else 1
    sample = dict(list(content.documents.items())[::step])
    tables = read_tables(plain)
    expected: Rows = {table.name: [] for table in tables}
    for offset, document in sample.values():
        add_rows(expected, tables[0], document, offset)
    target.check_rows(plain, expected, only=set(sample) if step > 1 else None)


def check_rejects(target: Target, collection: str, content: Content) -> None:
    query = "SELECT start_offset, size, reason FROM assise.reject WHERE collection = $1 ORDER BY 1"
    found = [
        tuple(int(cell or b"") for cell in row) for row in target.run(query, [collection.encode()])
    ]
    assert found == content.rejects


def count_typed(target: Target, plain: Plain) -> Counter[str]:
    """Path -> values in the cells of typed columns, as PostgreSQL counts them.

    Jsonb is not typed.
    """
    found: Counter[str] = Counter()
    prefixes: dict[str, Keys] = {}
    for name, entry in as_dict(plain["tables"]).items():
        table = as_dict(entry)
        path = split_path(str(table["from"]))[:-1] if "parent" in table else ()
        prefixes[name] = (*prefixes[str(table["parent"])], *path, ELEMENTS) if path else ()
        counts: dict[str, str] = {}
        for column, written in as_dict(table.get("columns", {})).items():
            long = written if isinstance(written, dict) else {}
            if long.get("kind") == "offset" or read_type(written) == "jsonb":
                continue
            at = (*prefixes[name], *split_path(str(long.get("from", column))))
            is_array = read_type(written).endswith("[]")
            cell = f"cardinality(array_remove({quote(column)}, NULL))"
            counts[write_path((*at, ELEMENTS) if is_array else at)] = (
                f"sum({cell})" if is_array else f"count({quote(column)})"
            )
        if counts:
            row = target.run(
                f"SELECT {', '.join(counts.values())} FROM {quote(target.schema, name)}"
            )[0]
            found.update({path: int(cell or b"0") for path, cell in zip(counts, row, strict=True)})
    return found


def check_typed_share(typed: Counter[str], content: Content) -> float | None:
    """Of the values at paths with one scalar kind at least 97 % stand in typed columns."""
    uniform = find_uniform(document for _, document in content.documents.values())
    missed = {path: (count, typed[path]) for path, count in uniform.items() if typed[path] < count}
    total = sum(uniform.values())
    share = (
        sum(min(count, typed[path]) for path, count in uniform.items()) / total if total else None
    )
    assert share is None or share >= TYPED_SHARE, missed
    return share if share is None else round(share, 4)


def count_literal(typed: Counter[str], content: Content) -> dict[str, int]:
    """The same with nothing left out that a column could hold.

    True of every set, not of each file of a few odd documents.
    """
    uniform = find_uniform(
        (document for _, document in content.documents.values()), is_literal=True
    )
    return {
        "uniform": sum(uniform.values()),
        "typed": sum(min(count, typed[path]) for path, count in uniform.items()),
    }


def write_figures(report: CollectionReport, content: Content, share: float | None) -> Figures:
    """What the golden file holds of one collection.

    The counts are checked against the tests' own.
    """
    values, reasons = report.values, Counter(str(reason) for _, _, reason in content.rejects)
    assert (report.loaded, report.rejected) == (len(content.documents), len(content.rejects))
    assert report.documents == report.loaded + report.rejected
    leaves = content.leaves
    assert values.typed + values.read + values.jsonb + values.extra == leaves
    shares = {
        name: round(count / leaves, 4) if leaves else 0.0 for name, count in vars(values).items()
    }
    figures: Figures = {
        "documents": report.documents,
        "loaded": report.loaded,
        "rejects": dict(sorted(reasons.items())),
        **vars(values),
    }
    return figures | {"shares": shares, "typed_at_paths_of_one_kind": share}


def compare_with_golden(name: str, figures: dict[str, Figures]) -> None:
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("ASSISE_TEST_UPDATE"):
        golden = {known: golden[known] for known in golden if known in GOLDEN_SETS} | {
            name: figures
        }
        GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")
    assert figures == golden.get(name)


@pytest.mark.parametrize(
    "name", [*SETS, *(pytest.param(name, marks=pytest.mark.soak) for name in LONG)]
)
def test_data_of_others_arrives_whole_and_typed(
    name: str, project: Project, database: str, tmp_path: Path
) -> None:
    dump, collections = find_dump(name, GOLDEN_SETS[name], tmp_path / "dump")
    report = project.migrate(dump, confirm=confirm)
    assert report.verified is not None
    assert report.verified.is_clean
    reports = {part.name: part for part in report.collections}
    assert reports.keys() == collections.keys()
    manifest, plain = load_manifest(project.path), as_dict(YAML(typ="safe").load(project.path))
    figures: dict[str, Figures] = {}
    literal: Counter[str] = Counter()
    with Target(database) as target:
        for root, entry in as_dict(plain["tables"]).items():
            collection = as_dict(entry).get("collection")
            if collection is not None:
                (file, place), part = collections[str(collection)], take_tables(plain, root)
                column = manifest.layout.key_column(root)
                content = expect_content(read_content(place), (column.type, column.kind), target)
                check_rejects(target, str(collection), content)
                check_first_law(target, manifest, root, content)
                check_second_law(target, part, content, is_whole=name in LONG)
                typed = count_typed(target, part)
                literal.update(count_literal(typed, content))
                figures[file] = write_figures(
                    reports[str(collection)], content, check_typed_share(typed, content)
                )
    assert literal["typed"] >= TYPED_SHARE * literal["uniform"], literal
    compare_with_golden(name, figures)


def test_the_728_documents_of_the_corpus_are_among_them() -> None:
    assert (
        json.loads(GOLDEN.read_text())["derived"]["derived/bson_corpus_valid_all.bson"]["loaded"]
        == 728
    )


def test_the_golden_file_knows_every_file_and_no_other() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert {name: sorted(files) for name, files in golden.items()} == {
        name: sorted(files) for name, files in GOLDEN_SETS.items()
    }


def test_the_parts_of_the_long_are_all_of_them() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert len(LONG) > 5 or not FOLDER.exists()
    for name, files in LONG.items():
        for file in files:
            parts = [
                golden[part][file]
                for part in SETS
                if part.startswith((file, f"{name} ")) and file in SETS[part]
            ]
            for figure in ("documents", "loaded"):
                assert sum(part[figure] for part in parts) == golden[name][file][figure]
            assert golden[name][file]["rejects"] == {}
