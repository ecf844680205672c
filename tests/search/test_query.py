"""Query text: whatever is typed is a query, with phrases, exclusions, fields and prefixes."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scenes.databases import Databases
from tests.search.texts import Texts

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def texts(databases: Databases) -> Iterator[Texts]:
    conninfo = databases.create()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        made = Texts(connection)
        made.create(["fr", "en", "code"])
        yield made
    databases.drop(conninfo)


def test_a_word_has_a_reading_in_each_language(texts: Texts) -> None:
    asked = texts.query("sécuriser les API, API", "fr", "en")
    assert asked["terms"] == {
        "fr:securis": 1,
        "en:securis": 1,
        "en:les": 1,
        "fr:api": 2,
        "en:api": 2,
    }
    assert asked["words"] == [
        ["en:securis", "fr:securis"],
        ["en:api", "fr:api"],
        ["en:api", "fr:api"],
    ]
    assert texts.query("sécuriser les API", "fr")["terms"] == {"securis": 1, "api": 1}


def test_a_query_of_stop_words_of_one_language_has_words_of_the_other(texts: Texts) -> None:
    assert texts.query("les dont", "fr", "en")["words"] == [["en:les"], ["en:dont"]]
    assert texts.query("les dont", "fr")["words"] == []


def test_stop_words_of_the_language_of_a_query_are_no_words_of_another(texts: Texts) -> None:
    asked = texts.query("Comment sécuriser les API dans le cloud ?", "fr", "en")
    assert set(asked["terms"]) == {
        f"{language}:{word}"
        for language in ("fr", "en")
        for word in ("comment", "securis", "api", "cloud")
    }


@pytest.mark.parametrize(
    ("query", "text", "is_found"),
    [
        ('"mot de passe"', "Votre mot de passe expire", True),
        ('"mot de passe"', "Le passe et le mot", False),
        ("“mot de passe”", "Un mot de passe", True),
        ("« mot de passe »", "Un passe", False),
        ('"strong password"', "use a strong password", True),
        ('"strong password', "a password", True),
        ("Le \"mot clé\" d'une base, c'est quoi pour un débutant ?", "Une base", True),
        ('"passe" mot', "mot", True),
        ('-"" mot', "mot", True),
        ("passe -expire", "Votre mot de passe expire", False),
        ("passe -expire", "Votre mot de passe", True),
        ('passe -"mot de passe"', "Un mot de passe", False),
        ('passe -"mot de passe"', "Un passe", True),
        ("passe -foo_bar", "foo et bar, passe", True),
        ("passe -foo_bar", "foo_bar, passe", False),
        ("--passe", "passe", True),
        ("a-b -", "a b", True),
        ("C++", "écrit en C++.", True),
        ("été", "En ete, tout va", True),
    ],
)
def test_what_a_query_finds(texts: Texts, query: str, text: str, is_found: bool) -> None:
    assert texts.finds(query, text, "fr", "en") == is_found


def test_only_the_given_fields_are_fields(texts: Texts) -> None:
    query = 'titre:"mot clé" -auteur:Zoé http://a.fr 12:30 note:bien'
    asked = texts.query(query, "fr", fields=["titre", "auteur"])
    assert asked["fields"] == [["titre", ["cle", "mot"], "('mot' <1> 'cle')"]]
    assert asked["fields_without"] == [["auteur", ["zo"], "('zo')"]]
    assert asked["terms"].keys() >= {"http://a.fr", "12:30", "note:bien", "not", "bien"}
    assert texts.query(query, "fr")["fields"] == []


def test_a_star_makes_a_prefix(texts: Texts) -> None:
    asked = texts.query("Séc* l'auth* * a*b", "fr")
    assert asked["prefixes"] == ["sec", "auth"]
    assert asked["terms"] == {"b": 1}


@pytest.mark.parametrize(
    "query",
    [
        None,
        "",
        "   \n",
        "'",
        '"',
        '""',
        '-""',
        "\\",
        "& | ! ( ) <-> :* :A",
        "🎉",
        "-",
        "-'",
        'a:"',
        "titre:",
        'titre:""',
        '-titre:"',
        "%s {0} $1 $$",
        "; DROP TABLE x; --",
        "é" * 10_000,
        "mot " * 5_000,
        '"' * 10_001,
        "-a " * 3_333,
        "_ " * 5_000,
        "a." * 20_000,
        "\x01\x7f\u200b\ufeff\u202e",
    ],
)
def test_anything_is_a_query(texts: Texts, query: str | None) -> None:
    for languages in (["fr"], ["fr", "en", "code"]):
        asked = texts.query(query, *languages, fields=["titre"])
        texts.connection.execute("SELECT %s::tsquery", (asked["require"],))


@given(st.text(st.sampled_from("aé 'est\"-*:_./@+#\\<&|!()%$’«»\u00a0🎉\n0"), max_size=40))
def test_a_query_is_the_same_whatever_surrounds_it(texts: Texts, query: str) -> None:
    asked = texts.query(query, "fr", "en", fields=["a"])
    texts.connection.execute("SELECT %s::tsquery", (asked["require"],))
    assert texts.query(f"  {query} ", "fr", "en", fields=["a"]) == asked
