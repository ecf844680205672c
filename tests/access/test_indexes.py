"""The indexes of rules: none beside one of the manifest that serves them."""

from __future__ import annotations

from tests.access.shop import write_manifest

from assise.project import Project
from assise.schema.access import AccessRules


def name_indexes(project: Project) -> set[str]:
    objects = AccessRules(project.manifest, "public").list_objects()
    return {each.name for each in objects if each.kind == "index"}


def test_an_index_of_the_manifest_that_begins_with_the_owner_serves_the_rule(
    project: Project,
) -> None:
    """The server would take an index without the order of the query instead."""
    write_manifest(project)
    assert {"_access_projects__user_id", "_access_docs__team"} <= name_indexes(project)
    for index, is_served in (
        ("[[user_id, -name]]", True),
        ("[user_id]", True),
        ("[[name, user_id]]", False),
        ('[{columns: [user_id], where: "name IS NULL"}]', False),
        ("[{columns: [user_id], method: brin}]", False),
        ('[{expression: "user_id + 1"}]', False),
    ):
        write_manifest(project, projects=f"access: {{owner: user_id}}\n    indexes: {index}")
        assert ("_access_projects__user_id" not in name_indexes(project)) is is_served, index
    docs = "access: {members: {table: members, user: user_id, group: team}}\n    indexes: [team]"
    write_manifest(project, docs=docs)
    assert "_access_docs__team" in name_indexes(project)
