"""Passages with their words marked: stemmed, without accents, as typed, and always escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import psycopg
import pytest
from tests.scenes.databases import Databases
from tests.search.texts import Texts

from assise.project import Project
from assise.search.query import Request
from assise.search.snippet import highlight, make_snippet

pytestmark = pytest.mark.contract
FILLER = "Allez dans les paramètres, puis cliquez. " * 30


@pytest.fixture(scope="module")
def texts(databases: Databases) -> Iterator[Texts]:
    conninfo = databases.create()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        made = Texts(connection)
        made.create(["fr", "en", "code"])
        yield made
    databases.drop(conninfo)


def show(texts: Texts, query: str, *bodies: str, languages: tuple[str, ...] = ("fr", "en")) -> str:
    found = texts.call("search_headlines", [*bodies], query, [*languages])
    assert isinstance(found, list)
    return make_snippet(bodies, found, query)


@pytest.mark.parametrize(
    ("query", "body", "marked"),
    [
        ("securiser", "Pour « sécurisée » l’été", "Pour « <b>sécurisée</b> » l’été"),
        ("ete", "C’est l’été.", "C’est l’<b>été</b>."),
        ("houses", "my House is old", "my <b>House</b> is old"),
        ("passe", "mot de passe", "mot de <b>passe</b>"),
        ("v2.1.3", "la version v2.1.3 est", "la version <b>v2.1.3</b> est"),
        ("gras", "1 < 2 & <i>gras</i>", "… 1 &lt; 2 &amp; <b>gras</b> …"),
        ("absent", "rien & personne", "rien &amp; personne"),
        ("mot", "\x01mot\x02", "<b>mot</b>"),
    ],
)
def test_words_of_a_query_are_marked_and_all_else_is_escaped(
    texts: Texts, query: str, body: str, marked: str
) -> None:
    assert show(texts, query, body) == marked


def test_the_passage_is_the_best_of_the_text(texts: Texts) -> None:
    body = f"{FILLER}Le chat dort. {FILLER}Le chat noir dort au soleil. {FILLER}"
    found = show(texts, "chats noirs soleil", body)
    assert "<b>chat</b> <b>noir</b> dort au <b>soleil</b>" in found
    assert found.startswith("… ")
    assert found.endswith(" …")
    assert len(found) < 500
    decomposed = show(texts, "parametre", unicodedata.normalize("NFD", FILLER))
    assert "<b>paramètres</b>" in decomposed


def test_the_first_text_with_a_word_is_shown(texts: Texts) -> None:
    assert show(texts, "chat", "rien", "un chat", languages=("fr",)) == "un <b>chat</b>"
    assert show(texts, "chat") == ""
    assert show(texts, "", "a" * 500) == "a" * 200 + " …"


def test_nothing_of_a_text_becomes_html(texts: Texts) -> None:
    for body in ("<script>alert('chat')</script> chat", "&lt;b&gt; chat <", '"<img src=x> chat'):
        found = show(texts, "chat", body).replace("<b>", "").replace("</b>", "")
        assert "<" not in found
        assert ">" not in found


def test_a_terminal_shows_the_words_in_bold() -> None:
    assert highlight("a &lt; <b>b</b>", is_bold=True) == "a < \x1b[1mb\x1b[22m"


def test_a_hit_is_shown_with_its_words_marked(library: Project) -> None:
    found = library.search.query(Request("w1 w2", ["books", "signs"]), role="admin")
    assert all("<b>w1</b>" in hit.snippet or "<b>w2</b>" in hit.snippet for hit in found.results)
    assert len(found.results) == 10
