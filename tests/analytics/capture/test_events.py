"""Events of the recordings of real SDKs, and of clients that send nonsense."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from uuid import UUID

import pytest
from tests.conftest import DATA

from assise.analytics.capture.elements import MAX_EVENT
from assise.analytics.capture.events import SentBatch, read_batch, read_fields
from assise.analytics.capture.plain import read_plain
from assise.analytics.event import MAX_ID, Event
from assise.errors import RequestError

FOLDER = DATA / "analytics" / "posthog_wire"
NOW = dt.datetime(2026, 11, 20, 9, 40, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def read(body: object, *, now: dt.datetime = NOW, sent_at: object = None) -> list[Event]:
    """The events of a body."""
    return read_batch(json.dumps(body), now=now, sent_at=sent_at).events


def event(**fields: object) -> dict[str, object]:
    """An event of a batch."""
    return {"event": "deployed", "distinct_id": "u1", **fields}


def record(name: str) -> list[dict[str, Any]]:
    """The requests with events of a recording."""
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    places = ("/batch", "/e/", "/i/v0/e")
    return [each for each in found if each["path"].startswith(places) and each["body"]]


RECORDINGS = {
    "posthog-python-3.25.0_and_6.7.5": 23,
    "posthog-python-7.91.1": 9,
    "posthog-node-5.70.0_and_posthog-js-1.400.0_jsdom": 0,
    "posthog-js-1.449.2_jsdom": 0,
}


@pytest.mark.skipif(not FOLDER.exists(), reason=f"no data of others in {FOLDER}")
@pytest.mark.parametrize("name", RECORDINGS)
def test_every_event_of_a_recording_is_read(name: str) -> None:
    for request in record(name):
        body = request["body"]
        sent = body if isinstance(body, list) else body.get("batch", [body])
        batch = read_batch(json.dumps(body), now=NOW)
        assert batch.keys == {"phc_test"}
        assert batch.malformed == 0
        assert [each.event for each in batch.events] == [each["event"] for each in sent]
        for found, given in zip(batch.events, sent, strict=True):
            properties = json.loads(found.properties)
            own = given["properties"].get("distinct_id")
            assert found.distinct_id == given.get("distinct_id", own)
            assert found.uuid == UUID(given.get("uuid", str(found.uuid)))
            for key in ("$set", "$set_once"):
                assert properties.get(key) == given.get(key, given["properties"].get(key))
            assert {**given["properties"], **properties} == {
                **properties,
                **({"token": "phc_test"} if "token" in given["properties"] else {}),
            }
            assert abs(found.at - NOW) < 24 * HOUR * 365
            assert found.session == given["properties"].get("$session_id")
            assert found.sent == given.get("timestamp", "")


def test_the_same_body_four_seconds_later_is_the_same_events() -> None:
    batch = [event(timestamp="2026-11-20T09:30:56.180764+00:00", properties={"n": [1, {"b": 2}]})]
    first = read({"batch": batch, "sentAt": "2026-11-20T09:30:57Z", "api_key": "k"})
    again = read(
        {"batch": batch, "sentAt": "2026-11-20T09:31:01Z", "api_key": "k"}, now=NOW + 4 * HOUR
    )
    assert first[0].uuid == again[0].uuid
    assert first[0].at != again[0].at, "the corrected times differ, so they cannot be part of it"
    single = {**batch[0], "sent_at": "2026-11-20T09:30:57Z"}
    assert read(single)[0].uuid == read({**single, "sent_at": "2026-11-20T09:31:57Z"})[0].uuid


def test_events_that_differ_have_different_uuids() -> None:
    when = "2026-11-20T09:30:56Z"
    others = [
        event(timestamp=when),
        event(timestamp=when, properties={"a": 1}),
        event(timestamp=when, properties={"a": "1"}),
        event(timestamp=when, distinct_id="u2"),
        event(timestamp="2026-11-20T09:30:57Z"),
        event(timestamp=when, event="other"),
    ]
    found = [read([each])[0].uuid for each in others]
    assert len(set(found)) == len(others)
    twice = read([others[0], others[0]])
    assert twice[0].uuid == found[0] != twice[1].uuid, "two in one request are two"
    assert read([others[0], others[0]])[1].uuid == twice[1].uuid
    assert read(event())[0].uuid != read(event())[0].uuid, "without a time nobody can tell"


def test_a_uuid_that_is_none_is_made_from_the_content() -> None:
    mine = "4CD160F7-5b7e-4ffe-acb9-02d66e3a903c"
    assert read(event(uuid=mine))[0].uuid == UUID(mine)
    one, other = (
        read(event(uuid=each, timestamp="2026-11-20T09:30:56Z"))[0].uuid for each in ("x", 5)
    )
    assert one != other


@pytest.mark.parametrize(
    ("fields", "sent_at", "expected"),
    [
        ({"timestamp": "2026-11-20T09:30:00Z"}, None, NOW - HOUR / 6),
        ({"timestamp": "2026-11-20T05:00:00Z"}, "2026-11-20T05:00:30Z", NOW - HOUR / 120),
        ({"timestamp": "2031-01-01T00:00:00Z"}, "2031-01-01T00:00:30Z", NOW - HOUR / 120),
        ({"timestamp": "2026-11-21T08:39:00Z"}, None, NOW + 23 * HOUR - HOUR / 60),
        ({"timestamp": "2026-11-21T08:41:00Z"}, None, NOW),
        ({"timestamp": "9999-12-31T23:59:59Z"}, "0001-01-01T00:00:00Z", NOW),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, None, NOW),
        ({"timestamp": "yesterday"}, "2026-11-20T05:00:30Z", NOW),
        ({"timestamp": 1_795_167_000}, None, dt.datetime(2026, 11, 20, 9, 30, tzinfo=dt.UTC)),
        ({"timestamp": 1_795_167_000_000}, None, dt.datetime(2026, 11, 20, 9, 30, tzinfo=dt.UTC)),
        ({"timestamp": 1e300}, None, NOW),
        ({"timestamp": True}, None, NOW),
        ({}, "2026-11-20T05:00:30Z", NOW),
        ({"offset": 60_000, "timestamp": "1999-01-01T00:00:00Z"}, None, NOW - HOUR / 60),
        ({"offset": -5_000}, None, NOW),
        ({"offset": 1e300}, None, NOW),
    ],
)
def test_times_are_corrected_by_the_clock_that_sent_them(
    fields: dict[str, object], sent_at: str | None, expected: dt.datetime
) -> None:
    for name in ("sent_at", "sentAt"):
        body = {"batch": [event(**fields)], name: sent_at}
        assert read(body)[0].at == expected


def test_the_time_of_sending_may_stand_in_the_url() -> None:
    found = read(event(timestamp="2026-11-20T05:00:00Z"), sent_at="1795150830000")
    assert found[0].at == NOW - HOUR / 120


def test_a_clock_that_is_to_be_trusted_is() -> None:
    trusted = event(timestamp="2026-11-20T05:00:00Z", properties={"$ignore_sent_at": True})
    found = read({"batch": [trusted], "sent_at": "2026-11-20T05:00:30Z"})
    assert found[0].at == dt.datetime(2026, 11, 20, 5, tzinfo=dt.UTC)


def test_long_and_empty_ids_are_kept_apart() -> None:
    long = "x" * 10_000
    ids = [long, long + "y", "", None, 17, "null", 1e16]
    found = read([event(distinct_id=each) for each in ids])
    assert len({each.distinct_id for each in found[:2]}) == 2
    assert max(len(each.distinct_id) for each in found) <= MAX_ID
    assert [each.distinct_id for each in found[2:]] == ["", "", "17", "null", "1e+16"]
    assert json.loads(found[0].properties)["$long_distinct_id"] == long


def test_what_jsonb_cannot_hold_is_mended() -> None:
    text = (
        '{"event":"a\\u0000","distinct_id":"\\ud800","properties":{"n\\u0000":["\\udc00",1e400]}}'
    )
    (found,) = read_batch(text, now=NOW).events
    assert (found.event, found.distinct_id) == ("a\ufffd", "\ufffd")
    assert json.loads(found.properties) == {"n\ufffd": ["\ufffd", None]}


def test_what_is_no_event_is_counted_and_the_others_are_kept() -> None:
    batch = [event(), 5, None, {"event": ""}, {"event": 7}, {"distinct_id": "u"}, event()]
    found = read_batch(json.dumps({"batch": batch}), now=NOW)
    assert (len(found.events), found.malformed) == (2, 5)
    for nothing in ([5], {"hello": "world"}, {"batch": [None]}):
        with pytest.raises(RequestError, match="no event"):
            read(nothing)
    assert not read({"batch": []})


def test_other_spellings_of_old_clients() -> None:
    engage = {"$token": "k", "$distinct_id": "u7", "$set": {"plan": "pro"}}
    batch = read_batch(json.dumps(engage), now=NOW)
    assert batch.keys == {"k"}
    assert (batch.events[0].event, batch.events[0].distinct_id) == ("$identify", "u7")
    newest = event(session_id="s1", window_id="w1", properties={"distinct_id": "other"})
    (found,) = read([newest])
    assert (found.session, found.distinct_id) == ("s1", "u1")


PLAIN = (
    '{"api_key":"k","batch":[{"event":"deployed","distinct_id":"u1","properties":{"a":1},'
    '"uuid":"0199b3f0-0000-7000-8000-000000000001","timestamp":"2026-11-20T05:00:00+00:00"}],'
    '"sent_at":"2026-11-20T05:00:30+00:00"}'
)
"""As python 7 and node 5 send it."""
FORMS = {
    '{"a":1}': [
        "null", "[]", '{"a":NaN}', '{"a":1e400}', '{"a":1e16}', '{"a":-0.0}', '{"a":"\\u0000"}',
        '{"a":"\\ud800"}', '{"a":"\\ud83d\\ude00é\u2028"}', '{"a":"\x01"}', '{"a":1,"a":[2]}',
        '{"a":' + "[" * 250 + "]" * 250 + "}", '{"a":%s}' % ("9" * 400), '{"api_key":"other"}',
        '{"token":"other"}', '{"$token":5}', '{"$ignore_sent_at":true}', '{"$session_id":"s"}',
        '{"$session_id":"%s"}' % ("s" * 300), '{"$session_id":7}', '{"$set":{"b":1}}', "{}",
    ],
    '"properties"': ['"others"', '"$set":{"b":1},"properties"', '"$set_once":null,"properties"',
        '"$set":{"b":2},"$set_once":{"c":3},"properties"', '"$unset":["d"],"properties"',
        '"offset":5000,"properties"', '"session_id":"s","properties"', '"$window_id":"w","properties"',
        '"token":"other","properties"', '"api_key":"","properties"', '"type":"capture","properties"'],
    '"deployed"': ['""', '" \t"', '"\\u00a0"', "7", "null", '"é\x7f"', '"%s"' % ("n" * 300), '"n\\ud800"'],
    '"u1"': ['""', "17", "null", '"null"', '"%s"' % ("x" * 201), '"%s"' % ("é" * 200), '"\\udc00"'],
    '"0199b3f0-0000-7000-8000-000000000001"': [
        "null", '"no uuid"', '"0199B3F0000070008000000000000001"', '"{0199b3f0-0000-7000-8000-000000000001}"',
        '"urn:uuid:0199b3f0-0000-7000-8000-000000000001"', '"00000000-0000-0000-0000-000000000000"'],
    '"2026-11-20T05:00:00+00:00"': [
        "null", '"yesterday"', "1795167000", '"1795167000"', '"2026-11-20T05:00:00Z"', '"2026-11-20"',
        '"2026-11-20T05:00:00"', '"2026-11-20T05:00:00.123456789+05:30"', '"9999-12-31T23:59:59Z"',
        '"0001-01-01T00:00:00+14:00"', '"2026-11-22T05:00:00+00:00"', '"%s"' % ("2" * 120)],
    '"sent_at"': ['"sentAt"', '"other"', '"batch":[],"sent_at"', '"sentAt":"2026-11-20","sent_at"'],
    '"2026-11-20T05:00:30+00:00"': ["null", '"never"', "1795167000", '"0001-01-01T00:00:00Z"'],
    '"api_key":"k"': ['"token":"k"', '"api_key":"k","token":"l"', '"api_key":7', '"api_key":""'],
    "]": [",5]", ',{"event":""}]', "],", "", "]]"],
}  # fmt: skip


@pytest.mark.parametrize("part", FORMS)
def test_a_plain_body_is_read_as_every_other(part: str) -> None:
    for form in FORMS[part]:
        text = PLAIN.replace(part, form)
        assert find_outcome(text) == find_outcome(text + " " * MAX_EVENT), form


def find_outcome(text: str) -> object:
    """The events of a body with their properties as values, or what is wrong with it."""
    try:
        found: SentBatch = read_batch(text, now=NOW, sent_at="1795150830000")
    except RequestError:
        return "refused"
    events = [(each._replace(properties=""), json.loads(each.properties)) for each in found.events]
    return events, found.keys, found.malformed


def test_what_sdks_of_servers_send_is_plain() -> None:
    for change in (("u1", "u2"), ('"u1"', '"u2","$set":{"a":1}'), ("sent_at", "sentAt")):
        assert read_plain(PLAIN.replace(*change), now=NOW, sent_at=None) is not None
    assert read_plain(PLAIN.replace("deployed", " "), now=NOW, sent_at=None) is None


def test_fields_of_a_body_without_events() -> None:
    assert read_fields("") == {}
    for text in ("[]", "{", "[" * 100_000):
        with pytest.raises(RequestError):
            read_fields(text)
