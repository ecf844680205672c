"""Cursors of pages: where a page ended, signed with all that it was asked for."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from assise.errors import RequestError

_MAC_BYTES = 16
MAX_CHARACTERS = 32_768
"""Of a cursor; servers take some 64 kB of a URL and its headers."""


@dataclass(frozen=True)
class Cursors:
    """Signs cursors with a secret that all processes of an application share."""

    secret: bytes

    def sign(self, asked: Sequence[object], last: Sequence[str | None]) -> str:
        """The cursor behind a row, by the values that it is ordered by.

        Raises:
            RequestError: they are too long for a URL.
        """
        text = json.dumps(last, separators=(",", ":")).encode()
        found = urlsafe_b64encode(self._mac(asked, text) + text).decode().rstrip("=")
        if len(found) > MAX_CHARACTERS:
            raise RequestError(
                "the page ends at a value that is too long for a cursor",
                remedy="Order by another column.",
            )
        return found

    def read(self, asked: Sequence[object], cursor: str) -> list[str | None]:
        """The values at which a page ended.

        Raises:
            RequestError: the cursor is of another query or another user, or was tampered with.
        """
        refused = RequestError(
            "the cursor belongs to another query, or was changed",
            remedy="Send it with the same order, filters and select, as the same user.",
        )
        if len(cursor) > MAX_CHARACTERS or not cursor.isascii():
            raise refused
        try:
            found = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except ValueError:
            raise refused from None
        mac, text = found[:_MAC_BYTES], found[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(asked, text)):
            raise refused
        last: list[str | None] = json.loads(text)
        return last

    def _mac(self, asked: Sequence[object], text: bytes) -> bytes:
        message = json.dumps(asked, separators=(",", ":"), default=str).encode() + b"\0" + text
        return hmac.digest(self.secret, message, sha256)[:_MAC_BYTES]
