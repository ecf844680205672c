"""Files of folders that are searched: each is a row of the folder's table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from assise.errors import UsageError
from assise.manifest.sections.embedding import MEANING, Meaning
from assise.postgres.connection import Connection
from assise.progress import Log
from assise.schema.search.folders import write_folder
from assise.search.pages import SUFFIXES, read_page
from assise.wording import count_of
from assise.workspace import LoadedTables

LARGEST = 10_000_000
"""Bytes of a file that is read."""


def read_folders(connection: Connection, tables: LoadedTables, *, log: Log) -> None:
    """Write the files of all folders into their tables; rows of files that are gone are deleted.

    A file that did not change leaves its row, and what is embedded of it, as it is. All files of a
    folder are one transaction.

    Raises:
        UsageError: a folder is not there, or its table is not made.
    """
    for name, place in (MEANING.of(tables.manifest) or Meaning()).folders.items():
        folder = tables.home / place
        if not folder.resolve().is_relative_to(tables.home.resolve()):
            raise UsageError(
                f"search.folders.{name}: {folder} leads out of the project",
                remedy="Give a folder below the manifest's, such as docs/.",
            )
        if not folder.is_dir():
            raise UsageError(
                f"search.folders.{name}: {folder} is no folder",
                remedy="Correct it; to empty the table give a folder that is empty.",
            )
        if not connection.scalar(write_folder(tables.schema, name, "is_there")):
            raise UsageError(
                f"the table {name} of the folder {place} is not made",
                remedy="Run `assise load`, which makes it.",
            )
        paths, changed = list[str](), 0
        with connection.transaction():
            for path, title, content in _read_files(folder, log):
                values = {"path": path, "title": title, "content": content}
                changed += len(connection.execute(write_folder(tables.schema, name, "put"), values))
                paths.append(path)
            forget = write_folder(tables.schema, name, "forget")
            gone = len(connection.execute(forget, {"paths": paths}))
        log(f"{name}: {count_of(len(paths), 'file')}, {changed:,} changed, {gone:,} gone")


def _read_files(folder: Path, log: Log) -> Iterator[tuple[str, str, str]]:
    """The paths, titles and texts of files; one that cannot be read is told and left out."""
    inside = folder.resolve()
    for path in _list_files(folder):
        name = path.relative_to(folder).as_posix()
        if not path.resolve().is_relative_to(inside):
            log(f"{name} is left out: it lies outside of the folder")
            continue
        try:
            size = path.stat().st_size
            text = path.read_text(encoding="utf-8-sig") if size <= LARGEST else ""
            name.encode()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            log(f"{name!a} is left out: {reason}")
            continue
        if size > LARGEST:
            log(f"{name} is left out: it has more than {LARGEST:,} bytes")
            continue
        title, content = read_page(path, text.replace("\0", " "))
        yield name, title.replace("\0", " "), content


def _list_files(folder: Path) -> Iterator[Path]:
    """The files that are read, without hidden ones, in order of their paths.

    Raises:
        UsageError: a folder cannot be listed: the rows of its files would be deleted.
    """
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES and path.is_file():
                yield path


def _refuse(error: OSError) -> None:
    raise UsageError(
        f"{error.filename} cannot be listed: {error.strerror}",
        remedy="Let this user read it, or take it out of the folder.",
    ) from error
