"""Keys of the manifest that rows of a database break, and what stands in their place there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.revisions.statements import plain_name
from assise.schema.catalog import UNNAMED, CatalogItem, Snapshot, compare
from assise.schema.constraints import list_objects
from assise.schema.objects import Lesser

_SAYS: Mapping[Lesser, str] = {
    "kept": "rows broke it, and what they allow stands in its place",
    "long": "values were too long for its index, which has digests of them",
    "left": "rows broke it",
}


def find_lesser(
    manifest: Manifest,
    schema: str,
    actual: Snapshot,
    *,
    broken: Collection[str],
    sum_up: Callable[[Mapping[str, Lesser]], Snapshot],
) -> dict[str, Lesser]:
    """What stands in the place of keys in a database, of which a load says that rows break them.

    Keys whose values are too long for an index are known by what is there alone.
    """
    objects, there = list_objects(manifest, schema), _list_names(actual.values())
    lesser: dict[str, Lesser] = {}
    for each in objects:
        if each.id in broken:
            is_there = each.name in there and each.make_lesser("kept")
            lesser[each.id] = "kept" if is_there else "left"
    difference = compare(actual, sum_up(lesser))
    others = _list_names([*difference.added, *(new for _, new in difference.changed)])
    for each in objects:
        if each.id not in broken and each.if_long and each.name in others & there:
            lesser[each.id] = "long"
    return lesser


def _list_names(items: Iterable[CatalogItem]) -> set[str]:
    """The names of constraints and indexes, without schemas and quotes."""
    found = [each for each in items if each.kind in UNNAMED]
    return {plain_name(each.name, plain_name(each.on, "").partition(".")[0]) for each in found}


def keep_lesser(
    lesser: Mapping[str, Lesser], manifest: Manifest, schema: str, *, make: Collection[str] = ()
) -> dict[str, Lesser]:
    """Those that the manifest still asks for, but for the ones that are to be made now.

    Raises:
        UsageError: there is none of a name in `make`.
    """
    known = {each.id for each in list_objects(manifest, schema)}
    left = {name: form for name, form in lesser.items() if name in known}
    made = {name for name in left for each in make if _is_called(name, each)}
    for each in make:
        if not any(_is_called(name, each) for name in left):
            listed = ", ".join(name.rpartition(" ")[2] for name in left) or "none is"
            raise UsageError(f"{each} is no key that was left out", remedy=f"These are: {listed}.")
    return {name: form for name, form in left.items() if name not in made}


def _is_called(name: str, asked: str) -> bool:
    return name == asked or name.endswith(f" {asked}")


def describe_lesser(lesser: Mapping[str, Lesser]) -> Iterator[str]:
    """The keys that were left out, a line each."""
    for name, form in lesser.items():
        yield f"{name}: {_SAYS[form]}"
