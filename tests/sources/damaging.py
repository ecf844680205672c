"""Reads each source that a line of its input names; a process of its own, to measure its memory."""

from __future__ import annotations

import sys

from tests.sources.reading import read


def main() -> None:
    """Read, and answer with the number of documents, until the input ends."""
    for line in sys.stdin:
        found = read(line.strip())
        print(sum(map(len, found.documents.values())), flush=True)


if __name__ == "__main__":
    main()
