"""Search by meaning and by both: what is found, and by whom."""

from __future__ import annotations

import pytest
from tests.search.meaning.shelf import USERS

from assise.project import Project
from assise.search.query import Method, Request

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("method", ["semantic", "hybrid"])
def test_a_question_finds_what_it_means(shelf: Project, method: Method) -> None:
    asked = {
        "how do I protect my web service": "Sécuriser une API",
        "mon chien n'obéit pas": "Training a dog",
        "mettre mon site en ligne": "Déployer sur Vercel",
        "recette de pain": "Baking bread",
    }
    for question, title in asked.items():
        found = shelf.search.query(Request(question, ["books"], 3, method=method), user_id=2)
        assert found.results[0].title == title, question
        assert {int(str(hit.id)) % USERS for hit in found.results} == {2}
        assert found.results[0].score == 1 or method == "semantic"
