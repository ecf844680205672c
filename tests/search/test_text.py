"""Text into lexemes: French, English, code, what is found as typed, and which language it is."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import psycopg
import pytest
from tests.scenes.databases import Databases
from tests.search.texts import Texts

from assise.schema.search_text import LANGUAGES, list_drops, list_functions

pytestmark = pytest.mark.contract

STOPS = """
    le la les l un une des du de d au aux à et ou où qui que qu dont ce cet cette ces je tu il
    elle ils elles on nous vous se sa son ses leur lui y en ne pas par pour dans sur avec même mêmes
    tout tous toute toutes a as ont est sont était étaient être êtes très aussi si donc comme là ça
""".split()
NO_STOPS = "été étés sûr dû maïs dé mûr île îles avion avions somme sommes entrée vers".split()
TYPED = """
    v2.1.3 createUser foo_bar __init__ 550e8400-e29b-41d4-a716-446655440000 C++ C# src/app/main.py
    jean.dupont+lettre@exemple.fr https://exemple.fr/page 12/05/2024 COVID-19 0.05 node.js
""".split()


@pytest.fixture(scope="module")
def texts(databases: Databases) -> Iterator[Texts]:
    conninfo = databases.create()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        made = Texts(connection)
        made.create()
        yield made
    databases.drop(conninfo)


@pytest.mark.parametrize("apostrophe", ["'", "’"])
def test_elisions_and_accents_are_read_as_the_french_write_them(
    texts: Texts, apostrophe: str
) -> None:
    text = "L'été, jusqu'à l'île qu'ils aiment : « Œuvre »".replace("'", apostrophe)
    for written in (text, unicodedata.normalize("NFD", text)):
        assert texts.lexemes(written, "fr") == texts.lexemes("ete ile aiment oeuvre", "fr")


@pytest.mark.parametrize("word", STOPS)
def test_a_french_stop_word_is_none(texts: Texts, word: str) -> None:
    for written in (word, word.upper()):
        assert texts.lexemes(f"chat {written} chien", "fr") <= {"chat", "chien"}


@pytest.mark.parametrize("word", NO_STOPS)
def test_a_word_that_looks_like_a_stop_word_is_found(texts: Texts, word: str) -> None:
    assert len(texts.lexemes(f"le {word} la", "fr")) == 1
    assert texts.finds(word, f"Les {word.capitalize()}, toujours", "fr")


def test_words_without_their_accents_find_the_same(texts: Texts) -> None:
    for word in ("empêcher", "sécurité", "élève", "déjà", "Noël", "garçon", "cœur"):
        plain = unicodedata.normalize("NFD", word.replace("œ", "oe"))
        plain = plain.encode("ascii", "ignore").decode()
        assert texts.lexemes(word, "fr") == texts.lexemes(plain, "fr")


def test_stop_words_are_those_of_the_row_language(texts: Texts) -> None:
    assert texts.lexemes("the cat is on the roof", "en") == {"cat", "roof"}
    assert texts.lexemes("der Hund ist für das Mädchen", "de") == {"hund", "madch"}
    assert texts.lexemes("the cats", "simple") == {"the", "cats"}


@pytest.mark.parametrize("language", ["fr", "en", "code"])
@pytest.mark.parametrize("word", TYPED)
def test_what_is_typed_is_found_as_typed(texts: Texts, language: str, word: str) -> None:
    inside = texts.lexemes(f"Voir ({word}), then more.", language)
    assert texts.lexemes(word, language) <= inside
    if not word.isalpha():
        assert word.lower() in inside


def test_parts_of_what_is_typed_are_found_too(texts: Texts) -> None:
    words = "client/serveur src/app/main.py dupont@exemple.fr fin.Début peut-être foo_bar"
    read = texts.lexemes(words, "fr")
    for part in ("serveur", "main", "dupont", "debut", "peut", "bar"):
        assert texts.lexemes(part, "fr") <= read, part


def test_identifiers_of_code_are_kept_and_split(texts: Texts) -> None:
    code = "<div className='x'> parseHTMLDocument(self.user_name, MAX_SIZE) the"
    read = texts.lexemes(code, "code")
    assert read >= {"classname", "class", "name", "parsehtmldocument", "parse", "html", "document"}
    assert read >= {"user_name", "user", "max_size", "size", "div", "the", "self"}


def test_lexemes_are_tagged_only_where_a_table_has_several_languages(texts: Texts) -> None:
    assert texts.vector("la sécurité d'une API", "fr") == "'api':5 'securit':2"
    assert texts.vector("la sécurité d'une API", "fr", "en") == "'fr:api':5 'fr:securit':2"
    assert texts.lexemes("v2.1 it's 'x\\y", "en", "fr") >= {"v2.1", "en:x"}


def test_the_language_of_a_row_is_found_or_given(texts: Texts) -> None:
    french, english = "Comment sécuriser une API dans le cloud", "How to secure an API in the cloud"

    def find(text: str, *languages: str) -> object:
        return texts.call("search_language", text, [*languages])

    assert find(french, "fr", "en") == ["fr"]
    assert find(english, "fr", "en", "code") == ["en", "code"]
    assert find("React, Vue", "fr", "en") == ["fr", "en"]
    # One stop word may be a name; two, of which the other language has none, tell.
    assert find("pour React", "fr", "en") == ["fr", "en"]
    assert find("pour React avec Vue", "fr", "en") == ["fr"]
    assert find("the React", "en", "fr") == ["en", "fr"]
    assert find("", "fr", "en") == ["fr", "en"]
    assert find(english, "fr") == ["fr"]
    assert texts.lexemes("React", "fr", "en") == {"fr:react", "en:react"}
    assert texts.vector(english, "fr", "en", own=["fr"]).startswith("'fr:an'")
    assert texts.vector(english, "fr", "en", own=["de"]) == texts.vector(english, "fr", "en")
    long = "Table A, et al. " * 20 + english * 5
    assert find(long, "fr", "en") == ["en"]


@pytest.mark.parametrize(
    "text",
    [None, "", " ", "'", "\\", "x" * 3000, "_" * 3000, "a_" * 3000, "a.b" * 9000, "🎉 ' \\ :* <->"],
)
def test_no_text_is_refused(texts: Texts, text: str | None) -> None:
    for languages in (["fr"], ["en", "fr", "code"], ["ar", "simple"], ["klingon"]):
        texts.vector(text, *languages)


def test_every_language_has_a_configuration(texts: Texts) -> None:
    for language in LANGUAGES:
        assert texts.lexemes("Zanzibar", language), language


def test_the_functions_are_made_again_and_taken_away(texts: Texts) -> None:
    hostile = Texts(texts.connection, "a\"b'c $$ {fold} %s \\")
    texts.connection.execute('CREATE SCHEMA "a""b\'c $$ {fold} %s \\"')
    catalogs = "SELECT (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_ts_dict), (SELECT count(*) FROM pg_ts_config)"
    before = texts.connection.execute(catalogs).fetchall()
    hostile.create(["fr", "code", "simple"])
    hostile.create(["fr", "code", "simple"])
    assert hostile.vector("l'été", "fr") == "'ete':2"
    for statement in list_drops(hostile.schema, ["fr", "code", "simple"]):
        texts.connection.execute(statement.encode())
    assert texts.connection.execute(catalogs).fetchall() == before


def test_a_configuration_that_is_not_there_is_refused_when_functions_are_made(texts: Texts) -> None:
    statements = ";".join(list_functions("public", ["klingon"]))
    with pytest.raises(psycopg.errors.UndefinedObject, match="klingon"):
        texts.connection.execute(statements.encode())
