"""Errors: the docstring draws the tree of the classes; each says what happened and what to do."""

from __future__ import annotations

import inspect
import json
import re

import pytest

from assise import errors
from assise.errors import AssiseError, InvalidBsonError, ManifestError, SourceError, TargetError

CLASSES: dict[str, type[AssiseError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, AssiseError)
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
    assert drawn_tree() == {name: kind.__bases__[0].__name__ for name, kind in CLASSES.items()}
    assert len(CLASSES) > 10


def test_exit_codes_are_those_of_the_docstring() -> None:
    exits = {
        str(name): int(code)
        for name, code in re.findall(r"(\w+Error)\s+exit (\d)", errors.__doc__ or "")
    }
    assert exits == {"AssiseError": 1, "UsageError": 2, "ManifestError": 2, "ChangedError": 2}
    assert {name: kind.exit_code for name, kind in CLASSES.items()} == {
        name: exits.get(name, 1) for name in CLASSES
    }


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_class_says_what_it_is(name: str) -> None:
    assert (CLASSES[name].__doc__ or "").strip().endswith(".")


def test_the_text_of_an_error_has_the_remedy_on_the_next_line() -> None:
    error = AssiseError("the file is gone", remedy="Give another.")
    assert str(error) == "the file is gone\nGive another."
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


MANIFEST_FIELDS = {"file": "a.yaml", "line": 3, "key": "type", "value": "txt"}
FIELDS_OF: dict[str, dict[str, object]] = {
    "ManifestError": MANIFEST_FIELDS,
    "InvalidBsonError": {"offset": 12},
    "KeysError": {"retry_after_s": 3},
    "ModelError": {"is_too_long": True},
    "RequestError": {"status": 422, "problems": {"name": "is missing"}},
}


def cross(error: AssiseError) -> AssiseError:
    """The error behind a line of JSON."""
    return AssiseError.from_json(json.loads(json.dumps(error.as_json())))


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_class_comes_back_from_json_with_all_its_fields(name: str) -> None:
    kind, fields = CLASSES[name], FIELDS_OF.get(name, {})
    remedy = {"remedy": "Give another."} if name != "InvalidBsonError" else {}
    error = kind("is wrong", **remedy, **fields)  # type: ignore[arg-type]
    assert {*vars(error)} == {"message", "remedy", *fields}
    back = cross(error)
    assert type(back) is kind
    assert (vars(back), str(back), back.args) == (vars(error), str(error), error.args)
    assert back.as_json() == error.as_json()
    assert (back.__cause__, back.exit_code) == (None, kind.exit_code)


def test_every_parameter_of_a_class_is_a_field() -> None:
    for name, kind in CLASSES.items():
        parameters = {*inspect.signature(kind).parameters} - {"message", "remedy"}
        assert parameters == {*FIELDS_OF.get(name, {})}


def test_causes_come_back_up_to_the_first_that_is_not_ours() -> None:
    error, cause = TargetError("it was refused"), SourceError("it is cut", remedy="Copy it again.")
    error.__cause__, cause.__cause__ = cause, ManifestError("is wrong", file="a.yaml", line=3)
    cause.__cause__.__cause__ = OSError("password=1")
    back = cross(error)
    assert isinstance(back.__cause__, SourceError)
    assert (back.__cause__.message, back.__cause__.remedy) == ("it is cut", "Copy it again.")
    deepest = back.__cause__.__cause__
    assert isinstance(deepest, ManifestError)
    assert (deepest.file, deepest.line, deepest.__cause__) == ("a.yaml", 3, None)
    assert "password" not in json.dumps(error.as_json())


def test_a_class_that_is_not_known_comes_back_as_the_root_with_everything_it_carries() -> None:
    facts = {**ManifestError("is wrong", line=3).as_json(), "class": "LaterError"}
    back = AssiseError.from_json(facts)
    assert type(back) is AssiseError
    assert (back.message, vars(back)["line"], back.exit_code) == ("is wrong", 3, 1)


class WordsError(TargetError):
    """An error of another package."""

    def __init__(self, message: str, *, words: list[str]) -> None:
        super().__init__(f"{message}: {', '.join(words)}", remedy="Use other words.")
        self.words = words


def test_errors_of_other_packages_come_back_and_notes_stay_behind() -> None:
    error = WordsError("not these", words=["a", "b"])
    error.add_note("seen in a test")
    back = cross(error)
    assert isinstance(back, WordsError)
    assert (str(back), back.words) == ("not these: a, b\nUse other words.", ["a", "b"])
