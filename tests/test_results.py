"""Each benchmark writes its own section of results.md."""

from __future__ import annotations

import runpy
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TEXT = """# Benchmarks

## One

1

### More of one

1

<!-- end of one -->

## Two
2
"""


def test_a_section_takes_the_place_of_its_own(tmp_path: Path) -> None:
    write_section = runpy.run_path(str(BENCHMARKS / "results.py"))["write_section"]
    path = tmp_path / "results.md"
    path.write_text(TEXT)
    write_section("Three", ["3", ""], path)
    assert path.read_text() == f"{TEXT}\n## Three\n\n3\n"
    write_section("One", ["new"], path)
    assert path.read_text() == "# Benchmarks\n\n## One\n\nnew\n\n## Two\n2\n\n## Three\n\n3\n"
