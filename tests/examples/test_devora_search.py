"""Devora's searches: forty questions in French and English, each with the row that it should find."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm
from tests.examples.generated import FOLDER, generate
from tests.scenes.databases import Databases, Template

from assise.app import App
from assise.project import Project

PROJECTS = {
    "Réservation": ["comment reserver au restaurant", "réservations de tables", "reservtion"],
    "Boulangerie": ["commander des gâteaux et du pain", "gateau"],
    "Facturation": ["éditer une facture ou un devis", "artisans : leurs factures"],
    "Covoiturage": ["partage de trajets avec les collègues", "covoiturge"],
    "Bibliothèque": ["emprunter les livres de l’association", "bibliotheque"],
    "Vétérinaire": ["rendez-vous pour un chien ou un autre animal", "veterinaires"],
    "Potager": ["suivi des récoltes du jardin", "SEMIS"],
    "Immobilier": ["louer un appartement", "visite d'appartements"],
    "École": ["inscription des élèves à la cantine", "ecole"],
    "Randonnée": ["itinéraire de montagne", "preparer une randonnee"],
    "Booking": ["restaurant table booking", "book tables"],
    "Bakery": ["ordering birthday cakes", "bread"],
    "Invoicing": ["how do I send a quote to a customer", "invoices"],
    "Carpool": ["sharing a ride with a colleague", "carpol"],
    "Library": ["lending books", "club library"],
    "Vet": ["appointment for my pet", "pets"],
    "Allotment": ["harvest of my garden", "track the seeds"],
    "Lettings": ["rent an apartment", "viewing apartments"],
    "School": ["pupils' lunch", "sign up for school lunch"],
    "Hiking": ["plan a route in the mountains"],
}
"""The name that the best project begins with -> questions."""

QUESTIONS = [(question, name) for name, questions in PROJECTS.items() for question in questions]
CUT = "UPDATE project_files SET content = left(content, 50000) WHERE length(content) > 50000"
"""One file has 12 MB, which take seconds."""

OWNERS = """SELECT DISTINCT ON (split_part(name, ' ', 1)) split_part(name, ' ', 1), user_id
    FROM projects WHERE deleted_at IS NULL AND user_id IS NOT NULL ORDER BY 1, 2"""


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """Devora's data, indexed."""
    with databases.create_template(tmp_path_factory.mktemp("devora")) as template:
        dump = generate(template.folder / "dump", "--users", "60", "--seed", "3")
        shutil.copy(FOLDER / "assise.yaml", template.folder)
        shutil.copytree(FOLDER / "sql", template.folder / "sql")
        project = Project(template.folder, to=template.conninfo)
        assert project.migrate(dump / "devora", confirm=confirm).exit_code == 0
        with psycopg.connect(template.conninfo) as session:
            session.execute(CUT)
        project.search.build()
        yield template


@pytest.fixture(scope="module")
def owners(template: Template) -> dict[str, object]:
    """For each subject a user who has a project about it."""
    with psycopg.connect(template.conninfo) as session:
        return dict(session.execute(OWNERS).fetchall())


def load_example() -> ModuleType:
    """The example, as an application would import it."""
    spec = spec_from_file_location("devora_search", FOLDER / "search.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["devora_search"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def run(template: Template) -> Callable[[Callable[[Any], Awaitable[Any]]], Any]:
    """Calls the searches of Devora."""
    example = load_example()

    def call(work: Callable[[Any], Awaitable[Any]]) -> Any:  # noqa: ANN401
        async def go() -> Any:  # noqa: ANN401
            urls: Any = {"app": make_conninfo(template.conninfo, user="devora_app")}
            async with App(template.folder, urls=urls) as app:
                return await work(example.get_search_service(app))

        return asyncio.run(go())

    return call


def test_forty_questions_find_what_they_ask_for(
    run: Callable[..., Any], owners: dict[str, object]
) -> None:
    assert len(QUESTIONS) == 40

    async def ask(service: Any) -> list[str]:  # noqa: ANN401
        wrong = []
        for question, name in QUESTIONS:
            found = await service.search_projects(question, owners[name], limit=3)
            titles = [hit.title for hit in found.results]
            if not titles or not titles[0].startswith(name):
                wrong.append(f"{question}: {titles}")
        return wrong

    assert run(ask) == []


def test_each_name_searches_its_table_for_its_user(
    run: Callable[..., Any], template: Template
) -> None:
    names = {
        "search_projects": "projects",
        "search_conversations": "conversations",
        "search_messages": "conversation_messages",
        "search_files": "project_files",
    }
    with psycopg.connect(template.conninfo) as session:
        ((user, projects),) = session.execute(
            "SELECT user_id, array_agg(id::text) FROM projects WHERE deleted_at IS NULL"
            " GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        ).fetchall()

    async def ask(service: Any) -> None:  # noqa: ANN401
        for name, table in names.items():
            found = await getattr(service, name)("application page Form.tsx index", user)
            assert {hit.type for hit in found.results} == {table}
            assert found.total >= len(found.results)
            assert found.execution_time_ms > 0
        files = await service.search_files("Form.tsx", user)
        assert files.results[0].title == "src/components/Form.tsx"
        assert {str(hit.id[0]) for hit in files.results} <= {*projects}
        everything = await service.search_all("application", user)
        assert len({hit.type for hit in everything.results}) > 1
        suggested = await service.get_suggestions("appl", user)
        assert "application" in {each.text for each in suggested}
        nobody = await service.search_all("application", "00000000-0000-0000-0000-000000000000")
        assert nobody.results == []

    run(ask)
