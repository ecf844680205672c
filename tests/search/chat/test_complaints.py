"""What users of other programs complain about in answers from sources, each as a question of ours.

The numbers are those of the issues in the projects' trackers.
"""

from __future__ import annotations

import re

import psycopg
import pytest
from tests.search.chat.answering import SOURCE, AnsweringServer

from assise.project import Project
from assise.search.chat.ask import TOKENS
from assise.search.chat.verbs import ask
from assise.search.meaning.passages import count_tokens

pytestmark = pytest.mark.contract
QUESTION = "comment déployer sur Vercel ?"


def list_sources(messages: list[dict[str, str]]) -> list[tuple[str, str]]:
    """The sources of a prompt, each with its number."""
    return SOURCE.findall(messages[-1]["content"])


def test_a_citation_points_to_the_row_that_says_it(chatty: Project, database: str) -> None:
    """ragflow#8594, #7232, #12005"""
    found = ask(chatty.search, QUESTION, user_id=1)
    assert len(found.sources) > 1
    assert [each.number for each in found.citations] == [each.number for each in found.sources]
    assert all(each.is_right for each in found.citations)
    with psycopg.connect(database) as session:
        for source, cited in zip(found.sources, found.citations, strict=True):
            rows = session.execute("SELECT title, text FROM notes WHERE id = %s", [source.id])
            (title, text) = rows.fetchone() or ("", "")
            assert source.title == title
            assert text.split(". ")[0] in cited.sentence


def test_a_citation_of_another_row_than_the_one_that_says_it_is_marked(
    chatty: Project, model: AnsweringServer
) -> None:
    """ragflow#8594, #7232, #12005"""
    found = ask(chatty.search, QUESTION, user_id=1)
    numbers = {each.title: each.number for each in found.sources}
    right, wrong = numbers["Vercel et les variables"], numbers["Déployer sur Vercel"]
    said = "Les variables sont dans les réglages"
    model.response = f"{said} [{right}]. {said} [{wrong}]. {said}."
    found = ask(chatty.search, QUESTION, user_id=1)
    assert [(each.number, each.is_right) for each in found.citations] == [
        (right, True),
        (wrong, False),
    ]


def test_citations_count_the_sources_of_the_prompt_that_was_answered(
    chatty: Project, model: AnsweringServer
) -> None:
    """ragflow#12005: sources that were cut from a prompt are not told as its sources."""
    whole = ask(chatty.search, QUESTION, user_id=1)
    model.most = len("\n".join(each["content"] for each in model.prompts[-1])) - 1
    found = ask(chatty.search, QUESTION, user_id=1)
    assert found.is_answered, found.problem
    assert 0 < len(found.sources) < len(whole.sources)
    assert len(found.sources) == len(list_sources(model.prompts[-1]))
    assert {each.number for each in found.citations} == {each.number for each in found.sources}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE notes SET text = 'Autre chose sur Vercel.'",
        "DELETE FROM notes WHERE text LIKE '%branche%'",
        "UPDATE notes SET user_id = 2",
    ],
)
def test_what_was_changed_or_deleted_reaches_no_model(
    chatty: Project, model: AnsweringServer, database: str, change: str
) -> None:
    """ragflow#6462, #7130, meilisearch#1809"""
    ask(chatty.search, QUESTION, user_id=1)
    assert "la branche" in str(model.prompts)
    model.prompts.clear()
    with psycopg.connect(database) as session:
        session.execute(change)
    found = ask(chatty.search, QUESTION, user_id=1)
    assert "la branche" not in f"{model.prompts} {found.response} {found.contexts_used}"


def test_no_prompt_is_longer_than_its_budget(
    chatty: Project, model: AnsweringServer, database: str
) -> None:
    """ragflow#7060, haystack#8188"""
    with psycopg.connect(database) as session:
        session.execute(
            "UPDATE notes SET text = repeat(text || ' Une phrase de plus, ' || id || '. ', 2000)"
        )
    found = ask(chatty.search, QUESTION, user_id=1)
    assert found.is_answered, found.problem
    (prompt,) = model.prompts
    assert 0 < sum(count_tokens(each["content"]) for each in prompt) <= TOKENS
    assert list_sources(prompt)


def test_a_prompt_within_its_budget_that_is_too_long_for_the_model_is_cut(
    chatty: Project, model: AnsweringServer
) -> None:
    """ragflow#7060, haystack#8188: each try is shorter, and none is without a source."""
    whole = ask(chatty.search, QUESTION, user_id=1)
    sizes = [sum(count_tokens(each["content"]) for each in prompt) for prompt in model.prompts]
    assert sizes[0] < TOKENS / 2
    model.prompts.clear()
    model.most = 10
    found = ask(chatty.search, QUESTION, user_id=1)
    assert "too long" in str(found.problem)
    assert found.sources == whole.sources
    tried = [count_tokens(str(prompt)) for prompt in model.prompts]
    assert len(tried) > 1
    assert tried == sorted(set(tried), reverse=True)
    assert all(list_sources(prompt) for prompt in model.prompts)


def test_no_model_is_asked_without_a_source(chatty: Project, model: AnsweringServer) -> None:
    """ragflow#7060: what is left of a prompt that was cut is worth a question, or is not sent."""
    model.most = 10
    found = ask(chatty.search, "knead the dough", user_id=1)
    assert (found.is_answered, len(found.sources)) == (False, 1)
    assert found.response.startswith("[1] Baking bread")
    assert [len(list_sources(prompt)) for prompt in model.prompts] == [1]


def test_every_number_of_an_answer_is_checked(chatty: Project, model: AnsweringServer) -> None:
    """ragflow#7232: no citation goes without a verdict, wherever it stands."""
    model.response = "[1] Vercel [1][2], et [2, 1] aussi\n- [9] Vercel.\n**Vercel**[3]"
    found = ask(chatty.search, QUESTION, user_id=1)
    numbers = {int(each) for each in re.findall(r"\d+", model.response)}
    assert {each.number for each in found.citations} == numbers
