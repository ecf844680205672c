"""What each writer's text has lost, and what the reader makes of it.

The page `docs/what-writers-lose.md` has the same table; `python -m tests.peers.losses` prints it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fnmatch import fnmatch

from tests.peers.documents import DIGITS
from tests.peers.writers import WRITERS, Writer

REJECT = "reject"
NOT_WRITTEN = "not written"


@dataclass(frozen=True)
class Loss:
    """A rule of some writers, and for each document that it concerns its value as it is read.

    A value is canonical Extended JSON, REJECT where the reader refuses the text, or NOT_WRITTEN
    where the writer fails.
    """

    writers: str
    rule: str
    becomes: dict[str, str]

    def concerns(self, writer: Writer) -> bool:
        return any(fnmatch(writer.name, pattern) for pattern in self.writers.split())


def _every(names: str, value: str) -> dict[str, str]:
    return dict.fromkeys(names.split(", "), value)


_OBJECT_ID = f'{{"$oid":"{DIGITS.decode()}"}}'
_PROMOTING = "node-relaxed node-promoted"
_V1 = "*-legacy *-strict *-shell"
_V2 = "*-canonical *-extended *-relaxed *-promoted"
_CANONICAL = "*-canonical *-extended *-promoted"
_WHOLE = {
    "zero": 0, "one": 1, "ten million": 10**7, "hundred million": 10**8, "1e15": 10**15,
    "1e16": 10**16, "2^53": 2**53, "2^53 - 1": 2**53 - 1, "17 digits": 123456789012345680,
}  # fmt: skip


def _int(number: int) -> str:
    word = "$numberInt" if abs(number) < 2**31 else "$numberLong"
    return f'{{"{word}":"{number}"}}'


LOSSES = [
    Loss(
        "*",
        "Decimal128: sign, signal and payload of a NaN",
        _every(
            "decimal: minus NaN, decimal: sNaN, decimal: NaN with a payload",
            '{"$numberDecimal":"NaN"}',
        ),
    ),
    Loss(
        "node-relaxed *-canonical *-promoted java-* go-* rust-* python-*",
        "double: the payload of a NaN",
        {"double: NaN with a payload": '{"$numberDouble":"NaN"}'},
    ),
    Loss(
        "node-relaxed node-canonical node-promoted java-* go-* python-*",
        "double: the sign of a NaN",
        {"double: minus NaN": '{"$numberDouble":"NaN"}'},
    ),
    Loss(
        "*",
        "documents of the user that look like types are those types",
        {
            "looks like: $oid": _OBJECT_ID,
            "looks like: $numberLong": '{"$numberLong":"5"}',
            "looks like: $numberInt": '{"$numberInt":"5"}',
            "looks like: $numberDouble": '{"$numberDouble":"5.5"}',
            "looks like: $date": '{"$date":{"$numberLong":"1706659200000"}}',
            "looks like: $uuid": '{"$binary":{"base64":"c//SZESzTGmQ6OfR38A11A==","subType":"04"}}',
            "looks like: $undefined": '{"$undefined":true}',
            "looks like: $symbol": '{"$symbol":"s"}',
            "looks like: $code": '{"$code":"f()"}',
        },
    ),
    Loss(
        f"*-relaxed {_V1}",
        "documents of the user that look like types with numbers are those types",
        {
            "looks like: $minKey": '{"$minKey":1}',
            "looks like: $timestamp": '{"$timestamp":{"t":1,"i":2}}',
        },
    ),
    Loss(
        _CANONICAL,
        "documents of the user that look like types with numbers cannot be read",
        _every("looks like: $minKey, looks like: $timestamp", REJECT),
    ),
    Loss(
        "*",
        "documents of the user with a word of Extended JSON and other content cannot be read",
        _every("looks like: $oid of a number, looks like: $oid and another", REJECT),
    ),
    Loss(
        _V2,
        "documents of the user with `$binary` and `$type` cannot be read",
        {"looks like: $binary": REJECT},
    ),
    Loss(
        _V1,
        "documents of the user with `$binary` and `$type`, or `$regex` and `$options`, are types",
        {
            "looks like: $binary": '{"$binary":{"base64":"//79","subType":"00"}}',
            "looks like: $regex": '{"$regularExpression":{"pattern":"a","options":"i"}}',
        },
    ),
    Loss(
        "node-canonical node-legacy java-* go-* rust-* python-*",
        "regular expressions: the order of the options",
        {"regex: unsorted": '{"$regularExpression":{"pattern":"a","options":"imx"}}'},
    ),
    Loss(
        "node-* rust-* python-*",
        "Decimal128 of more than 34 digits, which is not valid, is 0",
        {"decimal: over 34 digits": '{"$numberDecimal":"0"}'},
    ),
    Loss(
        "java-* go-*",
        "Decimal128 of more than 34 digits, which is not valid, is a number",
        {"decimal: over 34 digits": '{"$numberDecimal":"1.000000000000000000000000000000000E+34"}'},
    ),
    Loss(
        "node-* rust-* python-*",
        "of equal keys only the last is written",
        {"equal keys": '{"a":{"$numberInt":"2"}}'},
    ),
    Loss(
        "node-* python-*",
        "undefined is null",
        {"undefined": "null"},
    ),
    Loss(
        f"{_PROMOTING} python-*",
        "symbols are strings",
        {"symbol": '"sym"'},
    ),
    Loss(
        "java-strict java-relaxed java-shell python-*",
        "a DBPointer is a DBRef",
        {"DBPointer": f'{{"$ref":"d.users","$id":{_OBJECT_ID}}}'},
    ),
    Loss(
        "node-relaxed node-canonical node-promoted",
        "a DBPointer is a DBRef with its database",
        {"DBPointer": f'{{"$ref":"users","$id":{_OBJECT_ID},"$db":"d"}}'},
    ),
    Loss(
        "node-legacy",
        "a DBPointer is a DBRef without its database",
        {"DBPointer": f'{{"$ref":"users","$id":{_OBJECT_ID}}}'},
    ),
    Loss(
        "node-legacy",
        "a DBRef has neither its database nor other fields",
        _every(
            "looks like: DBRef with a database, looks like: DBRef and another",
            f'{{"$ref":"users","$id":{_OBJECT_ID}}}',
        ),
    ),
    Loss(
        f"{_PROMOTING} node-legacy",
        "whole doubles are ints",
        {f"double: {name}": _int(number) for name, number in _WHOLE.items()},
    ),
    Loss("node-relaxed node-legacy", "-0.0 is 0", {"double: minus zero": _int(0)}),
    Loss(
        "node-promoted",
        "a whole double of 2^63 or more cannot be read",
        {"double: 2^63": REJECT},
    ),
    Loss(
        "node-relaxed node-legacy",
        "int64 beyond 2^53 is rounded, at its ends to a double",
        {
            "int64: 9007199254740993": _int(2**53),
            "int64: -9007199254740993": _int(-(2**53)),
            "int64: 9223372036854775807": '{"$numberDouble":"9.223372036854776e+18"}',
            "int64: -9223372036854775808": '{"$numberDouble":"-9.223372036854776e+18"}',
        },
    ),
    Loss(
        "node-legacy",
        "NaN and the infinities are null",
        _every(
            "double: NaN, double: minus NaN, double: NaN with a payload, double: infinity,"
            " double: minus infinity",
            "null",
        ),
    ),
    Loss(
        "node-relaxed node-canonical node-promoted",
        "dates beyond those of JavaScript cannot be read",
        _every("date: after JavaScript, date: largest, date: least", REJECT),
    ),
    Loss(
        "node-legacy",
        "dates beyond those of JavaScript cannot be written",
        _every("date: after JavaScript, date: largest, date: least", NOT_WRITTEN),
    ),
    Loss(
        "rust-relaxed",
        "every date after the year 9999 is the last of it",
        _every(
            "date: year 10000, date: last of JavaScript, date: after JavaScript, date: largest",
            '{"$date":{"$numberLong":"253402300799999"}}',
        ),
    ),
    Loss(
        "rust-*",
        "keys are sorted, in `_id` too",
        {"order in _id": '"order in _id"'},
    ),
    Loss(
        _PROMOTING,
        "regular expressions lose the option x",
        _every(
            "regex: options, regex: unsorted",
            '{"$regularExpression":{"pattern":"a","options":"im"}}',
        ),
    ),
    Loss(
        f"{_PROMOTING} java-shell",
        "regular expressions: a slash is written with a backslash, an empty one as `(?:)`",
        {
            "regex: slash": '{"$regularExpression":{"pattern":"a\\\\/b","options":"i"}}',
            "regex: empty": '{"$regularExpression":{"pattern":"(?:)","options":""}}',
        },
    ),
    Loss(
        _PROMOTING,
        "regular expressions: a new line is written as `\\n`",
        {"regex: new line": '{"$regularExpression":{"pattern":"a\\\\nb","options":""}}'},
    ),
    Loss(
        _PROMOTING,
        "regular expressions that JavaScript has not fail",
        _every("regex: quotes, regex: other options", NOT_WRITTEN),
    ),
    Loss(
        "java-shell",
        "regular expressions: a slash in brackets is written with a backslash",
        {"regex: class": '{"$regularExpression":{"pattern":"[\\\\/]","options":""}}'},
    ),
    Loss(
        "java-shell",
        "regular expressions with a new line, or with a backslash before a slash, cannot be read",
        _every("regex: new line, regex: escaped slash, regex: quotes", REJECT),
    ),
]


def find_losses(writer: Writer) -> dict[str, str]:
    """Name of a document -> what the reader makes of this writer's text."""
    found: dict[str, str] = {}
    for loss in LOSSES:
        if loss.concerns(writer):
            assert not found.keys() & loss.becomes.keys(), (writer.name, loss.rule)
            found |= loss.becomes
    return found


def render_table() -> str:
    """The rules as a table of Markdown, one row each."""
    rows = [
        f"| {loss.rule} | {', '.join(_name_writers(loss))} |\n"
        for loss in sorted(LOSSES, key=lambda loss: -len(_name_writers(loss)))
    ]
    return "| what is lost | by |\n|---|---|\n" + "".join(rows)


def _name_writers(loss: Loss) -> list[str]:
    """The writers of a rule; a language whose writers all have it stands alone."""
    names = []
    for language in dict.fromkeys(writer.language for writer in WRITERS):
        those = [writer for writer in WRITERS if writer.language == language]
        concerned = [writer for writer in those if loss.concerns(writer)]
        names += [language] if concerned == those else [writer.name for writer in concerned]
    return names


if __name__ == "__main__":
    sys.stdout.write(render_table())
