"""The demo as a stranger sees it.

It is stopped and called again, its answers are compared with the raw documents, and its data are
changed by hand.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from tests.examples.values import as_document, as_list, as_moment, read_documents
from tests.oracle.walk import Value

from assise.project import Project

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, str(ROOT / "examples" / "devora" / "demo.py"), "demo"]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "CI": "true"}
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
WORDS = {"requête", "requêtes", "formulaire", "formulaires", "texte", "textes"}


@pytest.fixture(scope="module")
def folder(short_folder: Path) -> Iterator[Path]:
    """A folder in which the demo was stopped in the middle of the migration."""
    folder = short_folder / f"demo-{os.urandom(3).hex()}"
    folder.mkdir()
    process = subprocess.Popen(
        PROGRAM,
        cwd=folder,
        env=ENVIRON,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not (folder / "demo" / "assise.yaml").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert output.endswith("The demo was stopped; called again, it goes on.\n")
    yield folder
    Project(folder / "demo").embedded.stop(immediate=True)


@pytest.fixture(scope="module")
def output(folder: Path) -> str:
    """What the demo prints when it is called again, on a terminal of 80 columns."""
    done = call(folder, FORCE_COLOR="1", COLUMNS="80")
    assert done.returncode == 0, done.stdout
    return COLOURS.sub("", done.stdout)


def call(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the demo without a terminal; it never ends in a traceback."""
    done = subprocess.run(
        PROGRAM,
        cwd=folder,
        env=ENVIRON | environ,
        stdin=subprocess.DEVNULL,
        stdout=-1,
        stderr=-2,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stdout
    return done


def query(folder: Path, statement: LiteralString) -> list[tuple[object, ...]]:
    with psycopg.connect(
        Project(folder / "demo").embedded.conninfo("devora"), autocommit=True
    ) as connection:
        return connection.execute(statement).fetchall()


def read_table(output: str, heading: str) -> list[tuple[str, ...]]:
    """The rows that psql printed below a first heading."""
    rows = re.search(rf"^ *{heading} *\|.*\n-[-+]+\n((?:.+\n)+)", output, re.MULTILINE)
    assert rows, output
    lines = [line.split("|") for line in rows[1].splitlines()]
    return [tuple(map(str.strip, cells)) for cells in lines]


def read_values(folder: Path, name: str) -> Iterator[Value]:
    file = folder / "demo" / "dump" / "devora" / f"{name}.bson"
    return read_documents(file.read_bytes())


def read_collection(folder: Path, name: str) -> list[dict[str, object]]:
    return list(map(as_document, read_values(folder, name)))


def test_it_goes_on_and_shows_the_proof_and_the_rejects(folder: Path, output: str) -> None:
    assert "demo/ is there already" in output
    assert re.search(r"^total +2,021 +2,019 +2 .*✓ 2,019 equal *$", output, re.MULTILINE)
    assert re.search(r"^deployments .* not bson ", output, re.MULTILINE)
    assert re.search(r"^users .* duplicate id ", output, re.MULTILINE)
    assert {"dump", "assise.yaml", ".assise"} == {path.name for path in (folder / "demo").iterdir()}


def test_it_fits_80_columns(output: str) -> None:
    lines = [line.rstrip() for line in output.splitlines() if "/" not in line]
    assert [line for line in lines if len(line) > 80] == []
    assert "collection, table        documents      loaded  rejected  seconds  verified" in output


def test_what_each_month_brought_in(folder: Path, output: str) -> None:
    months: dict[str, list[Decimal]] = {}
    for each in read_values(folder, "invoices"):
        document = as_document(each)
        kinds = {key: value.kind for key, value in each.fields}
        if document["status"] == "paid":
            month = f"{as_moment(document['created_at']):%Y-%m}"
            sums = months.get(month, [Decimal(0)] * 3)
            amount = str(document["amount"]).partition(" ")[0].replace(",", ".")
            summands = (
                Decimal(1),
                Decimal(kinds[b"amount"] not in {"int32", "double", "decimal"}),
                Decimal(amount) * Decimal(str(document.get("exchange_rate", 1))),
            )
            pairs = zip(sums, summands, strict=True)
            months[month] = [one + other for one, other in pairs]
    found = read_table(output, "month")
    latest = sorted(months.items(), reverse=True)[:6]
    shown = [(month, list(map(Decimal, cells))) for month, *cells in found]
    rounded = [(month, [round(each, 2) for each in sums]) for month, sums in latest]
    assert shown == rounded
    assert sum(int(cells[2]) for cells in found) > 5


def test_who_has_the_most_projects(folder: Path, output: str) -> None:
    users = {each["_id"]: each for each in read_collection(folder, "users")}
    counts = Counter(each["user_id"] for each in read_collection(folder, "projects"))
    most = sorted(counts, key=lambda key: (-counts[key], str(key)))
    found = read_table(output, "full_name")
    assert len(found) == 5
    for key, row in zip(most[:5], found, strict=True):
        user = users[key]
        assert row == (user["full_name"], user["plan"], str(counts[key]))


def test_what_is_asked_in_french(folder: Path, output: str) -> None:
    users = read_collection(folder, "users")
    french = {each["_id"] for each in users if each["locale"] == "fr"}
    messages = [
        x
        for each in read_collection(folder, "conversations")
        if each["user_id"] in french
        for x in as_list(each["messages"])
    ]
    questions = [str(x["content"]) for x in messages if x["role"] == "user"]
    asked = Counter(text for text in questions if WORDS & {*re.split(r"\W+", text.lower())})
    most = sorted(asked, key=lambda content: (-asked[content], content))[:3]
    found = read_table(output, "content")
    for content, row in zip(most, found, strict=True):
        moments = [as_moment(x["created_at"]) for x in messages if x["content"] == content]
        assert row == (content, str(asked[content]), str(max(moments).date()))


def test_a_french_question_is_answered_by_meaning(folder: Path, output: str) -> None:
    """Three projects about gardens, whose texts say neither *récolter* nor *dans mon*."""
    assert "projects: 342 rows, 342 passages, 342 texts embedded" in output
    found = output.partition("--method hybrid")[2].partition("== 6.")[0]
    hits = re.findall(r"^\d\.\d\d +projects [0-9a-f-]{36}\s+(\w+)", found, re.MULTILINE)
    assert hits == ["Potager"] * 3
    assert found.count("jardin") >= 3
    assert query(folder, "SELECT count(*) FROM _meaning_models") == [(1,)]


def test_what_was_changed_stays(folder: Path, output: str) -> None:
    assert output
    assert query(
        folder, "UPDATE users SET plan = 'gold' WHERE full_name = 'Camille Martin' RETURNING plan"
    ) == [("gold",)]
    again = call(folder)
    assert again.returncode == 0
    assert "everything was loaded already; no rows were changed" in again.stdout
    assert "plan: string 'gold', was string 'free'" in again.stdout
    assert query(folder, "SELECT full_name FROM users WHERE plan = 'gold'") == [("Camille Martin",)]
    manifest = folder / "demo" / "assise.yaml"
    manifest.write_text(
        edited := manifest.read_text().replace(
            "full_name: {type: text", "whole_name: {type: text, from: full_name"
        )
    )
    refused = call(folder)
    assert refused.returncode == 2
    assert "error: the manifest has changed since the load: users" in refused.stdout
    assert refused.stdout.endswith("pg stop -f demo && rm -r demo\n")
    assert manifest.read_text() == edited
