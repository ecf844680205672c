"""Which embedder a manifest asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeGuard
from urllib.parse import urlsplit

from assise.manifest.sections.embedding import Meaning, NamedEmbedder
from assise.search.meaning.embedder import Embedder
from assise.search.meaning.local import LocalEmbedder
from assise.search.meaning.onnx import OnnxEmbedder
from assise.search.meaning.served import ServedEmbedder
from assise.settings import expand

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def open_embedder(meaning: Meaning, folder: Path) -> Embedder:
    """The embedder of a manifest that lies in `folder`; nothing is started before it is used.

    Raises:
        UsageError: the key names a variable that is not set.
    """
    embedder = meaning.embedder
    if isinstance(embedder, NamedEmbedder) and embedder.openai is not None:
        return ServedEmbedder(embedder.openai, expand(embedder.openai.api_key))
    if isinstance(embedder, NamedEmbedder) and embedder.onnx is not None:
        return OnnxEmbedder(folder / expand(embedder.onnx))
    return LocalEmbedder()


def describe_embedder(meaning: Meaning) -> str:
    """How the manifest names an embedder, as JSON without what signs in at a server."""
    said = meaning.model_dump(
        mode="json", exclude={"folders": True, "embedder": {"openai": {"api_key"}}}
    )
    embedder = said["embedder"]
    if isinstance(embedder, dict) and (server := embedder.get("openai")):
        address = urlsplit(server["base_url"])
        bare = address._replace(netloc=address.netloc.rpartition("@")[2], query="")
        server["base_url"] = bare.geturl()
    return json.dumps(said)


def read_embedder(described: str) -> Meaning:
    """The part of a manifest that `describe_embedder` wrote."""
    return Meaning.model_validate_json(described)


def is_remote(embedder: Embedder) -> TypeGuard[ServedEmbedder]:
    """Whether texts go to another machine."""
    if not isinstance(embedder, ServedEmbedder):
        return False
    return urlsplit(embedder.server.base_url).hostname not in LOCAL_HOSTS


def find_daily_tokens(embedder: Embedder) -> int | None:
    """How many tokens it may be sent in a day; None for as many as there are."""
    return embedder.server.tokens_a_day if isinstance(embedder, ServedEmbedder) else None


def describe_cost(embedder: Embedder, texts: int, tokens: int) -> str:
    """What is asked before texts go to another machine; empty where they do not.

    >>> describe_cost(LocalEmbedder(), 10, 100)
    ''
    """
    if not is_remote(embedder) or not texts:
        return ""
    host = urlsplit(embedder.server.base_url).hostname
    price, name = embedder.price, embedder.server.model
    cost = "" if price is None else f", for about ${max(tokens * price / 1e6, 0.01):,.2f}"
    return (
        f"{texts:,} texts of about {tokens:,} tokens go to {host}, to be embedded by {name}{cost}"
    )
