"""The command line: parse, call, render. stdout is data, stderr is talk.

The parts are imported on first use, so that `assise --version` is quick.
"""

from __future__ import annotations

import gc
import signal
import sys

AGAIN_S = 0.01
"""How much later a Ctrl-C comes again that fell into a destructor."""


def main() -> None:
    """The entry point `assise`: 0 done, 1 failed, 2 usage or manifest error, 3 finished with rejects or differences."""
    if sys.argv[1:] == ["--version"]:
        from assise import __version__

        print(f"assise {__version__}")
        return
    try:
        from assise.cli.commands import run

        # What a chunk holds is freed when it is done, and in no cycles: looking for garbage among its objects takes a sixth of a load.
        gc.freeze()
        gc.set_threshold(200_000, 20, 20)
        sys.unraisablehook = _come_again
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
    sys.exit(code)


def _come_again(ignored: sys.UnraisableHookArgs) -> None:
    """Let a Ctrl-C count that Python would only print: nothing that a destructor raises goes further."""
    if ignored.exc_type is KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
    else:
        sys.__unraisablehook__(ignored)
