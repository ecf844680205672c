"""The command line in a folder of its own, against the test's database."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenes.hostile import Command, Query


@pytest.fixture
def command(
    tmp_path: Path, database: str, query: Query, capsys: pytest.CaptureFixture[str]
) -> Command:
    def read() -> tuple[str, str]:
        found = capsys.readouterr()
        return found.out, found.err

    return Command(tmp_path, database, read, query)
