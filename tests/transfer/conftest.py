"""What the kills and the workers of `tests/transfer` are compared with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.scenes.app import SMALL
from tests.scenes.databases import Databases
from tests.scenes.undisturbed import Undisturbed, migrate_undisturbed


@pytest.fixture(scope="session")
def undisturbed(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Undisturbed]:
    """What a run that nobody disturbs leaves and prints."""
    with migrate_undisturbed(databases, tmp_path_factory.mktemp("undisturbed"), SMALL) as found:
        yield found
