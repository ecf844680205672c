"""Documents of others, and these with bytes changed: the same on both ways, or declined."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

import pytest
from tests.oracle.equality import differences
from tests.rows.native.others import FILES, MISSING, MUTATED, find_small, mutate, read_documents
from tests.rows.rebuild import contents, cut, rows_of, send_all

from assise.infer.profile import Profile
from assise.infer.propose import propose
from assise.manifest.layout import Layout
from assise.native import find_native
from assise.rows.assemble import Assembler
from assise.rows.model import Batch, Document
from assise.rows.shred import Shredder

DOCUMENTS = 300
"""Documents of each file, in a fast run; all of them in soak."""

pytestmark = [
    pytest.mark.skipif(find_native() is None, reason="assise-native is not installed"),
    pytest.mark.skipif(not FILES, reason=MISSING),
]


@cache
def find_layout(file: Path) -> Layout:
    """The layout that infer proposes for a file."""
    profile = Profile()
    documents = read_documents(file, 2_000)
    profile.add_all(documents, range(len(documents)))
    return propose({"t": profile}, name="t").manifest.layout


class Ways:
    """Both ways of a collection."""

    def __init__(self, layout: Layout) -> None:
        [root] = [name for name, table in layout.tables.items() if table.collection]
        self.native = Shredder(layout, root)
        self.exact = Shredder(layout, root, is_native=False)
        self.assembler = Assembler(layout, root, is_strict=True)

    def compare(self, documents: list[Document]) -> Batch:
        """Shred on both ways; what the native one gives."""
        found = self.native.shred(documents)
        assert contents(found) == contents(self.exact.shred(documents))
        return found

    def assemble(self, found: Batch, documents: dict[int, bytes]) -> int:
        """Assemble in the crate, and compare; how many documents it takes."""
        pairs = [rows_of(found, self.native, number) for number in range(len(found.offsets))]
        sources = [documents[offset] for offset in found.offsets]
        rows, child_rows = [row for row, _ in pairs], [each for _, each in pairs]
        taken = 0
        assembled = self.assembler.assemble_all(sources, rows, child_rows)
        for raw, again in zip(sources, assembled, strict=True):
            taken += again is not None
            assert again is None or differences(raw, again) == []
        native = self.assembler.native
        # As in a table, where each key is of one row.
        if native is not None and len({*found.keys}) == len(found.keys):
            pairs_of = [*zip(found.offsets, sources, strict=True)]
            at_once = native.assemble_all(pairs_of, *send_all(rows, child_rows))
            assert at_once is None or cut(*at_once) == [again or b"" for again in assembled]
        return taken


def check_files(files: list[Path], count: int | None) -> tuple[int, int, int]:
    """How many documents there are, and are shredded and assembled in the crate."""
    documents = shredded = assembled = 0
    for file in files:
        ways, raws = Ways(find_layout(file)), read_documents(file, count)
        for start in range(0, len(raws), DOCUMENTS):
            part = list(enumerate(raws[start : start + DOCUMENTS]))
            found = ways.compare(part)
            documents += len(part)
            shredded += len(part) - found.declined
            assembled += ways.assemble(found, dict(part)) if start < 2_000 else 0
    return documents, shredded, assembled


def test_documents_of_others_are_shredded_and_assembled_in_the_crate() -> None:
    documents, shredded, assembled = check_files(FILES[::7], 60)
    assert shredded >= 0.9 * documents
    assert assembled >= 0.8 * documents


@pytest.mark.soak
def test_every_document_of_others() -> None:
    documents, shredded, _ = check_files(FILES, None)
    print(f"{documents:,} documents, {documents - shredded:,} declined")
    assert shredded >= 0.9 * documents


def check_mutated(file: Path, seed: int, count: int) -> int:
    """Compare mutated documents; how many of them are BSON and are taken."""
    ways, raws = Ways(find_layout(file)), read_documents(file, 500)
    taken, rng = 0, Random(seed)
    for start in range(0, count, 2_000):
        part = list(mutate(rng, raws, min(2_000, count - start)))
        found = ways.compare(part)
        taken += len(part) - found.declined
        if start == 0:
            ways.assemble(found, dict(part))
    return taken


def test_mutated_documents_are_the_same_on_both_ways() -> None:
    small = find_small(1 << 20)[:5]
    assert sum(check_mutated(file, 1, 150) for file in small) > 100


@pytest.mark.soak
def test_ten_million_mutated_documents() -> None:
    """ASSISE_TEST_MUTATED is another number of documents."""
    small = find_small(8 << 20)
    each = MUTATED // len(small)
    taken = sum(check_mutated(file, seed, each) for seed, file in enumerate(small))
    print(f"{each * len(small):,} documents, {taken:,} taken")
    assert taken > each
