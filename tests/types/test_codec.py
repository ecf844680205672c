"""Every form of every codec: a column form gives what the scalar form gives, value by value."""

from __future__ import annotations

import struct
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracle import readable, values
from tests.oracle.equality import differences
from tests.oracle.fits import find_fit
from tests.oracle.values import Elements, write_document
from tests.oracle.walk import parse

from assise.errors import CellError
from assise.types.codec import decode_each
from assise.types.table import KINDS, TYPES, find_codec, is_array
from assise.types.wire import Cell, strip_length

SAMPLES: dict[int, Elements] = {
    0x01: values.doubles | readable.whole_doubles,
    0x02: values.strings | readable.strings_of(readable.ALL_TEXTS) | readable.pointers,
    0x05: values.binaries | values.uuids,
    0x07: values.ids,
    0x08: values.bools,
    0x09: values.dates | readable.midnights,
    0x10: values.int32s,
    0x12: values.int64s,
    0x13: values.decimals | readable.whole_decimals,
    0x11: readable.timestamps,
    0x03: readable.dbrefs,
}
"""Type byte -> values of that kind; where an array is wanted, arrays of these."""

CELL_BYTES = {"uuid": 16, "bool": 1, "int4": 4, "int8": 8, "float8": 8, "timestamptz": 8}

BINARIES = {"binary", "binary_2", "binary_255"}
CODECS = [
    (name, kind)
    for name, found in TYPES.items()
    for kind in found.codecs
    if kind not in {"any", "every"} and (name != "bytea" or kind in BINARIES)
]
CODECS += [(name, "pointer(C)") for name in ("text", "uuid", "int8")]
CODECS += [(name, "dbref(c)") for name in ("text", "uuid[]", "int4")]
CODECS += [("varchar(9)", "string"), ("numeric(9,2)", "number"), ("timestamptz(1)[]", "iso3")]
READS = {"timestamptz": ["", "seconds", "ticks"], "uuid": ["", "java", "csharp"]}


def of_codec(name: str, kind: str, *, is_home: bool = True) -> Elements:
    """Values of the kinds that a codec takes, or of those that are at home."""
    codec = find_codec(name.removesuffix("[]"), kind)
    kinds = codec.encode if is_home else {**codec.encode, **codec.read}
    scalars: Elements = st.one_of([SAMPLES[byte] for byte in kinds])
    if not is_array(name):
        return scalars
    items = scalars | values.nulls
    return st.lists(items, max_size=4).map(lambda found: (0x04, values.write_array(found)))


def has_no_inner_nul(element: values.Element) -> bool:
    """What a shape takes for a string: all up to its first NUL, with the right length."""
    code, value = element
    return code != 0x02 or b"\0" not in value[4:-1]


@pytest.mark.parametrize(("name", "kind"), CODECS)
@settings(max_examples=25)
@given(data=st.data())
def test_an_encoder_agrees_with_the_oracle_and_many_values_with_one(
    name: str, kind: str, data: st.DataObject
) -> None:
    drawn = of_codec(name, kind, is_home=False)
    elements = data.draw(st.lists(drawn, min_size=1, max_size=6))
    base = name.removesuffix("[]")
    reads = data.draw(st.sampled_from(READS.get(base, [""])))
    codec = find_codec(name, kind, reads)
    for code, raw in elements:
        field, end, is_home = codec.hold(code)(raw, 0)
        value = parse(write_document([(b"v", (code, raw))])).fields[0][1]
        fit = find_fit(value, name, kind, reads)
        assert (field is not None, is_home) == (fit.fits, fit.home)
        assert end == len(raw) or not fit.fits
        assert codec.is_cell_of((code, raw), None if field is None else strip_length(field))
    for code in {code for code, _ in elements if code in codec.encode}:
        raws = [value for other, value in elements if other == code]
        alike = [raw for raw in raws if has_no_inner_nul((code, raw))]
        if alike:
            expected = [codec.encode[code](raw, 0)[0] for raw in alike]
            assert codec.column_encoder(code)(alike) == expected


@pytest.mark.parametrize(("name", "kind"), CODECS)
@settings(max_examples=25)
@given(data=st.data())
def test_a_decoder_gives_back_what_was_encoded_and_many_cells_what_one_gives(
    name: str, kind: str, data: st.DataObject
) -> None:
    codec = find_codec(name, kind)
    strict = codec.decode_strictly or codec.decode
    decode_column = codec.decode_column or partial(decode_each, strict)
    elements = data.draw(st.lists(of_codec(name, kind), min_size=1, max_size=6))
    encoded = [(found, codec.encode[found[0]](found[1], 0)[0]) for found in elements]
    cells = [strip_length(field) for _, field in encoded if field is not None]
    originals = [element for element, field in encoded if field is not None]
    decoded = [codec.decode(cell) for cell in cells]
    assert [strict(cell) for cell in cells] == decoded
    for element, again in zip(originals, decoded, strict=True):
        assert differences(write_document([(b"v", element)]), write_document([(b"v", again)])) == []
    if cells:
        pieces = [b"%c%b\0%b" % (code, b"key", value) for code, value in decoded]
        assert decode_column(b"key", cells) == pieces


@pytest.mark.parametrize(("name", "kind"), [pair for pair in CODECS if pair[0] in CELL_BYTES])
@settings(max_examples=25)
@given(data=st.data())
def test_cells_that_sql_has_written_are_decoded_alike_or_left_to_one_by_one(
    name: str, kind: str, data: st.DataObject
) -> None:
    codec = find_codec(name, kind)
    size = CELL_BYTES[name]
    drawn = data.draw(st.lists(st.binary(min_size=size, max_size=size), min_size=1, max_size=6))
    cells = [Cell(content) for content in drawn]
    if codec.decode_column is None:
        return
    for cell, piece in zip(cells, codec.decode_column(b"key", cells), strict=True):
        try:
            code, value = (codec.decode_strictly or codec.decode)(cell)
        except CellError:
            assert piece is None or piece[:1] == b"\x09"  # infinite: its milliseconds overflow
        else:
            assert piece in {None, b"%c%b\0%b" % (code, b"key", value)}


def test_every_kind_but_offset_has_a_codec() -> None:
    for name, kinds in KINDS.items():
        missing = [kind for kind in kinds if kind not in TYPES[name].codecs]
        assert missing == (["offset"] if TYPES[name].write_offset else [])


def test_an_infinite_timestamptz_is_refused_in_every_form() -> None:
    codec = find_codec("timestamptz", "date")
    for microseconds in ((1 << 63) - 1, -(1 << 63)):
        cell = Cell(struct.pack(">q", microseconds))
        with pytest.raises(CellError, match="infinite"):
            codec.decode(cell)
        assert codec.decode_column is not None
        assert codec.decode_column(b"key", [cell]) == [None]
