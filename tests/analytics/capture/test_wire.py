"""What the SDKs are answered, over HTTP: the routes, the keys, flags, origins and limits."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from tests.api.scene import run_server
from tests.conftest import DATA

from assise.analytics.capture.bodies import MAX_BODY
from assise.analytics.event import Event
from assise.api.capture import FREE_TEXT, EventReceiver

FOLDER = DATA / "analytics" / "posthog_wire"
KEY, PAGE = "phc_test", "https://app.example.org"
EVENT = {"event": "deployed", "distinct_id": "u1", "uuid": "4cd160f7-5b7e-4ffe-acb9-02d66e3a903c"}
BATCH = {"api_key": KEY, "batch": [EVENT]}


@dataclass
class Receiver:
    """A receiver that keeps events in a list, and a client of it."""

    http: httpx.Client
    kept: list[Event] = field(default_factory=list)

    def post(self, path: str, body: object, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Post a body as JSON, or bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http.post(f"/ingest/{path}", content=content, **options)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receiver below `/ingest`, for one key and one origin."""
    socket = Path(tmp_path_factory.mktemp("s")) / "http"
    transport = httpx.HTTPTransport(uds=str(socket))
    with httpx.Client(transport=transport, base_url="http://capture") as http:
        receiver = Receiver(http)

        async def keep(events: list[Event]) -> None:
            receiver.kept += events

        capture = EventReceiver("/ingest", frozenset({KEY}), frozenset({PAGE}), keep)
        with run_server(Starlette(routes=[*capture.list_routes()]), socket):
            yield receiver


@pytest.fixture
def receiver(served: Receiver) -> Receiver:
    """The same one, that has got nothing yet."""
    served.kept.clear()
    return served


@pytest.mark.parametrize(
    "path", ["batch", "e", "i/v0/e", "track", "engage", "capture", "i/v0/ai", "i/v0/ai/batch"]
)
def test_events_are_taken_on_every_route_with_and_without_a_slash(
    receiver: Receiver, path: str
) -> None:
    for each in (path, f"{path}/", f"{path}/?compression=gzip-js&_=1795167095677"):
        answer = receiver.post(each, BATCH)
        assert (answer.status_code, answer.history) == (200, [])
        assert answer.json() == ({"status": "Ok"} if path == "i/v0/e" else {"status": 1})
    assert [each.event for each in receiver.kept] == ["deployed"] * 3


def test_the_newest_form_has_a_result_for_every_event(receiver: Receiver) -> None:
    body = {"created_at": "2026-11-20T09:30:56Z", "batch": [EVENT]}
    headers = {"Authorization": f"Bearer {KEY}", "PostHog-Attempt": "1"}
    answer = receiver.post("i/v1/analytics/events", gzip.compress(json.dumps(body).encode()),
                           headers={**headers, "Content-Encoding": "gzip"})  # fmt: skip
    assert answer.json() == {"results": {EVENT["uuid"]: {"result": "ok"}}}
    assert receiver.post("i/v1/analytics/events", body).status_code == 401


@pytest.mark.skipif(not FOLDER.exists(), reason=f"no data of others in {FOLDER}")
@pytest.mark.parametrize("recording", sorted(FOLDER.glob("*.json")), ids=lambda each: each.stem)
def test_requests_of_recordings_are_answered(receiver: Receiver, recording: Path) -> None:
    count = 0
    for request in json.loads(recording.read_text(encoding="utf-8")):
        body, content = request["body"], b""
        if body is not None:
            content = json.dumps(body).encode()
            content = gzip.compress(content) if "gzip" in request["encoding"] else content
        if "form" in request["encoding"]:
            continue
        dropped = {"content-length", "accept-encoding"}
        headers = {k: v for k, v in request["headers"].items() if k.lower() not in dropped}
        url = f"/ingest{request['path']}"
        answer = receiver.http.request(request["method"], url, content=content, headers=headers)
        assert answer.status_code == 200, request["path"]
        if request["path"].startswith(("/batch", "/e/", "/i/")):
            count += len(body) if isinstance(body, list) else len(body.get("batch", [body]))
    assert len(receiver.kept) == count > 0


def test_an_unknown_key_is_refused_everywhere(receiver: Receiver) -> None:
    two = {"batch": [{**EVENT, "properties": {"token": "other"}}], "api_key": KEY}
    for path, body in (
        ("batch/", {**BATCH, "api_key": "other"}),
        ("batch/", {"batch": [EVENT]}),
        ("e/", two),
        ("flags/?v=2", {"token": "other"}),
        ("flags/?v=2", {}),
    ):
        answer = receiver.post(path, body)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")
    for path in ("array/other/config", "array/other/config.js", "flags/definitions?token=other"):
        assert receiver.http.get(f"/ingest/{path}").status_code == 401
    assert not receiver.kept


def test_there_are_no_flags_in_the_form_of_each_version(receiver: Receiver) -> None:
    forms: dict[str, tuple[str, object]] = {
        "flags/?v=2": ("flags", {}),
        "flags/?v=4": ("flags", {}),
        "flags/": ("featureFlags", {}),
        "flags/?v=1": ("featureFlags", {}),
        "decide/?v=4": ("flags", {}),
        "decide/?v=3": ("featureFlags", {}),
        "decide/?v=1": ("featureFlags", []),
        "flags/?v=nonsense": ("featureFlags", {}),
    }
    for path, (name, expected) in forms.items():
        answer = receiver.post(path, {"api_key": KEY, "distinct_id": "u"}).json()
        assert answer[name] == expected
        assert answer["errorsWhileComputingFlags"] is False
        assert ("flags" in answer) != ("featureFlags" in answer)
        assert ("supportedCompression" in answer) == path.startswith("decide")
    assert "sessionRecording" in receiver.post("flags/?v=2&config=true", {"token": KEY}).json()
    form = {"data": "eyJ0b2tlbiI6InBoY190ZXN0In0="}
    assert receiver.http.post("/ingest/flags/?v=2&compression=base64", data=form).is_success


def test_definitions_do_not_change_and_a_flag_has_no_configuration(receiver: Receiver) -> None:
    headers = {"Authorization": "Bearer phx_secret"}
    for path in ("flags/definitions", "api/feature_flag/local_evaluation/"):
        url = f"/ingest/{path}?token={KEY}&send_cohorts"
        first = receiver.http.get(url, headers=headers)
        assert first.json() == {"flags": [], "group_type_mapping": {}, "cohorts": {}}
        again = receiver.http.get(url, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    flag = f"/ingest/api/projects/@current/feature_flags/x/remote_config?token={KEY}"
    assert receiver.http.get(flag, headers=headers).json() is None
    config = receiver.http.get(f"/ingest/array/{KEY}/config").json()
    assert (config["hasFeatureFlags"], config["sessionRecording"]) == (False, False)
    script = receiver.http.get(f"/ingest/array/{KEY}/config.js")
    assert script.headers["content-type"].startswith("application/javascript")
    begin = "window._POSTHOG_REMOTE_CONFIG=Object.assign(window._POSTHOG_REMOTE_CONFIG||{},"
    assert script.text.startswith(begin)
    said = json.loads(script.text.removeprefix(begin).removesuffix(");"))
    assert said == {KEY: {"config": config, "siteApps": []}}


def test_pages_of_an_origin_may_send_and_others_may_not_read(receiver: Receiver) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Headers": "content-type,x-y"}
    for method in ("OPTIONS", "POST"):
        content = json.dumps(BATCH).encode() if method == "POST" else b""
        url = "/ingest/e/"
        answer = receiver.http.request(method, url, headers=asked, content=content)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-allow-headers"] == "content-type,x-y"
        other = {"Origin": "https://evil.example"}
        refused = receiver.http.request(method, url, headers=other, content=content)
        assert "access-control-allow-origin" not in refused.headers
    assert len(receiver.kept) == 2
    broken = receiver.post("e/", b"\x1f\x8bbroken", headers={"Origin": PAGE})
    assert (broken.status_code, broken.headers["access-control-allow-origin"]) == (400, PAGE)


def test_replay_is_answered_and_not_kept(receiver: Receiver) -> None:
    assert receiver.post("s/", BATCH).json() == {"status": 1}
    assert receiver.post("s/", b"x" * (MAX_BODY + 1)).status_code == 413
    assert not receiver.kept


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\x1f\x8bmalformed", 400),
        (gzip.compress(b"[1]", mtime=0)[:-4], 400),
        ({"batch": [1, 2]}, 400),
        (b"[" + b"1," * 60_000 + b"1]", 413),
        (gzip.compress(bytes(MAX_BODY + 1), mtime=0), 413),
        (b" " * (MAX_BODY + 1), 413),
    ],
)
def test_bodies_that_cannot_be_read(receiver: Receiver, body: object, status: int) -> None:
    answer = receiver.post("batch/", body)
    assert (answer.status_code, answer.json()["type"]) == (status, "validation_error")
    assert not receiver.kept


def test_long_bodies_are_taken_in_turn(receiver: Receiver) -> None:
    event = {**EVENT, "properties": {"text": "e" * 1_000}}
    body = json.dumps({"api_key": KEY, "batch": [event] * 5_000}).encode()
    assert len(body) > FREE_TEXT
    for content in (body, gzip.compress(body)):
        assert receiver.post("batch/", content).status_code == 200
    assert len(receiver.kept) == 10_000


def test_get_takes_an_event_from_the_url(receiver: Receiver) -> None:
    event = json.dumps({**EVENT, "api_key": KEY})
    assert receiver.http.get("/ingest/e/", params={"data": event}).status_code == 400
    packed = httpx.QueryParams(
        data="eyJldmVudCI6ImEiLCJkaXN0aW5jdF9pZCI6ImIiLCJhcGlfa2V5IjoicGhjX3Rlc3QifQ=="
    )
    assert receiver.http.get("/ingest/e/", params=packed).status_code == 200
    assert receiver.kept[0].event == "a"
