"""The sections of results.md: each benchmark writes its own and leaves the others as they are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

RESULTS = Path(__file__).parent / "results.md"


def write_section(title: str, lines: Iterable[str], path: Path = RESULTS) -> None:
    """Put a section in the place of the one from before, or behind all others."""
    section = "\n".join([f"## {title}", "", *lines]).rstrip()
    head, *others = re.split(r"^(?=## )", path.read_text(), flags=re.MULTILINE)
    titles = [other.partition("\n")[0] for other in others]
    if f"## {title}" in titles:
        others[titles.index(f"## {title}")] = section
    else:
        others.append(section)
    path.write_text("\n\n".join(part.rstrip() for part in [head, *others]) + "\n")
