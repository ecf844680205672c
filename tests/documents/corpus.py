"""The BSON corpus of the specification."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.conftest import DATA

CORPUS = DATA / "mongo" / "spec_mongodb" / "bson-corpus" / "tests"


LOSSY = {
    ("decimal128-1", "Special - Negative NaN"): 2,
    ("decimal128-1", "Special - Canonical SNaN"): 1,
    ("decimal128-1", "Special - Negative SNaN"): 1,
    ("decimal128-1", "Special - NaN with a payload"): 1,
    ("decimal128-1", "Special - Invalid representation treated as 0"): 1,
    ("decimal128-1", "Special - Invalid representation treated as -0"): 1,
    ("decimal128-1", "Special - Invalid representation treated as 0E3"): 1,
    ("double", "NaN"): 1,
    ("double", "NaN with payload"): 1,
}
"""Where the specification's text loses bytes; for all but the plain NaN ours is an escape."""


Case = tuple[str, str, dict[str, str]]


def cases(section: str) -> Iterator[Case]:
    for path in sorted(CORPUS.glob("*.json")):
        for case in json.loads(path.read_text()).get(section, []):
            yield path.stem, case["description"], case
