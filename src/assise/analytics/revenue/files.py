"""Files of Stripe's objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assise.errors import SourceError


def read_file(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file: one a line, or one list."""
    remedy = "Write one object of Stripe's API a line, or a list of them."
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield from _read_line(line, f"{path}:{number}", remedy)
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read: {error}", remedy=remedy) from error


def _read_line(line: str, place: str, remedy: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{place} is no JSON", remedy=remedy) from error
    objects = found if isinstance(found, list) else [found]
    if not all(isinstance(each, dict) for each in objects):
        raise SourceError(f"{place} is no object", remedy=remedy)
    return objects
