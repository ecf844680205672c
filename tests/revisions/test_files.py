"""Files of revisions: what is refused, and with which words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.revisions.changing import change, folder_of, revise

from assise.errors import ChangedError, RefusedError, UsageError
from assise.project import Project
from assise.revisions.files import parse_revision, read_folder
from assise.revisions.statements import narrow_update, read_statements

Query = Callable[..., list[tuple[object, ...]]]
HEAD = "-- assise: revision 0001 x\n-- assise: manifest ab\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT 1;", "its first lines"),
        (f"{HEAD}SELECT 1;", "x.sql:3: a statement before"),
        (f"{HEAD}-- assise: up\nSELEC 1;", 'x.sql:4: syntax error at or near "SELEC"'),
        (f"{HEAD}-- assise: up\nSELECT 1;\nCOMMIT;", "x.sql:5: COMMIT begins or ends"),
        (f"{HEAD}-- assise: up\n-- assise: bach users 10\nSELECT 1;", "x.sql:4: .*bach"),
        (f"{HEAD}-- assise: up\n-- assise: batch users ten\nSELECT 1;", "is no mark"),
        (f"{HEAD}-- assise: up\n-- assise: batch users 10\nSELECT 1;", "one UPDATE alone"),
        (f"{HEAD}-- assise: up\nSELECT 1;\n-- assise: and\nVACUUM a;", "x.sql:6: no transaction"),
        (f"{HEAD}-- assise: up\nSELECT 'open", "unterminated quoted string"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        assert parse_revision(text, file="0001_x.sql").up


@pytest.mark.parametrize(
    "drop",
    ["SCHEMA core CASCADE", "TYPE mood CASCADE", "EXTENSION citext CASCADE", "OWNED BY someone"],
)
def test_a_drop_that_does_not_name_what_holds_values_is_refused(drop: str) -> None:
    with pytest.raises(UsageError, match=r"x\.sql:2: DROP .* that it does not name"):
        read_statements(f"SELECT 1;\nDROP {drop}", file="x.sql")


def test_marks_inside_of_strings_are_none() -> None:
    text = f"{HEAD}-- assise: up\nSELECT '\n-- assise: down\n';\n-- assise: undoes 1\nSELECT 2;"
    revision = parse_revision(text, file="0001_x.sql")
    assert [block.undoes for block in revision.up] == [0, 1]
    assert revision.down == []


def test_an_update_is_narrowed_as_a_whole() -> None:
    text = "UPDATE users SET a = 1 WHERE b OR c IS NULL"
    expected = "UPDATE users SET a = 1 WHERE (b OR c IS NULL) AND id > 1"
    assert narrow_update(text, "id > 1") == expected


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["0001_a.sql", "0001_b.sql"], "0001_b.sql and 0001_a.sql have one number"),
        (["0001_a.sql", "0003_b.sql"], "revision 0002 is missing before 0003_b.sql"),
        (["first.sql"], "is not named as a revision"),
    ],
)
def test_doubled_and_missing_numbers_are_refused(
    tmp_path: Path, names: list[str], says: str
) -> None:
    for name in names:
        head = f"-- assise: revision {name[:4]} x\n-- assise: manifest ab\n"
        (tmp_path / name).write_text(head)
    with pytest.raises(UsageError, match=says):
        read_folder(tmp_path)


def test_an_edited_and_a_lost_file_are_refused(shop: Project) -> None:
    change(shop, "who buys", "buyers")
    revise(shop, "buyers")
    shop.revisions().apply()
    path = folder_of(shop) / "0002_buyers.sql"
    text = path.read_text()
    path.write_text(text.replace("buyers'", "clients'"))
    for verb in (shop.revisions().apply, shop.revisions().revert, shop.revisions().status):
        with pytest.raises(ChangedError, match=r"0002_buyers\.sql was edited after it began"):
            verb()
    path.unlink()
    with pytest.raises(ChangedError, match="its file is gone"):
        shop.revisions().apply()


def test_a_statement_that_the_server_refuses_is_named_with_its_line(shop: Project) -> None:
    change(shop, "who buys", "buyers")
    text = revise(shop, "buyers")
    path = folder_of(shop) / "0002_buyers.sql"
    path.write_text(text.replace("-- assise: up\n", "-- assise: up\n\nSELECT * FROM nowhere;\n"))
    with pytest.raises(UsageError, match=r'0002_buyers.sql:6: .*relation "nowhere" does not exist'):
        shop.revisions().lint()


def test_a_file_that_is_corrected_after_it_failed_is_applied_once_what_was_done_is_taken_back(
    shop: Project, query: Query
) -> None:
    change(shop, "indexes: [[state, -price]]", "indexes: [[state, -price], [price], [state]]")
    text = revise(shop, "indexes")
    path = folder_of(shop) / "0002_indexes.sql"
    path.write_text(text.replace("(state)", "(stat)", 1))
    with pytest.raises(
        RefusedError, match=r'0002_indexes\.sql:\d+: .*column "stat" does not exist'
    ):
        shop.revisions().apply()
    path.write_text(text)
    with pytest.raises(ChangedError, match="edited after it began") as caught:
        shop.revisions().apply()
    assert "schema revert" in caught.value.remedy
    shop.revisions().revert()
    assert query("SELECT state FROM assise.revision") == [("marked",)]
    shop.revisions().apply()
    assert shop.revisions().status().exit_code == 0
