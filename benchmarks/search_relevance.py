"""Measure how well search ranks: nDCG@10 on judged collections, by method and language.

    python benchmarks/search_relevance.py FOLDER [--together]

FOLDER holds one folder a collection: corpus.jsonl (_id, title, text), queries.jsonl (_id, text) and
qrels.tsv (query, row, grade). Each is loaded into an embedded PostgreSQL and searched through the
index, once in its own language (given by --french for those in French) and once in [fr, en]; with
--together also all as rows of one table. Missing accents and one typo a query are measured too.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from assise.project import Project
from assise.search.evaluate import evaluate
from assise.search.judgements import Rank, read_judgements, read_queries
from assise.search.rankings import open_rankings

TABLE = """  {name}:
    collection: {name}
    primary_key: id
    search: {{title: title, body: text, language: {language}}}
    columns: {{id: {{type: text, from: _id}}, title: text, text: text}}
"""


def main() -> None:
    """Print a table of nDCG@10."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--french", default="cnil_fr", help="the collections that are in French: a,b"
    )
    parser.add_argument("--together", action="store_true")
    options = parser.parse_args()
    sets = sorted(each.parent.name for each in options.folder.glob("*/qrels.tsv"))
    own = {name: "fr" if name in options.french.split(",") else "en" for name in sets}
    for title, languages in (("one language", own), ("[fr, en]", dict.fromkeys(sets, "[fr, en]"))):
        with load(options.folder, languages) as project:
            for name in sets:
                print(f"{title:13} {name:12} {measure(project, options.folder / name, name)}")
    if options.together:
        with load(options.folder, dict.fromkeys(sets, "[fr, en]"), table="rows") as project:
            for name in sets:
                print(
                    f"{'one table':13} {name:12} {measure(project, options.folder / name, 'rows')}"
                )


@contextmanager
def load(folder: Path, languages: dict[str, str], table: str = "") -> Iterator[Project]:
    """A project with the collections as tables, or with all in one."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="assise-bench-") as place:
        Path(place).chmod(0o755)
        source = Path(place) / "dump"
        source.mkdir()
        for name in languages:
            with (source / f"{table or name}.jsonl").open("a") as file:
                for line in (folder / name / "corpus.jsonl").open():
                    row = json.loads(line)
                    row["_id"] = f"{name}-{row['_id']}" if table else row["_id"]
                    file.write(json.dumps(row) + "\n")
        tables = {table: "[fr, en]"} if table else languages
        texts = [TABLE.format(name=name, language=own) for name, own in tables.items()]
        (Path(place) / "assise.yaml").write_text(
            "assise: 1\nname: relevance\npostgres: embedded\ntables:\n" + "".join(texts)
        )
        project = Project(Path(place))
        try:
            assert project.migrate(str(source), confirm=lambda _: True).exit_code == 0
            project.search.build()
            yield project
        finally:
            project.workspace.embedded.stop(immediate=True)


def measure(project: Project, folder: Path, table: str) -> str:
    """nDCG@10 of BM25, also with queries without accents and with typos, and of ts_rank."""
    queries = read_queries(folder / "queries.jsonl")
    prefix = f"{folder.name}-" if table != folder.name else ""
    judgements = {
        query: {prefix + row: grade for row, grade in rows.items()}
        for query, rows in read_judgements(folder / "qrels.tsv").items()
    }
    with open_rankings(project.search, [table], methods=["any", "ts_rank"]) as methods:
        changes: dict[str, Callable[[str], str]] = {"no accents": strip, "typo": mistype}
        changed: dict[str, Rank] = {
            name: lambda text, limit, change=change: methods["any"](change(text), limit)  # type: ignore[misc]
            for name, change in changes.items()
        }
        found = evaluate({**methods, **changed}, queries, judgements)
    return "  ".join(f"{each.name} {each.measures['nDCG@10'].mean:.4f}" for each in found.methods)


def strip(text: str) -> str:
    """A text without accents."""
    parts = unicodedata.normalize("NFD", text)
    return "".join(part for part in parts if not unicodedata.combining(part))


def mistype(text: str) -> str:
    """A text with one letter of one of its longest words left out, changed, or in a wrong place."""
    chance = random.Random(text)
    words = text.split()
    place = max(range(len(words)), key=lambda at: (len(words[at]), at), default=0)
    word = words[place] if words else ""
    if len(word) < 5:
        return text
    at = chance.randrange(1, len(word) - 1)
    words[place] = chance.choice(
        [
            word[:at] + word[at + 1 :],
            word[:at] + chance.choice("aeinorst") + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        ]
    )
    return " ".join(words)


if __name__ == "__main__":
    main()
