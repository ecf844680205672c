"""The manifests that infer proposes for data of others, and no reference that is none.

`ASSISE_TEST_UPDATE=1 pytest -n 0 tests/real/test_manifests.py` writes the golden files anew: one for
each set of data, with the manifests of all its folders. A changed line is to be read like code.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import DATA

from assise.errors import SourceError, UsageError
from assise.manifest.read import parse_manifest
from assise.manifest.write import dump_manifest
from assise.project import Project

FOLDER = DATA / "mongo"
GOLDEN = Path(__file__).with_name("manifests")
ENDINGS = (".bson", ".bson.gz", ".json", ".json.gz")
HEAD = "==> "
SETS = sorted(path.stem for path in GOLDEN.glob("*.txt"))
if os.environ.get("ASSISE_TEST_UPDATE") and FOLDER.exists():
    SETS = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def find_folders(name: str) -> Iterator[Path]:
    """The folders of a set that have files of documents."""
    for folder in sorted([FOLDER / name, *(FOLDER / name).rglob("*")]):
        if folder.is_dir() and any(each.name.endswith(ENDINGS) for each in folder.iterdir()):
            yield folder


def infer(folder: Path, home: Path) -> str:
    """The manifest that is proposed for a folder, or why there is none."""
    try:
        proposal = Project(home, settings={"workers": 1}).infer(folder)
    except (SourceError, UsageError) as error:
        return f"{type(error).__name__}\n"
    text = dump_manifest(proposal.manifest, comments=proposal.comments)
    assert parse_manifest(text) == proposal.manifest
    notes = "".join(f"# {note}\n" for note in proposal.notes)
    return text.split("\n", 1)[1] + notes


@pytest.fixture(params=SETS)
def sections(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """A set, and the manifests of its folders."""
    if not FOLDER.exists():
        pytest.skip(f"no data of others in {FOLDER}: set ASSISE_TEST_DATA")
    found = [
        f"{HEAD}{folder.relative_to(FOLDER)}\n{infer(folder, tmp_path)}"
        for folder in find_folders(request.param)
    ]
    return request.param, "\n".join(found)


def test_the_manifests_are_those_that_were_read(sections: tuple[str, str]) -> None:
    name, text = sections
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("ASSISE_TEST_UPDATE"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


REFERENCE = re.compile(r"^      (\S+): \{.*references: \"?([^,}\"]+)", re.MULTILINE)
NORTHWIND = "atlas_and_classic_bson_nitslaszlo/sample_Northwind"
TRUE_REFERENCES = {
    NORTHWIND: [
        ("id", "territories"),
        ("customer_id", "customers"),
        ("employee_id", "employees"),
        ("product_id", "products"),
        ("supplier_id", "suppliers"),
        ("category_id", "categories"),
        ("region_id", "regions"),
    ],
    "atlas_and_classic_bson_nitslaszlo/sample_Mongomart": [("id", "mongomart_item")],
    "atlas_and_classic_bson_nitslaszlo/sample_Sakila": [
        ("film_id", "sakila_films"),
        ("actor_id", "sakila_actors"),
    ],
    "atlas_and_classic_bson_nitslaszlo/sample_OrderExample": [("customer_id", "customers")],
}


def test_every_reference_is_one() -> None:
    """Read in the golden files; what each of these fields refers to is known of these data.

    The grades and profiles of ozlerhakan_json_files have integers `student_id` of other exercises
    than the one whose 200 students lie beside them: they are no references.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for path in GOLDEN.glob("*.txt"):
        for section in path.read_text(encoding="utf-8").split(HEAD)[1:]:
            references = [(match[1], match[2]) for match in REFERENCE.finditer(section)]
            if references:
                found[section.split("\n", 1)[0]] = references
    assert found == TRUE_REFERENCES
