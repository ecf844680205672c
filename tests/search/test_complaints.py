"""What users of other searches complain about, each as a search of ours.

The numbers are those of the issues in the projects' trackers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases

from assise.project import Project
from assise.search.query import Answer, Request

Find = Callable[..., Answer]
MANIFEST = """assise: 1
name: app
roles: {prefix: complainttest}
tables:
  users:
    collection: users
    primary_key: id
    access: {owner: id}
    columns: {id: {type: int4, from: _id}}
  notes:
    collection: notes
    primary_key: id
    access: {owner: user_id}
    search: {title: title, body: text, language: [fr, en]}
    columns: {id: {type: int4, from: _id}, user_id: int4, kind: text, title: text, text: text}
"""
FILLER = "Le reste du texte parle de toute autre chose. " * 40
TEXTS = {
    1: ("Pare-feu", "Comment empêcher les intrusions dans un réseau d’entreprise"),
    2: ("Networks", "How engineers secure the networks of a company"),
    3: ("Sécurisations", "Nous sécurisons des applications pour l’été"),
    4: ("Long", f"{FILLER} Le mot unique est saperlipopette, cité ici. {FILLER}"),
    5: ("Kitchen", "The kitchen is clean"),
    6: ("Kitten", "The kitten sleeps"),
    7: ("Aurores", "red green blue"),
    8: ("Crépuscules", "blue green red"),
}


@pytest.fixture(scope="module")
def notes(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder: Path = tmp_path_factory.mktemp("complaints")
    conninfo = databases.create()
    project = Project(folder, to=conninfo)
    project.path.write_text(MANIFEST)
    documents: list[dict[str, Any]] = [
        {"_id": n, "user_id": 1, "kind": "text", "title": title, "text": text}
        for n, (title, text) in TEXTS.items()
    ]
    documents += [
        {"_id": n, "user_id": 2 + n % 100 // 98, "kind": f"k{n % 50}", "text": f"common rare{n}"}
        for n in range(100, 1100)
    ]
    users = [{"_id": n} for n in range(1, 4)]
    dump = write_dump(folder / "app", {"users": users, "notes": documents})
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    project.search.build()
    yield project
    databases.drop(conninfo)


@pytest.fixture
def find(notes: Project) -> Find:
    def ask(text: str, user: int = 1, **options: Any) -> Answer:  # noqa: ANN401
        return notes.search.query(Request(text, ["notes"], **options), user_id=user)

    return ask


def ids(found: Answer) -> list[object]:
    return [hit.id for hit in found.results]


def test_a_row_need_not_have_all_words(find: Find) -> None:
    """langchain-postgres#268"""
    assert ids(find("how would kittens ever program networks")) == [6, 2]


def test_french_is_stemmed_once_and_by_its_own_rules(find: Find) -> None:
    """llama_index#19240"""
    for text in ("sécurisation", "securisations", "SÉCURISONS"):
        assert ids(find(text)) == [3]


@pytest.mark.parametrize("text", ["kitchen: (a & b) | !c <->", "'kitchen", 'kitchen" ~ * \\'])
def test_punctuation_is_no_syntax(find: Find, text: str) -> None:
    """llama_index#19783, dify#8920"""
    assert ids(find(text)) == [5]


def test_one_table_has_texts_in_two_languages(find: Find) -> None:
    """llama_index#10985"""
    assert ids(find("les réseaux d’une entreprise")) == [1]
    assert ids(find("network of the companies")) == [2]


def test_a_filter_leaves_no_hits_out(find: Find) -> None:
    """pgvector#719, #751, #785, discourse-ai#1133"""
    found = find("common", 2, filters={"kind": "k7"}, limit=50)
    assert len(found.results) == found.total == 20


def test_a_user_with_few_rows_among_many_finds_them(find: Find) -> None:
    """pgedge-rag-server#50"""
    found = find("common", 3, limit=50)
    assert len(found.results) == found.total == 20
    assert all(int(str(each)) % 100 >= 98 for each in ids(found))


def test_words_that_were_corrected_are_marked(find: Find) -> None:
    """paradedb#470"""
    assert find("saperlipopete").results[0].snippet.count("<b>saperlipopette</b>") == 1


def test_accents_are_not_needed(find: Find) -> None:
    """outline#7869"""
    assert ids(find("empecher")) == ids(find("empêcher")) == [1]


def test_a_prefix_stands_beside_other_words(find: Find) -> None:
    """typesense#2060"""
    assert set(ids(find("kitchen saperl*"))) == {4, 5}
    assert set(ids(find("kitchen saperl", as_you_type=True))) == {4, 5}


def test_the_order_of_words_changes_nothing(find: Find) -> None:
    """meilisearch#3066"""
    scores = [
        {hit.id: hit.score for hit in find(each).results} for each in ("red blue", "blue red")
    ]
    assert scores[0] == scores[1] == {7: 1, 8: 1}


def test_a_word_as_typed_comes_before_one_that_is_like_it(find: Find) -> None:
    """typesense#302, Connapse#402"""
    assert ids(find("kitten")) == [6]
    assert ids(find("kitchen")) == [5]


def test_what_is_deleted_is_found_no_longer(notes: Project, find: Find) -> None:
    """ragflow#6462, #7130, meilisearch#1809, langchain-postgres#127"""
    with psycopg.connect(str(notes.workspace.to)) as session:
        session.execute("INSERT INTO notes VALUES (50, 1, 'old', 'Zeppelin', 'first')")
        session.execute("INSERT INTO notes VALUES (51, 1, 'new', 'Zeppelin', 'second')")
    assert set(ids(find("zeppelin"))) == {50, 51}
    with psycopg.connect(str(notes.workspace.to)) as session:
        session.execute("DELETE FROM notes WHERE kind = 'old'")
        session.execute("UPDATE notes SET title = 'Airship' WHERE kind = 'new'")
    assert ids(find("zeppelin")) == []
    assert ids(find("airship")) == [51]
    with psycopg.connect(str(notes.workspace.to)) as session:
        session.execute("DELETE FROM notes WHERE kind = 'new'")


def test_the_passage_has_the_words_and_is_short(find: Find) -> None:
    """ragflow#8594, #7232, #12005, #7060, haystack#8188"""
    (hit,) = find("saperlipopette").results
    passage = hit.snippet.replace("<b>", "").replace("</b>", "").strip("… ")
    assert "saperlipopette, cité ici" in passage
    assert passage in TEXTS[4][1].replace("  ", " ")
    assert len(passage) < 400


def test_facets_count_the_hits_that_the_user_sees(find: Find) -> None:
    """paradedb#920"""
    found = find("common", 3, facets=["kind"], limit=1)
    assert found.facets == {"kind": {"k48": 10, "k49": 10}}
    filtered = find("common", 3, facets=["kind"], filters={"kind": "k48"})
    assert filtered.facets == {"kind": {"k48": 10}}


def test_a_text_over_a_megabyte_is_found_by_its_end(notes: Project, find: Find) -> None:
    """docmost#1402"""
    words = " ".join(f"mot{n:06}" for n in range(120_000))
    with psycopg.connect(str(notes.workspace.to)) as session:
        session.execute("INSERT INTO notes VALUES (52, 1, 'big', 'Big', %s)", [words])
    assert ids(find("mot119999")) == [52]
    with psycopg.connect(str(notes.workspace.to)) as session:
        session.execute("DELETE FROM notes WHERE id = 52")


def test_stop_words_find_nothing_and_names_like_them_are_words(find: Find) -> None:
    """supabase-js#1647"""
    assert ids(find("dans les pour")) == []
    assert ids(find("été")) == [3]
    assert ids(find("how the kitten")) == [6]
