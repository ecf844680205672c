"""The command line: parse, call, render. stdout is data, stderr is log.

`assise --version` imports next to nothing, `assise --help` no part: `nouns` names the module of each.
"""

from __future__ import annotations

import gc
import signal
import sys

AGAIN_S = 0.01
"""How much later a Ctrl-C comes again that fell into a destructor."""


def main() -> None:
    """Run the program `assise`.

    Exit codes: 0 done, 1 failed, 2 usage or manifest error, 3 finished with rejects or differences.
    """
    if sys.argv[1:] == ["--version"]:
        from assise import __version__
        from assise.native import describe_native

        print(f"assise {__version__}\ndocuments: {describe_native()}")
        return
    # What is imported stays, and a chunk's objects are freed when it is done, and are in no cycles:
    # looking for garbage among them takes a tenth of a start and a sixth of a load.
    gc.set_threshold(200_000, 20, 20)
    try:
        from assise.cli.run import run

        gc.freeze()
        sys.unraisablehook = _replay_interrupt
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
    sys.exit(code)


def _replay_interrupt(ignored: sys.UnraisableHookArgs) -> None:
    """Let a Ctrl-C count that fell into a destructor.

    Python prints what a destructor raises, and goes on: one of 551 kills stopped nothing, and left
    a traceback.
    """
    if ignored.exc_type is KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
    else:
        sys.__unraisablehook__(ignored)
