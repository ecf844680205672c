from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assise.infer.names import Names, TableNames, column_name, singular, snake_case
from assise.manifest.names import shorten


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fullName", "full_name"),
        ("HTTPServer", "http_server"),
        ("userID", "user_id"),
        ("imageURLs", "image_urls"),
        ("address2Line", "address2_line"),
        ("Film Title", "film_title"),
        ("a-b--c", "a_b_c"),
        ("a.b", "a_b"),
        ("a__b", "a_b"),
        ("__v", "__v"),
        ("class_", "class_"),
        ("unit price ($)", "unit_price"),
        ("$ref", "ref"),
        ("ÉtatCivil", "état_civil"),
        ("Имя", "имя"),
        ("名前", "名前"),
        ("e\u0301te\u0301", "été"),
        ("\ufeffname", "name"),
        ("a\tb\x07c", "abc"),
        ("2fa", "_2fa"),
        ("", "empty"),
        ("😀", "grinning_face"),
        ("_", "_"),
        ("select", "select"),
        ("_extra", "_extra"),
    ],
)
def test_snake_case(text: str, expected: str) -> None:
    assert snake_case(text) == expected


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["address", "city"], "address_city"),
        (["address", "geoPoint", "latE6"], "address_geo_point_lat_e6"),
        (["_id"], "id"),
        (["owner", "_id"], "owner_id"),
        (["a", ""], "a_empty"),
        (["", "a"], "empty_a"),
        (["xmin"], "xmin_"),
        (["ctid"], "ctid_"),
        (["CTID"], "ctid_"),
        (["a_", "_b"], "a_b"),
    ],
)
def test_column_name(keys: list[str], expected: str) -> None:
    assert column_name(keys) == expected


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        ("projects", "project"),
        ("categories", "category"),
        ("boxes", "box"),
        ("addresses", "address"),
        ("status", "status"),
        ("statuses", "status"),
        ("branches", "branch"),
        ("houses", "house"),
        ("courses", "course"),
        ("analysis", "analysis"),
        ("movies", "movie"),
        ("people", "person"),
        ("user_people", "user_person"),
        ("data", "data"),
        ("s", "s"),
        ("as", "as"),
        ("", ""),
    ],
)
def test_singular(plural: str, expected: str) -> None:
    assert singular(plural) == expected


@given(st.text(max_size=80))
def test_every_key_has_a_name_that_postgresql_can_hold(key: str) -> None:
    name = Names().take(column_name([key]))
    assert name
    assert "\0" not in name
    assert len(name.encode()) <= 63
    assert name == Names().take(column_name([key]))


def test_long_names_are_cut_between_characters_and_told_apart() -> None:
    long = "é" * 60
    assert len(shorten(long).encode()) == 63
    assert shorten(long + "a") != shorten(long + "b")
    names = Names()
    taken = [names.take(long) for _ in range(12)]
    assert len(set(taken)) == 12
    assert max(len(name.encode()) for name in taken) <= 63
    assert taken[1].endswith("_2")


def test_names_are_given_once() -> None:
    names = Names(["id"])
    assert [names.take(name) for name in ("id", "a_b", "a_b", "a_b_2", "a_b")] == [
        "id_2",
        "a_b",
        "a_b_2",
        "a_b_2_2",
        "a_b_3",
    ]


def test_no_table_has_the_name_of_the_index_of_another() -> None:
    names = TableNames()
    assert [names.take(name) for name in ("users", "users_pkey", "users")] == [
        "users",
        "users_pkey_2",
        "users_2",
    ]
    other = TableNames()
    assert [other.take(name) for name in ("users_pkey", "users")] == ["users_pkey", "users_2"]
    assert len(other.take("x" * 63)) == 58
