"""Optional packages: each is imported here, or its absence names the extra that brings it."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from assise.errors import MissingExtraError


class Feature(NamedTuple):
    """What an extra of pyproject.toml brings, and what helps without it."""

    what: str
    instead: str = ""


EXTRAS = {
    "analytics": Feature("what reads events and holds sets of persons"),
    "api": Feature("what serves over HTTP"),
    "app": Feature("what holds connections for an application"),
    "archive": Feature("what compares the checksums of archives"),
    "embedded": Feature("the embedded PostgreSQL", ", or give your own server with --to"),
    "jobs": Feature("the queue of jobs"),
    "local": Feature("the embedder that runs on this machine"),
    "mcp": Feature("what speaks to agents"),
    "onnx": Feature("what runs a model of a folder"),
    "openai": Feature("what speaks to a server of models"),
    "redis": Feature("what speaks to Redis, or the embedded Valkey"),
    "schema": Feature("PostgreSQL's parser or the writer of models"),
    "search": Feature("what measures a search"),
}


def load(module: str, *, extra: str = "") -> ModuleType:
    """Import a module by name, of ours or of a package that `extra` brings.

    Raises:
        MissingExtraError: the package is not installed. An ImportError inside it goes through.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package, missing = _top_name(module), _top_name(error.name or "")
        is_absent = missing != package if package == "assise" else missing == package
        if not (extra and is_absent):
            raise
        raise missing_extra(extra) from error


def _top_name(module: str) -> str:
    return module.partition(".")[0]


def is_installed(package: str) -> bool:
    """Say whether a package can be imported, without importing it."""
    return find_spec(package) is not None


def locate(package: str, *, extra: str) -> Path:
    """Return the folder of a package that an extra brings, without importing it.

    Raises:
        MissingExtraError: the package is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise missing_extra(extra)
    return Path(spec.origin).resolve().parent


def missing_extra(extra: str) -> MissingExtraError:
    """Return the error for an extra that is not installed, or not whole."""
    found = EXTRAS[extra]
    return MissingExtraError(
        f"{found.what} is not installed",
        remedy=f"Install it with `pip install 'assise[{extra}]'`{found.instead}.",
    )
