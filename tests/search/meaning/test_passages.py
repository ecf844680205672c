"""Passages: hostile texts are cut as quickly as others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from assise.search.meaning.passages import compose, cut

HOSTILE = {
    "a heading of blanks": "'# a' + ' ' * 20_000 + 'b\\n\\ntext'",
    "dots": "'x ' * 100 + '.' * 200_000 + 'x'",
    "dots and quotes": "'x ' * 100 + '.\"' * 100_000 + 'x'",
    "fences": "'```\\n' * 20_000",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_end(text: str) -> None:
    """Expressions that go back over them would take minutes, or hours."""
    code = f"from assise.search.meaning.passages import cut; print(len(cut({text}, 40)))"
    program = [sys.executable, "-c", code]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) > 0


def test_headings_are_read_without_what_closes_them() -> None:
    text = "# One ##\n\nfirst\n\n## Two #\nsecond\n\n#hash no heading\n\n### \n"
    assert [(each.heading, each.text) for each in cut(text, 40)] == [
        ("One", "# One ##\n\nfirst"),
        ("Two", "## Two #\nsecond\n\n#hash no heading\n\n###"),
    ]


def test_sentences_end_behind_their_dots() -> None:
    found = cut("One two... Three four?! (Five six.) Seven", 5)
    assert [each.text for each in found] == ["One two...", "Three four?!", "(Five six.)", "Seven"]


@pytest.mark.parametrize("text", ["", " \n\t", "\0", "\0 \0"])
def test_blank_texts_have_no_passage(text: str) -> None:
    assert cut(compose([text, None]), 40) == []


@pytest.mark.parametrize(
    "text", ["l\u2019e\u0301te\u0301\0", "\0l\u2019\u00e9t\u00e9", " l\u2019e\u0301t\u00e9 "]
)
def test_texts_that_read_alike_have_one_hash(text: str) -> None:
    """Composed or not, with NUL or without: NFC, and no NUL in what is embedded or stored."""
    (plain,) = cut(compose(["l\u2019\u00e9t\u00e9"]), 40)
    (found,) = cut(compose([text]), 40)
    assert found.hash == plain.hash
    assert found.embedded == "l\u2019\u00e9t\u00e9"


def test_nul_parts_words() -> None:
    assert compose(["one\0two", "\0"]) == "one two"
