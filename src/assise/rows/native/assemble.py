"""Assemble documents in the crate; those that it declines are left to the document path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from assise.native import find_native
from assise.rows.model import ChildRows, Document, Row
from assise.rows.native.plan import make_plan
from assise.rows.tree import Tree


class NativeAssembler(Protocol):
    """Assembles documents of one collection as a strict builder would: `native/src/module.rs`."""

    def assemble(
        self, sources: Sequence[bytes], rows: Sequence[Row], child_rows: Sequence[ChildRows]
    ) -> list[bytes | None]:
        """The documents of rows, each with its fields in the order that its source has."""

    def find_keys(self, documents: Sequence[Document]) -> tuple[bytes, int]:
        """The keys of documents that have one, as joined fields, and how many they are."""

    def assemble_all(
        self,
        documents: Sequence[Document],
        rows: Sequence[bytes],
        child_rows: Sequence[Sequence[bytes]],
    ) -> tuple[bytes, bytes] | None:
        """The documents of rows as `record_send` gives them, joined, and where each ends.

        One that is declined ends where it begins; None where all are.
        """


def make_assembler(tree: Tree) -> NativeAssembler | None:
    """The native way of a collection; None where it is not installed, or does not know the plan."""
    module = find_native()
    plan = make_plan(tree) if module else None
    found: NativeAssembler | None = module.Assembler.compile(plan) if module and plan else None
    return found
