"""Databases of a test server: empty ones, and copies of one that was loaded once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from assise.project import Project

_numbers = count()


@dataclass(frozen=True)
class Template:
    """A project's folder and its loaded database. Every test gets copies of both."""

    folder: Path
    conninfo: str

    @property
    def database(self) -> str:
        """The name of the database."""
        return str(conninfo_to_dict(self.conninfo)["dbname"])

    def copy(
        self, folder: Path, conninfo: str, *, settings: Mapping[str, int] | None = None
    ) -> Project:
        """A project on a copy of the folder, in `conninfo`, a copy of the database."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        moved = "UPDATE assise.load SET source = replace(source, %s, %s)"
        with psycopg.connect(conninfo) as connection:
            connection.execute(moved, [str(self.folder), str(folder)])
        return Project(folder, to=conninfo, settings=settings)


@dataclass(frozen=True)
class Databases:
    """Creates and drops databases; `server` is a connection string without a database."""

    server: str

    def create(self, template: str = "template0") -> str:
        """Create a database, and return its connection string. Nobody may use the template.

        Without fsync, copies of files take half as long as copies through the log.
        """
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self._run(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return make_conninfo(self.server, dbname=name)

    def drop(self, conninfo: str) -> None:
        """Drop a database, whoever uses it; it may be gone."""
        name = sql.Identifier(str(conninfo_to_dict(conninfo)["dbname"]))
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    @contextmanager
    def create_template(self, folder: Path) -> Iterator[Template]:
        """A template on an empty database, for the caller to load."""
        template = Template(folder, self.create())
        yield template
        self.drop(template.conninfo)

    def list_names(self) -> set[str]:
        """The names of all databases."""
        with psycopg.connect(self.server, dbname="postgres") as connection:
            return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.server, dbname="postgres", autocommit=True) as connection:
            connection.execute(statement)
