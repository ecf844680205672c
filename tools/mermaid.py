"""Diagrams of the site: the reader's browser draws them, by a script that the site itself has.

    python tools/mermaid.py

gets Mermaid by npm, once, into the virtual environment; without npm it says so. As a hook of MkDocs
(mkdocs.org/user-guide/configuration/#hooks) it puts the script into the site. Without the script
diagrams stay text: the theme would load one from another host.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

VERSION = "11.12.0"
"""The theme draws with Mermaid 11."""

SHA256 = "93492e4d609be83653a41c435f4cbd7e74419f7fa6b4fc90a8c983195f64af82"
"""Of the archive that npm gives."""

NAME = "mermaid.min.js"
SCRIPT = Path(sys.prefix) / NAME


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Draw blocks of `mermaid`, where the script is there."""
    if _find_script(config).exists():
        fence = {"name": "mermaid", "class": "mermaid"}
        config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}
        config.extra_javascript.append(NAME)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the script to the site."""
    script = _find_script(config)
    if script.exists():
        files.append(File.generated(config, NAME, abs_src_path=str(script)))
    return files


def _find_script(config: MkDocsConfig) -> Path:
    return Path(config.extra.get("mermaid", SCRIPT))


def fetch() -> str:
    """Get the script, unless it is there; returns what was done."""
    if SCRIPT.exists():
        return f"ok    {NAME} is there"
    npm = shutil.which("npm")
    if npm is None:
        return "ok    no npm: the site shows diagrams as text"
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"mermaid@{VERSION}", "--silent", "--pack-destination", folder]
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:
            return "ok    npm gave no Mermaid: the site shows diagrams as text"
        archive = Path(folder) / f"mermaid-{VERSION}.tgz"
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != SHA256:
            sys.exit(f"{archive.name}: its sha256 is {found}, not {SHA256}")
        with tarfile.open(archive) as packed:
            content = packed.extractfile(f"package/dist/{NAME}")
            SCRIPT.write_bytes(content.read() if content else b"")
    return f"ok    {NAME} of Mermaid {VERSION}"


if __name__ == "__main__":
    print(fetch())
