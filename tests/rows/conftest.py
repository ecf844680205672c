"""Every table of this folder is run on both paths."""

from __future__ import annotations

import pytest
from tests.rows.rebuild import PATHS


@pytest.fixture(params=PATHS, ids=["document path", "columnar path"])
def min_group(request: pytest.FixtureRequest) -> int:
    """From how many documents on those that look alike are read together; 0 for never."""
    assert isinstance(request.param, int)
    return request.param
