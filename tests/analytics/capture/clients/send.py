"""Send events with the SDK that is installed here, and say what it was told.

python send.py HOST KEY
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

posthog: Any = import_module("posthog")
host, key = sys.argv[1:]
errors: list[str] = []
client: Any = posthog.Posthog(
    key,
    host=host,
    personal_api_key="phx_secret",
    on_error=lambda error, _batch: errors.append(repr(error)),
    gzip=True,
    poll_interval=3600,
    flush_interval=0.2,
)
is_old = posthog.VERSION.startswith("3.")


def capture(person: str, event: str, **options: object) -> None:
    """Version 3 has the person first."""
    if is_old:
        client.capture(person, event, **options)
    else:
        client.capture(event, distinct_id=person, **options)


for n in range(250):
    capture("u1", "counted", properties={"n": n})
capture("u1", "signup", properties={"plan": "pro", "ratio": float("nan")}, groups={"company": "c1"})
client.group_identify("company", "c1", {"name": "Acme"})
client.alias("anon-1", "u1")
client.set(distinct_id="u1", properties={"email": "a@x"})
client.set_once(distinct_id="u1", properties={"first": "1"})
if is_old:
    client.identify("u1", {"email": "b@x"})
flags = {
    "flag": client.get_feature_flag("new-dash", "u2"),
    "enabled": client.feature_enabled("new-dash", "u2"),
    "all": client.get_all_flags("u3"),
}
client.shutdown()
json.dump({"version": posthog.VERSION, "errors": errors, **flags}, sys.stdout)
