"""Rows that a user has by its groups: their words are suggested, and their meaning is found."""

from __future__ import annotations

from pathlib import Path

from tests.dumps import confirm, write_dump
from tests.search.meaning.words import WordEmbedder, embed_text, open_words

from assise.postgres.asking import answer
from assise.project import Project
from assise.search.meaning.embedder import write_vector
from assise.search.meaning.retrieve import retrieve
from assise.search.query import Embedding, Request

MANIFEST = """assise: 1
name: app
roles: {prefix: grouptest}
tables:
  members:
    collection: members
    primary_key: id
    access: none
    columns: {id: {type: int4, from: _id}, user_id: int4, team: text}
  notes:
    collection: notes
    primary_key: id
    access: {members: {table: members, user: user_id, group: team}}
    search: {body: text, language: en}
    embed: [text]
    columns: {id: {type: int4, from: _id}, team: text, text: text}
"""
NOTES = {1: ("red", "harbour lights"), 2: ("blue", "harvest moon"), 3: ("green", "harpist")}


def test_words_and_meanings_are_those_of_the_groups(tmp_path: Path, database: str) -> None:
    project = Project(tmp_path, to=database)
    project.path.write_text(MANIFEST)
    members = [(1, "red"), (1, "blue"), (2, "green")]
    rows = [{"_id": n, "user_id": user, "team": team} for n, (user, team) in enumerate(members)]
    notes = [{"_id": n, "team": team, "text": text} for n, (team, text) in NOTES.items()]
    dump = write_dump(tmp_path / "app", {"members": rows, "notes": notes})
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    project.search.build()
    with open_words(project, WordEmbedder()) as builder:
        builder.build()
    vector = Embedding("words@1", write_vector(embed_text("harbour harvest harpist")))
    request = Request("", ["notes"], 10, method="semantic", vector=vector)
    for user, words, texts in (
        (1, {"harbour", "harvest"}, {"harbour lights", "harvest moon"}),
        (2, {"harpist"}, {"harpist"}),
        (3, set[str](), set[str]()),
    ):
        assert {each.text for each in project.search.suggest("har", user_id=user)} == words
        with project.search.open_asker(user_id=user) as asker:
            found = answer(retrieve(asker.manifest, request), asker.session.fetch)
        assert {passage.text for passage in found.passages} == texts
