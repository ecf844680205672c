"""Writers of other languages, pinned, and how each is built and run.

A writer reads a stream of BSON documents and writes one line for each, `!` where it fails. Its
output for `documents.py` is a golden file; `python -m tests.peers.writers` writes them anew.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bson import decode
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.json_util import (
    CANONICAL_JSON_OPTIONS,
    LEGACY_JSON_OPTIONS,
    RELAXED_JSON_OPTIONS,
    JSONOptions,
    dumps,
)
from tests.peers.documents import DOCUMENTS

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
BUILD = HERE.parents[1] / "build" / "peers"
"""What is built stays here; nothing else is written."""

JAVA_LIBRARY = "org.mongodb:bson:5.5.1"


@dataclass(frozen=True)
class Writer:
    """One library in one of its modes; `is_old` is whether it writes Extended JSON of version 1."""

    language: str
    mode: str
    is_old: bool = False

    @property
    def name(self) -> str:
        return f"{self.language}-{self.mode}"

    @property
    def golden(self) -> Path:
        return GOLDEN / f"{self.name}.txt"

    def lines(self) -> list[str]:
        """What it has written for each of the documents."""
        return split_lines(self.golden.read_text())


WRITERS = [
    Writer("node", "relaxed"),
    Writer("node", "canonical"),
    Writer("node", "promoted"),
    Writer("node", "legacy", is_old=True),
    Writer("java", "strict", is_old=True),
    Writer("java", "extended"),
    Writer("java", "relaxed"),
    Writer("java", "shell", is_old=True),
    Writer("go", "canonical"),
    Writer("go", "relaxed"),
    Writer("rust", "canonical"),
    Writer("rust", "relaxed"),
    Writer("python", "canonical"),
    Writer("python", "relaxed"),
    Writer("python", "legacy", is_old=True),
]
PROGRAMS = {
    "node": ["node", "npm"],
    "java": ["java", "mvn"],
    "go": ["go"],
    "rust": ["cargo"],
    "python": [sys.executable],
}


def missing_programs(language: str) -> list[str]:
    """The programs of a tool chain that this machine lacks."""
    return [program for program in PROGRAMS[language] if not shutil.which(program)]


def write_lines(writer: Writer, stream: list[bytes]) -> list[str]:
    """What a writer writes for these documents."""
    if writer.language == "python":
        return [_write_python(raw, _OPTIONS[writer.mode]) for raw in stream]
    command = _BUILD[writer.language](HERE / writer.language, BUILD / writer.language)
    done = subprocess.run(
        [*command, writer.mode], input=b"".join(stream), stdout=subprocess.PIPE, check=True
    )
    return split_lines(done.stdout.decode())


def split_lines(output: str) -> list[str]:
    """One text for each document; Java's shell mode writes a pattern's new line as it is."""
    joined: list[str] = []
    for line in output.removesuffix("\n").split("\n"):
        if line == "!" or line.startswith("{"):
            joined.append(line)
        else:
            joined[-1] += "\n" + line
    return joined


def _prepare(source: Path, build: Path) -> None:
    shutil.copytree(source, build, dirs_exist_ok=True)


def _build_node(source: Path, build: Path) -> list[str]:
    _prepare(source, build)
    if not (build / "node_modules").exists():
        _call(build, "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent")
    return ["node", str(build / "write.js")]


def _build_java(source: Path, build: Path) -> list[str]:
    _prepare(source, build)
    if not (build / "lib").exists():
        goal = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy"
        _call(build, "mvn", "-q", "-B", goal, f"-Dartifact={JAVA_LIBRARY}", "-DoutputDirectory=lib")
    return ["java", "-cp", str(build / "lib" / "*"), str(build / "Write.java")]


def _build_go(source: Path, build: Path) -> list[str]:
    _prepare(source, build)
    _call(build, "go", "build", "-o", "write", ".")
    return [str(build / "write")]


def _build_rust(source: Path, build: Path) -> list[str]:
    _prepare(source, build)
    _call(build, "cargo", "build", "--quiet", "--release")
    return [str(build / "target" / "release" / "write")]


_BUILD: dict[str, Callable[[Path, Path], list[str]]] = {
    "node": _build_node,
    "java": _build_java,
    "go": _build_go,
    "rust": _build_rust,
}


def _call(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


_OPTIONS = {
    "canonical": CANONICAL_JSON_OPTIONS,
    "relaxed": RELAXED_JSON_OPTIONS,
    "legacy": LEGACY_JSON_OPTIONS,
}
_DATES: CodecOptions[dict[str, object]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


def _write_python(raw: bytes, options: JSONOptions) -> str:
    try:
        return dumps(decode(raw, _DATES), json_options=options)
    except (ValueError, TypeError, OverflowError):
        return "!"


def write_golden(writer: Writer) -> None:
    """Write the golden file of a writer anew."""
    lines = write_lines(writer, list(DOCUMENTS.values()))
    writer.golden.write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    for each in WRITERS:
        lacking = missing_programs(each.language)
        if lacking:
            sys.exit(f"{each.name}: not on this machine: {', '.join(lacking)}")
        write_golden(each)
        sys.stdout.write(f"{each.golden.name}\n")
