"""The command line: parse, call, render. stdout is data, stderr is log.

`assise --version` imports nothing, `assise --help` no part: `nouns` names the module of each.
"""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the program `assise`.

    Exit codes: 0 done, 1 failed, 2 usage or manifest error, 3 finished with rejects or differences.
    """
    if sys.argv[1:] == ["--version"]:
        from assise import __version__

        print(f"assise {__version__}")
        return
    try:
        from assise.cli.run import run

        # A chunk's objects are freed when it is done, and are in no cycles: looking for garbage
        # among them takes a sixth of a load.
        gc.freeze()
        gc.set_threshold(200_000, 20, 20)
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
