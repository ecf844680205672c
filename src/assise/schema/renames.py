"""The columns that a manifest says to have had other names."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.model import Manifest
from assise.manifest.names import RESERVED, split_table
from assise.manifest.sections.revisions import WAS
from assise.schema.planned import quote_again


def list_renames(manifest: Manifest, schema: str) -> Iterator[tuple[str, str, str]]:
    """Table, old and new name of each column that says `was`, as the catalog writes them."""
    for name, table in manifest.tables.items():
        own, bare = split_table(name)
        place = f"{_quote(own or schema)}.{_quote(bare)}"
        for column, each in table.columns.items():
            if old := WAS.of(each):
                yield place, _quote(old), _quote(column)


def _quote(name: str) -> str:
    """A name in the way of `quote_ident`."""
    return f'"{name}"' if name in RESERVED else quote_again(name)
