"""Folders of files: read into tables, searched, embedded and cited as rows are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template
from tests.search.meaning.words import WordEmbedder, open_words

from assise.app import App
from assise.errors import ManifestError, UsageError
from assise.manifest.read import parse_manifest
from assise.manifest.write import dump_manifest
from assise.project import Project
from assise.search.pages import read_page
from assise.search.query import Request

MANIFEST = """assise: 1
name: app
roles: {prefix: apptest}
search: {folders: {docs: docs/}}
tables:
  users:
    primary_key: id
    access: {owner: id}
    columns: {id: int4, name: text}
"""
FILES = {
    "start.md": "# Begin\n\nInstall it.\n\n## Deploy\n\nPush the zebra branch.",
    "a/page.html": "<title>Prix &amp; plans</title><p>Dix <b>euros</b>.</p><script>zebra()</script>",
    "a/b/notes.txt": "quagga notes",
    ".hidden.md": "zebra",
    "image.png": "zebra",
}


def write_files(folder: Path) -> None:
    for name, text in FILES.items():
        path = folder / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The files, read and indexed."""
    with databases.create_template(tmp_path_factory.mktemp("folders")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MANIFEST)
        write_files(template.folder)
        assert project.migrate(confirm=confirm).exit_code == 0
        project.search.build()
        yield template


@pytest.fixture
def docs(template: Template, tmp_path: Path, database: str) -> Project:
    """A copy of it, and of the files."""
    project = template.copy(tmp_path, database)
    write_files(project.path.parent)
    return project


def find(project: Project, query: str) -> list[tuple[object, str]]:
    found = project.search.query(Request(query, ["docs"]), user_id=1)
    return [(hit.id, hit.title) for hit in found.results]


def test_files_are_found_by_whoever_is_signed_in(docs: Project) -> None:
    assert find(docs, "zebra") == [("start.md", "Begin")]
    assert find(docs, "euro") == [("a/page.html", "Prix & plans")]
    assert find(docs, "quagga") == [("a/b/notes.txt", "notes")]


def test_only_what_changed_is_embedded_and_files_that_are_gone_are_not_found(
    docs: Project,
) -> None:
    lines = list[str]()
    project = Project(docs.path, to=docs.workspace.to, log=lines.append)
    embedder = WordEmbedder()
    with open_words(project, embedder) as builder:
        assert builder.build()["docs"].passages == 4
        folder = docs.path.parent / "docs"
        (folder / "start.md").write_text(FILES["start.md"].replace("zebra", "okapi"))
        (folder / "a" / "page.html").unlink()
        (folder / "new.txt").write_text("zebra finch")
        (folder / "bad.txt").write_bytes(b"\xff\xfe\xff")
        (folder / "large.txt").write_text("zebra " * 2_000_000)
        (folder / "out.txt").symlink_to(docs.path)
        embedder.texts.clear()
        project.search.build()
        assert "docs: 3 files, 2 changed, 1 gone" in lines
        assert "bad.txt' is left out: it is not UTF-8" in " ".join(lines)
        assert "large.txt is left out: it has more than 10,000,000 bytes" in lines
        assert "out.txt is left out: it lies outside of the folder" in lines
        builder.build()
        assert sorted(embedder.texts) == ["## Deploy\n\nPush the okapi branch.", "zebra finch"]
    assert find(docs, "zebra") == [("new.txt", "new")]
    assert find(docs, "euro") == []
    project.search.build()
    assert lines[-1].endswith("0 changed, 0 gone")


def test_contexts_come_from_files_too(docs: Project) -> None:
    urls = {"app": make_conninfo(str(docs.workspace.to), user="apptest_app")}

    async def run() -> None:
        async with App(docs.path, urls=urls) as app:
            (found,) = (await app.chat.retrieve_context("zebra branch", 1)).contexts
            assert (found.source_type, found.source_id) == ("docs", "start.md")
            assert found.title == "Begin"

    asyncio.run(run())


def test_a_folder_that_is_not_there_empties_nothing(docs: Project) -> None:
    (docs.path.parent / "docs").rename(docs.path.parent / "elsewhere")
    with pytest.raises(UsageError, match=r"search\.folders\.docs: .* is no folder"):
        docs.search.build()
    with pytest.raises(UsageError, match=r"search\.folders\.docs: .* is no folder"):
        docs.search.embed()
    assert find(docs, "zebra") == [("start.md", "Begin")]
    docs.path.write_text(MANIFEST.replace("{docs: docs/}", "{docs: elsewhere, more: elsewhere}"))
    with pytest.raises(UsageError, match=r"the table more of the folder elsewhere is not made"):
        docs.search.build()


def test_a_folder_that_leads_out_of_the_project_is_not_read(
    docs: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.md").write_text("# Okapi\n\nokapi")
    (docs.path.parent / "docs").rename(docs.path.parent / "elsewhere")
    (docs.path.parent / "docs").symlink_to(outside)
    with pytest.raises(UsageError, match=r"search\.folders\.docs: .* leads out of the project"):
        docs.search.build()
    assert find(docs, "okapi") == []
    assert find(docs, "zebra") == [("start.md", "Begin")]


def test_a_folder_that_cannot_be_listed_empties_nothing(
    docs: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir

    def refuse(place: str) -> object:
        if place.endswith("docs/a"):
            raise PermissionError(13, "Permission denied", place)
        return listed(place)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(UsageError, match=r"docs/a cannot be listed: Permission denied"):
        docs.search.build()
    assert find(docs, "quagga") == [("a/b/notes.txt", "notes")]


def test_a_manifest_with_folders_is_written_and_read() -> None:
    manifest = parse_manifest(MANIFEST)
    assert [*manifest.tables] == ["users", "docs"]
    assert parse_manifest(dump_manifest(manifest)) == manifest


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("docs/", "/etc", "is not a folder of the project"),
        ("docs/", "../x", "is not a folder of the project"),
        ("docs: docs/", "users: docs/", "stands for a table with the columns path, title"),
        ("docs/", "[docs]", "must be a text"),
        ("{docs: docs/}", "docs", "must be a mapping"),
    ],
)
def test_folders_that_cannot_be_read(before: str, after: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        parse_manifest(MANIFEST.replace(before, after, 1))


@pytest.mark.parametrize(
    ("text", "title", "content"),
    [
        ("", "page", ""),
        ("<p>a<p>b", "page", "a\n\nb"),
        ("<h2>T</h2>a <i>b</i>\n c", "T", "## T\n\na b c"),
        ("<pre>x\n  y</pre>z", "page", "```\nx\n  y\n```\n\nz"),
        ("<ul><li>a<li>b</ul>", "page", "a\nb"),
        ("<style>p{}</style><p>a</p></style></p>b", "page", "a\n\nb"),
        ("<" * 9, "page", "<" * 9),
        ("&lt;p&gt; &amp;", "page", "<p> &"),
    ],
)
def test_pages_are_read_as_they_are_seen(text: str, title: str, content: str) -> None:
    assert read_page(PurePath("page.html"), text) == (title, content)


@pytest.mark.parametrize("begin", ["# a", "#", "<h1>a</h1><pre>a", "<pre>\n"])
def test_long_blanks_of_a_page_do_not_stop_it(begin: str) -> None:
    """What takes the square of their number would take hours."""
    for name in ("page.md", "page.html"):
        text = f"{begin}{' ' * 1_000_000}b"
        title, content = read_page(PurePath(name), text)
        assert len(title) <= 500
        assert content.startswith(("#", "<", "```"))
    assert read_page(PurePath("page.md"), "## Two  ##  \nb")[0] == "Two"
