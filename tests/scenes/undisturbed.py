"""A migration that nobody disturbs, and the comparison of a disturbed one with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.scenes.app import App, write_app
from tests.scenes.commands import Done, Reported, Scene, State, read_report, read_state
from tests.scenes.databases import Databases

from assise.project import Project
from assise.transfer.report import Verified


@dataclass(frozen=True)
class Undisturbed:
    """What a run that nobody disturbs leaves and prints."""

    app: App
    dump: Path
    manifest: str
    state: State
    report: Reported
    conninfo: str

    @property
    def load(self) -> tuple[object, ...]:
        """The line of the load."""
        assert isinstance(self.state["load"], list)
        return tuple(self.state["load"][0])


@contextmanager
def migrate_undisturbed(databases: Databases, folder: Path, app: App) -> Iterator[Undisturbed]:
    """Migrate the app into a new database, as users do."""
    dump = write_app(folder / "app", app)
    Project(folder).write_manifest(Project(folder).infer(dump))
    conninfo = databases.create()
    arguments = ["--to", conninfo, "--yes"]
    done = Scene(folder, dump, conninfo, arguments, chunk_bytes=app.chunk_bytes).run("migrate")
    assert done.code == 3, done.stderr
    manifest = (folder / "assise.yaml").read_text()
    state, report = read_state(conninfo), read_report(done.stdout)
    yield Undisturbed(app, dump, manifest, state, report, conninfo)
    databases.drop(conninfo)


def check_end(scene: Scene, undisturbed: Undisturbed, done: Done) -> None:
    """The command has finished with rejects, and has printed and left what the other run has."""
    assert (done.code, "Traceback" in done.stderr) == (3, False), done.stderr
    assert read_report(done.stdout) == undisturbed.report
    state = read_state(scene.conninfo)
    assert state.keys() == undisturbed.state.keys()
    for name, expected in undisturbed.state.items():
        assert state[name] == expected, name


def check_end_of_several(scene: Scene, undisturbed: Undisturbed, done: Done) -> None:
    """The end is that of a run with one worker.

    Only which of two equal `_id`s in different chunks was loaded may differ.
    """
    assert (done.code, "Traceback" in done.stderr) == (3, False), done.stderr
    report = read_report(done.stdout)
    for name in ("documents", "loaded", "rejected"):
        assert report[name] == undisturbed.report[name]
    state, expected = read_state(scene.conninfo), undisturbed.state
    same = {
        "relations",
        "columns",
        "constraints",
        "indexes",
        "functions",
        "version",
        "load",
        "transactions",
        "rows of events",
    }
    assert {name: state[name] for name in same} == {name: expected[name] for name in same}
    for name in ("rows of bookings", "rows of users"):
        assert count_rows(state[name]) == count_rows(expected[name])
    chunks, rejects = list_rows(state["chunks"]), list_rows(state["rejects"])
    assert [row[:5] for row in chunks] == [row[:5] for row in list_rows(expected["chunks"])]
    assert Counter((row[0], row[3]) for row in rejects) == Counter(
        (row[0], row[3]) for row in list_rows(expected["rejects"])
    )
    assert Project(scene.folder, to=scene.conninfo).verify(scene.dump).verified == Verified(
        equal=undisturbed.app.loaded
    )


def list_rows(found: object) -> list[tuple[object, ...]]:
    assert isinstance(found, list)
    return found


def count_rows(found: object) -> tuple[object, ...]:
    """Rows of a table, and those of them that no chunk has loaded."""
    assert isinstance(found, tuple)
    return found[0], found[2]
