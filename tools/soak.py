"""Run the long tests in small pieces. Each leaves one line in soak.log; a piece that has passed at this commit is not run again.

    python tools/soak.py [GROUP ...]    run what is missing; interrupted, the same call goes on
    python tools/soak.py --status       what the log says of this commit

A line holds, between tabs: UTC time, commit (`+`: with changes), piece, seed, what was done, seconds, passed or failed, and where it failed the
command that repeats it.
"""

from __future__ import annotations

import argparse
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from shutil import which

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "soak.log"
EXAMPLES = 500
GIT = which("git") or "git"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-o", "junit_family=xunit1"]


@dataclass(frozen=True)
class Piece:
    """One call of pytest: its name, its arguments, the examples of each of its laws, and the workers of every command (0: as usual)."""

    name: str
    arguments: tuple[str, ...]
    examples: int = 0
    workers: int = 0


def list_fuzz() -> list[Piece]:
    return [
        Piece(f"soak-fuzz/{law}-{n}", (f"tests/{law}/test_laws.py",), EXAMPLES)
        for law in ("rows", "transfer")
        for n in range(1, 11)
    ]


def list_kills() -> list[Piece]:
    return [
        Piece(f"soak-kills/{n}", ("-m", "soak", "tests/soak/test_kills.py")) for n in range(1, 8)
    ]


def list_data() -> list[Piece]:
    """The tests marked `soak` outside of tests/soak, as pytest finds them."""
    collect = [
        *PYTEST,
        "--collect-only",
        "-p",
        "no:randomly",
        "-m",
        "soak",
        "--ignore=tests/soak",
        "tests",
    ]
    found = subprocess.run(collect, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if found.returncode:
        sys.exit(f"pytest does not find the tests of soak-data:\n{found.stdout}")
    return [
        Piece(f"soak-data/{test.split('::')[1]}", ("-m", "soak", test))
        for test in found.stdout.splitlines()
        if "::" in test
    ]


def list_long() -> list[Piece]:
    test = "tests/soak/test_long.py::test_a_long_migration"
    return [
        Piece(f"soak-long/{name}", ("-m", "soak", f"{test}[{name.split('-')[0]}]"))
        for name in (*(f"plain-{n}" for n in range(1, 6)), "gzip", "large")
    ]


def list_workers() -> list[Piece]:
    tests = {
        "hostile": "tests/transfer/hostile",
        "real": "tests/real/test_data_of_others.py",
    }
    return [
        Piece(f"soak-workers/{name}-{count}", (test,), workers=count)
        for count in (2, 4)
        for name, test in tests.items()
    ]


GROUPS: dict[str, Callable[[], list[Piece]]] = {
    "soak-fuzz": list_fuzz,
    "soak-kills": list_kills,
    "soak-data": list_data,
    "soak-workers": list_workers,
    "soak-long": list_long,
}


def read_version() -> str:
    """The commit, and `+` where files differ from it."""
    commands = (
        ["rev-parse", "--short=10", "HEAD"],
        ["--no-optional-locks", "status", "--porcelain"],
    )
    commit, changes = (
        subprocess.run(
            [GIT, *each], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip()
        for each in commands
    )
    return commit + "+" * bool(changes)


def read_log(version: str) -> list[list[str]]:
    """The lines of a commit."""
    lines = LOG.read_text().splitlines() if LOG.exists() else []
    return [line.split("\t") for line in lines if line.split("\t")[1] == version]


def has_passed(piece: Piece) -> bool:
    return any(line[2] == piece.name and line[6] == "passed" for line in read_log(read_version()))


def read_counts(path: Path) -> Counter[str]:
    """How many tests ran, how many were skipped, and the sums of what they recorded, from pytest's XML."""
    suites = list(ET.parse(path).iter("testsuite")) if path.exists() else []  # noqa: S314 - pytest has just written it
    counts = Counter(
        {name: sum(int(suite.attrib[name]) for suite in suites) for name in ("tests", "skipped")}
    )
    for item in (
        item for suite in suites for item in suite.iterfind("testcase/properties/property")
    ):
        counts[item.attrib["name"]] += int(item.attrib["value"])
    return counts


def describe(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


def run_piece(piece: Piece) -> bool:
    """Run one piece with a new seed and append its line. Ctrl-C reaches pytest too: it tidies up, and no line is written."""
    version, seed, started = read_version(), SystemRandom().getrandbits(32), time.monotonic()
    environ = (
        ["ASSISE_TEST_PROFILE=soak", f"ASSISE_TEST_EXAMPLES={piece.examples}"]
        if piece.examples
        else []
    )
    environ += [f"ASSISE_WORKERS={piece.workers}"] if piece.workers else []
    command = [
        "env",
        *environ,
        *PYTEST,
        f"--randomly-seed={seed}",
        f"--hypothesis-seed={seed}",
        *piece.arguments,
    ]
    print(f"{piece.name}: {shlex.join(command)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([*command, f"--junitxml={folder}/counts.xml"], cwd=ROOT)
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
        counts = read_counts(Path(folder) / "counts.xml")
    is_passed = code == 0 and counts["tests"] > 0 and counts["skipped"] == 0
    counts["examples"] = piece.examples * is_passed
    if read_version() != version:
        version = version.rstrip("+") + "+"
    verdict = ["passed"] if is_passed else ["failed", shlex.join(command)]
    line = [
        time.strftime("%FT%TZ", time.gmtime()),
        version,
        piece.name,
        str(seed),
        describe(counts),
        f"{time.monotonic() - started:.0f}",
        *verdict,
    ]
    with LOG.open("a") as file:
        file.write("\t".join(line) + "\n")
    return is_passed


def show_status(groups: list[str]) -> None:
    """A row for each group, then the commands of what has failed."""
    version = read_version()
    lines = read_log(version)
    print(f"{version:<12} passed     failed  seconds  done")
    for group in groups:
        own = [line for line in lines if line[2].startswith(f"{group}/")]
        passed = {line[2] for line in own if line[6] == "passed"} & (
            names := {piece.name for piece in GROUPS[group]()}
        )
        failed, seconds = (
            sum(line[6] == "failed" for line in own),
            sum(int(line[5]) for line in own),
        )
        counts: Counter[str] = Counter()
        for number, name in re.findall(r"([\d,]+) ([a-z]+)", ", ".join(line[4] for line in own)):
            counts[name] += int(number.replace(",", ""))
        print(
            f"{group:<12} {len(passed):>3} of {len(names):<3} {failed:>6} {seconds:>8}  {describe(counts)}"
        )
    for line in lines:
        if line[6] == "failed":
            print(f"failed: {line[7]}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument(
        "--status", action="store_true", help="print what the log says of this commit"
    )
    given = parser.parse_args()
    groups = given.groups or list(GROUPS)
    if unknown := set(groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    if given.status:
        show_status(groups)
        return 0
    verdicts = [
        run_piece(piece) for group in groups for piece in GROUPS[group]() if not has_passed(piece)
    ]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a job started with `&` ignores it, and so would what it runs
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; the same call goes on with this piece")
