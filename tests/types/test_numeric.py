"""Numerics as bytes, beside what a real PostgreSQL reads, prints and sends back."""

from __future__ import annotations

import random
import struct
from decimal import Decimal

import psycopg
import pytest
from bson.decimal128 import Decimal128
from tests.oracle.texts import print_decimal, print_float8, print_plain_double
from tests.oracle.values import DECIMALS, DOUBLE_BITS, DOUBLES, INTS

from assise.errors import CellError
from assise.types.decimals import (
    NUMERIC_CODECS,
    decimal_text,
    decode_decimal,
    decode_number,
    double_text,
    int_text,
)
from assise.types.numeric import read_numeric, write_numeric
from assise.types.wire import Cell

INT32, INT64, DOUBLE, DECIMAL = 0x10, 0x12, 0x01, 0x13
HEAD, END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"


def encode_int(raw: bytes) -> bytes:
    return write_numeric(int_text(raw))


def encode_double(raw: bytes) -> bytes | None:
    text = double_text(raw)
    return None if text is None else write_numeric(text)


def encode_decimal(raw: bytes) -> bytes | None:
    text = decimal_text(raw)
    return None if text is None else write_numeric(text)


def is_exact(raw: bytes) -> bool:
    """Whether a double is written with all its digits, where the shortest are another integer."""
    value: float = struct.unpack("<d", raw)[0]
    return 2**53 <= abs(value) < 2**64


def ask(database: str, cells: list[bytes]) -> list[tuple[str, bytes]]:
    """The text that PostgreSQL gives for each cell, and the bytes that it sends for it."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TEMP TABLE found (i serial, n numeric)")
        with connection.cursor().copy("COPY found (n) FROM STDIN (FORMAT binary)") as copy:
            copy.write(HEAD + b"".join([b"\0\1" + cell for cell in cells]) + END)
        return [
            (str(text), bytes(sent))
            for text, sent in connection.execute(
                "SELECT n::text, numeric_send(n) FROM found ORDER BY i"
            )
        ]


def ask_back(database: str, texts: list[str]) -> list[bytes]:
    """The bytes that PostgreSQL sends for numerics that SQL has written."""
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT numeric_send(t::numeric)"
            " FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, i) ORDER BY i",
            (texts,),
        )
        return [bytes(sent) for (sent,) in found]


def all_ints() -> list[int]:
    draw = random.Random(1)
    near = [
        sign * (base**power + off)
        for base in (2, 10)
        for power in range(64)
        for off in (-1, 0, 1)
        for sign in (1, -1)
    ]
    drawn = [draw.randrange(-(2 ** draw.randrange(1, 64)), 2**63) for _ in range(1000)]
    groups = [
        int(f"{a}{'0000' * n}{b}")
        for a in (1, 12, 1234, 9999)
        for n in range(4)
        for b in ("", "0001", "0010", "1000", "1234")
    ]
    return [
        value
        for value in dict.fromkeys([*INTS, *near, *drawn, *groups])
        if -(2**63) <= value < 2**63
    ]


def all_doubles() -> list[bytes]:
    draw = random.Random(2)
    fixed = [struct.pack("<Q", bits) for bits in DOUBLE_BITS] + [
        struct.pack("<d", value) for value in DOUBLES
    ]
    powers = [
        struct.pack("<d", float(f"{sign}{digits}e{power}"))
        for power in range(-323, 309, 3)
        for digits in ("1", "9.87654321")
        for sign in ("", "-")
    ]
    drawn = [struct.pack("<Q", draw.getrandbits(64)) for _ in range(1000)] + [
        struct.pack("<d", draw.randrange(10**7) / 100) for _ in range(500)
    ]
    return [*fixed, *powers, *drawn]


def all_decimals() -> list[bytes]:
    draw = random.Random(3)
    shapes = [
        (6176 + exponent << 113 | digits | sign << 127).to_bytes(16, "little")
        for exponent in (0, -1, -2, -3, -4, -5, -8, -33, -34, -35, -100, -6175, -6176, 1, 6000)
        for digits in (0, 1, 10, 100, 9999, 10000, 10**33, 10**34 - 1, 10**34, 1234567890123456789)
        for sign in (0, 1)
    ]
    drawn = [draw.randbytes(16) for _ in range(300)]
    small = [
        ((6176 - draw.randrange(12)) << 113 | draw.randrange(10**12)).to_bytes(16, "little")
        for _ in range(1000)
    ]
    return [
        *(bits.to_bytes(16, "little") for bits in DECIMALS),
        *shapes,
        *drawn,
        *small,
    ]


@pytest.mark.contract
def test_ints_of_both_widths_have_scale_0_and_come_back(database: str) -> None:
    values = all_ints()
    cells = [encode_int(struct.pack("<q", value)) for value in values]
    for value, cell, (text, sent) in zip(values, cells, ask(database, cells), strict=True):
        assert (text, sent) == (str(value), cell[4:])
        assert read_numeric(sent) == (text, 0)
        is_small = -(2**31) <= value < 2**31
        assert decode_number(sent) == (
            (INT32, struct.pack("<i", value)) if is_small else (INT64, struct.pack("<q", value))
        )
        if is_small:
            assert encode_int(struct.pack("<i", value)) == cell
    assert len(values) > 1500


@pytest.mark.contract
def test_doubles_are_their_shortest_decimal_with_a_place_and_come_back_bit_by_bit(
    database: str,
) -> None:
    raws = all_doubles()
    fitting = [(raw, cell) for raw in raws if (cell := encode_double(raw)) is not None]
    nans = {raw for raw in raws if struct.unpack("<d", raw)[0] != struct.unpack("<d", raw)[0]}
    assert set(raws) - {raw for raw, _ in fitting} == {bytes(7) + b"\x80"} | (
        nans - {bytes.fromhex("000000000000f87f")}
    )
    for (raw, cell), (text, sent) in zip(
        fitting, ask(database, [cell for _, cell in fitting]), strict=True
    ):
        is_finite = abs(struct.unpack("<d", raw)[0]) < float("inf")
        shortest = print_plain_double(raw) if is_finite else print_float8(raw)
        (double,) = struct.unpack("<d", raw)
        assert text == (f"{int(double)}.0" if is_exact(raw) else shortest)
        assert sent == cell[4:]
        assert decode_number(sent) == (DOUBLE, raw)
        assert read_numeric(sent)[0] == text
    assert len(fitting) > 1500


@pytest.mark.contract
def test_decimals_keep_coefficient_and_scale_and_come_back_byte_by_byte(database: str) -> None:
    raws = all_decimals()
    large = [raw for raw in raws if has_zeros_behind(raw)]
    assert [raw for raw in raws if encode_decimal(raw) is None] == [
        raw for raw in raws if print_decimal(raw) is None and raw not in large
    ]
    for raw, (text, _) in zip(
        large, ask(database, [encode_decimal(raw) or b"" for raw in large]), strict=True
    ):
        decimal = Decimal128.from_bid(raw).to_decimal()
        assert text == (format(decimal, "f") if decimal else "0")
    raws = [raw for raw in raws if raw not in large]
    fitting = [(raw, cell) for raw in raws if (cell := encode_decimal(raw)) is not None]
    for (raw, cell), (text, sent) in zip(
        fitting, ask(database, [cell for _, cell in fitting]), strict=True
    ):
        assert text == print_decimal(raw)
        assert sent == cell[4:]
        assert decode_decimal(sent) == (DECIMAL, raw)
    assert len(fitting) > 1000


@pytest.mark.contract
@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("10", INT32, struct.pack("<i", 10)),
        ("10.0", DOUBLE, struct.pack("<d", 10.0)),
        ("10.00", DOUBLE, struct.pack("<d", 10.0)),
        ("0.10", DOUBLE, struct.pack("<d", 0.1)),
        ("-0.0", DOUBLE, struct.pack("<d", 0.0)),
        ("1e3", INT32, struct.pack("<i", 1000)),
        ("9223372036854775807", INT64, struct.pack("<q", 2**63 - 1)),
        (
            "0.1000000000000000055511151231257827021181583404541015625",
            DOUBLE,
            struct.pack("<d", 0.1),
        ),
        ("1e-400", DOUBLE, struct.pack("<d", 0.0)),
        ("NaN", DOUBLE, bytes.fromhex("000000000000f87f")),
        ("Infinity", DOUBLE, struct.pack("<d", float("inf"))),
        ("-Infinity", DOUBLE, struct.pack("<d", float("-inf"))),
    ],
)
def test_numerics_that_sql_has_written_are_read(
    database: str, text: str, kind: int, value: bytes
) -> None:
    assert decode_number(ask_back(database, [text])[0]) == (kind, value)


@pytest.mark.contract
def test_what_bson_cannot_hold_is_an_error_that_names_the_value(database: str) -> None:
    big, long = ask_back(database, ["9223372036854775808", "1.2345678901234567890123456789012345"])
    with pytest.raises(
        CellError, match="9223372036854775808 is an integral number of more than 64 bits"
    ):
        decode_number(big)
    for text in ("1" + "0" * 5_000, "-1" + "0" * 5_000):
        with pytest.raises(
            CellError, match=r"^-?10{78,79} is an integral number of more than 64 bits$"
        ):
            decode_number(ask_back(database, [text])[0])
    for text in ("1e308", "-1e308"):
        assert decode_number(ask_back(database, [f"{int(float(text))}.5"])[0]) == (
            DOUBLE,
            struct.pack("<d", float(text)),
        )
        with pytest.raises(CellError, match=r"^-?10{78,79} is beyond the range of doubles$"):
            decode_number(ask_back(database, [text.replace("1e308", "1" + "0" * 309 + ".5")])[0])
    decode_strictly = NUMERIC_CODECS["number"].decode_strictly
    assert decode_strictly is not None
    with pytest.raises(CellError, match=r"^10{79} is not as a load"):
        decode_strictly(Cell(ask_back(database, ["1" + "0" * 5_000 + ".5"])[0]))
    with pytest.raises(
        CellError, match=r"1\.2345678901234567890123456789012345 has more digits than a Decimal128"
    ):
        decode_decimal(long)
    assert decode_decimal(ask_back(database, ["1.50"])[0]) == (DECIMAL, encode(150, -2))


def has_zeros_behind(raw: bytes) -> bool:
    """Whether a Decimal128 that is canonical, and not -0, has an exponent above 0."""
    bits = int.from_bytes(raw, "little")
    digits, exponent = bits & ((1 << 113) - 1), (bits >> 113 & 0x3FFF) - 6176
    is_canonical = bits >> 125 & 3 != 3 and digits < 10**34
    return is_canonical and exponent > 0 and not (bits >> 127 and digits == 0)


def encode(digits: int, exponent: int) -> bytes:
    assert Decimal(digits).scaleb(exponent)
    return ((6176 + exponent) << 113 | digits).to_bytes(16, "little")
