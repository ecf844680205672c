"""Idempotency keys: a request that is sent again gets the first answer, and does nothing.

As in the draft of the HTTP working group on the header `Idempotency-Key`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from starlette.requests import Request

from assise.errors import RequestError
from assise.identity.callers import Caller
from assise.postgres.pool import Session
from assise.schema.requests import claim_request, keep_answer, read_request

HEADER = "idempotency-key"
MAX_KEY = 255


@dataclass(frozen=True)
class NotedRequest:
    """A request by its user, method, route and key, with the hash of its body."""

    facts: dict[str, str | None]
    digest: bytes

    async def claim(self, session: Session, schema: str) -> tuple[int, str] | None:
        """Note the request in the session; status and body of the answer, where it has one.

        It waits for a session that does the same request.

        Raises:
            RequestError: another body was sent with its key.
        """
        claimed = {**self.facts, "hash": self.digest}
        if await session.fetch_one(claim_request(schema), claimed):
            return None
        found = await session.fetch_one(read_request(schema), self.facts)
        if found is None or bytes(found["body_hash"]) != self.digest:
            raise RequestError(
                "this Idempotency-Key was sent with another body",
                status=422,
                remedy="Send a new key with a new request.",
            )
        return found["status"], found["body"]

    async def keep(self, session: Session, schema: str, answer: tuple[int, str]) -> None:
        """Keep the answer, in the transaction of what was done."""
        status, body = answer
        await session.execute(keep_answer(schema), {**self.facts, "status": status, "body": body})


def note_request(request: Request, caller: Caller, body: bytes) -> NotedRequest | None:
    """The request by its key; None where it has none. Each tenant of a user has its own keys.

    Raises:
        RequestError: the key is empty or too long.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
        raise RequestError(f"Idempotency-Key has 1 to {MAX_KEY} characters")
    route = request.scope["route"].path
    if caller.tenant_id is not None:
        route = f"{route} of {caller.tenant_id}"
    facts = {"user": caller.user_id, "method": request.method, "route": route, "key": key}
    return NotedRequest(facts, hashlib.sha256(body).digest())
