"""HTTP: from which origins browsers may call, and how often one caller may."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import Field

from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.wording import show

_ORIGIN = r"\*|https?://[^/\s?#]+"
_RATE = r"[1-9]\d{0,8}/(second|minute|hour|day)"


class Http(Keyed):
    """What holds for all resources.

    origins: those whose pages may call, by CORS; rate_limit: requests of one caller in a time, as
    `100/minute`.
    """

    origins: tuple[str, ...] = Field(default=())
    rate_limit: str | None = None


def _check(place: Place, http: Http, tables: Tables) -> Iterator[Problem]:
    del tables
    for i, origin in enumerate(http.origins):
        if not re.fullmatch(_ORIGIN, origin):
            remedy = "Write scheme and host, such as https://app.example.org, or *."
            yield Problem((*place, "origins", str(i)), "is no origin", show(origin), remedy)
    if http.rate_limit is not None and not re.fullmatch(_RATE, http.rate_limit):
        remedy = "Write a number and second, minute, hour or day: 100/minute."
        yield Problem((*place, "rate_limit"), "is no rate", show(http.rate_limit), remedy)


_PROPERTIES: dict[str, Schema] = {
    "origins": {"type": "array", "items": {"type": "string"}},
    "rate_limit": {"type": "string"},
}
HTTP = Key(
    "http",
    "manifest",
    help="origins: whose pages may call, by CORS; rate_limit: the requests of one caller, such as"
    " 100/minute, counted in each process",
    affects="nothing",
    type=Http,
    check=_check,
    schema={"type": "object", "additionalProperties": False, "properties": _PROPERTIES},
    default="no other origin, no limit",
)
KEYS = (HTTP,)
