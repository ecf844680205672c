"""What the SDKs want to hear. All of them take exactly 200 for a success: 202 is sent again."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from uuid import UUID, uuid4

JsonAnswer = dict[str, object]

STORED: JsonAnswer = {"status": 1}
STORED_I: JsonAnswer = {"status": "Ok"}
DEFINITIONS: JsonAnswer = {"flags": [], "group_type_mapping": {}, "cohorts": {}}
ETAG = '"no-flags"'
UNKNOWN_KEY: JsonAnswer = {
    "type": "authentication_error",
    "code": "invalid_api_key",
    "detail": "This key is not one of analytics.capture.keys.",
    "attr": None,
}

CONFIG: JsonAnswer = {
    "supportedCompression": ["gzip", "gzip-js"],
    "hasFeatureFlags": False,
    "analytics": {"endpoint": "/i/v0/e/"},
    "elementsChainAsString": True,
    "sessionRecording": False,
    "surveys": False,
    "heatmaps": False,
    "captureDeadClicks": False,
    "capturePerformance": False,
    "autocapture_opt_out": False,
    "autocaptureExceptions": False,
    "defaultIdentifiedOnly": True,
    "isAuthenticated": False,
    "siteApps": [],
    "toolbarParams": {},
}
"""What posthog-js asks for before it sends: where to, and that there is no replay and no survey."""


def answer_flags(query: Mapping[str, str], *, is_decide: bool, now: dt.datetime) -> JsonAnswer:
    """That there are no flags, in the form of the version that is asked for.

    From `/flags` version 2 and `/decide` version 4 on flags are records by name; before, values and
    payloads by name; `/decide` of version 1 has a list.
    """
    version = int(text) if (text := query.get("v", "1")).isdecimal() and len(text) < 5 else 1
    asked = {
        "errorsWhileComputingFlags": False,
        "requestId": str(uuid4()),
        "evaluatedAt": int(now.timestamp() * 1000),
    }
    flags: JsonAnswer = {"featureFlags": {}, "featureFlagPayloads": {}}
    if version >= (4 if is_decide else 2):
        flags = {"flags": {}}
    elif is_decide and version == 1:
        flags = {"featureFlags": []}
    config = {**CONFIG, "config": {"enable_collect_everything": True}}
    return {**asked, **flags, **(config if is_decide or "config" in query else {})}


def answer_results(uuids: Iterable[UUID]) -> JsonAnswer:
    """The answer of `/i/v1/analytics/events`: every event has a result of its own."""
    return {"results": {str(each): {"result": "ok"} for each in uuids}}


def write_script(key: str) -> str:
    """The configuration as the script that posthog-js loads: it stands in a variable, by key."""
    found = json.dumps({"config": CONFIG, "siteApps": []}, separators=(",", ":"))
    name = "window._POSTHOG_REMOTE_CONFIG"
    return f"{name}=Object.assign({name}||{{}},{{{json.dumps(key)}:{found}}});"
