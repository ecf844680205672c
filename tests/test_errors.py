"""Errors: the tree of the docstring is the tree of the classes; a text is what happened and what to do."""

from __future__ import annotations

import inspect
import re

import pytest

from assise import errors
from assise.errors import AssiseError, InvalidBsonError, ManifestError

CLASSES: dict[str, type[AssiseError]] = {
    name: found
    for name, found in vars(errors).items()
    if inspect.isclass(found) and issubclass(found, AssiseError)
}


def drawn_tree() -> dict[str, str]:
    """Each class of the docstring's tree with the one above it."""
    lines = re.findall(r"^([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE)
    above: dict[int, str] = {}
    tree = {}
    for indent, name in lines:
        depth = len(indent) // 4
        above[depth] = name
        tree[name] = above.get(depth - 1, "Exception")
    return tree


def test_the_tree_in_the_docstring_is_that_of_the_classes() -> None:
    assert drawn_tree() == {name: found.__bases__[0].__name__ for name, found in CLASSES.items()}
    assert len(CLASSES) > 10


def test_exit_codes_are_those_of_the_docstring() -> None:
    exits = {
        str(name): int(code)
        for name, code in re.findall(r"(\w+Error)\s+exit (\d)", errors.__doc__ or "")
    }
    assert exits == {"AssiseError": 1, "UsageError": 2, "ManifestError": 2, "ChangedError": 2}
    assert {name: found.exit_code for name, found in CLASSES.items()} == {
        name: exits.get(name, 1) for name in CLASSES
    }


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_class_says_what_it_is(name: str) -> None:
    assert (CLASSES[name].__doc__ or "").strip().endswith(".")


def test_the_text_of_an_error_has_the_remedy_on_the_next_line() -> None:
    assert (
        str(AssiseError("the file is gone", remedy="Give another."))
        == "the file is gone\nGive another."
    )
    assert str(AssiseError("the file is gone")) == "the file is gone"


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ({}, "is wrong"),
        ({"file": "a.yaml"}, "a.yaml: is wrong"),
        ({"file": "a.yaml", "line": 3}, "a.yaml:3: is wrong"),
        ({"file": "a.yaml", "line": 3, "key": "type"}, "a.yaml:3: type: is wrong"),
        (
            {"file": "a.yaml", "line": 3, "key": "type", "value": "txt", "remedy": "Write text."},
            "a.yaml:3: type: txt: is wrong\nWrite text.",
        ),
    ],
)
def test_an_error_of_the_manifest_names_file_line_key_and_value(
    place: dict[str, object], text: str
) -> None:
    error = ManifestError("is wrong", **place)  # type: ignore[arg-type]
    assert str(error) == text
    assert (error.file, error.line, error.key, error.value) == tuple(
        place.get(name, empty) for name, empty in FIELDS.items()
    )


FIELDS: dict[str, object] = {"file": "", "line": 0, "key": "", "value": ""}


def test_an_error_of_bson_knows_its_byte() -> None:
    error = InvalidBsonError("a boolean that is 7", 12)
    assert (str(error), error.offset) == ("a boolean that is 7 at byte 12", 12)
