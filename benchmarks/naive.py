"""The script that a team writes by hand: documents decoded by pymongo, text COPY into jsonb.

python benchmarks/naive.py FOLDER_OR_URL_OF_MONGODB URL
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import bson
import psycopg
from bson import json_util
from bson.codec_options import CodecOptions
from psycopg import sql
from pymongo import MongoClient

Document = dict[str, object]

LENIENT: CodecOptions[Document] = CodecOptions(
    unicode_decode_error_handler="replace"
)  # else the first bad string ends it


def read(source: Path | str) -> Iterator[tuple[str, Iterable[Document]]]:
    """Yield the collections of a folder or a server by name, each with its documents."""
    if isinstance(source, str):
        database = MongoClient[Document](source).get_default_database(codec_options=LENIENT)
        for name in sorted(database.list_collection_names()):
            yield name, database[name].find(batch_size=10_000)
        return
    for file in sorted(source.glob("*.bson")):
        with file.open("rb") as stream:
            yield file.stem, bson.decode_file_iter(stream, LENIENT)


def load(source: Path | str, url: str) -> None:
    """Load every collection of a folder or a server into a table of its own."""
    with psycopg.connect(url) as connection:
        for name, documents in read(source):
            table = sql.Identifier(name)
            connection.execute(sql.SQL("CREATE TABLE {} (id text, doc jsonb)").format(table))
            copying = sql.SQL("COPY {} FROM STDIN").format(table)
            with connection.cursor().copy(copying) as copy:
                for document in documents:
                    text = json_util.dumps(document).replace(
                        "\\u0000", ""
                    )  # jsonb takes no NUL: the COPY would end there
                    copy.write_row((str(document.get("_id")), text))


if __name__ == "__main__":
    given = sys.argv[1]
    load(given if given.startswith("mongodb") else Path(given), sys.argv[2])
