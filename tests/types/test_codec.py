"""Every form of every codec: a column form gives what the scalar form gives, value by value."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.oracle import readable, values
from tests.oracle.equality import differences
from tests.oracle.fits import find_fit
from tests.oracle.values import Elements, write_document
from tests.oracle.walk import parse

from assise.errors import CellError
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
CODECS += [("numeric(38,10)", "number"), ("numeric(20,0)[]", "number")]
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


@pytest.mark.parametrize(("name", "kind"), CODECS)
@settings(max_examples=25)
@given(data=st.data())
def test_an_encoder_agrees_with_the_oracle(name: str, kind: str, data: st.DataObject) -> None:
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


@pytest.mark.parametrize(("name", "kind"), CODECS)
@settings(max_examples=25)
@given(data=st.data())
def test_a_decoder_gives_back_what_was_encoded(name: str, kind: str, data: st.DataObject) -> None:
    codec = find_codec(name, kind)
    strict = codec.decode_strictly or codec.decode
    elements = data.draw(st.lists(of_codec(name, kind), min_size=1, max_size=6))
    encoded = [(found, codec.encode[found[0]](found[1], 0)[0]) for found in elements]
    cells = [strip_length(field) for _, field in encoded if field is not None]
    originals = [element for element, field in encoded if field is not None]
    decoded = [codec.decode(cell) for cell in cells]
    assert [strict(cell) for cell in cells] == decoded
    for element, again in zip(originals, decoded, strict=True):
        assert differences(write_document([(b"v", element)]), write_document([(b"v", again)])) == []


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
