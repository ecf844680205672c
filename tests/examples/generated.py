"""The dump of the example Devora, as its generator writes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples" / "devora"


def generate(folder: Path, *arguments: str) -> Path:
    """Write a dump into a folder, with arguments of the generator; the folder."""
    subprocess.run([sys.executable, FOLDER / "generate.py", folder, *arguments], check=True, env={})
    return folder
