"""The documentation: its commands run in order and print what it shows.

It names every setting, command and key, and its links lead somewhere.
"""

from __future__ import annotations

import doctest
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree as ET

import bson
import pytest

from assise.cli.nouns import list_commands
from assise.errors import AssiseError
from assise.manifest.read import parse_manifest
from assise.manifest.sections import KEYS
from assise.project import Project
from assise.rows.model import Reason
from assise.schema.diagram import write_diagram
from assise.settings import ENVIRONMENT, RELEASE, SECRET, SETTINGS, TOKEN
from assise.types.table import KINDS
from tests.archives import write_archive
from tests.dumps import write_dump
from tests.servers.mongo import MongoServer

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SITE = ROOT / "mkdocs.yml"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*/README.md"))
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text() for page in [*PAGES, *EXAMPLES]}
ALL = "\n".join(TEXTS.values())
BASH = shutil.which("bash") or "/bin/bash"
BLOCK = re.compile(r"^```(console|sh|python|yaml|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# uvx itself wants the network and is not in the lock: in its place stands what it comes to, the
# program installed from the clone that is named.
UVX = """#!/bin/sh
test "$1 $2" = "--from ./assise[embedded]" || exit 2
grep -q '^embedded = ' ./assise/pyproject.toml || exit 2
shift 2
exec "$@"
"""
LINK = re.compile(r"\]\(([^)#:]+)(?:#([^)]*))?\)")
LOADED = "The dump of [migrate a dump](../migrate.md) is loaded."
MODULES = sorted(path for path in (ROOT / "src").rglob("*.py") if ">>> " in path.read_text())
ELSEWHERE = re.compile(
    r"""(?:src|action)="?(?:https?:)?//|<link[^>]+href="?(?:https?:)?//|url\(["']?(?:https?:)?//"""
    r"""|@import|https?://[\w./-]+\.(?:js|css|woff2?)\b"""
)


def blocks(text: str) -> list[tuple[str, str]]:
    return [(kind, block) for kind, block in BLOCK.findall(text)]


def steps(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a console block, which `> ` continues, each with the lines that it shows."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("> "):
            found[-1] = f"{found[-1][0]}\n{line[2:]}", []
        else:
            found[-1][1].append(line)
    return found


def write_example(folder: Path, *, is_odd: bool) -> None:
    """300 users and 500 projects, as a dump and as an archive."""
    make = runpy.run_path(str(ROOT / "examples" / "app" / "generate.py"))["make_collections"]
    collections = make(is_odd=is_odd)
    write_dump(folder / "dump" / "app", collections)
    raw = {name: list(map(bson.encode, documents)) for name, documents in collections.items()}
    (folder / "backup.archive").write_bytes(write_archive(raw))


@pytest.fixture
def workplace(
    short_folder: Path,
    database: str,
    use_embedded_server: Callable[[Path], None],
    warm_program: str,
) -> tuple[Path, dict[str, str]]:
    """A folder of a project whose embedded server is that of this process, and the environment.

    `assise`, `python` and `uvx` are on the path, and the clone stands beside the dump.
    """
    folder = short_folder / f"docs-{os.urandom(3).hex()}"
    programs = folder / "bin"
    programs.mkdir(parents=True)
    use_embedded_server(folder)
    call = '#!/bin/sh\nexec "{}" {} "$@"\n'
    for name, text in {
        "assise": warm_program,
        "python": call.format(sys.executable, ""),
        "uvx": UVX,
    }.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / "assise").symlink_to(ROOT)
    environ = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "DATABASE_URL": database,
        "PAGER": "cat",
        "COLUMNS": "200",
    }
    return folder, environ


def run(command: str, folder: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(
        [BASH, "-c", command],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def find_missing(shown: list[str], output: str) -> list[str]:
    """The shown lines that the output has not, in this order.

    `…` stands for anything, ends of lines do not count.
    """
    lines = [line.rstrip() for line in output.splitlines()]
    at, missing = 0, []
    for line in shown:
        pattern = re.compile(
            ".*".join(re.escape(part) for part in re.sub(r"\s*…\s*", "…", line.rstrip()).split("…"))
        )
        found = next((i for i in range(at, len(lines)) if pattern.fullmatch(lines[i])), None)
        if found is None:
            missing.append(line)
        else:
            at = found + 1
    return missing


def commands_of(name: str) -> list[tuple[str, str]]:
    """The blocks of a page that run.

    Sessions of Python are run with the docstring that has them too.
    """
    return [
        (kind, text)
        for kind, text in blocks(TEXTS[name])
        if kind in {"console", "sh", "python"} and not text.startswith(">>>")
    ]


def run_block(kind: str, text: str, folder: Path, environ: dict[str, str]) -> None:
    """Run a block of a page; a session must print what the page shows."""
    if kind == "python":
        subprocess.run([sys.executable, "-c", text], cwd=folder, env=environ, check=True)
    elif kind == "sh":
        subprocess.run([BASH, "-ec", text], cwd=folder, env=environ, check=True)
    for command, shown in steps(text) if kind == "console" else []:
        output = run(command, folder, environ)
        assert find_missing(shown, output) == [], f"{command}\n{output}"


ON_MONGODB = re.compile(r"^\$ assise (migrate mongodb://|mongo (diff|ensure))", re.MULTILINE)
LIVE = [name for name in TEXTS if ON_MONGODB.search(TEXTS[name])]
"""Pages whose example is in a running MongoDB."""


@pytest.mark.contract
@pytest.mark.parametrize("name", LIVE)
def test_the_commands_of_a_page_run_on_a_running_mongodb(
    name: str, workplace: tuple[Path, dict[str, str]], mongo: MongoServer
) -> None:
    folder, environ = workplace
    mongo.answer_truly()
    mongo.client.drop_database("app")
    write_example(folder, is_odd=False)
    for file in (folder / "dump" / "app").glob("*.bson"):
        mongo.client.app[file.stem].insert_many(bson.decode_all(file.read_bytes()))
    environ["MONGO_URL"] = f"{mongo.url}app"
    for kind, text in commands_of(name):
        here = text.replace("mongodb://localhost:27017/", mongo.url)
        run_block(kind, here, folder, environ)
    mongo.client.drop_database("app")


@pytest.mark.parametrize("name", [name for name in TEXTS if commands_of(name) and name not in LIVE])
def test_the_commands_of_a_page_run_in_order_and_print_what_it_shows(
    name: str, workplace: tuple[Path, dict[str, str]]
) -> None:
    folder, environ = workplace
    write_example(folder, is_odd=name != "README.md")
    if LOADED in " ".join(TEXTS[name].split()):
        Project(folder).migrate(folder / "dump" / "app")
    for kind, text in commands_of(name):
        run_block(kind, text, folder, environ)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_the_examples_of_docstrings_run(
    module: Path, workplace: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = workplace
    write_example(folder, is_odd=True)
    monkeypatch.chdir(folder)
    name = ".".join(module.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(
        ".__init__"
    )
    found = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted > found.failed == 0


def test_the_page_on_python_shows_the_docstring_of_project() -> None:
    sessions = "\n".join(
        text for kind, text in blocks(TEXTS["docs/how-to/python.md"]) if kind == "python"
    )
    shown, documented = (
        doctest.DocTestParser().get_examples(text) for text in (sessions, Project.__doc__ or "")
    )
    assert len(shown) > 10
    assert [(each.source, each.want) for each in shown] == [
        (each.source, each.want) for each in documented
    ]


def test_the_diagram_that_is_drawn_is_that_of_the_proposal(tmp_path: Path) -> None:
    write_example(tmp_path, is_odd=True)
    found = Project(tmp_path).infer(tmp_path / "dump" / "app")
    drawn = re.findall(r"^```mermaid\n(.*?)^```", ALL, re.DOTALL | re.MULTILINE)
    assert drawn == [write_diagram(found.manifest)]


def test_every_task_has_commands_and_the_readme_is_short() -> None:
    tasks = [name for name in TEXTS if "how-to/" in name]
    assert len(tasks) > 10
    for name in ["README.md", "docs/tutorial.md", "docs/migrate.md", *tasks]:
        assert "$ assise" in TEXTS[name] or ">>> project" in TEXTS[name], name
    assert len(TEXTS["README.md"].splitlines()) <= 150


def test_every_kind_of_source_has_a_table_of_what_does_not_come_through_it() -> None:
    kinds = re.findall(r"^\| `.*\]\((.*?\.md)\)", TEXTS["docs/how-to/sources.md"], re.MULTILINE)
    assert {*kinds} == {"live-mongodb.md", "../migrate.md", "archive.md", "json.md"}
    for page in kinds:
        text = (DOCS / "how-to" / page).read_text()
        assert re.search(r"^## What does not come through it\n\n(.+\n\n)?\|", text, re.MULTILINE), (
            page
        )


def test_every_manifest_that_is_shown_whole_is_one() -> None:
    whole = [
        text
        for page in TEXTS.values()
        for kind, text in blocks(page)
        if kind == "yaml" and "assise: 1" in text
    ]
    assert whole
    for text in whole:
        parse_manifest(text)


def test_every_command_is_named() -> None:
    names = [name for name, _ in list_commands()]
    readme = TEXTS["README.md"]
    assert len(names) > 10
    for name in names:
        assert f"\n## assise {name}\n" in TEXTS["docs/reference/commands.md"], name
        group, _, verb = name.partition(" ")
        assert f"assise {group}" in readme, name
        assert not verb or re.search(rf"assise {group}[^\n|]*\b{verb}\b", readme), name
    for name in re.findall(r"\bassise ([a-z]+)\b(?= |`)", "".join(re.findall(r"`[^`\n]+`", ALL))):
        assert name in {known.split()[0] for known in names}, name


def test_every_target_of_make_that_is_named_is_one() -> None:
    targets = {
        name
        for names in re.findall(r"^([a-z -]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
        for name in names.split()
    }
    pages = [
        *PAGES,
        *EXAMPLES,
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        ROOT / ".ci" / "run",
    ]
    named = {
        name
        for page in pages
        for name in re.findall(
            r"(?:^|`|\|| )make ([a-z-]+)\b(?=`|\n| [A-Z]+=)", page.read_text(), re.MULTILINE
        )
    }
    assert {"demo", "test", "check", "contract", "soak", "clean"} <= named <= targets
    assert "```\nmake demo\nmake test\n```" in (ROOT / "README.md").read_text()


def test_every_setting_is_named_with_its_variable() -> None:
    for setting in (*SETTINGS, SECRET, TOKEN):
        assert f"`{setting.name}`" in ALL
        assert f"`{setting.variable}`" in ALL
        assert str(setting.default) in ALL
    variables = {setting.variable for setting in (*SETTINGS, SECRET, TOKEN, ENVIRONMENT, RELEASE)}
    assert set(re.findall(r"ASSISE_(?!TEST)\w+", ALL)) == variables


def test_every_key_type_and_kind_of_the_manifest_is_named() -> None:
    page = TEXTS["docs/reference/manifest.md"]
    for key in KEYS:
        assert f"| `{key.name}` |" in page, key
    for name, kinds in KINDS.items():
        assert f"`{name}`" in page, name
        for kind in kinds:
            assert f"`{kind}`" in page or re.fullmatch(r"binary_\d+", kind), kind


def test_every_reason_of_a_reject_is_named() -> None:
    page = TEXTS["docs/how-to/rejects.md"]
    for reason in Reason:
        assert f"| `{reason.name.lower().replace('_', ' ')}` |" in page


def test_no_page_promises_what_does_not_run_yet() -> None:
    assert "assise demo" not in ALL


def test_every_class_of_errors_is_named_with_its_exit_code() -> None:
    page, classes = TEXTS["docs/reference/errors.md"], [AssiseError]
    for found in classes:
        classes += found.__subclasses__()
        if found.__module__ == "assise.errors":
            assert re.search(
                rf"^## {found.__name__}\n[^#]*^Exit code {found.exit_code}\.$", page, re.MULTILINE
            ), found


def test_the_site_can_be_built_and_asks_no_other_host(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--quiet",
        "--strict",
        "--site-dir",
        str(tmp_path),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    built = [path for path in tmp_path.rglob("*") if path.suffix in {".html", ".css", ".svg"}]
    assert len(built) > len(list(DOCS.rglob("*.md")))
    for path in built:
        assert not ELSEWHERE.search(path.read_text()), path


@pytest.mark.parametrize("is_there", [True, False])
def test_diagrams_are_drawn_by_a_script_of_the_site(tmp_path: Path, *, is_there: bool) -> None:
    """Without the script they stay text, as the theme would load one from another host."""
    script = tmp_path / "mermaid.min.js"
    if is_there:
        script.write_text("globalThis.mermaid = {}")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Tables\n\n```mermaid\nerDiagram\n```\n")
    text = re.sub(r"(?s)\n(nav|validation|extra_css):.*?(?=\n\w|\Z)", "", SITE.read_text())
    hook = ROOT / "tools" / "mermaid.py"
    text = text.replace("tools/mermaid.py", str(hook))
    text = text.replace("extra: {", f"extra: {{mermaid: {script}, ")
    (tmp_path / "mkdocs.yml").write_text(text)
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict"],
        cwd=tmp_path,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    page = (tmp_path / "site" / "index.html").read_text()
    assert ('<pre class="mermaid"><code>erDiagram' in page) == is_there
    assert ('<script src="mermaid.min.js"></script>' in page) == is_there
    assert (tmp_path / "site" / "mermaid.min.js").exists() == is_there
    assert not ELSEWHERE.search(page)


def test_every_picture_is_shown_light_and_dark_and_is_small_and_whole() -> None:
    pictures = sorted((DOCS / "images").glob("*.svg"))
    assert {path.stem.rpartition("-")[2] for path in pictures} == {"light", "dark"}
    for path in pictures:
        name, scheme = path.stem.rpartition("-")[::2]
        assert re.search(rf"images/{path.name}#only-{scheme}\)", ALL)
        assert (DOCS / "images" / f"{name}-{'dark' if scheme == 'light' else 'light'}.svg").exists()
        text = path.read_text()
        assert len(text) < 60_000
        assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")
        root = ET.fromstring(text)  # noqa: S314
        width = float(root.attrib["viewBox"].split()[2])
        for line in root.iter("{http://www.w3.org/2000/svg}text"):
            assert float(line.attrib["x"]) + float(line.attrib["textLength"]) < width


@pytest.mark.parametrize(
    "page",
    [*PAGES, *EXAMPLES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"],
    ids=lambda page: page.stem,
)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        found = page.parent / target
        assert found.exists(), target
        if found.suffix == ".svg":
            assert anchor == "only-" + found.stem.rpartition("-")[2]
            continue
        titles = [
            line.lstrip("# ").lower()
            for line in found.read_text().splitlines()
            if line.startswith("#")
        ]
        headings = {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}
        assert not anchor or anchor in headings, anchor
