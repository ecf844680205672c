"""Files that are no source: what they are, and how the same data come in a form that is read."""

from __future__ import annotations

import shlex
from pathlib import Path

from assise.errors import SourceError
from assise.mongo.source import REMEDY_UNREADABLE

_HEAD_BYTES = 16 << 10
_TABLES = {".csv": "CSV", ".tsv": "TSV"}
_PACKED = {
    b"PK\x03\x04": "a zip file",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"\xfd7zXZ\0": "packed by xz",
    b"BZh": "packed by bzip2",
    b"7z\xbc\xaf": "a 7-Zip file",
    b"\x04\x22\x4d\x18": "packed by lz4",
}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

GIVE_SOURCE = (
    "Give a mongodump folder, an archive of mongodump, .bson or JSON files, or a mongodb:// URL."
)


def refuse_file(path: Path) -> SourceError:
    """Return the error for a file that no kind of source reads."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        return SourceError(f"{path} cannot be read: {error.strerror}", remedy=REMEDY_UNREADABLE)
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    if ending in _TABLES or _is_table(head):
        return _refuse_table(path, _TABLES.get(ending, "CSV"))
    if head.startswith(_UTF_16):
        return SourceError(
            f"{path} was converted to UTF-16: PowerShell does so with what `>` redirects",
            remedy="Let the program that made it write the file itself: mongodump --archive=FILE,"
            " mongoexport --out FILE.",
        )
    for mark, what in _PACKED.items():
        if head.startswith(mark):
            return SourceError(f"{path} is {what}", remedy="Unpack it, and give what is in it.")
    if not head:
        return SourceError(f"{path} is empty", remedy=GIVE_SOURCE)
    return SourceError(
        f"{path} is neither BSON nor JSON nor an archive, by its name and its first bytes",
        remedy=GIVE_SOURCE,
    )


def _is_table(head: bytes) -> bool:
    """Say whether text begins with two lines of as many fields, at least two."""
    first, _, rest = head.partition(b"\n")
    second = rest.partition(b"\n")[0]
    is_text = b"\0" not in head and not head.lstrip().startswith((b"{", b"["))
    return is_text and any(0 < first.count(mark) == second.count(mark) for mark in (b",", b"\t"))


def _refuse_table(path: Path, form: str) -> SourceError:
    name = path.name.split(".")[0]
    command = f"mongoexport --db DATABASE --collection {shlex.quote(name)}"
    return SourceError(
        f"{path} is {form}, which has no types: numbers, dates, ids and booleans are all text in"
        " it, null and a missing field are alike, arrays and documents are cut up",
        remedy=f"Export it again, with its types: `{command} --jsonFormat=canonical"
        f" --out {shlex.quote(name)}.json`.",
    )
