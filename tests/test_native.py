"""Which way documents go: the crate is used where it is whole, of this version, and wanted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from assise import __version__

ROOT = Path(__file__).parents[1]
FOUND = """
from assise.native import describe_native, find_native
print(find_native() is not None, describe_native())
"""


def ask(folder: Path, **variables: str) -> str:
    """Whether the module is found, and what is said, where `folder` is imported from first."""
    environment = {**os.environ, "PYTHONPATH": str(folder), **variables}
    done = subprocess.run(
        [sys.executable, "-c", FOUND], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('__version__ = "0.0.9"', "False in Python: assise-native 0.0.9 is not of this version, "),
        ("", "False in Python: assise-native of no version is not of this version, "),
        ('raise ImportError("no glibc")', "False in Python: assise-native cannot be imported: no"),
        (f'__version__ = "{__version__}"', f"True native: assise-native {__version__}\n"),
    ],
)
def test_a_crate_of_another_version_or_a_broken_one_is_not_used(
    tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "assise_native.py").write_text(content)
    assert ask(tmp_path).startswith(said)
    off = ask(tmp_path, ASSISE_NATIVE="0")
    assert off == "False in Python: ASSISE_NATIVE switches assise-native off\n"


def test_the_crate_has_the_version_of_assise() -> None:
    cargo = tomllib.loads((ROOT / "native" / "Cargo.toml").read_text())["package"]
    project = tomllib.loads((ROOT / "native" / "pyproject.toml").read_text())["project"]
    assert cargo["version"] == project["version"] == __version__


def write_program(path: Path, lines: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


def find_program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None
    return found


def make_crate(folder: Path, log: Path) -> tuple[str, list[str]]:
    """What make prints when it builds the crate in an environment of stubs, and what they did."""
    log.write_text("")
    target = folder / "venv" / ".native"
    done = subprocess.run(
        [find_program("make"), "--no-print-directory", str(target), f"VENV={target.parent}"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(folder / "path")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, log.read_text().split()


def test_make_builds_the_crate_once_and_takes_an_old_one_away_where_it_cannot(
    tmp_path: Path,
) -> None:
    log, programs = tmp_path / "log", tmp_path / "venv" / "bin"
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / ".ready").touch()
    write_program(programs / "python", f'case "$*" in *uninstall*) echo removed >> {log};; esac')
    write_program(programs / "maturin", f"echo built >> {log}; exit 1")
    write_program(tmp_path / "path" / "cargo", "exit 1")
    for name in ("rm", "touch"):
        (tmp_path / "path" / name).symlink_to(find_program(name))
    for _ in range(2):
        said, did = make_crate(tmp_path, log)
        assert said.startswith("assise-native could not be built, as ")
        assert said.endswith("native.log says: documents go through Python\n")
        assert did == ["built", "removed"]
    write_program(programs / "maturin", f"echo built >> {log}")
    assert make_crate(tmp_path, log) == ("", ["built"])
    said, did = make_crate(tmp_path, log)
    assert "up to date" in said
    assert did == []
    (tmp_path / "path" / "cargo").unlink()
    (tmp_path / "venv" / ".native").unlink()
    for _ in range(2):
        said, did = make_crate(tmp_path, log)
        assert said.startswith("No cargo: ")
        assert len(said.splitlines()) == 1
        assert did == ["removed"]
