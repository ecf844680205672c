"""The command line: parse, call, render. stdout is data, stderr is talk.

The parts are imported on first use, so that `assise --version` is quick.
"""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """The entry point `assise`: 0 done, 1 failed, 2 usage or manifest error, 3 finished with rejects, findings or differences."""
    if sys.argv[1:] == ["--version"]:
        from assise import __version__

        print(f"assise {__version__}")
        return
    try:
        from assise.cli.commands import run

        # What a chunk holds is freed when it is done, and in no cycles: looking for garbage among its objects takes a sixth of a load.
        gc.freeze()
        gc.set_threshold(200_000, 20, 20)
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
