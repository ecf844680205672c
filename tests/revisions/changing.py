"""What tests of revisions do again and again: change the manifest, write and apply a revision."""

from __future__ import annotations

from pathlib import Path

from assise.project import Project
from assise.revisions.differences import SchemaDrift


def change(project: Project, old: str, new: str) -> None:
    """Replace a text of the manifest."""
    text = project.path.read_text()
    assert old in text
    project.path.write_text(text.replace(old, new))


def revise(project: Project, title: str = "next", *, drop: tuple[str, ...] = ()) -> str:
    """Write the next revision, and return its text."""
    path = project.revisions().revise(title, drop=drop)
    assert path is not None
    return path.read_text()


def check_same(project: Project) -> SchemaDrift:
    """Check that the database is as the manifest says."""
    drift = project.revisions().diff()
    assert drift.differences == []
    assert drift.others == []
    return drift


def folder_of(project: Project) -> Path:
    """Where the revisions of a project are."""
    return project.path.parent / "revisions"
