"""Which way documents go: the crate is used where it is whole, of this version, and wanted."""

from __future__ import annotations

import os
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
