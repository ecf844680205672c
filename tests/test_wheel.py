"""The wheel, installed into an environment of its own, can migrate, and starts quickly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.dumps import write_dump

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src"
STARTS = 5
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(*command: str | Path, folder: Path = ROOT) -> str:
    done = subprocess.run(
        command, cwd=folder, env=ENVIRON, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment, whose index is what this one has installed.

    A folder that a .pth file names is searched, but its own .pth files are not read: the editable
    install of the tree is not seen.
    """
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (packages / "dependencies.pth").write_text(
        "".join(f"{sysconfig.get_path(name)}\n" for name in ("purelib", "platlib"))
    )
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        folder / "bin" / "python",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        wheel,
    )
    assert Path(
        run(
            folder / "bin" / "python", "-c", "import assise; print(assise.__file__)", folder=folder
        ).strip()
    ).is_relative_to(packages)
    return folder / "bin"


def test_it_holds_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert any(name.endswith(".sql") for name in held)


def test_its_program_migrates(programs: Path, tmp_path: Path, database: str) -> None:
    users = [{"_id": n, "name": f"user {n}", "items": [{"n": n}]} for n in range(5)]
    write_dump(tmp_path / "app", {"users": users})
    report = json.loads(
        run(
            programs / "assise",
            "migrate",
            "app",
            "--to",
            database,
            "--yes",
            "--json",
            folder=tmp_path,
        )
    )
    assert report["verified"] == {"equal": 5, "different": 0, "missing": 0, "extra": 0}
    assert run(programs / "assise", "undo", "--to", database, "--yes", folder=tmp_path)


def test_its_version_is_told_at_once(programs: Path) -> None:
    seconds = []
    for _ in range(STARTS):
        process = subprocess.Popen(
            [programs / "assise", "--version"], env=ENVIRON, stdout=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        seconds.append(used.ru_utime + used.ru_stime)
    assert min(seconds) < 0.3, seconds
    script = """import sys
from assise.cli import main
sys.argv[1:] = ["--version"]
main()
print(*sys.modules, sep="\\n")
"""
    version, *modules = run(programs / "python", "-c", script).splitlines()
    assert version.startswith("assise ")
    assert not {"psycopg", "pydantic", "pymongo", "typer", "rich"} & {*modules}
