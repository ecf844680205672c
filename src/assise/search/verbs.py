"""The verbs of `assise search` for operators, and the noun `search` of an application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

from assise.errors import AssiseError, UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.access import ROLES
from assise.manifest.sections.embedding import MEANING, Meaning
from assise.manifest.sections.postgres import RoleName
from assise.postgres.asking import Asking, answer, answer_async
from assise.postgres.connection import Connection
from assise.postgres.conninfo import describe
from assise.postgres.pool import Session
from assise.postgres.sync import open_session
from assise.progress import Progress
from assise.schema.access import AccessRules
from assise.schema.search.log import note_click
from assise.schema.search.searched import Searched, find_searched
from assise.search.asker import Asker
from assise.search.build import Builder
from assise.search.explain import Explained, explain_table
from assise.search.folders import read_folders
from assise.search.log import Opened, SearchReport, check_log, read_clicks, read_report
from assise.search.meaning.build import PassageBuilder, PassageState, Spent
from assise.search.meaning.choose import describe_cost, is_remote
from assise.search.meaning.keep import open_builder
from assise.search.meaning.retrieve import FoundPassage, Retrieved, find_similar, retrieve
from assise.search.meaning.verbs import (
    NO_VECTOR,
    ActiveModel,
    Embedders,
    find_model,
    needs_vector,
    without_vector,
)
from assise.search.query import Answer, Request, find
from assise.search.suggest import Suggestion, suggest
from assise.search.tables import check_made, find_vector
from assise.wording import nearest
from assise.workspace import CONFIRM, Confirm, LoadedTables, OpenTables, Workspace, refuse


@dataclass(frozen=True)
class IndexState:
    """How far the index of a table is: its rows, and those that wait for the worker.

    `pending` rows have no entry yet; `fresh` ones are found, but scored one by one.
    """

    table: str
    rows: int
    pending: int
    fresh: int
    generation: int
    counted: int
    sealed: int


@dataclass(frozen=True)
class Drift:
    """Rows of a table that the index does not have as they are."""

    table: str
    missing: int
    extra: int
    differing: int

    @property
    def count(self) -> int:
        """How many there are."""
        return self.missing + self.extra + self.differing


@dataclass(frozen=True)
class SearchVerbs:
    """The verbs of `assise search`; `open_tables` connects to the tables of the finished load."""

    workspace: Workspace
    open_tables: OpenTables

    def query(
        self,
        request: Request,
        *,
        user_id: object = None,
        tenant_id: object = None,
        role: RoleName = "app",
    ) -> Answer:
        """Search as a user does.

        Raises:
            UsageError: a table is not searched, or the role has no URL.
            RefusedError: a filter or a cursor cannot be used.
        """
        with self.open_asker(user_id=user_id, tenant_id=tenant_id, role=role) as asker:
            request = self._embed(asker, request, role)
            return answer(find(asker.manifest, request, asker.schema), asker.session.fetch)

    def retrieve(
        self,
        request: Request,
        *,
        user_id: object = None,
        tenant_id: object = None,
        role: RoleName = "app",
        per_row: int = 1,
    ) -> Retrieved:
        """The passages of the best rows for a question, as a user sees them.

        Raises:
            UsageError: a table is not searched, or the role has no URL.
        """
        with self.open_asker(user_id=user_id, tenant_id=tenant_id, role=role) as asker:
            request = self._embed(asker, request, role)
            asked = retrieve(asker.manifest, request, asker.schema, per_row=per_row)
            return answer(asked, asker.session.fetch)

    def _embed(self, asker: Asker, request: Request, role: RoleName) -> Request:
        """The request with the vector of its text, where it needs one."""
        if not needs_vector(request):
            return request
        model = answer(find_model(asker.schema), asker.session.fetch)
        if model is None:
            return self._warn(without_vector(asker.manifest, request))
        with closing(Embedders(self.workspace.path.parent)) as embedders:
            try:
                self._spend(embedders.spend(asker.manifest, model, [request.text]), role)
                vector = embedders.embed_query(asker.manifest, model, request.text)
            except AssiseError as error:
                return self._warn(without_vector(asker.manifest, request, error=error))
        return replace(request, vector=vector)

    def _spend(self, asking: Callable[[str | None], Asking[None]] | None, role: RoleName) -> None:
        if asking is not None:
            with self.open_asker(role=role) as asker:
                answer(asking(asker.schema), asker.session.fetch)

    async def compare(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """How similar the texts of pairs are by meaning, from 0 to 1; 0 where nothing is embedded.

        Raises:
            EmbedderError: the model cannot be run.
        """
        return await asyncio.to_thread(self._compare, pairs)

    def _compare(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        with self.open_asker() as asker:
            model = answer(find_model(asker.schema), asker.session.fetch)
        if model is None:
            return [0.0] * len(pairs)
        with closing(Embedders(self.workspace.path.parent)) as embedders:
            texts = {text for pair in pairs for text in pair}
            self._spend(embedders.spend(asker.manifest, model, [*texts]), "app")
            return embedders.compare(asker.manifest, model, pairs)

    def _warn(self, request: Request) -> Request:
        self.workspace.log(request.warning or "")
        return request

    def embed(self, confirm: Confirm = refuse) -> dict[str, Spent]:
        """Embed what is new or changed; what was done of each table.

        `confirm` is asked before texts go to another machine, which may cost money.

        Raises:
            UsageError: no table is searched by meaning, or the answer was no. EmbedderError: the
            model cannot be run.
        """
        self._read_folders()
        with self._passages() as builder:
            with builder.alone():
                cost = ""
                if is_remote(builder.using.embedder):
                    cost = describe_cost(builder.using.embedder, *builder.estimate())
            if cost and not confirm(cost):
                raise UsageError(f"not confirmed: {cost}", remedy=CONFIRM)
            return builder.build()

    def _read_folders(self) -> None:
        """Write what is in the folders that are searched into their tables."""
        if (MEANING.of(self.workspace.manifest()) or Meaning()).folders:
            with self.open_tables() as (connection, tables):
                read_folders(connection, tables, log=self.workspace.log)

    def embedding_status(self) -> list[PassageState]:
        """How far each table is embedded."""
        with self._passages() as builder:
            return [builder.read_state(table) for table in builder.tables]

    @contextmanager
    def _passages(self) -> Iterator[PassageBuilder]:
        with (
            self.open_tables() as (connection, tables),
            closing(Embedders(self.workspace.path.parent)) as embedders,
        ):
            yield open_builder(connection, tables, embedders, progress=self._tell_embedded)

    def _tell_embedded(self, table: str, rows: int, size: int) -> None:
        self.workspace.progress(Progress("embedded", table, rows, rows, size, noun="row"))

    def suggest(
        self,
        text: str,
        *,
        types: Sequence[str] | None = None,
        limit: int = 10,
        user_id: object = None,
        tenant_id: object = None,
        role: RoleName = "app",
    ) -> list[Suggestion]:
        """What a text that a user is typing may become.

        Raises:
            UsageError: a table is not searched, or the role has no URL.
        """
        with self.open_asker(user_id=user_id, tenant_id=tenant_id, role=role) as asker:
            asked = suggest(asker.manifest, text, types=types, limit=limit, schema=asker.schema)
            return answer(asked, asker.session.fetch)

    @contextmanager
    def open_asker(
        self, *, user_id: object = None, tenant_id: object = None, role: RoleName = "app"
    ) -> Iterator[Asker]:
        """A session for many searches.

        Raises:
            UsageError: the role has no URL.
        """
        manifest = self.workspace.manifest()
        rights = self.workspace.rights(manifest, role)
        rights = rights._replace(user_id=user_id, tenant_id=tenant_id)
        is_bound, schema = ROLES.of(manifest) is not None, None
        if is_bound:
            conninfo = self.workspace.login(manifest, role)
        else:
            with self.open_tables() as (connection, tables):
                conninfo, schema = connection.conninfo, tables.schema
        with open_session(conninfo, describe(conninfo), rights, is_bound=is_bound) as session:
            yield Asker(manifest, schema, session)

    def explain(
        self,
        request: Request,
        *,
        user_id: object = None,
        tenant_id: object = None,
        role: RoleName = "app",
    ) -> list[Explained]:
        """Say how a query is answered: the plan of each table, and what its words weigh.

        Raises:
            UsageError: a table is not searched, or the role has no URL.
        """
        rights = {"user_id": user_id, "tenant_id": tenant_id}
        with self.open_tables() as (connection, tables):
            found = list_tables(connection, tables)
            check_made(connection, tables.name, found)
            with self.open_asker(**rights, role=role) as asker:
                return [
                    explain_table(connection, asker, table, request)
                    for table in found
                    if request.types is None or table.name in request.types
                ]

    def build(self, names: list[str] | None = None) -> dict[str, int]:
        """Index all rows that are not yet; how many of each table."""
        self._read_folders()
        with self._builders(names) as builders:
            found = {}
            for builder in builders:
                name = builder.table.name
                tell = partial(self._tell, name, _read_status(builder).rows)
                found[name] = replace(builder, progress=tell).build()
            return found

    def status(self) -> list[IndexState]:
        """How far the index of each table is."""
        with self._builders() as builders:
            return [_read_status(builder) for builder in builders]

    def check(self, *, repair: bool = False) -> list[Drift]:
        """Compare all rows with the index; with `repair` index again what differs."""
        with self._builders() as builders:
            return [_find_drift(builder, repair=repair) for builder in builders]

    def report(self, *, days: int = 7, limit: int = 10) -> SearchReport:
        """What was searched in some days: slow, without hits, trending, and never opened.

        Raises:
            UsageError: searches are not kept.
        """
        with self.open_tables() as (connection, tables):
            return read_report(connection, tables, days=days, limit=limit)

    def read_clicks(self, *, days: int = 30) -> list[Opened]:
        """The hits that people opened in some days.

        Raises:
            UsageError: searches are not kept.
        """
        with self.open_tables() as (connection, tables):
            return read_clicks(connection, tables, days=days)

    @contextmanager
    def _builders(self, names: list[str] | None = None) -> Iterator[list[Builder]]:
        with self.open_tables() as (connection, tables):
            found = list_tables(connection, tables)
            if not found:
                raise UsageError(
                    f"no table of {tables.name!r} is searched",
                    remedy="Write search: {title: …, body: …} at a table.",
                )
            check_made(connection, tables.name, found)
            known = [table.name for table in found]
            for name in names or ():
                if name not in known:
                    remedy = nearest(name, known)
                    raise UsageError(f"table {name!r} is not searched", remedy=remedy)
            yield [
                Builder(connection, table) for table in found if not names or table.name in names
            ]

    def _tell(self, table: str, size: int, step: str, rows: int) -> None:
        self.workspace.progress(Progress(step, table, rows, rows, size, noun="row"))


def list_tables(connection: Connection, tables: LoadedTables) -> list[Searched]:
    """The searched tables of a load."""
    rules = AccessRules(tables.manifest, tables.schema)
    return find_searched(rules, find_vector(connection))


def _read_status(builder: Builder) -> IndexState:
    active = builder.active
    rows, pending, fresh, _ = builder.run("status", active=active.generation)[0]
    return IndexState(
        builder.table.name,
        int(str(rows)),
        int(str(pending)),
        int(str(fresh)),
        active.generation,
        int(active.n),
        active.sealed,
    )


def _find_drift(builder: Builder, *, repair: bool) -> Drift:
    active = builder.active.generation
    counts = [
        int(str(builder.run(name, active=active)[0][0]))
        for name in ("missing", "extra", "differing")
    ]
    drift = Drift(builder.table.name, *counts)
    if repair and drift.count:
        with builder.lock(patience_s=60), builder.connection.transaction():
            for name in ("repair_missing", "repair_extra", "repair_differing"):
                builder.run(name, active=active)
        builder.build()
    return drift


@dataclass(frozen=True)
class AppSearch:
    """The noun `search` of an application: `await app.search("…", user_id=…)`."""

    manifest: Manifest
    open_session: Callable[..., AbstractAsyncContextManager[Session]]
    embedders: Embedders

    async def close(self) -> None:
        """End what embeds queries."""
        await asyncio.to_thread(self.embedders.close)

    async def __call__(
        self,
        text: str,
        *,
        user_id: object = None,
        tenant_id: object = None,
        types: list[str] | None = None,
        limit: int = 10,
        filters: Mapping[str, Any] = {},
        cursor: str | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Answer:
        """Search the tables `types`, or all, with the rights of a user."""
        request = Request(text, types, limit, filters, cursor)
        request = await self._embed(replace(request, **options))
        async with self.open_session(user_id=user_id, tenant_id=tenant_id) as session:
            return await answer_async(find(self.manifest, request), session.fetch)

    async def retrieve(
        self,
        text: str,
        *,
        user_id: object = None,
        tenant_id: object = None,
        per_row: int = 1,
        **options: Any,  # noqa: ANN401
    ) -> Retrieved:
        """The passages of the best rows for a question; `options` are those of `Request`.

        Raises:
            UsageError: a table is not searched.
        """
        request = await self._embed(replace(Request(text, method="hybrid"), **options))
        async with self.open_session(user_id=user_id, tenant_id=tenant_id) as session:
            asked = retrieve(self.manifest, request, per_row=per_row)
            return await answer_async(asked, session.fetch)

    async def semantic_search(
        self,
        query_text: str,
        entity_types: Sequence[str] | None = None,
        *,
        limit: int = 10,
        similarity_threshold: float = 0,
        user_id: object = None,
        tenant_id: object = None,
    ) -> list[FoundPassage]:
        """The rows whose meaning is nearest to a text, with their nearest passage each.

        Raises:
            UsageError: a table is not searched by meaning, or nothing is embedded.
        """
        found = await self.retrieve(
            query_text,
            user_id=user_id,
            tenant_id=tenant_id,
            types=entity_types,
            limit=limit,
            method="semantic",
            threshold=similarity_threshold,
        )
        return found.passages

    async def similar(
        self,
        type: str,  # noqa: A002
        id: object,  # noqa: A002
        *,
        entity_types: Sequence[str] | None = None,
        limit: int = 10,
        similarity_threshold: float = 0,
        user_id: object = None,
        tenant_id: object = None,
    ) -> list[FoundPassage]:
        """The rows that are most like a row of the table `type`, of the same table or of others.

        Raises:
            UsageError: a table is not searched by meaning.
        """
        asked = find_similar(
            self.manifest,
            type,
            id,
            types=entity_types,
            limit=limit,
            similarity_threshold=similarity_threshold,
        )
        async with self.open_session(user_id=user_id, tenant_id=tenant_id) as session:
            return await answer_async(asked, session.fetch)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vector of each text, of length 1; that of a long one is the mean of its passages.

        Raises:
            EmbedderError: the model cannot be run. UsageError: nothing is embedded yet.
        """
        async with self.open_session() as session:
            model = await answer_async(find_model(None), session.fetch)
        if model is None:
            raise UsageError(NO_VECTOR, remedy="`assise search embed` embeds rows.")
        await self._spend(model, texts)
        return await asyncio.to_thread(self.embedders.embed_texts, self.manifest, model, texts)

    async def compare(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """How similar the texts of pairs are by meaning, from 0 to 1; 0 where nothing is embedded.

        Raises:
            EmbedderError: the model cannot be run.
        """
        async with self.open_session() as session:
            model = await answer_async(find_model(None), session.fetch)
        if model is None:
            return [0.0] * len(pairs)
        await self._spend(model, [*{text for pair in pairs for text in pair}])
        return await asyncio.to_thread(self.embedders.compare, self.manifest, model, pairs)

    async def _spend(self, model: ActiveModel, texts: Sequence[str]) -> None:
        asking = await asyncio.to_thread(self.embedders.spend, self.manifest, model, texts)
        if asking is not None:
            async with self.open_session() as session:
                await answer_async(asking(None), session.fetch)

    async def _embed(self, request: Request) -> Request:
        """The request with the vector of its text, where it needs one."""
        if not needs_vector(request):
            return request
        async with self.open_session() as session:
            model = await answer_async(find_model(None), session.fetch)
        if model is None:
            return without_vector(self.manifest, request)
        embed = self.embedders.embed_query
        try:
            await self._spend(model, [request.text])
            vector = await asyncio.to_thread(embed, self.manifest, model, request.text)
        except AssiseError as error:
            return without_vector(self.manifest, request, error=error)
        return replace(request, vector=vector)

    async def suggest(
        self,
        text: str,
        *,
        user_id: object = None,
        tenant_id: object = None,
        types: Sequence[str] | None = None,
        limit: int = 10,
    ) -> list[Suggestion]:
        """What a text that a user is typing may become.

        Raises:
            UsageError: a table is not searched.
        """
        async with self.open_session(user_id=user_id, tenant_id=tenant_id) as session:
            asked = suggest(self.manifest, text, types=types, limit=limit)
            return await answer_async(asked, session.fetch)

    async def clicked(self, query_id: str, id: object, *, type: str | None = None) -> bool:  # noqa: A002
        """Note that somebody opened a hit of a search; whether it was one of its hits.

        `query_id` is that of the answer, `id` and `type` are those of the hit.

        Raises:
            UsageError: searches are not kept, or `query_id` is none.
        """
        check_log(self.manifest)
        try:
            query = UUID(str(query_id))
        except ValueError:
            remedy = "Give the query_id of an answer."
            raise UsageError(f"{query_id!r} is no id of a search", remedy=remedy) from None
        key = [*id] if isinstance(id, list | tuple) else [id]
        values = {"query": str(query), "key": [*map(_write_key, key)], "table": type}
        async with self.open_session() as session:
            return bool(await session.fetch_value(note_click(None), values))


def _write_key(value: object) -> str:
    """A value of a key as JSON has it."""
    return value.isoformat() if isinstance(value, date) else str(value)
