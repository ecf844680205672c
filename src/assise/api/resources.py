"""What requests do with the rows of one table, each in a session of its caller."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import GenericAlias
from typing import Annotated, Any
from urllib.parse import quote, unquote

from pydantic import BaseModel, Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from assise.api.context import SEEN_ROWS, Context
from assise.api.idempotency import note_request
from assise.api.queries import (
    Query,
    check_words,
    list_unserved,
    read_query,
    read_row_query,
)
from assise.api.values import JsonMap, make_model, read_body, read_text
from assise.app import POSITION_HEADER
from assise.errors import (
    DeniedError,
    RequestError,
    SerializationError,
    TokenError,
)
from assise.identity.callers import SEND, Caller
from assise.postgres.pool import Session
from assise.schema.deletion import Deletion
from assise.schema.resources import Resource, ServedColumn
from assise.schema.serving import Placeholders, Statements, list_batches

MAX_ROWS = 1_000
PAGE_BYTES = 4 << 20
"""A page ends with the row that reaches this size, whatever number of rows is asked for."""

RESTORE = "/restore"
CHANGED = "40001"
"""The state of a row that was changed since a repeatable transaction began."""

_PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
_REPLAYED = {"Idempotent-Replayed": "true"}


@dataclass(frozen=True)
class TableEndpoints:
    """The rows of one table over HTTP."""

    context: Context
    resource: Resource
    deletion: Deletion | None

    @cached_property
    def model(self) -> type[BaseModel]:
        """The body of a new row."""
        return make_model(f"New {self.resource.table}", self.resource.create, is_new=True)

    @cached_property
    def change_model(self) -> type[BaseModel]:
        """The body of a change."""
        return make_model(f"Change of {self.resource.table}", self.resource.update, is_new=False)

    @cached_property
    def put_model(self) -> type[BaseModel]:
        """The body of a row that is written whole."""
        return make_model(f"Whole {self.resource.table}", self.resource.put, is_new=True)

    @cached_property
    def _adapters(self) -> Mapping[str, TypeAdapter[Any]]:
        models = {"PATCH": self.change_model, "PUT": self.put_model, "POST": self.model}
        found = {name: TypeAdapter[Any](model) for name, model in models.items()}
        several = GenericAlias(list, (self.model,))
        bounded: Any = Annotated[several, Field(max_length=MAX_ROWS)]
        return {**found, "list": TypeAdapter[Any](bounded)}

    async def list_page(self, request: Request) -> Response:
        """A page of rows."""
        caller = await self._enter(request, reads=True)
        query = read_query(self.resource, request.scope["query_string"].decode("latin-1"))
        async with self.context.session(request, caller, read_only=True) as session:
            statements = await self.context.find_statements(session, self.resource)
            await self._check_served(session, statements, caller, query)
            return await self._list(session, statements, caller, query)

    async def _list(
        self, session: Session, statements: Statements, caller: Caller, query: Query
    ) -> Response:
        parameters = Placeholders()
        conditions = [
            f"({' OR '.join(statements.filtered(each, parameters) for each in group)})"
            for group in query.filters
        ]
        asked = [self.resource.table, caller.user_id, caller.tenant_id, *query.asked]
        count = await self._count(session, statements, query, (conditions, parameters))
        ranges: Sequence[str] = ()
        if query.cursor is not None:
            last = self.context.cursors.read(asked, query.cursor)
            ranges = statements.behind(query.order, last, parameters)
        limit = parameters.add(query.limit + 1, "int8")
        row = statements.row(query.select, query.includes)
        most = parameters.add(PAGE_BYTES, "int8")
        statement = statements.list_rows(row, conditions, query.order, limit, most, ranges=ranges)
        rows = await session.fetch(statement, parameters.values)
        shown = rows[: query.limit]
        body = ['{"items":[', ",".join([each["row"] for each in shown]), "]"]
        following = None
        if len(rows) > query.limit or (shown and shown[-1]["bytes"] >= PAGE_BYTES):
            end = shown[-1]
            following = self.context.cursors.sign(
                asked, [end[f"k{n}"] for n in range(len(query.order))]
            )
        body.append(f',"next":{json.dumps(following)}{count}}}')
        return _answer(200, "".join(body))

    async def _count(
        self,
        session: Session,
        statements: Statements,
        query: Query,
        filtered: tuple[Sequence[str], Placeholders],
    ) -> str:
        """The members of the answer that say how many rows there are."""
        if query.count is None:
            return ""
        conditions, parameters = filtered
        found = 0
        if query.count == "exact" or not self.resource.is_public:
            counted = statements.count(conditions, SEEN_ROWS + 1)
            found = await session.fetch_value(counted, parameters.values)
        if query.count == "exact" and found <= SEEN_ROWS:
            return f',"count":{found},"count_is":"exact"'
        # The plan is made by statistics of all rows, others' among them.
        if not self.resource.is_public:
            return f',"count":{found},"count_is":"estimated"'
        plan = await session.fetch_value(statements.estimate(conditions), parameters.values)
        estimated = max(int(plan[0]["Plan"]["Plan Rows"]), found)
        return f',"count":{estimated},"count_is":"estimated"'

    async def _check_served(
        self, session: Session, statements: Statements, caller: Caller, query: Query
    ) -> None:
        """Check that filters and order need not read too many rows.

        Raises:
            RequestError: they may; it names the index to add.
        """
        unserved = dict.fromkeys(list_unserved(self.resource, query))
        if not unserved or await self.context.sees_few(session, statements, caller):
            return
        names = ", ".join(unserved)
        ruling = [*self.resource.filled][:1]
        index = ", ".join([*ruling, *unserved])
        raise RequestError(
            f"{names}: no index serves this, and you see more than {SEEN_ROWS:,} rows",
            remedy=f"Add to table {self.resource.table} of the manifest indexes: [[{index}]],"
            f" or filter: [{names}] to its api.",
        )

    async def read(self, request: Request) -> Response:
        """One row."""
        caller = await self._enter(request, reads=True)
        select, includes = read_row_query(
            self.resource, request.scope["query_string"].decode("latin-1")
        )
        key, parameters = self._read_key(request), Placeholders()
        async with self.context.session(request, caller, read_only=True) as session:
            statements = await self.context.find_statements(session, self.resource)
            statement = statements.read_row(
                statements.row(select, includes), statements.key_is(key, parameters)
            )
            found = await session.fetch_one(statement, parameters.values)
        if found is None:
            raise self._not_found()
        tag = _tag(found["whole"])
        if {tag, "*"} & _list_tags(request.headers.get("if-none-match")):
            return Response(status_code=304, headers={**_PRIVATE, "ETag": tag})
        return _answer(200, found["row"], {"ETag": tag})

    async def create(self, request: Request) -> Response:
        """One new row, or up to 1,000 in one transaction."""
        caller = await self._enter(request)
        check_words(request.scope["query_string"].decode("latin-1"), ())
        body = await self._read(request)
        is_list = body.lstrip()[:1] == b"["
        rows = read_body(self._adapters["list" if is_list else "POST"], self.resource.create, body)
        if not rows:
            raise RequestError("there is no row", status=422, remedy=f"Send 1 to {MAX_ROWS:,}.")
        async with self.context.session(request, caller) as session:
            statements = await self.context.find_statements(session, self.resource)
            noted = note_request(request, caller, body)
            kept = noted and await noted.claim(session, statements.schema)
            if kept:
                status, text = kept
            else:
                made = await self._insert(session, statements, caller, rows)
                status, text = 201, f"[{','.join(made)}]" if is_list else made[0]
            if noted is not None and not kept:
                await noted.keep(session, statements.schema, (status, text))
        headers = {**_REPLAYED} if kept else _position(session)
        if not is_list:
            place = _place(request, self.resource.key, text)
            headers = {**headers, "ETag": _tag(text), "Location": place}
        return _answer(status, text, headers)

    async def _insert(
        self, session: Session, statements: Statements, caller: Caller, rows: Sequence[JsonMap]
    ) -> Sequence[str]:
        filled = self._fill(caller)
        fields = {name: self._field(name) for name in filled} | dict(self.resource.create)
        made: list[str] = []
        for batch in list_batches([[*row] for row in rows], len(fields)):
            parameters = Placeholders()
            values = []
            for row in rows[len(made) : len(made) + len(batch)]:
                given = {**filled, **row}
                values.append(
                    [
                        parameters.add(given[name], field.type) if name in given else "DEFAULT"
                        for name, field in fields.items()
                    ]
                )
            statement = statements.insert(fields, values, is_upsert=False)
            found = await session.fetch(statement, parameters.values)
            made += [each["row"] for each in found]
        return made

    async def put(self, request: Request) -> Response:
        """A row written whole by its key, which is made where it is not there."""
        caller = await self._enter(request)
        check_words(request.scope["query_string"].decode("latin-1"), ())
        key = self._read_key(request)
        body = await self._read(request)
        (row,) = read_body(self._adapters["PUT"], self.resource.put, body)
        keys: JsonMap = dict(zip(self.resource.key, key, strict=True))
        filled = {name: value for name, value in self._fill(caller).items() if name not in keys}
        given = {**filled, **keys, **row}
        fields = {name: self._field(name) for name in (*keys, *filled)} | dict(self.resource.put)
        try:
            async with self.context.session(request, caller) as session:
                statements = await self.context.find_statements(session, self.resource)
                found = await self._match(session, statements, key, request)
                parameters = Placeholders()
                cells = [
                    parameters.add(given[name], field.type) if name in given else "DEFAULT"
                    for name, field in fields.items()
                ]
                # A row that is made meanwhile is a conflict then, and not written over.
                is_upsert = request.headers.get("if-none-match") != "*"
                statement = statements.insert(fields, [cells], is_upsert=is_upsert)
                written = await session.fetch_one(statement, parameters.values)
        except DeniedError:
            raise self._not_found() from None
        if written is None:
            raise self._not_found()
        text = written["row"]
        status = 201 if found is None else 200
        return _answer(status, text, {"ETag": _tag(text), **_position(session)})

    async def change(self, request: Request) -> Response:
        """Other values in one row."""
        caller = await self._enter(request)
        check_words(request.scope["query_string"].decode("latin-1"), ())
        key = self._read_key(request)
        body = await self._read(request)
        (row,) = read_body(self._adapters["PATCH"], self.resource.update, body)
        if not row:
            raise RequestError("the body changes nothing", status=422)
        async with self.context.session(request, caller) as session:
            statements = await self.context.find_statements(session, self.resource)
            if "if-match" in request.headers:
                await self._match(session, statements, key, request)
            parameters = Placeholders()
            cells = {
                name: parameters.add(value, self.resource.update[name].type)
                for name, value in row.items()
            }
            statement = statements.update(cells, statements.key_is(key, parameters))
            written = await session.fetch_one(statement, parameters.values)
            if written is None:
                raise self._not_found()
        text = written["row"]
        return _answer(200, text, {"ETag": _tag(text), **_position(session)})

    async def delete(self, request: Request) -> Response:
        """One row deleted; where rows are deleted softly, with what is below it."""
        caller = await self._enter(request)
        check_words(request.scope["query_string"].decode("latin-1"), ())
        key = self._read_key(request)
        # Who may change no column cannot lock a row: the transaction fails where it has changed.
        repeatable = "if-match" in request.headers and not self.resource.update
        try:
            async with self.context.session(request, caller, repeatable=repeatable) as session:
                answer = await self._delete(session, key, request)
        except SerializationError as error:
            if not repeatable or getattr(error.__cause__, "sqlstate", "") != CHANGED:
                raise
            raise _changed() from None
        answer.headers.update(_position(session))
        return answer

    async def _delete(self, session: Session, key: Sequence[object], request: Request) -> Response:
        statements, parameters = (
            await self.context.find_statements(session, self.resource),
            Placeholders(),
        )
        if self.deletion is not None:
            if "if-match" in request.headers:
                await self._match(session, statements, key, request)
            return await self._call(session, statements, self.deletion.names[0], key)
        statement = statements.delete(statements.key_is(key, parameters))
        gone = await session.fetch_one(statement, parameters.values)
        if gone is None:
            raise self._not_found()
        _check_tag(request, gone["row"])
        return Response(status_code=204, headers=_PRIVATE)

    async def restore(self, request: Request) -> Response:
        """One row restored, with what was deleted with it."""
        caller = await self._enter(request)
        check_words(request.scope["query_string"].decode("latin-1"), ())
        if self.deletion is None:
            raise self._not_found()
        key = self._read_key(request)
        if "if-match" in request.headers:
            remedy = "Send the request without If-Match."
            raise RequestError("a row that is deleted has no ETag", status=412, remedy=remedy)
        async with self.context.session(request, caller) as session:
            statements = await self.context.find_statements(session, self.resource)
            noted = note_request(request, caller, json.dumps(key, default=str).encode())
            if noted is not None and (kept := await noted.claim(session, statements.schema)):
                return _answer(*kept, _REPLAYED)
            answer = await self._call(session, statements, self.deletion.names[1], key)
            if noted is not None:
                said = answer.status_code, bytes(answer.body).decode()
                await noted.keep(session, statements.schema, said)
            return answer

    async def _call(
        self, session: Session, statements: Statements, function: str, key: Sequence[object]
    ) -> Response:
        parameters = Placeholders()
        statement = statements.call(function, key, parameters)
        counts = str(await session.fetch_value(statement, parameters.values))
        if json.loads(counts).get(self.resource.table) == 0:
            raise self._not_found()
        return _answer(200, counts)

    async def _match(
        self, session: Session, statements: Statements, key: Sequence[object], request: Request
    ) -> str | None:
        """The row as it is, locked; None where there is none.

        Raises:
            RequestError: it is not as `If-Match` or `If-None-Match` of the request asks.
        """
        parameters = Placeholders()
        condition = statements.key_is(key, parameters)
        whole = statements.row(self.resource.fields)
        statement = statements.read_row(whole, condition, locks=bool(self.resource.update))
        found = await session.fetch_one(statement, parameters.values)
        text = None if found is None else str(found["whole"])
        if text is None and "if-match" in request.headers and request.method != "PUT":
            raise self._not_found()
        _check_tag(request, text)
        if text is not None and request.headers.get("if-none-match") == "*":
            raise RequestError("the row is there already", status=412)
        return text

    async def _enter(self, request: Request, *, reads: bool = False) -> Caller:
        caller = await self.context.find_caller(request)
        if caller.user_id is None and not (reads and self.resource.is_public):
            raise TokenError("a token is needed", remedy=SEND)
        return caller

    async def _read(self, request: Request) -> bytes:
        """The body of a request.

        Raises:
            RequestError: it is too long, or is no JSON by its header.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise RequestError(
                "the body is no JSON", status=415, remedy="Send Content-Type: application/json."
            )
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise RequestError("the body is compressed", status=415, remedy="Send it as it is.")
        return await self.context.read_body(request)

    def _read_key(self, request: Request) -> list[object]:
        """The key in a path; one that no row can have is not found."""
        texts = [request.path_params[f"key{n}"] for n, _ in enumerate(self.resource.key)]
        if "raw_path" in request.scope:
            texts = _split_path(request, texts)
        found = []
        for name, text in zip(self.resource.key, texts, strict=True):
            try:
                found.append(read_text(self.resource.fields[name], text))
            except RequestError:
                raise self._not_found() from None
        return found

    def _field(self, name: str) -> ServedColumn:
        return self.resource.fields.get(name) or ServedColumn(
            name, self.context.rules.types(self.resource.table)[name]
        )

    def _fill(self, caller: Caller) -> JsonMap:
        """The columns of a new row that say whose it is."""
        values = {"user": caller.user_id, "tenant": caller.tenant_id}
        return {
            name: values[of] for name, of in self.resource.filled.items() if values[of] is not None
        }

    def _not_found(self) -> RequestError:
        return RequestError(f"no such row of {self.resource.table}", status=404)


def _answer(status: int, body: str, headers: Mapping[str, str] = {}) -> Response:
    kept = {**_PRIVATE, **headers}
    return Response(body.encode(), status, headers=kept, media_type="application/json")


def _position(session: Session) -> dict[str, str]:
    """Where the server's log was, for reading what was written from a replica."""
    return {} if session.position is None else {POSITION_HEADER: session.position}


def _tag(whole: str) -> str:
    """The ETag of a row, as its caller sees it."""
    return f'"{hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()}"'


def _list_tags(header: str | None) -> set[str]:
    """The tags of a header; weak ones are as good here."""
    return {each.strip().removeprefix("W/") for each in (header or "").split(",")}


def _check_tag(request: Request, whole: str | None) -> None:
    """Check that a row is the one that the request knows.

    Raises:
        RequestError: it has changed, or is gone.
    """
    header = request.headers.get("if-match")
    if header is None:
        return
    tags = _list_tags(header)
    if whole is None or ("*" not in tags and _tag(whole) not in tags):
        raise _changed()


def _changed() -> RequestError:
    remedy = "Read it, and send its ETag."
    return RequestError("the row is not as you know it", status=412, remedy=remedy)


def _split_path(request: Request, texts: Sequence[str]) -> list[str]:
    """The parts of a key as they were sent: a slash inside of one is written %2F.

    Raises:
        RequestError: the path has other slashes.
    """
    raw = request.scope["raw_path"].partition(b"?")[0].decode("latin-1")
    if request.scope["route"].path.endswith(RESTORE):
        raw = raw.removesuffix(RESTORE)
    found = [unquote(each) for each in raw.split("/")[-len(texts) :]]
    if "/".join(found) != "/".join(texts):
        raise RequestError("no such row", status=404)
    return found


def _place(request: Request, key: Sequence[str], text: str) -> str:
    """Where a new row is: below the path that it was sent to."""
    row = json.loads(text)
    keys = (quote(str(row[name]), safe="") for name in key)
    return "/".join([quote(request.scope["path"].rstrip("/")), *keys])
