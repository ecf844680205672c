"""Archives for tests, written after mongo-tools' common/archive/spec.md; own code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import bson

MAGIC = 0x8199E26D.to_bytes(4, "little")
TERMINATOR = b"\xff\xff\xff\xff"
HEADER = {
    "concurrent_collections": 4,
    "version": "0.1",
    "server_version": "8.0.4",
    "tool_version": "100.12.2",
}
POLYNOMIAL = 0xC96C5795D7870F42
"""CRC-64 of ECMA-182, its bits from right to left, as Go's hash/crc64 has it."""


def _make_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ POLYNOMIAL if crc & 1 else crc >> 1
        table.append(crc)
    return table


TABLE = _make_table()


def find_crc(data: bytes) -> int:
    """CRC-64 as a signed number, as BSON holds it."""
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFFFFFFFFFF
    return crc - (1 << 64) if crc >> 63 else crc


@dataclass
class ArchiveWriter:
    """Writes an archive piece by piece; `content` is what is written so far."""

    header: Mapping[str, object] = field(default_factory=lambda: HEADER)
    content: bytearray = field(default_factory=bytearray)
    written: dict[tuple[str, str], bytearray] = field(default_factory=dict)

    def prelude(self, metadata: Iterable[Mapping[str, object]]) -> None:
        self.content += MAGIC + bson.encode(self.header)
        for each in metadata:
            rest = {"metadata": "", "size": 0, "type": "", **each}
            names = {"db": rest.pop("db"), "collection": rest.pop("collection")}
            self.content += bson.encode({**names, **rest})
        self.content += TERMINATOR

    def segment(self, database: str, collection: str, documents: Sequence[bytes]) -> None:
        data = b"".join(documents)
        self.written.setdefault((database, collection), bytearray()).extend(data)
        self.content += self._header(database, collection, is_end=False, crc=0)
        self.content += data + TERMINATOR

    def end(self, database: str, collection: str, *, crc: int | None = None) -> None:
        if crc is None:
            crc = find_crc(bytes(self.written.pop((database, collection), b"")))
        self.content += self._header(database, collection, is_end=True, crc=crc) + TERMINATOR

    def _header(self, database: str, collection: str, *, is_end: bool, crc: int) -> bytes:
        names = {"db": database, "collection": collection}
        return bson.encode({**names, "EOF": is_end, "CRC": bson.Int64(crc)})


def write_archive(
    collections: Mapping[str, Sequence[bytes]],
    *,
    database: str = "app",
    metadata: Iterable[Mapping[str, object]] | None = None,
    documents_at_once: int = 7,
) -> bytes:
    """An archive of one database, its collections in turn, some documents of each at a time."""
    writer = ArchiveWriter()
    if metadata is None:
        metadata = [{"db": database, "collection": name} for name in collections]
    writer.prelude(metadata)
    left = {name: list(documents) for name, documents in collections.items()}
    while left:
        for name in list(left):
            writer.segment(database, name, left[name][:documents_at_once])
            del left[name][:documents_at_once]
            if not left[name]:
                writer.end(database, name)
                del left[name]
    return bytes(writer.content)
