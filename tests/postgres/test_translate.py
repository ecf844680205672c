"""Errors of the server are ours by SQLSTATE, with what to do about them."""

from __future__ import annotations

import pytest

from assise.errors import (
    BusyError,
    ComputationError,
    DeniedError,
    DependentError,
    DuplicateKeyError,
    LimitError,
    RefusedError,
    SerializationError,
    TargetError,
    ViolationError,
)
from assise.postgres.connection import Connection


@pytest.mark.parametrize(
    ("state", "kind", "remedy"),
    [
        ("23505", DuplicateKeyError, ""),
        ("40001", SerializationError, ""),
        ("40P01", SerializationError, ""),
        ("55P03", BusyError, ""),
        ("2BP01", DependentError, "Drop what is named"),
        ("54000", LimitError, ""),
        ("54011", LimitError, ""),
        ("42501", DeniedError, "Grant the user what is missing"),
        ("53100", TargetError, "out of disk, memory or connections"),
        ("57P01", TargetError, "The connection was lost"),
        ("22003", ComputationError, "a defect of Assise"),
        ("42P01", RefusedError, ""),
        ("23502", ViolationError, ""),
        ("23503", ViolationError, ""),
        ("23514", ViolationError, ""),
    ],
)
def test_an_error_is_translated_by_its_state(
    database: str, state: str, kind: type[TargetError], remedy: str
) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'it failed' USING ERRCODE = '{state}'; END $$"
    with Connection(database) as connection, pytest.raises(TargetError, match="it failed") as error:
        connection.execute(raising)
    assert type(error.value) is kind
    assert remedy in error.value.remedy
    assert bool(remedy) == bool(error.value.remedy)
    assert error.value.__cause__ is not None


def test_rows_are_made_of_their_columns_by_name(database: str) -> None:
    with Connection(database) as connection:
        found = connection.fetch(dict[str, object], "SELECT %(n)s::int AS a, 'x' AS b", {"n": 7})
    assert found == [{"a": 7, "b": "x"}]
