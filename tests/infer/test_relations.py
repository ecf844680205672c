"""Indexes, unique keys and references that infer proposes, read as lines of the manifest."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import bson
import pytest
from bson import Binary, DatetimeMS, DBRef, Decimal128, Int64, ObjectId
from ruamel.yaml import YAML
from tests.conftest import DATA
from tests.dumps import confirm, write_dump

from assise.infer import joins
from assise.infer.joins import Joins
from assise.infer.metadata import Metadata, read_metadata
from assise.manifest.read import parse_manifest
from assise.manifest.write import dump_manifest
from assise.project import Project

Document = dict[str, object]
START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
CASES = DATA.parent / "cases"


def make_id(kind: int, n: int) -> ObjectId:
    return ObjectId(f"{0x6700_0000 + n:08x}{kind:010x}{n:06x}")


def infer(
    folder: Path,
    collections: Mapping[str, Sequence[Document]],
    *,
    indexes: Mapping[str, Sequence[Document]] = {},
    options: Document | None = None,
) -> list[str]:
    """The lines of the manifest that is proposed for a dump."""
    dump = write_dump(folder / "app", collections)
    for name, listed in indexes.items():
        content = {"options": options or {}, "indexes": [{"key": {"_id": 1}}, *listed]}
        (dump / f"{name}.metadata.json").write_text(json.dumps(content))
    return infer_lines(dump)


def infer_lines(dump: Path) -> list[str]:
    proposal = Project(dump.parent).infer(dump)
    text = dump_manifest(proposal.manifest, comments=proposal.comments)
    assert parse_manifest(text) == proposal.manifest
    return text.splitlines()


def find(lines: list[str], start: str) -> str:
    (found,) = [line.strip() for line in lines if line.strip().startswith(start)]
    return found


def below(lines: list[str], start: str = "indexes:") -> list[str]:
    """The lines from the one behind `start` to the end."""
    return [line.strip() for line in lines[lines.index(f"    {start}") + 1 :]]


def make_case(folder: Path, name: str) -> Path:
    program = CASES / name / "make.py"
    if not program.exists():
        pytest.skip(f"no {program}; set ASSISE_TEST_DATA")
    subprocess.run([sys.executable, program, folder], check=True, env={})
    return next(path for path in folder.iterdir() if path.is_dir())


def test_case_3_has_its_references_and_indexes(tmp_path: Path) -> None:
    lines = infer_lines(make_case(tmp_path, "03-orphans-and-unique"))
    assert find(lines, "tenant_id: {type: text, ref") == (
        'tenant_id: {type: text, references: "namespaces(tenant_id)", orphans: keep}'
        "  # string; 48 of 60 values are namespaces.tenant_id"
    )
    assert find(lines, "device_uid:") == (
        'device_uid: {type: text, references: "devices(uid)", orphans: keep}'
        "  # string; 45 of 50 values looked at are devices.uid"
    )
    assert find(lines, "uid:") == (
        'uid: {type: text, unique: "nulls not distinct"}  # string; unique index uid'
    )
    assert below(lines)[:4] == [
        '- {columns: [tenant_id, name, deleted], unique: "nulls not distinct"}  # live_name',
        "- last_seen  # last_seen",
        "- {columns: [status], where: \"status = 'pending'\"}  # pending",
        (
            "# keep: {last_seen: 365 days}: MongoDB deletes older documents;"
            " here: devices where last_seen < now() - interval '365 days'"
        ),
    ]
    assert below(lines)[-1] == "- [device_uid, -started_at]  # of_device"


def test_case_2_tells_what_joins_as_text(tmp_path: Path) -> None:
    lines = infer_lines(make_case(tmp_path, "02-string-references"))
    assert "59 of 60 values are users._id" in find(lines, "author:")
    assert "60 of 60 values are tags._id" in find(lines, "tags:\x20")
    related = find(lines, "related_value:")
    assert "references" not in related
    assert "40 of 60 values are pages._id; 20 of 60 values are posts._id; ids of" in related


USERS: list[Document] = [{"_id": make_id(1, n), "n": n} for n in range(20)]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (lambda n: make_id(1, n % 20), "x: {type: uuid, references: users}  # objectId; 40 of 40"),
        (
            lambda n: make_id(1, n % 20) if n % 10 else make_id(9, n),
            "x: {type: uuid, references: users, orphans: keep}  # objectId; 36 of 40",
        ),
        (lambda n: make_id(1, n % 20) if n % 3 == 0 else make_id(9, n), "x: uuid  # objectId"),
        (
            lambda n: str(make_id(1, n % 20)),
            "x: {type: uuid, kind: hex, references: users}  # string; undo: {type: text, from: x};",
        ),
        (
            lambda n: str(make_id(1, n % 20)).upper(),
            "x: {type: uuid, kind: hex, references: users}  # string; undo",
        ),
        (
            lambda n: str(make_id(1, n % 20)) if n % 20 else "nobody",
            "x: text  # string; 38 of 38 values are users._id",
        ),
        (
            lambda n: [make_id(1, n % 20), make_id(1, n % 7)],
            'x: "uuid[]"  # array of objectId; 80 of 80 values are users._id',
        ),
    ],
)
def test_values_that_are_ids_are_references(tmp_path: Path, value: object, line: str) -> None:
    assert callable(value)
    orders: list[Document] = [{"_id": n, "x": value(n)} for n in range(40)]
    lines = infer(tmp_path, {"users": USERS, "orders": orders})
    assert find(lines, "x:").startswith(line)


def test_uuids_and_their_texts(tmp_path: Path) -> None:
    ids = [uuid.UUID(int=n << 64 | 7) for n in range(30)]
    docs: dict[str, list[Document]] = {
        "teams": [{"_id": Binary.from_uuid(each)} for each in ids],
        "users": [
            {"_id": n, "lead": Binary.from_uuid(each), "text": str(each).upper()}
            for n, each in enumerate(ids)
        ],
    }
    lines = infer(tmp_path, docs)
    assert find(lines, "lead:").startswith("lead: {type: uuid, kind: uuid, references: teams}")
    assert "30 of 30 values are teams._id" in find(lines, "text:")


def test_database_references_and_elements_of_arrays(tmp_path: Path) -> None:
    docs: list[Document] = [
        {
            "_id": n,
            "owner": DBRef("users", make_id(1, n % 20)),
            "lines": [{"by": make_id(1, n % 20), "to": {"id": make_id(1, 3)}}] * 2,
        }
        for n in range(20)
    ]
    lines = infer(tmp_path, {"users": USERS, "orders": docs})
    assert find(lines, "owner_id:").startswith(
        "owner_id: {type: uuid, from: owner.$id, references: users}"
    )
    assert find(lines, "by:").startswith("by: {type: uuid, references: users}")


@pytest.mark.parametrize("kind", [int, Int64, lambda n: f"k{n}"])
def test_numbers_and_short_texts_refer_only_where_the_name_says_so(
    tmp_path: Path, kind: object
) -> None:
    assert callable(kind)
    users: list[Document] = [{"_id": kind(n)} for n in range(50)]
    docs: list[Document] = [
        {"_id": ObjectId(), "userId": kind(n), "count": kind(n), "createdBy": kind(n)}
        for n in range(40)
    ]
    lines = infer(tmp_path, {"users": users, "orders": docs})
    assert "references: users" in find(lines, "user_id:")
    assert "users._id" not in find(lines, "count:")
    assert "users._id" not in find(lines, "created_by:")


@pytest.mark.parametrize(
    ("student_ids", "line"),
    [
        # Grades of another school: 0 to 49, and our students are 0 to 199.
        (range(50), "int4  # int32; 50 of 50 values are students._id, but within 25 % of their"),
        (range(150, 200), "int4  # int32; 50 of 50 values are students._id, but within 25 %"),
        ([5], "int4  # int32; 1 of 1 values are students._id, but within 0 %"),
        (range(0, 200, 17), "{type: int4, references: students}  # int32; 12 of 12 values are"),
        ([0, 199, 300], "int4  # int32"),
    ],
)
def test_integers_that_may_be_those_of_other_things_are_no_reference(
    tmp_path: Path, student_ids: Sequence[int], line: str
) -> None:
    students: list[Document] = [{"_id": n} for n in range(200)]
    grades: list[Document] = [{"_id": ObjectId(), "student_id": n} for n in student_ids]
    lines = infer(tmp_path, {"students": students, "grades": grades})
    assert find(lines, "student_id:").startswith(f"student_id: {line}")


def test_a_name_may_be_that_of_the_document_around_an_id(tmp_path: Path) -> None:
    users: list[Document] = [{"_id": n} for n in range(50)]
    docs: list[Document] = [
        {
            "_id": ObjectId(),
            "User": {"Id": n, "Count": n},
            "Size": {"Id": n},
            "users": [{"id": n}, {"id": 0}],
        }
        for n in range(40)
    ]
    lines = infer(tmp_path, {"users": users, "orders": docs})
    assert "references: users}" in find(lines, "user_id:")
    assert "users._id" not in find(lines, "user_count:")
    assert "users._id" not in find(lines, "size_id:")
    assert "references: users}" in find(lines, "id: {type: int4, ref")


def test_a_word_that_all_collections_begin_with_is_none_of_their_names(tmp_path: Path) -> None:
    films: list[Document] = [{"_id": n} for n in range(50)]
    rentals: list[Document] = [{"_id": ObjectId(), "filmId": n} for n in range(50)]
    lines = infer(tmp_path, {"shop_films": films, "shop_rentals": rentals})
    assert "references: shop_films" in find(lines, "film_id:")
    lines = infer(tmp_path / "other", {"old_films": films, "shop_rentals": rentals})
    assert find(lines, "film_id:") == "film_id: {type: int4, from: filmId}  # int32"


def test_a_name_alone_is_no_reference(tmp_path: Path) -> None:
    users: list[Document] = [{"_id": n} for n in range(50)]
    docs: list[Document] = [{"_id": n, "user_id": n * 1_000} for n in range(40)]
    lines = infer(tmp_path, {"users": users, "orders": docs})
    assert find(lines, "user_id:") == "user_id: int4  # int32"


@pytest.mark.parametrize(
    ("shares", "start", "end"),
    [
        (
            (8, 4, 0),
            "about: {type: uuid, kind: hex}  # string",
            "8 of 12 values are a._id; 4 of 12 values are b._id; ids of several tables: no foreign key",
        ),
        (
            (6, 6, 0),
            "about: {type: uuid, kind: hex}  # string",
            "6 of 12 values are a._id; 6 of 12 values are b._id; ids of several tables: no foreign key",
        ),
        (
            (4, 4, 4),
            "about: {type: uuid, kind: hex}  # string",
            "4 of 12 values are c._id; ids of several tables: no foreign key",
        ),
        (
            (8, 1, 0),
            "about: {type: uuid, kind: hex, references: a, orphans: keep}  # string",
            "8 of 12 values are a._id",
        ),
        ((2, 2, 0), "about: text  # string", "# string"),
    ],
    ids=["two", "halves", "three", "most of the others are of none", "too few"],
)
def test_ids_of_several_collections_are_told_without_a_foreign_key(
    tmp_path: Path, shares: tuple[int, ...], start: str, end: str
) -> None:
    targets: dict[str, Sequence[Document]] = {
        name: [{"_id": make_id(kind, n)} for n in range(20)] for kind, name in enumerate("abc", 1)
    }
    ids = [str(make_id(kind, n)) for kind, share in enumerate(shares, 1) for n in range(share)]
    ids += [str(make_id(9, n)) for n in range(12 - len(ids))]
    posts: list[Document] = [{"_id": n, "about": id_} for n, id_ in enumerate(ids)]
    line = find(infer(tmp_path, {**targets, "posts": posts}), "about:")
    assert line.startswith(start)
    assert line.endswith(end)


@pytest.mark.parametrize("stray", [make_id(2, 0), make_id(1, 19)], ids=["a stray id", "a copy"])
def test_a_stray_id_and_a_copy_of_a_collection_make_no_reference_to_several(
    tmp_path: Path, stray: ObjectId
) -> None:
    users: list[Document] = [{"_id": make_id(1, n)} for n in range(19)]
    others: dict[str, Sequence[Document]] = {
        "others": [{"_id": make_id(2, n)} for n in range(5)],
        "users_old": [{"_id": make_id(1, n)} for n in range(20)],
    }
    posts: list[Document] = [{"_id": n, "user_id": make_id(1, n % 19)} for n in range(38)]
    posts.append({"_id": 38, "user_id": stray})
    line = find(infer(tmp_path, {"users": users, **others, "posts": posts}), "user_id:")
    assert line.startswith("user_id: {type: uuid, references: users, orphans: keep}")


def test_of_two_collections_with_the_same_ids_the_name_decides(tmp_path: Path) -> None:
    docs: list[Document] = [
        {"_id": n, "user_id": make_id(1, n), "x": make_id(1, n)} for n in range(20)
    ]
    lines = infer(tmp_path, {"users": USERS, "profiles": USERS, "orders": docs})
    assert "references: users}" in find(lines, "user_id:")
    assert find(lines, "x:") == (
        "x: uuid  # objectId; 20 of 20 values are profiles._id; 20 of 20 values are users._id"
    )


def test_a_sorted_array_of_integers_is_looked_at_from_one_end_to_the_other(tmp_path: Path) -> None:
    """Its first elements alone are the lowest ids, and would be so by chance."""
    albums: list[Document] = [
        {"_id": n, "images": list(range(n % 10, 1_000, 10))} for n in range(20)
    ]
    images: list[Document] = [{"_id": n} for n in range(1_000)]
    lines = infer(tmp_path, {"albums": albums, "images": images})
    line = find(lines, "images: ")
    assert "by chance" not in line
    assert "are images._id" in line
    assert 'columns: {image_id: {type: int4, from: "*", references: images}}' in line


def test_what_is_no_date_is_deleted_by_no_index(tmp_path: Path) -> None:
    docs: list[Document] = [{"_id": n, "age": n} for n in range(3)]
    index: Document = {"key": {"age": 1}, "name": "age_1", "expireAfterSeconds": 60}
    lines = infer(tmp_path, {"users": docs}, indexes={"users": [index]})
    assert find(lines, "# keep:") == (
        "# keep: {age: 1 minute}: MongoDB deletes older documents, by dates alone; age is int4"
    )


def test_an_array_of_ids_has_the_child_table_that_would_have_foreign_keys(
    project: Project, tmp_path: Path
) -> None:
    posts: list[Document] = [
        {
            "_id": make_id(2, n),
            "usersLiked": [make_id(1, n % 20), make_id(1, 5)],
            "parts": [{"by": {"userIds": [make_id(1, n % 20), make_id(7, n)]}}],
        }
        for n in range(40)
    ]
    lines = infer(tmp_path, {"users": USERS, "posts": posts})
    root = find(lines, "users_liked:").partition(", instead of this column: ")[2]
    inner = find(lines, "by_user_ids:").partition(", instead of this column: ")[2]
    assert root == (
        "post_users_liked: {parent: posts, from: usersLiked.*, primary_key: [post_id, position],"
        ' columns: {user_id: {type: uuid, from: "*", references: users}}}'
    )
    assert inner == (
        "post_part_by_user_ids: {parent: post_parts, from: by.userIds.*,"
        " primary_key: [post_id, position, position_2],"
        ' columns: {user_id: {type: uuid, from: "*", references: users, orphans: keep}}}'
    )
    # As the comment says: instead of the columns.
    plain = YAML(typ="safe").load("\n".join(lines))
    tables = plain["tables"]
    del tables["posts"]["columns"]["users_liked"], tables["post_parts"]["columns"]["by_user_ids"]
    tables |= YAML(typ="safe").load(f"{root}\n{inner}\n")
    project.path.write_text(json.dumps(plain))
    report = project.migrate(tmp_path / "app", confirm=confirm)
    assert report.verified is not None
    assert report.verified.equal == report.documents == 60
    with project.connect(project.manifest) as connection:
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM post_users_liked JOIN users ON users.id = user_id),"
            " (SELECT count(*) FROM post_part_by_user_ids)"
        )
    assert counts == [(80, 80)]


BY_TENANT = {"key": {"tenantId": 1, "number": -1}, "name": "own", "unique": True}


def make_invoices() -> list[Document]:
    return [{"_id": make_id(2, n), "tenantId": f"t{n % 3}", "number": n} for n in range(30)]


@pytest.mark.parametrize(
    ("shift", "gone", "keys"),
    [
        (
            0,
            0,
            ['- {columns: [tenant_id, invoice_number], references: "invoices(tenant_id, number)"}'],
        ),
        (
            0,
            2,
            [
                (
                    "- {columns: [tenant_id, invoice_number], references:"
                    ' "invoices(tenant_id, number)", orphans: keep}'
                )
            ],
        ),
        # Each column alone has values of the other table; together they are no row of it.
        (1, 0, []),
        (0, 9, []),
    ],
)
def test_several_columns_refer_where_their_values_are_those_of_a_row(
    project: Project, tmp_path: Path, shift: int, gone: int, keys: list[str]
) -> None:
    payments: list[Document] = [
        {
            "_id": make_id(3, n),
            "tenantId": f"t{(n + shift) % 3}",
            "invoiceNumber": n % 30 + (30 if n < gone else 0),
        }
        for n in range(60)
    ]
    # Names that are the same in both, and a part of the key, refer to nothing.
    others: list[Document] = [
        {"_id": make_id(4, n), "tenantId": "t0", "number": 3 * n} for n in range(9)
    ]
    parts: list[Document] = [{"_id": make_id(5, n), "invoiceNumber": n} for n in range(9)]
    collections = {
        "invoices": make_invoices(),
        "payments": payments,
        "others": others,
        "parts": parts,
    }
    lines = infer(tmp_path, collections, indexes={"invoices": [BY_TENANT]})
    assert [
        line.strip() for line in lines if line.strip().startswith("- {columns: [tenant_id, inv")
    ] == keys
    said = lines[lines.index("  payments:") - 1]
    told = f"; {60 - gone} of 60 values of tenantId, invoiceNumber are in invoices"
    assert said.endswith(told if keys else "_id: objectId")
    project.path.write_text("\n".join(lines))
    assert len(project.migrate(tmp_path / "app", confirm=confirm).findings) == bool(gone and keys)
    with project.connect(project.manifest) as connection:
        found = connection.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = 'payments'::regclass AND contype = 'f'"
        )
    made = "FOREIGN KEY (tenant_id, invoice_number) REFERENCES invoices(tenant_id, number)"
    assert [str(text).removesuffix(" NOT VALID") for (text,) in found] == [made] * len(keys)


def test_what_fields_of_inner_documents_may_refer_to_is_told(tmp_path: Path) -> None:
    invoices: list[Document] = [
        {"_id": make_id(2, n), "by": {"tenant": f"t{n % 3}"}, "number": n} for n in range(30)
    ]
    payments: list[Document] = [
        {"_id": make_id(3, n), "by": {"tenant": f"t{n % 3}"}, "invoice_number": n}
        for n in range(30)
    ]
    index = {"key": {"by.tenant": 1, "number": 1}, "name": "own", "unique": True}
    collections = {"invoices": invoices, "payments": payments}
    lines = infer(tmp_path, collections, indexes={"invoices": [index]})
    assert lines[lines.index("  payments:") - 1].endswith(
        'foreign_keys: [{columns: [by_tenant, invoice_number], references: "invoices(by_tenant, number)"}],'
        " if these columns are a row of invoices; values were not compared"
    )


@pytest.mark.parametrize(
    ("make_key", "line"),
    [
        (lambda n: f"k{n}XyZ", '{type: text, from: _p_author, kind: "pointer(_User)", references'),
        (lambda n: make_id(1, n), '{type: uuid, from: _p_author, kind: "pointer(_User)", ref'),
    ],
)
def test_a_pointer_names_its_class(
    project: Project, tmp_path: Path, make_key: Callable[[int], object], line: str
) -> None:
    users: list[Document] = [{"_id": make_key(n), "name": f"n{n}"} for n in range(20)]
    posts: list[Document] = [
        {
            "_id": f"p{n}",
            "_p_author": f"_User${make_key(n % 20)}",
            "_p_gone": f"_Role${make_key(n % 20)}",
            "_p_either": f"{'_User' if n % 2 else '_Role'}${make_key(n % 20)}",
            "_p_text": "_User",
            "by": f"_User${make_key(n % 20)}",
            "price": f"US${n}",
        }
        for n in range(40)
    ]
    lines = infer(tmp_path, {"_User": users, "Post": posts})
    author = find(lines, "author:")
    assert author.startswith(f"author: {line}")
    assert author.endswith("undo: {type: text, from: _p_author}; 40 of 40 values are _User._id")
    assert 'kind: "pointer(_User)", references: _user}' in find(lines, "by:")
    assert find(lines, "price:").startswith("price: text")
    for name in ("gone", "either", "text"):
        assert find(lines, f"{name}:").startswith(f"{name}: {{type: text, from: _p_{name}}}")
    project.path.write_text("\n".join(lines))
    report = project.migrate(tmp_path / "app", confirm=confirm)
    assert report.verified is not None
    assert (report.verified.equal, report.findings) == (60, [])
    with project.connect(project.manifest) as connection:
        joined = connection.execute(
            "SELECT count(*) FROM post JOIN _user ON _user.id = post.author"
        )
    assert joined == [(40,)]


def test_references_to_oneself(tmp_path: Path) -> None:
    docs: list[Document] = [{"_id": make_id(1, n), "parent": make_id(1, n // 2)} for n in range(20)]
    lines = infer(tmp_path, {"pages": docs})
    assert find(lines, "parent:").startswith("parent: {type: uuid, references: pages}")


def test_an_id_of_an_element_is_a_unique_key_where_it_is_its_own(tmp_path: Path) -> None:
    posts: list[Document] = [
        {
            "_id": make_id(1, n),
            "comments": [{"_id": make_id(2, 2 * n + i), "text": "x"} for i in range(2)],
            "copies": [{"_id": make_id(3, n % 7), "n": 1}],
            "seen_by": [{"_id": make_id(9, n), "at": n}],
            "some": [{"_id": make_id(4, n)}, {"n": 1}],
        }
        for n in range(20)
    ]
    users: list[Document] = [{"_id": make_id(9, n)} for n in range(20)]
    lines = infer(tmp_path, {"posts": posts, "users": users})
    found = [line.strip() for line in lines if "id: " in line and "from: _id" in line]
    uniques = [line for line in found if "unique" in line]
    assert uniques == [
        "id: {type: uuid, from: _id, unique: true}  # objectId; 40 ids looked at, all different"
    ]
    assert len(found) == 6


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda n: n, "id: {type: int4, from: _id, unique: true}  # int32; 40 ids looked at"),
        (float, "id: {type: int4, from: _id, kind: double, unique: true}  # double; all whole"),
        (lambda n: f"c-{n}", "id: {type: text, from: _id, unique: true}  # string; 40 ids looked"),
        (lambda n: str(make_id(2, n)), "id: {type: text, from: _id, unique: true}"),
        (lambda n: n % 39, "id: {type: int4, from: _id}  # int32"),
        (lambda n: f"c-{n % 2}", "id: {type: text, from: _id}  # string"),
    ],
)
def test_ids_of_elements_of_any_type_are_unique_keys(
    tmp_path: Path, make: Callable[[int], object], line: str
) -> None:
    posts: list[Document] = [
        {"_id": make_id(1, n), "comments": [{"_id": make(2 * n + i)} for i in range(2)]}
        for n in range(20)
    ]
    lines = infer(tmp_path, {"posts": posts})
    assert [found for found in lines if found.strip().startswith(line)], lines


def test_columns_stand_in_order(tmp_path: Path) -> None:
    docs: list[Document] = [
        {"_id": n, "at": START, "name": "x", "user": make_id(1, n % 20), "to": "y"}
        for n in range(20)
    ]
    lines = infer(tmp_path, {"users": USERS, "orders": docs})
    start = lines.index("      id: {type: int4, from: _id}")
    names = [line.split(":")[0].strip() for line in lines[start : start + 5]]
    assert names in (["id", '"user"', "name", '"to"', "at"], ["id", "user", "name", "to", "at"])
    assert 'in SQL it stands in quotes: "user"' in find(lines, "user:")
    assert 'in SQL it stands in quotes: "to"' in find(lines, "to:")


DOCS: list[Document] = [
    {
        "_id": n,
        "a": n,
        "b": f"x{n}",
        "maybe": f"y{n}" if n % 2 else None,
        "mixed": f"z{n}" if n % 30 else n,
        "at": START,
        "tags": ["t"],
        "any": [1, "a"],
        "geo": {"type": "Point", "coordinates": [1.5, 2.5]},
        "addr": {"city": "Paris"},
        "items": [{"sku": f"s{n}", "n": n}],
    }
    for n in range(60)
]
INDEXES: list[tuple[Document, str]] = [
    ({"key": {"a": 1}}, "- a  # i"),
    ({"key": {"a": -1}}, "- a  # i"),
    ({"key": {"a": 1, "b": -1}}, "- [a, -b]  # i"),
    ({"key": {"_id": 1, "b": -1}}, "- [id, -b]  # i"),
    ({"key": {"addr.city": 1}}, "- addr_city  # i"),
    ({"key": {"b": "hashed"}}, "- {columns: [b], method: hash}  # i"),
    ({"key": {"tags": 1}}, "- {columns: [tags], method: gin}  # i"),
    ({"key": {"any": 1}}, "- {columns: [any], method: gin}  # i"),
    (
        {"key": {"tags": 1}, "unique": True},
        "- {columns: [tags], method: gin}  # i, unique there, which PostgreSQL has not for elements",
    ),
    ({"key": {"items.sku": 1, "items.n": -1}}, "- [sku, -n]  # i"),
    ({"key": {"items.sku": 1}, "unique": True}, "- sku  # i, unique there for each document"),
    ({"key": {"items.sku": 1, "a": 1}}, "# index i: it spans two tables: doc_items.sku, docs.a"),
    ({"key": {"nowhere": 1}}, "# index i: no column reads nowhere"),
    ({"key": {"b": 1}, "sparse": True}, '- {columns: [b], where: "b IS NOT NULL"}  # i'),
    (
        {"key": {"a": 1, "b": 1}, "sparse": True, "unique": True},
        (
            '- {columns: [a, b], where: "a IS NOT NULL OR b IS NOT NULL",'
            ' unique: "nulls not distinct"}  # i'
        ),
    ),
    (
        {"key": {"a": 1, "mixed": 1}, "unique": True},
        "- {columns: [a, mixed], unique: true}  # i, values that do not fit are not compared",
    ),
    (
        {"key": {"b": 1}, "unique": True, "partialFilterExpression": {"a": {"$gt": 5}}},
        '- {columns: [b], where: "a > 5", unique: "nulls not distinct"}  # i',
    ),
    (
        {
            "key": {"b": 1},
            "partialFilterExpression": {
                "$or": [{"a": {"$in": [1, 2]}}, {"b": {"$exists": True}, "maybe": None}],
                "at": {"$gte": {"$date": "2025-01-01T00:00:00Z"}},
            },
        },
        (
            '- {columns: [b], where: "(a IN (1, 2) OR b IS NOT NULL AND maybe IS NULL)'
            " AND at >= '2025-01-01T00:00:00+00:00'\"}  # i"
        ),
    ),
    (
        {"key": {"b": 1}, "partialFilterExpression": {"a": {"$mod": [2, 0]}}},
        "- b  # i, there only where {'a': {'$mod': [2, 0]}}",
    ),
    (
        {"key": {"b": 1}, "unique": True, "collation": {"locale": "fr", "strength": 2}},
        "- b  # i, there with the collation fr, strength 2, unique there",
    ),
    (
        {"key": {"_fts": "text", "_ftsx": 1}, "weights": {"b": 1, "addr.city": 5}},
        "# search: {body: [b, addr_city], language: en, weights: {addr_city: 5}}: the text index i",
    ),
    (
        {
            "key": {"_fts": "text", "_ftsx": 1},
            "weights": {"b": 2, "nowhere": 9, "addr.city": 1_000},
            "default_language": "none",
        },
        (
            "# search: {body: [b, addr_city], language: simple, weights: {b: 0.2, addr_city: 100}};"
            " no column reads nowhere: the text index i"
        ),
    ),
    (
        {"key": {"geo": "2dsphere"}},
        (
            "# index i: 2dsphere on geo, for PostGIS: CREATE INDEX ON docs USING gist"
            " ((ST_MakePoint(geo_coordinates[1], geo_coordinates[2])::geography))"
        ),
    ),
    (
        {"key": {"any": "2dsphere"}},
        (
            "# index i: 2dsphere on any, for PostGIS: CREATE INDEX ON docs USING gist"
            ' ((ST_GeomFromGeoJSON("any"::text)::geography))'
        ),
    ),
    ({"key": {"addr": "2dsphere"}}, "# index i: 2dsphere on addr, for PostGIS"),
    ({"key": {"$**": 1}}, "# index i: all fields"),
    (
        {"key": {"any.$**": 1}},
        '# index i: all fields of any: CREATE INDEX ON docs USING gin ("any")',
    ),
]


@pytest.mark.parametrize(("index", "line"), INDEXES, ids=[str(index) for index, _ in INDEXES])
def test_an_index_of_the_source(tmp_path: Path, index: Document, line: str) -> None:
    lines = infer(tmp_path, {"docs": DOCS}, indexes={"docs": [{"name": "i", **index}]})
    listed = [text.strip() for text in lines if text.startswith("      ")]
    assert line in listed


@pytest.mark.parametrize(
    ("index", "line"),
    [
        ({"key": {"b": 1}}, 'b: {type: text, unique: "nulls not distinct"}  # string'),
        ({"key": {"b": 1}, "sparse": True}, "b: {type: text, unique: true}  # string"),
        ({"key": {"mixed": 1}}, "mixed: {type: text, unique: true}  # string in 58"),
        (
            {"key": {"maybe": 1}},
            'maybe: {type: text, unique: "nulls not distinct", absent: null}  # string',
        ),
    ],
)
def test_a_unique_index_of_one_field(tmp_path: Path, index: Document, line: str) -> None:
    listed = {"docs": [{"name": "i", "unique": True, **index}]}
    lines = infer(tmp_path, {"docs": DOCS}, indexes=listed)
    assert find(lines, line.split(":", maxsplit=1)[0] + ":").startswith(line)


def test_what_repeats_in_a_key_is_told(tmp_path: Path) -> None:
    docs: list[Document] = [
        {"_id": n % 18, "code": f"c{n % 19}", "free": n % 3, "none": None} for n in range(20)
    ]
    indexes: list[Document] = [
        {"name": name, "key": {name: 1}, "unique": True} for name in ("code", "none")
    ]
    lines = infer(tmp_path, {"docs": docs}, indexes={"docs": indexes})
    repeated = "of 20 values looked at"
    assert find(lines, "id:").endswith(f"{repeated} 2 repeat others: their documents are rejects")
    assert f"{repeated} 1 repeats others: a plain index is made" in find(lines, "code:")
    assert sum(repeated in line for line in lines) == 2


END = 9_224_318_016_000_000
"""Milliseconds to the first moment that PostgreSQL does not have."""

FAR = DatetimeMS(END)


@pytest.mark.parametrize(
    ("make", "odd", "is_plain"),
    [
        (lambda n: START + dt.timedelta(n), [FAR, DatetimeMS(END + 1)], True),
        (lambda n: START + dt.timedelta(n), [DatetimeMS(END - 1)], False),
        (str, ["with \0", "more \0"], True),
        (str, ["x" * 5_000, ""], False),
        (lambda n: Decimal128(f"{n}.5"), [Decimal128("-0"), Decimal128("1E+3")], True),
        (lambda n: Decimal128(f"{n}.5"), [Decimal128("700.25")], False),
        (lambda n: n + 0.5, [-0.0], False),
    ],
)
@pytest.mark.parametrize("path", ["a", "in.a"])
def test_a_value_that_no_cell_holds_makes_a_unique_key_plain(
    project: Project,
    tmp_path: Path,
    make: Callable[[int], object],
    odd: list[object],
    *,
    is_plain: bool,
    path: str,
) -> None:
    """Two NULLs that stand for values would collide where NULL is not distinct."""
    docs: list[Document] = []
    for n, value in enumerate([*map(make, range(200)), *odd]):
        found = {"a": value, "near": FAR}
        docs.append({"_id": n, "one": 1, **(found if path == "a" else {"in": found})})
    for key in ({path: 1}, {"one": 1, path: -1}):
        dump = write_dump(tmp_path / "app", {"docs": docs})
        content = {"indexes": [{"name": "i", "unique": True, "key": key}]}
        (dump / "docs.metadata.json").write_text(json.dumps(content))
        project.path.unlink(missing_ok=True)
        report = project.migrate(dump, confirm=confirm)
        text = project.path.read_text()
        assert ("unique: true" in text) == is_plain
        assert ('unique: "nulls not distinct"' in text) != is_plain
        assert ("values that do not fit are not compared" in text) == is_plain
        assert report.findings == []
        project.undo(confirm=confirm)


def test_a_tag_inside_of_another_value_is_none(tmp_path: Path) -> None:
    """What looks like the field, but stands in a text or deeper, is looked at and left."""
    field = b"\x09a\0" + b"\xff" * 8
    docs: list[Document] = [
        {"_id": n, "b": field.decode("latin-1"), "deep": {"a": FAR}, "a": START} for n in range(9)
    ]
    index: Document = {"name": "i", "unique": True, "key": {"a": 1, "_id": 1}}
    lines = infer(tmp_path, {"docs": docs}, indexes={"docs": [index]})
    assert any('unique: "nulls not distinct"' in line for line in lines)
    for n, each in enumerate(docs):
        each |= {"b": "", "deep": {"a": START}, "a": START if n < 8 else FAR}
    lines = infer(tmp_path, {"docs": docs}, indexes={"docs": [index]})
    assert any("unique: true" in line for line in lines)


def test_what_a_validator_requires_and_every_row_has_is_not_null(tmp_path: Path) -> None:
    schema = {"required": ["b", "maybe", "addr", 7], "properties": {"addr": {"required": ["city"]}}}
    options: Document = {"validator": {"$jsonSchema": schema}}
    lines = infer(tmp_path, {"docs": DOCS}, indexes={"docs": []}, options=options)
    assert find(lines, "b:") == "b: {type: text, not_null: true}  # string"
    assert "not_null" not in find(lines, "maybe:")
    assert "not_null: true" in find(lines, "addr_city:")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '{"indexes": 7, "options": []}',
        '{"indexes": [7, {}, {"key": 7}, {"key": {}}, {"key": {"_id": 1}}]}',
        '{"options": {"validator": {"$jsonSchema": {"required": 7, "properties": 8}}}}',
        '{"indexes": [{"key": {"a": {"$numberInt": "x"}}}]}',
        "[" * 100_000,
    ],
)
def test_metadata_that_cannot_be_read_say_nothing(text: str) -> None:
    assert read_metadata(text) == Metadata()


def test_ids_are_thinned_out_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "MOST_IDS", 100)
    raws = [bson.encode({"_id": make_id(1, n)}) for n in range(1_000)]
    whole, parts = Joins(), Joins()
    whole.add_all(raws)
    for start in range(0, 1_000, 130):
        part = Joins()
        part.add_all(raws[start : start + 130])
        parts.merge(Joins.from_json(json.loads(json.dumps(part.as_json()))))
    ids = whole.ids["_id"]
    assert 25 <= len(ids.numbers) <= 100
    assert ids.total == 1_000
    assert sorted(ids.numbers) == sorted(parts.ids["_id"].numbers)
    assert ids.bound == parts.ids["_id"].bound


def test_the_same_with_any_number_of_workers(tmp_path: Path) -> None:
    docs: list[Document] = [
        {"_id": n, "user": make_id(1, n % 20), "text": "x" * 500} for n in range(2_000)
    ]
    dump = write_dump(tmp_path / "app", {"users": USERS, "orders": docs})
    texts = []
    for workers in (1, 2):
        settings = {"workers": workers, "load.chunk_bytes": 100_000}
        proposal = Project(tmp_path, settings=settings).infer(dump)
        texts.append(dump_manifest(proposal.manifest, comments=proposal.comments))
    assert texts[0] == texts[1]
    assert "values looked at are users._id" in texts[0]


def test_documents_that_are_no_bson_leave_nothing() -> None:
    raw = bson.encode({"_id": make_id(1, 1), "user": make_id(1, 2), "deep": [{"a": make_id(1, 3)}]})
    for cut in range(len(raw)):
        for damaged in (raw[:cut], raw[:cut] + b"\xff" + raw[cut + 1 :]):
            Joins().add_all([damaged])
