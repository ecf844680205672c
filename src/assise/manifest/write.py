"""assise.yaml written: a manifest becomes a text that reads as a person would write it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from assise.manifest.keys import AnyKey, Keyed, PlainWord
from assise.manifest.model import Column, Manifest, Table
from assise.manifest.problems import Place
from assise.manifest.sections import find_key, keys_on
from assise.manifest.sections.collections import TABLES
from assise.manifest.sections.columns import COLUMNS
from assise.settings import escape_variables
from assise.wording import escape

HEADER = "# yaml-language-server: $schema=.assise/manifest.schema.json"

_PLAIN = re.compile(r"-?[^\W\d](?:[\w.*/+$@-]*[\w*])?")
_YAML_WORDS = frozenset("y n yes no on off true false null".split())


def dump_manifest(
    manifest: Manifest, *, comments: Mapping[Place, str] = {}, with_secrets: bool = True
) -> str:
    """The text of a manifest, which `parse_manifest` reads back as an equal one.

    The comment of ("tables", name) stands above the table, that of ("tables", name, "columns",
    column) behind the column, those of ("tables", name, "indexes") below the indexes. Variables stand as they were read. Without `with_secrets` the keys
    whose values may hold a password are left out.
    """
    writer = _Writer(manifest, comments, with_secrets=with_secrets)
    return "\n".join([HEADER, *writer.write()]) + "\n"


@dataclass(frozen=True)
class _Writer:
    manifest: Manifest
    comments: Mapping[Place, str]
    with_secrets: bool

    def write(self) -> Iterator[str]:
        keys = keys_on("manifest")
        plain = tuple(key for key in keys if not key.is_block)
        for name, text in self._list_keys((), plain, self.manifest):
            yield f"{name}: {text}"
        for key in keys:
            if key.is_block and key.of(self.manifest):
                yield from ["", f"{key.name}:"]
                yield from self._write_entries((key.name,), key)
        yield ""
        yield "tables:" if self.manifest.tables else "tables: {}"
        for name, table in self.manifest.tables.items():
            yield from self._write_table(("tables", name), table)

    def _write_table(self, place: Place, table: Table) -> Iterator[str]:
        if place in self.comments:
            yield f"  # {_comment(self.comments[place])}"
        yield f"  {quote_scalar(place[-1])}:"
        keys = keys_on("table")
        plain = tuple(key for key in keys if not key.is_block)
        for name, text in self._list_keys(place, plain, table):
            yield f"    {name}: {text}"
        yield "    columns:" if table.columns else "    columns: {}"
        for name, column in table.columns.items():
            at = (*place, "columns", name)
            line = f"      {quote_scalar(name)}: {self._write_column(at, column)}"
            comment = self.comments.get(at)
            yield line if comment is None else f"{line}  # {_comment(comment)}"
        for key in keys:
            at = (*place, key.name)
            if key.is_block and key.of(table):
                yield f"    {key.name}:"
                yield from self._write_items(at, key, table)
            for line in self.comments.get(at, "").splitlines() if key.is_block else ():
                yield f"      # {_comment(line)}"

    def _write_entries(self, place: Place, key: AnyKey) -> Iterator[str]:
        """The entries of a mapping of the manifest, one a line."""
        entries = self._value_of(place, key, self.manifest)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            yield f"  {quote_scalar(name)}: {self._write_value((*place, name), entry)}"

    def _write_items(self, place: Place, key: AnyKey, table: Table) -> Iterator[str]:
        """The items of a list, one a line, each with its comment."""
        items = self._value_of(place, key, table)
        for i, item in enumerate(items if isinstance(items, list | tuple) else ()):
            at = (*place, str(i))
            line, comment = f"      - {self._write_value(at, item)}", self.comments.get(at)
            yield line if comment is None else f"{line}  # {_comment(comment)}"

    def _write_column(self, place: Place, column: Column) -> str:
        texts = list(self._list_keys(place, keys_on("column"), column))
        if len(texts) == 1:
            return texts[0][1]
        inner = ", ".join(f"{key}: {text}" for key, text in texts)
        return f"{{{inner}}}"

    def _list_keys(
        self, place: Place, keys: tuple[AnyKey, ...], entry: Keyed
    ) -> Iterator[tuple[str, str]]:
        """The keys that are written, with the texts of their values."""
        for key in keys:
            if key is TABLES or key is COLUMNS or (key.is_secret and not self.with_secrets):
                continue
            at = (*place, key.name)
            value = self._value_of(at, key, entry)
            if value is not None:
                yield key.name, self._write_value(at, value)

    def _value_of(self, place: Place, key: AnyKey, entry: Keyed) -> object:
        """The value of a key as the file has it; None where the key is left out."""
        value: object = key.of(entry)
        if value is None:
            return None
        if key.written is not None and place not in self.manifest.replaced:
            return key.written(place, value, self.manifest.tables)
        if isinstance(value, str):
            return value
        dumped = entry.model_dump(
            mode="json", by_alias=True, exclude_unset=True, include={key.field}
        )
        found: object = dumped[key.name]
        return found

    def _write_value(self, place: Place, value: object) -> str:
        if isinstance(value, PlainWord):
            return value
        if isinstance(value, str):
            return quote_scalar(self._restore(place, value))
        if isinstance(value, list | tuple):
            texts = []
            for i, item in enumerate(value):
                text = self._write_value((*place, str(i)), item)
                texts.append(text)
            return f"[{', '.join(texts)}]"
        if isinstance(value, dict):
            texts = []
            for name, item in value.items():
                if item is not None:
                    text = self._write_value((*place, str(name)), item)
                    texts.append(f"{quote_scalar(str(name))}: {text}")
            return f"{{{', '.join(texts)}}}"
        return str(value).lower()

    def _restore(self, place: Place, text: str) -> str:
        """The text with its variables as they were read, a literal `${` escaped."""
        all_replaced = self.manifest.replaced
        # A list of one may be written as its item: `primary_key: id`.
        replaced = all_replaced.get(place) or all_replaced.get((*place, "0"))
        if replaced is not None and replaced.content == text:
            return replaced.written
        key = find_key(place)
        return text if key and key.is_secret else escape_variables(text)


def quote_scalar(text: str) -> str:
    """A text as a scalar of YAML inside of `{}`, in quotes where it needs them.

    >>> quote_scalar("tags"), quote_scalar("text[]"), quote_scalar("no")
    ('tags', '"text[]"', '"no"')
    """
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS
    return text if is_plain else f'"{escape(text)}"'


def _comment(text: str) -> str:
    """`text` in one line: nothing in it ends a comment."""
    return "".join(c if c.isprintable() else escape(c) for c in text)
