"""A command is killed, stopped or cut off; the same command afterwards reaches its end.

The end state is that of an undisturbed run. Moments are seen from outside, in pg_stat_activity and
in the ledger; locks of other sessions hold the command where it would be too quick.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from _pytest.mark import ParameterSet
from tests.conftest import PLACE, UNSAFE_BUT_QUICK
from tests.scenes.commands import SESSIONS, Scene, wait_until
from tests.scenes.moments import (
    MOMENTS,
    after_chunks,
    at_first_copy,
    hold_last_collection,
    prepare_hold,
    start_embedded,
    wait_for_chunks,
)
from tests.scenes.undisturbed import Undisturbed, check_end

from assise.postgres.embedded import Embedded

# `make test` takes these, the soak takes all.
KILLED = {
    "infer",
    "tables",
    "a row of the first COPY",
    "lookup of duplicates",
    "the first line of the ledger",
    "COPY of grandchildren after 12 chunks",
    "last foreign key",
    "verify",
}
LOST = ["the lock of the load", "a row of the first COPY", "first foreign key", "verify"]
ENDED = {"a row of the first COPY", "verify"}
# These depend on the server.
ON_EVERY_SERVER = {
    "a row of the first COPY",
    "lookup of duplicates",
    "last foreign key",
    "verify",
}


def choose(moments: Iterable[str], quick: set[str], contract: set[str]) -> list[ParameterSet]:
    """Moments as parameters: those not in `quick` are of the soak."""
    found = []
    for moment in moments:
        marks = [] if moment in quick else [pytest.mark.soak]
        marks += [pytest.mark.contract] if moment in contract else []
        found.append(pytest.param(moment, marks=marks))
    return found


@pytest.fixture
def scene(undisturbed: Undisturbed, tmp_path: Path, database: str) -> Iterator[Scene]:
    """An empty target, and a folder with the manifest of the undisturbed run."""
    (tmp_path / "assise.yaml").write_text(undisturbed.manifest)
    scene = Scene(tmp_path, undisturbed.dump, database, ["--to", database, "--yes"])
    yield scene
    scene.close()


def test_the_undisturbed_run_is_what_the_dump_says(undisturbed: Undisturbed) -> None:
    state, report, app = undisturbed.state, undisturbed.report, undisturbed.app
    assert isinstance(state["rejects"], list)
    found = [(reject[0], reject[3]) for reject in state["rejects"]]
    assert {each: found.count(each) for each in found} == app.rejected
    rejected = sum(app.rejected.values())
    assert (report["loaded"], report["rejected"]) == (app.loaded, rejected) == (2_000, 12)
    assert report["documents"] == 2_012
    tables = {name: each for name, each in state.items() if isinstance(each, tuple)}
    assert {name: rows for name, (rows, _, _) in tables.items()} == {
        f"rows of {name}": rows for name, rows in app.rows().items()
    }
    assert all(of_others == [(0,)] for _, _, of_others in tables.values())
    assert state["transactions"] == [(True,)]
    with psycopg.connect(undisturbed.conninfo) as connection:
        for table in ("bookings", "users"):
            again = f"SELECT count(*) FROM {table} WHERE _extra ? 'again'"
            assert connection.execute(again.encode()).fetchall() == [(0,)]


@pytest.mark.parametrize("moment", choose(MOMENTS, KILLED, ON_EVERY_SERVER))
def test_the_same_command_goes_on_after_a_kill(
    scene: Scene, undisturbed: Undisturbed, moment: str
) -> None:
    MOMENTS[moment](scene)
    killed = scene.command.end(signal.SIGKILL)
    assert (killed.code, killed.stdout) == (-signal.SIGKILL, "")
    scene.release()
    check_end(scene, undisturbed, scene.run(scene.command.verb))


def test_a_load_that_is_killed_again_and_again_comes_to_its_end(
    scene: Scene, undisturbed: Undisturbed
) -> None:
    for count in (1, 10, 20, 30):
        scene.start("load")
        wait_for_chunks(scene, count, "%")
        assert scene.command.end(signal.SIGKILL).code == -signal.SIGKILL
        assert scene.ask("SELECT finished_at FROM assise.load") == [(None,)]
    check_end(scene, undisturbed, scene.run("load"))


def test_chunks_that_are_committed_are_not_loaded_again(
    scene: Scene, undisturbed: Undisturbed
) -> None:
    after_chunks(5, "events")(scene)
    scene.command.end(signal.SIGKILL)
    before = scene.ask("SELECT collection, start_offset, xid::text, seconds FROM assise.chunk")
    check_end(scene, undisturbed, scene.run("load"))
    after = scene.ask("SELECT collection, start_offset, xid::text, seconds FROM assise.chunk")
    assert len(before) > 25
    assert set(before) < set(after)


@pytest.mark.parametrize("moment", choose(LOST[1:], ENDED, set()))
def test_the_session_of_a_killed_command_ends_though_its_statement_waits(
    scene: Scene, moment: str
) -> None:
    MOMENTS[moment](scene)
    scene.command.end(signal.SIGKILL)
    with psycopg.connect(scene.conninfo, autocommit=True) as connection:
        wait_until(lambda: not connection.execute(SESSIONS).fetchall(), "the end of the session")


@pytest.mark.parametrize("moment", choose(["infer", *LOST], {"infer", *ENDED}, set()))
def test_ctrl_c_says_that_the_same_command_goes_on(
    scene: Scene, undisturbed: Undisturbed, moment: str
) -> None:
    MOMENTS[moment](scene)
    stopped = scene.command.end(signal.SIGINT)
    assert (stopped.code, stopped.stdout) == (130, "")
    assert stopped.stderr.endswith("\nstopped; the same command continues where it stopped\n")
    assert "Traceback" not in stopped.stderr
    scene.release()
    check_end(scene, undisturbed, scene.run(scene.command.verb))


@pytest.mark.parametrize("moment", choose(LOST, ENDED, ENDED))
def test_a_lost_session_is_told_and_the_same_command_goes_on(
    scene: Scene, undisturbed: Undisturbed, moment: str
) -> None:
    MOMENTS[moment](scene)
    scene.ask(SESSIONS.replace("SELECT FROM", "SELECT pg_terminate_backend(pid) FROM"))
    lost = scene.command.end()
    assert (lost.code, lost.stdout, "Traceback" in lost.stderr) == (1, "", False)
    assert re.search(
        r"error: postgresql://.*: terminating connection due to administrator command"
        r".*\nThe connection was lost. When the server is back, the same command continues where it"
        r" stopped.\n\Z",
        lost.stderr,
    )
    scene.release()
    check_end(scene, undisturbed, scene.run(scene.command.verb))


def test_two_commands_at_the_same_moment_reach_the_same_end(
    scene: Scene, undisturbed: Undisturbed
) -> None:
    one, other = scene.start("migrate"), scene.start("migrate")
    for each in (one.end(), other.end()):
        check_end(scene, undisturbed, each)


def test_two_commands_that_both_infer_reach_the_same_end(
    scene: Scene, undisturbed: Undisturbed
) -> None:
    (scene.folder / "assise.yaml").unlink()
    one, other = scene.start("migrate"), scene.start("migrate")
    ended = sorted((one.end(), other.end()), key=lambda done: -done.code)
    check_end(scene, undisturbed, ended[0])
    if ended[1].code == 2:
        assert "assise.yaml exists, and is not overwritten" in ended[1].stderr
    else:
        check_end(scene, undisturbed, ended[1])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """The folder `.assise` of a project whose embedded server has run; tests copy it.

    A load of `app` is held before it begins.
    """
    folder = Path(tempfile.mkdtemp(prefix="assise-t-", dir=PLACE))
    folder.chmod(0o755)
    server = Embedded(folder / ".assise")
    settings = {**UNSAFE_BUT_QUICK, "max_prepared_transactions": "1"}
    server.start(settings=settings)
    for name in ("app", "other"):
        server.create_database(name)
    prepare_hold(server.conninfo("app"))
    server.stop()
    with (server.data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = {value}\n" for name, value in settings.items())
    yield server.folder
    shutil.rmtree(folder)


@pytest.fixture
def home(undisturbed: Undisturbed, cluster: Path) -> Iterator[Scene]:
    """A project without --to; its embedded server does not run, and its databases are empty."""
    folder = Path(tempfile.mkdtemp(prefix="assise-t-", dir=PLACE))
    folder.chmod(0o755)
    subprocess.run(["/bin/cp", "-a", cluster, folder], check=True)
    (folder / "assise.yaml").write_text(undisturbed.manifest)
    server = Embedded(folder / ".assise")
    scene = Scene(folder, undisturbed.dump, server.conninfo("app"))
    yield scene
    scene.close()
    server.stop(immediate=True)
    shutil.rmtree(folder)


def test_an_immediate_stop_of_the_server_is_told_and_the_same_command_starts_it_and_goes_on(
    home: Scene, undisturbed: Undisturbed
) -> None:
    server = start_embedded(home)
    hold_last_collection(home)
    assert server.stop(immediate=True)
    lost = home.command.end()
    assert (lost.code, lost.stdout, "Traceback" in lost.stderr) == (1, "", False)
    assert "\nerror: postgresql:///app?host=" in lost.stderr
    assert lost.stderr.endswith(
        "\nThe connection was lost. When the server is back, the same command continues where it"
        " stopped.\n"
    )
    home.release()
    check_end(home, undisturbed, home.run("load"))


def test_a_killed_command_leaves_its_server_to_the_other_one(
    home: Scene, undisturbed: Undisturbed
) -> None:
    server = start_embedded(home)
    pid = server.status().pid
    (home.folder / "other.yaml").write_text(
        undisturbed.manifest.replace("name: app", "name: other")
    )
    other = Scene(home.folder, home.dump, server.conninfo("other"), ["-f", "other.yaml"])
    hold_last_collection(home)
    at_first_copy(other)
    assert home.command.end(signal.SIGKILL).code == -signal.SIGKILL
    other.release()
    (_, *rest, manifest) = undisturbed.load
    expected = replace(
        undisturbed,
        state={
            **undisturbed.state,
            "load": [("other", *rest, str(manifest).replace("name: app", "name: other"))],
        },
    )
    check_end(other, expected, other.command.end())
    assert server.status().pid == pid
