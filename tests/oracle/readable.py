"""Values that columns of a type read, or nearly read, and values that are at home in a kind."""

from __future__ import annotations

import struct

from hypothesis import strategies as st
from tests.oracle import values
from tests.oracle.values import Elements, write_text

ISO_TEXTS = """2024-03-01T00:00:00Z 2024-03-01T00:00:00.000Z 2024-03-01T00:00:00.120Z
2024-03-01T01:00:00+01:00 2024-03-01T00:00:00.1234567Z 2024-03-01T00:00:00.123456789Z
2024-02-30T00:00:00Z 0001-01-01T00:00:00+10:00 9999-12-31T23:59:59.999999Z
9999-12-31T23:59:59-15:59 2024-03-01T24:00:00Z 2024-03-01T23:59:60Z 0000-01-01T00:00:00Z
2024-03-01T00:00:00.5+16:00 2024-03-01T00:00:00-00:00 2024-03-01t00:00:00z 2024-03-01T00:00:00
1999-12-31T23:59:59.9999999Z 2024-03-01T00:00Z 2024-02-29T12:34:56.789Z 2023-02-29T12:34:56Z
0001-01-01T00:00:00Z 2024-03-01T00:00:00.Z 2024-03-01T00:00:00.100000Z""".split()
DAY_TEXTS = "2024-02-29 2023-02-29 0001-01-01 9999-12-31 0000-12-31 2024-3-01 1600-02-29".split()
NUMBER_TEXTS = """0 -0 7 -7 007 19.90 19.9 -0.00 1e5 +1 .5 5. 12345678.90 123456789.12 9223372036854775807
9223372036854775808 -9223372036854775808 32767 32768 2147483648 0.001 100000000000000000000.5
-100.10 12345678901234567890123456789012345""".split()
ID_TEXTS = """507f1f77bcf86cd799439011 507F1F77BCF86CD799439011 507f1f77bcf86cd79943901
c0a80101-1234-5678-9abc-def012345678 C0A80101-1234-5678-9ABC-DEF012345678
507f1f77-bcf8-86cd-8799-439011000000 c0a801011-234-5678-9abc-def012345678
c0a8010112345678-9abcdef012345678-""".split()
BOOL_TEXTS = "true false True 1 0 t".split()
ALL_TEXTS = [*ISO_TEXTS, *DAY_TEXTS, *NUMBER_TEXTS, *ID_TEXTS, *BOOL_TEXTS]


def strings_of(texts: list[str]) -> Elements:
    """Strings among these texts."""
    return st.sampled_from(texts).map(lambda text: (0x02, write_text(text.encode())))


def doubles_of(numbers: list[float]) -> Elements:
    """Doubles among these numbers."""
    return st.sampled_from(numbers).map(lambda number: (0x01, struct.pack("<d", number)))


iso_texts = strings_of(ISO_TEXTS)
number_texts = strings_of(NUMBER_TEXTS)
id_texts = strings_of(ID_TEXTS)
whole_doubles = doubles_of(
    [0.0, 1.0, -1.0, -0.0, 7.0, 40000.0, -(2.0**31), 2.0**31, 2.0**53, 2.0**63, -(2.0**63),
     591999874540904448.0, 1.8446744073709552e19, 1e23]
) | st.integers(-(10**6), 10**6).map(lambda n: (0x01, struct.pack("<d", float(n))))  # fmt: skip
small_ints = st.integers(-9, 9).map(lambda n: (0x10, struct.pack("<i", n))) | st.integers(
    -40_000, 40_000
).map(lambda n: (0x12, struct.pack("<q", n)))
epochs = st.sampled_from([1_709_251_200, 1_709_251_200_123, 638_448_480_000_000_001]).map(
    lambda n: (0x12, struct.pack("<q", n))
) | doubles_of([1_709_251_200.5, 1_709_251_200_123.25, 1e300, float("inf")])
whole_decimals = st.sampled_from(["5", "5.0", "5E+1", "-7", "-0", "1E+6000", "19.90", "NaN"]).map(
    lambda text: (0x13, values.decimal_bytes(text))
)
midnights = st.integers(-800_000, 800_000).map(
    lambda days: (0x09, struct.pack("<q", days * 86_400_000))
) | st.sampled_from([-210866803200000, -210866889600000, 185331707078400000]).map(
    lambda ms: (0x09, struct.pack("<q", ms))
)
timestamps = st.integers(0, 2**64 - 1).map(lambda n: (0x11, n.to_bytes(8, "little")))
binary_uuids = st.builds(
    lambda subtype, content: (0x05, values.write_binary(subtype, content)),
    st.sampled_from([3, 4]),
    st.binary(min_size=16, max_size=16)
    | st.just(bytes.fromhex("507f1f77bcf886cd8799439011000000")),
)
POINTERS = ["C$507f1f77bcf86cd799439011", "C$507F1F77BCF86CD799439011", "C$7", "C$", "D$7", "C$x",
            "C$c0a80101-1234-5678-9abc-def012345678", "C$007", "C$40000"]  # fmt: skip
pointers = strings_of(POINTERS)


def _write_dbref(name: bytes, target: values.Element) -> values.Element:
    return 0x03, values.write_document([(b"$ref", (0x02, write_text(name))), (b"$id", target)])


def dbrefs_to(targets: Elements) -> Elements:
    """DBRefs to these ids, most of them in the collection c."""
    return st.builds(_write_dbref, st.sampled_from([b"c"] * 7 + [b"d"]), targets)


dbrefs = dbrefs_to(
    st.one_of(values.ids, small_ints, small_ints, values.names, values.names, binary_uuids)
)


def _write(text: str) -> values.Element:
    return 0x02, write_text(text.encode())


READ: dict[str, Elements] = {
    "uuid": st.one_of(id_texts, id_texts, values.ids, binary_uuids),
    "text": st.one_of(small_ints, values.ids, id_texts, values.int64s),
    "varchar": st.one_of(small_ints, values.ids, values.int64s),
    "citext": st.one_of(small_ints, values.ids),
    "bool": st.one_of(strings_of(BOOL_TEXTS), small_ints, whole_doubles),
    "int2": st.one_of(number_texts, whole_doubles, whole_decimals, small_ints),
    "int4": st.one_of(number_texts, whole_doubles, whole_decimals, small_ints),
    "int8": st.one_of(number_texts, whole_doubles, whole_decimals, small_ints),
    "float8": st.one_of(small_ints, values.int64s),
    "numeric": st.one_of(number_texts, whole_decimals, values.decimals, values.numbers),
    "timestamptz": st.one_of(iso_texts, iso_texts, values.dates, timestamps, epochs),
    "date": st.one_of(strings_of(DAY_TEXTS), midnights),
    "bytea": values.binaries,
}
"""Base type -> values of which most are read."""

plain_moments = st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat())


def iso_homes(ending: str) -> Elements:
    """ISO texts, of which most are at home where texts have this ending."""
    texts = plain_moments.map(lambda text: (0x02, write_text((text + ending).encode())))
    return st.one_of(iso_texts, texts, texts, texts)


amount_texts = st.integers(0, 10**6).map(lambda n: _write(f"{n // 100}.{n % 100:02}"))
HOME: dict[str, Elements] = {
    "int": values.int32s | values.int64s | small_ints,
    "double": whole_doubles | values.doubles,
    "text": number_texts | strings_of(DAY_TEXTS) | amount_texts,
    "iso": iso_homes("Z"),
    "iso3": iso_homes(".000Z"),
    "decimal": values.decimals
    | st.integers(-(10**6), 10**6).map(
        lambda n: (0x13, values.decimal_bytes(f"{n}.{abs(n) % 100:02}"))
    ),
    "hex": id_texts | st.binary(min_size=12, max_size=12).map(lambda raw: _write(raw.hex())),
    "uuid_text": id_texts | st.uuids().map(lambda found: _write(str(found))),
    "pointer(C)": pointers,
    "dbref(c)": dbrefs,
}
"""Kind -> values of which most are at home, where no strategy has the kind's name."""

anything_readable: Elements = st.one_of(
    strings_of(ALL_TEXTS), whole_doubles, small_ints, midnights, pointers, dbrefs, binary_uuids
)
