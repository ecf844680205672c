"""Run the long tests in small pieces, each with a line in soak.log.

    python tools/soak.py [GROUP ...]    run the pieces that have not passed at this commit
    python tools/soak.py --status       show what the log says of this commit

Interrupted, the same call goes on. A line holds, between tabs: UTC time, commit (`+`: with
changes), piece, seed, what was done, seconds, passed or failed, and for a failure the command that
repeats it.
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
    """One call of pytest.

    `examples` are those of each law, `workers` those of every command; 0 leaves them as usual.
    """

    name: str
    arguments: tuple[str, ...]
    examples: int = 0
    workers: int = 0


PROPERTIES = ("documents", "infer", "manifest", "mongo", "oracle", "rows", "transfer", "types")
"""Folders of tests with properties that Hypothesis checks; it marks them itself."""


def list_fuzz() -> list[Piece]:
    """Every test of laws, ten times, and every other property."""
    marked = ("-m", "hypothesis and not soak")
    pieces = [
        Piece(f"soak-fuzz/{folder}-properties", (*marked, f"tests/{folder}"), EXAMPLES)
        for folder in PROPERTIES
    ]
    for file in sorted(ROOT.glob("tests/*/test_laws.py")):
        test = str(file.relative_to(ROOT))
        names = [f"soak-fuzz/{file.parent.name}-{n}" for n in range(1, 11)]
        pieces += [Piece(name, (test,), EXAMPLES) for name in names]
    return pieces


def list_kills() -> list[Piece]:
    arguments = ("-m", "soak", "tests/soak/test_kills.py")
    return [Piece(f"soak-kills/{n}", arguments) for n in range(1, 8)]


def list_data() -> list[Piece]:
    """The tests marked `soak` outside of tests/soak, as pytest finds them."""
    options = "--collect-only -p no:randomly -m soak --ignore=tests/soak tests"
    collect = [*PYTEST, *options.split()]
    listed = subprocess.run(collect, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if listed.returncode:
        sys.exit(f"pytest does not find the tests of soak-data:\n{listed.stdout}")
    tests = [line for line in listed.stdout.splitlines() if "::" in line]
    return [Piece(f"soak-data/{test.split('::')[1]}", ("-m", "soak", test)) for test in tests]


def list_long() -> list[Piece]:
    names = [f"plain-{n}" for n in range(1, 6)] + ["gzip", "large"]
    pieces = []
    for name in names:
        test = f"tests/soak/test_long.py::test_a_long_migration[{name.partition('-')[0]}]"
        pieces.append(Piece(f"soak-long/{name}", ("-m", "soak", test)))
    return pieces


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
    """Return the commit, and `+` where files differ from it."""
    commit = run_git("rev-parse", "--short=10", "HEAD")
    changes = run_git("--no-optional-locks", "status", "--porcelain")
    return f"{commit}+" if changes else commit


def run_git(*arguments: str) -> str:
    return subprocess.check_output([GIT, *arguments], cwd=ROOT, text=True).strip()


def read_log(version: str) -> list[list[str]]:
    """Return the lines of a commit, split at their tabs."""
    rows = LOG.read_text().splitlines() if LOG.exists() else []
    lines = [row.split("\t") for row in rows]
    return [line for line in lines if line[1] == version]


def has_passed(piece: Piece) -> bool:
    lines = read_log(read_version())
    return any(line[2] == piece.name and line[6] == "passed" for line in lines)


def read_counts(path: Path) -> Counter[str]:
    """Read pytest's XML: the tests that ran, those skipped, and the sums of what they recorded."""
    counts = Counter[str]()
    if not path.exists():
        return counts
    for suite in ET.parse(path).iter("testsuite"):  # noqa: S314 - pytest has just written it
        for name in ("tests", "skipped"):
            counts[name] += int(suite.attrib[name])
        for item in suite.iterfind("testcase/properties/property"):
            counts[item.attrib["name"]] += int(item.attrib["value"])
    return counts


def describe(counts: Counter[str]) -> str:
    done = [f"{count:,} {name}" for name, count in counts.items() if count]
    return ", ".join(done)


def run_piece(piece: Piece) -> bool:
    """Run one piece with a new seed and append its line.

    Ctrl-C reaches pytest too: it tidies up, and no line is written.
    """
    version, started = read_version(), time.monotonic()
    seed = SystemRandom().getrandbits(32)
    command = ["env", "ASSISE_TEST_PLACE=/tmp"]
    if piece.examples:
        command += ["ASSISE_TEST_PROFILE=soak", f"ASSISE_TEST_EXAMPLES={piece.examples}"]
    if piece.workers:
        command.append(f"ASSISE_WORKERS={piece.workers}")
    command += [*PYTEST, f"--randomly-seed={seed}", f"--hypothesis-seed={seed}", *piece.arguments]
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
    counts["examples"] = piece.examples if is_passed else 0
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
    """Print a row for each group, then the commands that repeat the failures."""
    version = read_version()
    lines = read_log(version)
    print(f"{version:<12} passed     failed  seconds  done")
    for group in groups:
        own = [line for line in lines if line[2].startswith(f"{group}/")]
        names = {piece.name for piece in GROUPS[group]()}
        passed = len(names & {line[2] for line in own if line[6] == "passed"})
        failed = sum(line[6] == "failed" for line in own)
        seconds = sum(int(line[5]) for line in own)
        done = ", ".join(line[4] for line in own)
        counts = Counter[str]()
        for number, name in re.findall(r"([\d,]+) ([a-z]+)", done):
            counts[name] += int(number.replace(",", ""))
        row = f"{group:<12} {passed:>3} of {len(names):<3} {failed:>6} {seconds:>8}"
        print(f"{row}  {describe(counts)}")
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
    pieces = [piece for group in groups for piece in GROUPS[group]()]
    verdicts = [run_piece(piece) for piece in pieces if not has_passed(piece)]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    # A job started with `&` ignores Ctrl-C, and so would all that it runs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; the same call goes on with this piece")
