"""Synonyms: the file of words that are looked for where others are typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.search import SEARCH
from assise.schema.search.objects import Synonym, Synonyms

MAX_BYTES = 1_000_000
MAX_LENGTH = 200
"""Characters of one synonym."""

_SECTION = re.compile(r"\[\s*([a-z][a-z_]*)\s*\]")
_REMEDY = "Write `car, automobile`, or `ml => machine learning`; # begins a comment."


def read_synonyms(manifest: Manifest, home: Path) -> Synonyms:
    """The synonyms of each table that names a file; the files lie below `home`.

    A line has texts with commas between them, each of which stands for each other; behind an arrow
    (`a => b, c`) stands what is also looked for where `a` is typed. Lines behind `[fr]` are of that
    language, those before the first such line of all.

    Raises:
        UsageError: a file cannot be read, or a line of it says nothing.
    """
    tables = {name: SEARCH.of(table) for name, table in manifest.tables.items()}
    searched = {name: search for name, search in tables.items() if search is not None}
    known = {language for search in searched.values() for language in search.languages}
    found = dict[str, list[Synonym]]()
    for name, search in searched.items():
        if search.synonyms is None:
            continue
        read = _read_file(home / search.synonyms, known)
        own = {None, *search.languages}
        found[name] = [each for each in read if each.language in own]
    return found


def _read_file(file: Path, known: set[str]) -> list[Synonym]:
    try:
        content = file.read_bytes()
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(
            f"{file} cannot be read: {reason}",
            remedy="Put the file there, in UTF-8, or take it out of the manifest.",
        ) from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"{file} has over {MAX_BYTES:,} bytes", remedy="Leave synonyms out.")
    language, found = None, dict[Synonym, None]()
    for number, line in enumerate(text.splitlines(), 1):
        said, _, _ = line.partition("#")
        place = f"{file}:{number}"
        if section := _SECTION.fullmatch(said.strip()):
            language = section[1]
            if language not in known:
                remedy = f"Write one of {', '.join(sorted(known))}."
                raise UsageError(f"{place}: no table is searched in {language!r}", remedy=remedy)
        elif said.strip():
            found.update(dict.fromkeys(_read_line(said, place, language)))
    return [*found]


def _read_line(line: str, place: str, language: str | None) -> Iterator[Synonym]:
    """What is looked for, for each text of a line.

    Raises:
        UsageError: a text is empty or long, has no letter or digit, or stands alone.
    """
    typed, *behind = [[text.strip() for text in side.split(",")] for side in line.split("=>")]
    if len(behind) > 1:
        raise UsageError(f"{place}: there are two arrows", remedy=_REMEDY)
    spelled = behind[0] if behind else typed
    for text in [*typed, *spelled]:
        if not any(map(str.isalnum, text)):
            raise UsageError(f"{place}: {text!r} has no word", remedy=_REMEDY)
        if len(text) > MAX_LENGTH or "\0" in text:
            raise UsageError(f"{place}: {text[:40]!r} is no word or two", remedy=_REMEDY)
    if typed == spelled and len(typed) < 2:
        raise UsageError(f"{place}: {typed[0]!r} has no synonym", remedy=_REMEDY)
    for one in typed:
        for other in spelled:
            if one != other:
                yield Synonym(language, one, other)
