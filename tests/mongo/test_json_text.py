"""Texts of documents in files: every byte is in a document, in a run, or between documents."""

from __future__ import annotations

import io
import json
import random
import re
from hashlib import sha256

import pytest

from assise.errors import SourceError
from assise.mongo.frames import Run
from assise.mongo.json_text import BLOCK, LARGEST_TEXT, TextReader, TextShape, find_shape

BETWEEN = re.compile(rb"(?:[ \t\r\n,\[\]]|\xef\xbb\xbf|//[^\n]*(?=\n|\Z)|/\*(?s:.*?)\*/)*")
Found = list[tuple[str, int, bytes]]


def read(content: bytes) -> Found:
    """The texts and runs of a file, which are checked to be all of its bytes but the gaps."""
    shape = find_shape(io.BytesIO(content), "a file")
    reader = TextReader(io.BytesIO(content[shape.start :]), shape.start, shape)
    found: Found = []
    for item in reader.read():
        if isinstance(item, Run):
            raw = content[item.offset : item.offset + item.size]
            assert item.digest == sha256(raw).digest()
            found.append(("run", item.offset, raw))
        else:
            found += [("text", offset, text) for offset, text in item]
    p = 0
    for _, offset, text in found:
        assert BETWEEN.fullmatch(content, p, offset), "bytes between are nobody's"
        assert content[offset : offset + len(text)] == text
        p = offset + len(text)
    assert BETWEEN.fullmatch(content, p)
    return found


def texts(content: bytes) -> list[bytes]:
    return [text.strip() for kind, _, text in read(content) if kind == "text"]


def runs(content: bytes) -> list[bytes]:
    return [text for kind, _, text in read(content) if kind == "run"]


DOCUMENTS = [
    {"_id": 1, "a": [{"b": 1}, {"b": [{}]}]},
    {"_id": 2, "text": "} {\n{ [ ] \" ' // /* \\ }\n{"},
    {"_id": 3, "é": {"c": {"d": {}}}},
]
COMPACT = [json.dumps(document).encode() for document in DOCUMENTS]
PRETTY = [json.dumps(document, indent=2, ensure_ascii=False).encode() for document in DOCUMENTS]


@pytest.mark.parametrize("parts", [COMPACT, PRETTY])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b" \n\n", b"// said before\n/* and */"])
@pytest.mark.parametrize(
    ("start", "between", "end"),
    [
        (b"", b"\n", b"\n"),
        (b"", b"\r\n", b""),
        (b"", b"\n\n \t\n", b"\n"),
        (b"", b"", b""),
        (b"", b" ", b" "),
        (b"[", b",\n", b"]\n"),
        (b"[", b",", b"]"),
        (b"[\n", b",\n  ", b"\n]\r\n"),
    ],
)
def test_documents_of_every_shape(
    parts: list[bytes], mark: bytes, start: bytes, between: bytes, end: bytes
) -> None:
    content = mark + start + between.join(parts) + end
    assert texts(content) == parts
    assert runs(content) == []


def test_the_shape_of_lines_is_seen() -> None:
    assert find_shape(io.BytesIO(b'{"a": 1}\n{"a": 2}\n'), "").is_lines
    assert not find_shape(io.BytesIO(b'[{"a": 1},\n{"a": 2}]\n'), "").is_lines


@pytest.mark.parametrize("content", [b"", b" \n", b"[]", b"[\n]\n", b"\xef\xbb\xbf", b"// no\n"])
def test_a_file_without_documents(content: bytes) -> None:
    assert not b"".join(texts(content))
    assert runs(content) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[1, 2]", [b"1, 2]"]),
        (b'["a", {"a": 1}]', [b'"a", {"a": 1}]']),
        (b'[{"a":1},{"a":{2},{"a":3},{"a":4}]', [b'{"a":{2}']),
        (b'[{"a":1},{"a":"x},{"a":3},{"a":4}]', [b'{"a":"x}']),
        (b'[{"a":1},{"a":2}]{"a":3}', [b']{"a":3}']),
        (b'[{"a":1},{"a":2}] x ,{"a":3}]', [b"] x "]),
        (b'[{"a":1},{"a":2},{"a":[', [b'{"a":[']),
        (b'[{"a":1} x', [b"x"]),
        (b'{"a":1} {"a":2} x {"a":3}', [b"x"]),
    ],
)
def test_what_no_document_frames_in(content: bytes, expected: list[bytes]) -> None:
    assert [each.rstrip(b" ,") for each in runs(content)] == [
        each.rstrip(b" ,") for each in expected
    ]


def test_an_inner_document_is_never_taken_for_one() -> None:
    pretty = json.dumps(
        [{"_id": n, "a": [{"b": 1}, {"b": 2}]} for n in range(3)], indent=2
    ).encode()
    at = pretty.index(b'"b": 1', pretty.index(b'"_id": 1'))
    broken = pretty[:at] + b'"' + pretty[at:]
    assert len(texts(broken)) == 2
    assert len(runs(broken)) == 1
    cut = pretty[: pretty.rindex(b"}", 0, pretty.rindex(b"}")) + 1]
    assert len(texts(cut)) == 2
    assert len(runs(cut)) == 1


def test_a_text_over_the_limit_is_a_run() -> None:
    content = (
        b'{"a": 1}\n{"a": "' + b"x" * LARGEST_TEXT + b'", "b": {}, "c": {"d": {}}}\n{"a": 2}\n'
    )
    found = read(content)
    assert [kind for kind, _, _ in found] == ["text", "run", "text"]
    assert found[0][2] == b'{"a": 1}'
    assert found[-1][2].strip() == b'{"a": 2}'


def test_documents_across_the_borders_of_blocks() -> None:
    parts = [json.dumps({"_id": n, "t": "x" * (n * 1013 % 7000)}).encode() for n in range(900)]
    for content in (b"\n".join(parts), b"[" + b",".join(parts) + b"]", b"".join(parts)):
        assert len(content) > 2 * BLOCK
        assert texts(content) == parts


def test_hostile_openings_end() -> None:
    content = b'{"a": 1}\n\n{"b": 2}' + b'\n\n{"b":[' * 10_000
    found = read(content)
    assert [kind for kind, _, _ in found] == ["text", "text", "run"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_refused(encoding: str) -> None:
    with pytest.raises(SourceError, match="UTF-16") as caught:
        find_shape(io.BytesIO('{"a": 1}'.encode(encoding)), "users.json")
    assert "iconv -f UTF-16 -t UTF-8 users.json" in caught.value.remedy


@pytest.mark.parametrize("seed", range(20))
def test_random_damage_loses_no_byte(seed: int) -> None:
    draw = random.Random(seed)
    for parts in (COMPACT * 4, PRETTY * 2):
        for start, between, end in ((b"", b"\n", b"\n"), (b"[", b",\n", b"]"), (b"", b"", b"")):
            content = bytearray(start + between.join(parts) + end)
            for _ in range(draw.randrange(4)):
                content[draw.randrange(len(content))] = draw.choice(b"{}[]\",:\\/'\n\xff\0 a")
            read(bytes(content[: draw.randrange(len(content))]))


def scan(content: str) -> list[str]:
    """The documents of a file as the decoder of the standard library finds them, one by one."""
    decoder, found, p = json.JSONDecoder(), list[str](), 0
    while p < len(content):
        if content[p] == "{":
            _, stop = decoder.raw_decode(content, p)
            found.append(content[p:stop])
            p = stop
        else:
            assert content[p] in " \t\r\n,[]", content[p]
            p += 1
    return found


def draw_value(draw: random.Random, depth: int) -> object:
    pieces = [
        "{",
        "}",
        "}\n{",
        "[",
        "]",
        '"',
        "\\",
        "//",
        "/*",
        "*/",
        "'",
        ",",
        "\n",
        "é",
        "x",
        "}{",
    ]
    if depth and draw.random() < 0.4:
        count = draw.randrange(4)
        return {f"{draw.choice(pieces)}{n}": draw_value(draw, depth - 1) for n in range(count)}
    if depth and draw.random() < 0.4:
        return [draw_value(draw, depth - 1) for _ in range(draw.randrange(4))]
    return draw.choice([None, True, -1.5, 7, "".join(draw.choices(pieces, k=draw.randrange(9)))])


@pytest.mark.parametrize("seed", range(30))
def test_documents_are_framed_as_a_plain_decoder_frames_them(seed: int) -> None:
    draw = random.Random(seed)
    for start, between, end in (
        ("", "\n", "\n"), ("", "\r\n", ""), ("[", ",\n", "]"), ("", "", ""), ("", "\n\n ", ""), ("[", ",", "]")
    ):  # fmt: skip
        indent = draw.choice([None, None, 1, "\t"])
        written = [
            json.dumps({"_id": n, "v": draw_value(draw, 4)}, indent=indent, ensure_ascii=n % 2 == 0)
            for n in range(draw.randrange(1, 30))
        ]
        content = start + between.join(written) + end
        assert scan(content) == written
        assert [text.decode() for text in texts(content.encode())] == written
        assert runs(content.encode()) == []


def test_a_shape_comes_back_from_json() -> None:
    shape = TextShape(is_lines=False, is_array=True, start=4, head=',\n{"\xe9"')
    assert TextShape.from_json(json.loads(json.dumps(shape.as_json()))) == shape
