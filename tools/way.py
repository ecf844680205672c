"""Print how many of our functions, files and levels a document passes on its way to COPY.

There are two counts. The whole load begins with `Project.load`, with manifest, server, preflight
and tables. The way of the document begins where its first byte is read; it is the second of two
chunks.
"""

from __future__ import annotations

import inspect
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType

import bson

import assise
from assise.postgres.embedded import Embedded
from assise.project import Project

PACKAGE = str(Path(assise.__file__).parent)
FIRST_READ = "read_frames"
COMPREHENSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")
DOCUMENT = {
    "_id": bson.ObjectId("507f1f77bcf86cd799439011"),
    "name": "Ada",
    "age": 36,
    "address": {"city": "Lyon"},
    "tags": ["a", "b"],
    "files": [{"path": "index.html", "content": "<p>"}],
    "odd": None,
}


@dataclass
class Way:
    """The functions that were passed so far; `copied` are those up to the last step of a COPY."""

    passed: set[CodeType] = field(default_factory=set)
    depth: int = 0
    copied: tuple[frozenset[CodeType], int] = (frozenset(), 0)
    on_document: set[CodeType] = field(default_factory=set)
    depth_on_document: int = 0
    copied_document: tuple[frozenset[CodeType], int] = (frozenset(), 0)

    def trace(self, frame: FrameType, event: str, _: object) -> None:
        """A profiler for `sys.setprofile`."""
        if event != "call":
            return
        if is_own(frame.f_code):
            depth = sum(map(is_own, codes_above(frame)))
            self.passed.add(frame.f_code)
            self.depth = max(self.depth, depth)
            if frame.f_code.co_name == FIRST_READ:
                self.on_document, self.depth_on_document = {frame.f_code}, 0
            if self.on_document:
                self.on_document.add(frame.f_code)
                self.depth_on_document = max(self.depth_on_document, depth)
        elif is_copy(frame.f_code):
            self.copied = (frozenset(self.passed), self.depth)
            self.copied_document = (frozenset(self.on_document), self.depth_on_document)


def is_own(code: CodeType) -> bool:
    """Return whether this is a function of the package, not the body of a class or module."""
    is_function = bool(code.co_flags & inspect.CO_OPTIMIZED) and code.co_name not in COMPREHENSIONS
    return is_function and code.co_filename.startswith((PACKAGE, "<assise"))


def is_copy(code: CodeType) -> bool:
    """Return whether this is a step of psycopg's COPY."""
    return Path(code.co_filename).match("psycopg/*copy*.py")


def codes_above(frame: FrameType | None) -> Iterator[CodeType]:
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back


def follow_document(folder: Path) -> Way:
    """Load a large document, and behind it another one, into an embedded PostgreSQL in `folder`."""
    dump = folder / "dump" / "app"
    dump.mkdir(parents=True)
    before = {**DOCUMENT, "_id": bson.ObjectId("507f1f77bcf86cd799439010"), "name": "A" * (2 << 20)}
    (dump / "users.bson").write_bytes(bson.encode(before) + bson.encode(DOCUMENT))
    server = Embedded(folder / ".assise")
    server.start(settings={"fsync": "off"})
    way = Way()
    try:
        project = Project(folder, settings={"load.chunk_bytes": 1})
        project.write_manifest(project.infer(str(dump)))
        sys.setprofile(way.trace)
        project.load(str(dump))
    finally:
        sys.setprofile(None)
        server.stop(immediate=True)
    return way


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # As root, the server runs as another user, who must be able to enter.
        folder.chmod(0o755)
        way = follow_document(folder)
    if not way.copied_document[0]:
        sys.exit(
            "tools/way.py saw no COPY: Project.load no longer reads with read_frames"
            " or copies through psycopg's cursor.copy"
        )
    for title, (codes, depth) in (("whole load", way.copied), ("document", way.copied_document)):
        files = {code.co_filename for code in codes}
        for label, value, aim in (
            ("functions", len(codes), 60),
            ("files", len(files), 12),
            ("levels", depth, 8),
        ):
            verdict = "ok" if 0 < value <= aim else "OVER"
            name = f"way of one document, {title}, {label}"
            print(f"{verdict:<5} {name:<45} {value:>5}  {aim}")
    if "--list" in sys.argv:
        codes, _ = way.copied_document
        print(
            *sorted(
                f"{code.co_filename.removeprefix(PACKAGE)}:{code.co_firstlineno} {code.co_qualname}"
                for code in codes
            ),
            sep="\n",
        )


if __name__ == "__main__":
    main()
