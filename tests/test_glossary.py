"""The glossary: sorted, each word in use, and none of the words that it replaced."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "docs" / "glossary.md"
PAGES = [
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*/*.md")]
    if page != GLOSSARY
]
CODE = [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.sql")]
RETIRED = re.compile(r"(?:\b|_)(?:kids?|crew|mend(?:ed)?|tally|talker|afresh)(?:\b|_)")
OF_RFC_7517 = '"kid"'
BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def sections() -> list[list[str]]:
    """Return the words of each section of the glossary."""
    found = [
        re.findall(r"^\* \*\*(.+?)\*\*", section, re.MULTILINE)
        for section in GLOSSARY.read_text().split("\n## ")[1:]
    ]
    assert all(found)
    return found


def test_the_words_of_a_section_are_sorted_and_no_word_is_there_twice() -> None:
    words = [word for section in sections() for word in section]
    assert len(words) == len(set(words)) > 50
    for section in sections():
        assert section == sorted(section)


def test_every_word_is_used() -> None:
    tests = (ROOT / "tests").rglob("*.py")
    text = " ".join(path.read_text().lower() for path in [*PAGES, *CODE, *tests])
    for section in sections():
        for word in section:
            pattern = re.escape(word).replace(r"\ ", r"[\s_]+").replace("leaf", "lea(f|ves)")
            assert re.search(rf"(\b|_){pattern}", text), word


def test_no_page_and_no_module_uses_a_word_that_was_replaced() -> None:
    for path in PAGES:
        assert RETIRED.findall(BLOCK.sub("", path.read_text())) == [], path
    for path in CODE:
        assert RETIRED.findall(path.read_text().replace(OF_RFC_7517, "")) == [], path
