"""Comments of a manifest as statements: what is changed, what is removed, what is left alone."""

from __future__ import annotations

import pytest
from tests.rows.rebuild import read_manifest

from assise.schema.comments import Comments, change_comments, find_comments
from assise.schema.script import script

PLAIN = {
    "assise": 1,
    "name": "shop",
    "tables": {
        'a"b': {
            "collection": "c",
            "primary_key": "id",
            "comment": "it's",
            "columns": {"id": {"type": "int4", "from": "_id", "comment": "a\\b"}, "n": "int4"},
        }
    },
}
TABLE, COLUMN = ("t", None), ("t", "n")


def test_the_script_ends_with_the_comments() -> None:
    manifest = read_manifest(PLAIN)
    assert find_comments(manifest) == {('a"b', None): "it's", ('a"b', "id"): "a\\b"}
    assert script(manifest, "public").splitlines()[-3:] == [
        'COMMENT ON TABLE "public"."a""b" IS \'it\'\'s\';',
        "",
        'COMMENT ON COLUMN "public"."a""b"."id" IS E\'a\\\\b\';',
    ]


@pytest.mark.parametrize(
    ("wanted", "found", "before", "expected"),
    [
        ({TABLE: "a"}, {}, {}, ['COMMENT ON TABLE "s"."t" IS \'a\'']),
        ({TABLE: "a"}, {TABLE: "a"}, {}, []),
        ({TABLE: "a"}, {TABLE: "b"}, {TABLE: "a"}, ['COMMENT ON TABLE "s"."t" IS \'a\'']),
        ({}, {COLUMN: "a"}, {COLUMN: "a"}, ['COMMENT ON COLUMN "s"."t"."n" IS NULL']),
        ({}, {COLUMN: "b"}, {COLUMN: "a"}, []),
        ({}, {COLUMN: "b"}, {}, []),
        ({}, {}, {COLUMN: "a"}, []),
    ],
)
def test_a_catalog_is_changed_where_it_differs_and_only_what_is_ours_is_removed(
    wanted: Comments, found: Comments, before: Comments, expected: list[str]
) -> None:
    assert change_comments(wanted, found, before, schema="s") == expected
