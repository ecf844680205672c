"""Every table of this folder is run on both ways."""

from __future__ import annotations

import pytest
from tests.rows.rebuild import PATHS


@pytest.fixture(params=PATHS, ids=["document path", "native way"])
def is_native(request: pytest.FixtureRequest) -> bool:
    """Whether documents go through the crate, where it is installed."""
    assert isinstance(request.param, bool)
    return request.param
