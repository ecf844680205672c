"""Which embedder a manifest asks for."""

from __future__ import annotations

import json
from pathlib import Path

from assise.manifest.sections.embedding import Meaning
from assise.search.meaning.embedder import Embedder
from assise.search.meaning.local import LocalEmbedder


def open_embedder(meaning: Meaning, folder: Path) -> Embedder:
    """The embedder of a manifest that lies in `folder`; nothing is started before it is used."""
    del meaning, folder
    return LocalEmbedder()


def describe_embedder(meaning: Meaning) -> str:
    """How the manifest names an embedder, as JSON without its key."""
    return json.dumps(
        meaning.model_dump(mode="json", exclude={"embedder": {"openai": {"api_key"}}})
    )


def read_embedder(described: str) -> Meaning:
    """The part of a manifest that `describe_embedder` wrote."""
    return Meaning.model_validate_json(described)
