"""Print how many of our own functions, files and levels one document passes from `Project.load` to its COPY."""

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
    """What was passed so far; `copied` is that at the last step of a COPY."""

    passed: set[CodeType] = field(default_factory=set)
    depth: int = 0
    copied: tuple[frozenset[CodeType], int] = (frozenset(), 0)

    def trace(self, frame: FrameType, event: str, _: object) -> None:
        """A profiler for `sys.setprofile`."""
        if event != "call":
            return
        if is_own(frame.f_code):
            self.passed.add(frame.f_code)
            self.depth = max(self.depth, sum(map(is_own, codes_above(frame))))
        elif is_copy(frame.f_code):
            self.copied = (frozenset(self.passed), self.depth)


def is_own(code: CodeType) -> bool:
    """Whether this is a function of the package, written or generated; bodies of classes and modules are none."""
    is_function = bool(code.co_flags & inspect.CO_OPTIMIZED) and code.co_name not in COMPREHENSIONS
    return is_function and code.co_filename.startswith((PACKAGE, "<assise"))


def is_copy(code: CodeType) -> bool:
    """Whether this is a step of psycopg's COPY."""
    return Path(code.co_filename).match("psycopg/*copy*.py")


def codes_above(frame: FrameType | None) -> Iterator[CodeType]:
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back


def follow_document(folder: Path) -> Way:
    """Load a dump of one document into an embedded PostgreSQL in `folder`."""
    dump = folder / "dump" / "app"
    dump.mkdir(parents=True)
    (dump / "users.bson").write_bytes(bson.encode(DOCUMENT))
    server = Embedded(folder / ".assise")
    server.start(settings={"fsync": "off"})
    way = Way()
    try:
        project = Project(folder)
        project.infer(str(dump))
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
        codes, depth = follow_document(folder).copied
    if not codes:
        sys.exit("tools/way.py saw no COPY: Project.load no longer copies through psycopg's cursor.copy")
    files = {code.co_filename for code in codes}
    for label, value, aim in (("functions", len(codes), 60), ("files", len(files), 12), ("levels", depth, 8)):
        print(f"{'ok' if 0 < value <= aim else 'OVER':<5} way of one document, {label:<17} {value:>7}  {aim}")
    if "--list" in sys.argv:
        print(*sorted(f"{code.co_filename.removeprefix(PACKAGE)}:{code.co_firstlineno} {code.co_qualname}" for code in codes), sep="\n")


if __name__ == "__main__":
    main()
