"""Files are written whole or not at all, and over no other file where they are new."""

from __future__ import annotations

from pathlib import Path

import pytest

from assise.errors import AssiseError, UsageError
from assise.files import check_new, exists_error, write_file


def test_a_file_is_written_whole_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert write_file(path, "one é\n")
    assert write_file(path, "two\n")
    assert path.read_text(encoding="utf-8") == "two\n"
    assert [*tmp_path.iterdir()] == [path]


def test_a_new_file_takes_no_place_that_is_taken(tmp_path: Path) -> None:
    path, link = tmp_path / "a.txt", tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    assert write_file(path, "one", is_new=True)
    for taken in (path, link):
        assert not write_file(taken, "two", is_new=True)
        with pytest.raises(UsageError, match="exists, and is not overwritten"):
            check_new(taken)
    assert (path.read_text(), link.is_symlink()) == ("one", True)
    check_new(tmp_path / "b.txt")
    assert sorted(tmp_path.iterdir()) == [path, link]


def test_what_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "x", tmp_path / "nowhere" / "x"):
        for act in (check_new, lambda path: write_file(path, "text")):
            with pytest.raises(AssiseError) as error:
                act(path)
            assert error.value.message.startswith(f"{path} cannot be written: ")
            assert error.value.remedy.startswith("Give a file in a folder that is there")


def test_the_remedy_names_what_to_give_instead() -> None:
    path = Path("a")
    assert exists_error(path).remedy == "Remove it, or give another file."
    other = exists_error(path, instead="another folder: --out FOLDER")
    assert other.remedy == "Remove it, or give another folder: --out FOLDER."
