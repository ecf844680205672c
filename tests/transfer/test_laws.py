"""Both laws through PostgreSQL: hostile documents and manifests drawn from their paths.

They are loaded, verified and read back.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from tests.oracle.slices import check_slice
from tests.scenes.migrations import SLICES, WANTED, Hit, Migration, files
from tests.scenes.readback import Plain, Target

# The slices that also run on other servers: numbers and texts as keys.
ON_EVERY_SERVER = {"nested below numeric", "nested below text"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.contract] if name in ON_EVERY_SERVER else [])
        for name in SLICES
    ],
)
def test_both_laws_hold_for_hostile_documents_and_every_rule_is_met(
    name: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every other slice is on the document path, the others take the native way.

    Random examples, in soak, may miss a rule.
    """
    hits: set[Hit] = set()
    migrations, share, wanted = SLICES[name]
    if [*SLICES].index(name) % 2 == 0:
        for module in ("shred", "assemble"):
            monkeypatch.setattr(f"assise.rows.native.{module}.find_native", lambda: None)
    with Target(database, "drawn") as target:

        def check(example: tuple[Plain, bytes]) -> None:
            Migration(target, tmp_path / "project", hits).check(*example)

        check_slice(check, files(migrations), number=[*SLICES].index(name), share=share)
    assert not settings().derandomize or sorted(map(str, wanted - hits)) == []


def test_the_slices_hit_every_rule_between_them() -> None:
    assert set().union(*(wanted for _, _, wanted in SLICES.values())) == WANTED
    assert sum(share for _, share, _ in SLICES.values()) >= 200
