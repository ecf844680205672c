"""The script that a team writes by hand: `bson.decode_file_iter`, text COPY into jsonb.

python benchmarks/naive.py FOLDER URL
"""

from __future__ import annotations

import sys
from pathlib import Path

import bson
import psycopg
from bson import json_util
from bson.codec_options import CodecOptions
from psycopg import sql

LENIENT: CodecOptions[dict[str, object]] = CodecOptions(
    unicode_decode_error_handler="replace"
)  # else the first bad string ends it


def load(folder: Path, url: str) -> None:
    """Load every `.bson` file of a folder into a table of its own."""
    with psycopg.connect(url) as connection:
        for file in sorted(folder.glob("*.bson")):
            table = sql.Identifier(file.stem)
            connection.execute(sql.SQL("CREATE TABLE {} (id text, doc jsonb)").format(table))
            with (
                file.open("rb") as stream,
                connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(table)) as copy,
            ):
                for document in bson.decode_file_iter(stream, LENIENT):
                    text = json_util.dumps(document).replace(
                        "\\u0000", ""
                    )  # jsonb takes no NUL: the COPY would end there
                    copy.write_row((str(document.get("_id")), text))


if __name__ == "__main__":
    load(Path(sys.argv[1]), sys.argv[2])
