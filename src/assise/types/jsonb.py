"""`jsonb`: how its cells are written, and read leniently or strictly, by the rules of a load.

Its values are written by the counting writers of `assise.rows`. A lenient reader takes what SQL may
write; a strict one refuses what no load writes: a number, a key or a wrapper spelled otherwise.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from json import JSONDecoder

from assise.documents.extjson import (
    ESCAPES,
    FIRST_ESCAPES,
    FIRST_JSONB,
    JSONB,
    Dialect,
    Escapes,
    JsonWriter,
)
from assise.documents.extjson_reader import (
    Check,
    FieldNames,
    Form,
    Json,
    Pieces,
    read_pieces,
    read_unnameable,
    read_value,
    read_wrapper,
)
from assise.documents.kinds import ARRAY, CODE_WITH_SCOPE, DOCUMENT
from assise.documents.numbers import plain_double
from assise.documents.reader import elements
from assise.documents.writer import Element, enclose
from assise.errors import CellError
from assise.types.codec import Codec
from assise.types.numeric import read_finite
from assise.types.wire import Cell, CopyField, add_length

LARGE_BYTES = 1 << 20
"""A larger cell is read piece by piece: slower, in little memory."""

ORDERED = frozenset({DOCUMENT, ARRAY, CODE_WITH_SCOPE})
"""Kinds in which the order of fields counts inside an `_id`, and which jsonb does not keep."""

JsonbObject = dict[str, Json]
ReadJsonb = Callable[[Cell, FieldNames], Json]
"""A cell and the names that are looked up one by one -> its JSON value."""

_VERSION = b"\x01"
_NOTHING: FieldNames = {}


def jsonb_field(text: str) -> CopyField:
    """The field of a JSON text."""
    return add_length(b"%b%b" % (_VERSION, text.encode()))


def _read_any_int(text: str) -> int | float:
    return int(text) if len(text) <= 20 else read_finite(text)


_lenient = JSONDecoder(parse_float=read_finite, parse_int=_read_any_int)


@dataclass(frozen=True)
class JsonbForm:
    """The jsonb form by the rules of a load, which differ in the keys that are escaped."""

    dialect: Dialect
    escapes: Escapes
    form: Form

    def read(self, cell: Cell, known: FieldNames = _NOTHING) -> Json:
        """Read a cell that SQL may have written."""
        return self._read(cell, known, _lenient.decode, _let_all_pass)

    def strict_reader(self) -> ReadJsonb:
        """Make a reader of cells as a load writes them."""
        decoder = JSONDecoder(parse_float=_read_float, parse_int=_read_int)
        return partial(self._read_strictly, decoder.decode)

    def value(self, value: Json) -> Element:
        """The value that a JSON value stands for."""
        return read_value(value, form=self.form)

    def _read_strictly(
        self, loads: Callable[[str], Json], cell: bytes, known: FieldNames = _NOTHING
    ) -> Json:
        if b'"$' not in cell:
            return self._read(cell, known, loads, _let_all_pass)
        value = self._read(cell, known, loads, self._check_spelling)
        self._check_spelling(value, known)
        return value

    def _read(
        self, cell: bytes, known: FieldNames, loads: Callable[[str], Json], check: Check
    ) -> Json:
        if len(cell) > LARGE_BYTES:
            return read_pieces(cell, 1, known, loads=loads, check=check, form=self.form)
        return loads(cell[1:].decode())

    def _check_spelling(self, value: Json, known: FieldNames = _NOTHING, depth: int = 0) -> None:
        """Refuse what the jsonb form spells otherwise `depth` levels below its root.

        How a wrapper is spelled depends on its depth: below 100 levels a value is `$bson`.
        """
        if isinstance(value, list):
            for item in value:
                self._check_spelling(item, depth=depth + 1)
        elif isinstance(value, dict):
            element = read_wrapper(value, form=self.form)
            if "$bson" in value:
                self._check_bson(value)
            if element is None:
                for name, item in value.items():
                    self._check_name(name, known)
                    self._check_spelling(item, known.get(name, _NOTHING), depth + 1)
            elif isinstance(value.get("$scope"), Pieces):
                self._check_spelling(value["$scope"], depth=depth + 1)
            elif "$bson" not in value:
                text, _ = self._writer().value(*element, 0, depth)
                if _lenient.decode(text) != value:
                    raise CellError(f"{str(value)[:80]} is not how the jsonb form spells it")

    def _check_name(self, name: str, known: FieldNames) -> None:
        is_ours = name == "$bson" or name in known
        if not is_ours and self.escapes.escape(self.escapes.unescape(name)) != name:
            raise CellError(f"the key {name} in jsonb is not escaped as the jsonb form escapes it")

    def _check_bson(self, value: JsonbObject) -> None:
        """Refuse a `$bson` with what the jsonb form spells out, or with nothing."""
        document = enclose(read_unnameable(value))
        if b64encode(document).decode() == value["$bson"]:
            keys = [key for _, key, _, _ in elements(document)]
            if len(value) == 1 and keys == [b""] and self._is_escaped(document):
                return
            if keys and self._writer().unnameable(document, 0) == set(keys):
                return
        raise CellError("$bson holds a value that the jsonb form writes without $bson")

    def _is_escaped(self, document: bytes) -> bool:
        """Whether the one value of a document is written as `$bson`; its key is empty."""
        kind = document[4]
        if kind in ORDERED:
            return True
        return self._writer().value(kind, document, 6)[0][:8] == '{"$bson"'

    def _writer(self) -> JsonWriter:
        return JsonWriter(self.dialect)


def _read_float(text: str) -> float:
    value = float(text)
    if plain_double(value) != text:
        raise CellError(f"{text[:80]} in jsonb is not how a double is written")
    return value


def _read_int(text: str) -> int:
    if len(text) > 18 and (len(text) > 20 or not -(1 << 63) <= int(text) < 1 << 63):
        raise CellError(f"{text[:80]} in jsonb is an integral number of more than 64 bits")
    return int(text)


def _let_all_pass(_value: Json, *, depth: int) -> None:
    """Nothing in the cell could be spelled otherwise."""


NEWEST_FORM = JsonbForm(JSONB, ESCAPES, Form.JSONB)
FIRST_FORM = JsonbForm(FIRST_JSONB, FIRST_ESCAPES, Form.FIRST_JSONB)
_read_strict = NEWEST_FORM.strict_reader()


def decode_jsonb(cell: Cell) -> Element:
    """The value of a cell that SQL may have written, by the newest rules."""
    return NEWEST_FORM.value(NEWEST_FORM.read(cell))


def _decode_strictly(cell: Cell) -> Element:
    return NEWEST_FORM.value(_read_strict(cell, _NOTHING))


EVERY_CODEC = Codec({}, decode_jsonb, decode_strictly=_decode_strictly)
"""Without encoders: a value that SQL has put beside its cell never comes from one."""
