"""Embedding: which columns of a table are searched by meaning, and what turns texts into vectors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from pydantic import Field, field_validator, model_validator

from assise.manifest.folders import COLUMNS
from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.access import ACCESS
from assise.manifest.sections.api import API
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.deletion import SOFT_DELETE
from assise.manifest.sections.personal import PERSONAL
from assise.manifest.sections.references import REFERENCES
from assise.manifest.sections.search import SEARCH, Search, check_texts
from assise.wording import nearest, show

DEFAULT_CHUNK = "400 tokens"
_CHUNK = re.compile(r"(\d{2,4}) tokens")
_SMALLEST, _LARGEST = 20, 2_000


class ServerModel(Keyed):
    """A model of a server that speaks OpenAI's protocol; `api_key` may name a variable.

    has_purposes: the server is told whether a text is a query or a passage, as `input_type`.
    tokens_a_day: of passages and queries that it is sent at most, by our own count.
    """

    base_url: str = "https://api.openai.com/v1"
    model: str
    dimensions: int | None = None
    api_key: str = "${OPENAI_API_KEY:-}"
    has_purposes: bool = False
    tokens_a_day: int | None = None


class NamedEmbedder(Keyed):
    """An embedder that needs more than its name: one of a server, or of a folder."""

    openai: ServerModel | None = None
    onnx: str | None = None


class Meaning(Keyed):
    """What turns texts into vectors, for all tables that are searched by meaning.

    folders: the folders whose files are rows of tables, by the names of these.
    """

    embedder: Literal["local"] | NamedEmbedder = "local"
    folders: dict[str, str] = Field(default_factory=dict)


class Embed(Keyed):
    """The columns whose text is embedded, in passages of at most `chunk`; `where` is SQL.

    children: the columns of other tables whose rows belong to one of this table, and are embedded
    with it as one thing.
    """

    field: tuple[str, ...] = ()
    children: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    chunk: str = DEFAULT_CHUNK
    where: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_names(cls, value: object) -> object:
        return {"field": value} if isinstance(value, list) else value

    @field_validator("field", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("children", mode="before")
    @classmethod
    def _list_each(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {name: (each,) if isinstance(each, str) else each for name, each in value.items()}

    @property
    def tokens(self) -> int:
        """How many tokens a passage has at most."""
        found = _CHUNK.fullmatch(self.chunk)
        return int(found[1]) if found else int(DEFAULT_CHUNK.split(maxsplit=1)[0])


def _check_meaning(place: Place, meaning: Meaning, tables: Tables) -> Iterator[Problem]:
    embedder, at = meaning.embedder, (*place, "embedder")
    if isinstance(embedder, NamedEmbedder):
        if (embedder.openai is None) == (embedder.onnx is None):
            remedy = "Write local, {openai: {base_url: …, model: …}} or {onnx: FOLDER}."
            yield Problem(at, "is none of the embedders", remedy=remedy)
        server = embedder.openai
        if server is not None and server.dimensions is not None and server.dimensions < 1:
            problem = "is no number of dimensions"
            yield Problem((*at, "openai", "dimensions"), problem, str(server.dimensions), "1536")
        if server is not None and server.tokens_a_day is not None and server.tokens_a_day < 1:
            problem, told = "is no number of tokens", str(server.tokens_a_day)
            yield Problem((*at, "openai", "tokens_a_day"), problem, told, "2000000")
    for name, folder in meaning.folders.items():
        yield from _check_folder((*place, "folders", name), folder, tables)


def _check_folder(place: Place, folder: str, tables: Tables) -> Iterator[Problem]:
    """A folder is one of the project, and its table has the columns of files."""
    if folder.startswith("/") or ".." in folder.split("/") or "\0" in folder or not folder:
        remedy = "Give a folder below the manifest's, such as docs/."
        yield Problem(place, "is not a folder of the project", show(folder), remedy)
    table = tables.get(place[-1])
    types = {name: column.type for name, column in table.columns.items()} if table else {}
    is_fit = all(types.get(name) == "text" for name in COLUMNS)
    if table is None or not is_fit or not table.is_born or [*table.primary_key] != [COLUMNS[0]]:
        message = f"stands for a table with the columns {', '.join(COLUMNS)} of type text"
        remedy = "Rename the folder, or give that table these columns, path as its key, and no collection."
        yield Problem(place, message, remedy=remedy)


def _check_embed(place: Place, embed: Embed, tables: Tables) -> Iterator[Problem]:
    types = list_columns(place[1], tables)
    if not embed.field:
        yield Problem(place, "names no column", remedy="Write embed: [name, description].")
    places = [place] * len(embed.field)
    yield from check_texts(embed.field, places, types, act="embedded")
    yield from _check_shown(place, place[1], embed.field, tables)
    for child, columns in embed.children.items():
        yield from _check_child((*place, "children", child), columns, tables)
    found = _CHUNK.fullmatch(embed.chunk)
    if found is None or not _SMALLEST <= int(found[1]) <= _LARGEST:
        remedy = f"Write {_SMALLEST} to {_LARGEST} tokens: {DEFAULT_CHUNK}."
        yield Problem((*place, "chunk"), "is no size of a passage", show(embed.chunk), remedy)
    if embed.where is not None and not embed.where.strip():
        yield Problem((*place, "where"), "is empty", remedy="Leave it out.")


def find_link(child: str, parent: str, tables: Tables) -> str | None:
    """The column of a table that names a row of another one; None where it has none."""
    table = tables[child]
    if table.parent == parent:
        return table.primary_key[0]
    found = (name for name, each in table.columns.items() if REFERENCES.of(each) == parent)
    return next(found, None)


def _check_shown(
    place: Place, table: str, names: Iterable[str], tables: Tables
) -> Iterator[Problem]:
    """Check that users read the columns whose similarity they are told."""
    api = API.of(tables[table])
    for name in names if api is not None else ():
        column = tables[table].columns.get(name)
        is_hidden = column is not None and PERSONAL.of(column) is not None
        shown = (*(api.read or ()), *tables[table].primary_key) if api else ()
        if api is not None and (is_hidden if api.read == "all" else name not in shown):
            message = "is not read over api, but how similar it is to a text would be told"
            yield Problem(place, message, show(name), "Leave it out, or list it in api: {read: …}.")


def _check_child(place: Place, columns: Sequence[str], tables: Tables) -> Iterator[Problem]:
    """Whoever sees a row sees the rows that are embedded with it, all of them."""
    name, parent = place[-1], place[1]
    if name not in tables:
        yield Problem(place, "is none of the tables", show(name), nearest(name, tables))
        return
    types = list_columns(name, tables)
    yield from check_texts(columns, [("tables", name)] * len(columns), types, act="embedded")
    yield from _check_shown(place, name, columns, tables)
    access = ACCESS.of(tables[name])
    embeds = {each: EMBED.of(table) for each, table in tables.items() if each != parent}
    others = [each for each, embed in embeds.items() if embed and name in embed.children]
    if find_link(name, parent, tables) is None or len(tables[parent].primary_key) != 1:
        remedy = f"Give it a column that references {parent}, which has a key of one column."
        yield Problem(place, "has no row that its rows belong to", remedy=remedy)
    elif SOFT_DELETE.of(tables[name]) is not None:
        message = "hides deleted rows, which would be embedded"
        yield Problem(place, message, remedy="Leave it out, or remove its soft_delete.")
    elif ACCESS.of(tables[parent]) and (access is None or access.through != parent):
        remedy = f"Write access: {{through: {parent}}} at it."
        yield Problem(place, "may have rows that a user does not see", remedy=remedy)
    elif others:
        yield Problem(place, "is embedded with two tables", remedy=f"Not with {others[0]} too.")


_NAMES: list[Schema] = [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
_SERVER: Mapping[str, Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["model"],
    "properties": {
        "base_url": {"type": "string"},
        "model": {"type": "string"},
        "dimensions": {"type": "integer"},
        "api_key": {"type": "string"},
        "has_purposes": {"type": "boolean"},
        "tokens_a_day": {"type": "integer"},
    },
}
MEANING = Key(
    "search",
    "manifest",
    help="what turns texts into vectors: embedder is local, {openai: {base_url, model,"
    " dimensions, api_key, has_purposes, tokens_a_day}} or {onnx: FOLDER}; folders: {TABLE: FOLDER} are folders"
    " whose Markdown, HTML and text files are searched, as rows of a table",
    affects="schema",
    type=Meaning,
    is_secret=True,
    check=_check_meaning,
    schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "embedder": {
                "anyOf": [
                    {"enum": ["local"]},
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {"openai": dict(_SERVER), "onnx": {"type": "string"}},
                    },
                ]
            },
            "folders": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
    default="embedder: local",
)
EMBED = Key(
    "embed",
    "table",
    help="the columns whose text is searched by meaning, or {field: …, chunk: 200 tokens,"
    " where: SQL, children: {TABLE: COLUMNS}}: passages of at most so many tokens, of the rows for"
    " which the condition holds, with the texts of rows of other tables that belong to one",
    affects="schema",
    type=Embed,
    check=_check_embed,
    schema={
        "anyOf": [
            _NAMES[1],
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["field"],
                "properties": {
                    "field": {"anyOf": list(_NAMES)},
                    "chunk": {"type": "string"},
                    "where": {"type": "string"},
                    "children": {"type": "object", "additionalProperties": {"anyOf": list(_NAMES)}},
                },
            },
        ]
    },
    written=lambda _place, embed, _tables: _write_embed(embed),
    default="the table is not searched by meaning",
)
KEYS = (MEANING, EMBED)


def _write_embed(embed: Embed) -> object:
    if embed.model_fields_set <= {"field"}:
        return [*embed.field]
    field = embed.field[0] if len(embed.field) == 1 else [*embed.field]
    return {**embed.model_dump(mode="json", exclude_unset=True), "field": field}


def find_shown(table: Keyed) -> Search:
    """The columns that hits of a table show: those that are searched, or else those that are embedded,
    of several the first as title.
    """
    search, embed = SEARCH.of(table), EMBED.of(table)
    if search is not None or embed is None:
        return search or Search()
    first, *others = embed.field
    return Search(title=first, body=tuple(others)) if others else Search(body=embed.field)


def is_asked(table: Keyed) -> bool:
    """Whether questions are answered from a table: it is searched by words, by meaning, or by both."""
    return SEARCH.of(table) is not None or EMBED.of(table) is not None
