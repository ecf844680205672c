"""Devora's embeddings and answers, on its own data and with the model of this machine."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm
from tests.examples.generated import FOLDER, generate
from tests.scenes.databases import Databases, Template

from assise.app import App
from assise.project import Project
from assise.search.meaning.embedder import multiply

SOME = """    embed: {field: [name, description], where: "name ~ '^(Potager|Booking|Vet)'"}
"""
SHORTEST = """SELECT c.user_id, c.id FROM conversations AS c JOIN conversation_messages AS m ON conversation_id = c.id
    WHERE c.user_id IS NOT NULL GROUP BY c.id ORDER BY sum(length(content)), 2 LIMIT 1"""
GARDEN = """SELECT user_id, id FROM projects WHERE name LIKE 'Potager%' AND user_id IS NOT NULL
    AND deleted_at IS NULL ORDER BY 2 LIMIT 1"""


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """Devora's data, indexed and embedded."""
    with databases.create_template(tmp_path_factory.mktemp("devora")) as template:
        dump = generate(template.folder / "dump", "--users", "14", "--seed", "3")
        shutil.copy(FOLDER / "assise.yaml", template.folder)
        project = Project(template.folder, to=template.conninfo)
        text, whole = project.path.read_text(), "    embed: [name, description]\n"
        assert whole in text
        project.path.write_text(text.replace(whole, SOME))
        assert project.migrate(dump / "devora", confirm=confirm).exit_code == 0
        with psycopg.connect(template.conninfo) as session:
            session.execute(
                "UPDATE project_files SET content = left(content, 900) WHERE length(content) > 900"
            )
        project.search.build()
        assert project.search.embed()["projects"].texts
        yield template


def load_example() -> ModuleType:
    """The example, as an application would import it."""
    spec = spec_from_file_location("devora_meaning", FOLDER / "meaning.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_names_of_devora_find_what_is_meant(template: Template) -> None:
    module = load_example()
    with psycopg.connect(template.conninfo) as session:
        user, garden = session.execute(GARDEN).fetchone() or (None, None)
        talker, conversation = session.execute(SHORTEST).fetchone() or (None, None)
    urls = {"app": make_conninfo(template.conninfo, user="devora_app")}

    async def run() -> None:
        async with App(template.folder, urls=urls) as app:
            service, pipeline = module.get_embedding_service(app), module.get_rag_pipeline(app)
            one, other = await service.generate_embeddings_batch(
                ["Mon potager", "un prêt bancaire"]
            )
            assert one == await service.generate_embedding("Mon potager")
            vector = await service.embed_project(garden, user)
            assert len(vector) == len(one) == 384
            assert multiply(vector, one) > multiply(vector, other)
            assert await service.embed_project(garden, talker if talker != user else None) is None
            whole = await service.embed_conversation(conversation, talker)
            assert 0.99 < multiply(whole, whole) < 1.01
            found = await service.semantic_search("growing vegetables", user, ["projects"], 3)
            assert found[0].title.startswith("Potager")
            again = await service.semantic_search("growing vegetables", user, ["projects"], 3, 0.99)
            assert again == []
            alike = await service.find_similar_entities("projects", garden, user)
            assert garden not in {each.source_id for each in alike}
            contexts = await pipeline.retrieve_context("mes légumes du jardin", user)
            assert "Potager" in contexts.contexts[0].text
            assert 1 <= contexts.total_contexts <= 5
            prompt, told = await pipeline.augment_query("mes légumes du jardin", user)
            assert pipeline.format_for_prompt(told).split("\n")[1] in prompt.text

    asyncio.run(run())
