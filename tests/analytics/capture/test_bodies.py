"""Bodies as the SDKs write them, and as nobody should."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from base64 import b64encode
from urllib.parse import urlencode

import pytest

from assise.analytics.capture.bodies import MAX_BODY, read_body
from assise.analytics.capture.elements import MAX_EVENTS, read_events
from assise.errors import RequestError

TEXT = '{"event":"é+/?&","distinct_id":"a"}'
PLAIN = TEXT.encode()
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("data", "headers", "query"),
    [
        (PLAIN, {}, {}),
        (b"\xef\xbb\xbf" + PLAIN, {}, {}),
        (gzip.compress(PLAIN, mtime=0), {"content-encoding": "gzip"}, {}),
        (gzip.compress(PLAIN, mtime=0), {"content-type": "text/plain"}, {}),
        (gzip.compress(PLAIN, mtime=0), {}, {"compression": "gzip-js"}),
        (zlib.compress(PLAIN), {"content-encoding": "deflate"}, {}),
        (urlencode({"data": b64encode(PLAIN)}).encode(), FORM, {"compression": "base64"}),
        (b"data=" + b64encode(PLAIN), {}, {}),
        (urlencode({"data": TEXT}).encode("latin-1"), FORM, {}),
        (urlencode({"data": b64encode(gzip.compress(PLAIN, mtime=0))}).encode(), FORM, {}),
        (b64encode(PLAIN), {}, {}),
        (b"", {}, {"data": b64encode(PLAIN).decode()}),
    ],
)
def test_forms_of_a_body(data: bytes, headers: dict[str, str], query: dict[str, str]) -> None:
    assert json.loads(read_body(data, headers, query)) == json.loads(TEXT)


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (gzip.compress(PLAIN, mtime=0)[:-9], {}, 400),
        (b"\x1f\x8b\x00garbage", {}, 400),
        (PLAIN, {"content-encoding": "gzip"}, 400),
        (PLAIN, {"content-encoding": "zstd"}, 415),
        (b"!!!", {}, 400),
        (b"field=1", FORM, 400),
        (b"&".join(b"a=1" for _ in range(50)), FORM, 400),
        (gzip.compress(bytes(MAX_BODY + 1)), {}, 413),
        (b64encode(gzip.compress(bytes(MAX_BODY + 1))), {}, 413),
    ],
)
def test_broken_bodies_are_refused(data: bytes, headers: dict[str, str], status: int) -> None:
    with pytest.raises(RequestError) as raised:
        read_body(data, headers, {})
    assert raised.value.status == status


def read(text: str) -> tuple[list[object], dict[str, object]]:
    """The events of a text, and what is beside them."""
    found = list[object]()
    fields = read_events(text, found.append)
    return found, fields


def test_events_are_found_whatever_is_around_them() -> None:
    assert read('{"event": 1}') == ([{"event": 1}], {"event": 1})
    assert read(' [ {"a": NaN} , -Infinity ] ') == ([{"a": None}, None], {})
    beside = '{"api_key":"k","batch":[{"a":[1]}, 2],"sent_at":"x"}'
    assert read(beside) == ([{"a": [1]}, 2], {"api_key": "k", "sent_at": "x"})
    assert read('{"batch":[],"batch":[3]}') == ([3], {})
    assert read("[]") == ([], {})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1", "[1,]", "[1 2]", "nonsense", '{"a"}', "{1:2}", '{"batch":[1}', "[" * 100_000,
     "[" + "9" * 5_000 + "]", "[1] x", '{"a":1,}'],
)  # fmt: skip
def test_no_json_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        read(text)


def test_values_across_windows_come_whole() -> None:
    events = [{"n": n, "text": "é" * (n * 37 % 3_000)} for n in range(200)]
    events[77]["text"] = "x" * 300_000
    numbers = [10**17 + n for n in range(20_000)]
    assert read(json.dumps(events, ensure_ascii=False))[0] == events
    assert read(json.dumps(numbers))[0] == numbers


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(RequestError, match="events"):
        read("[" + "1," * MAX_EVENTS + "1]")
    with pytest.raises(RequestError, match="an event has more than"):
        read('[{"a": "' + "x" * 2_000_000 + '"}]')


def test_a_large_body_is_read_an_event_at_a_time() -> None:
    text = "[" + ",".join(['{"a":[' + "[],[],[],[]," * 30 + "[]]}"] * 40_000) + "]"
    assert len(text) > 14 << 20
    tracemalloc.start()
    count = 0

    def take(_element: object) -> None:
        nonlocal count
        count += 1

    read_events(text, take)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, peak < 4 << 20) == (40_000, True)
