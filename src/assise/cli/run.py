"""Run a command: its exit code, and its errors as plain lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cached_property
from shutil import get_terminal_size
from typing import TYPE_CHECKING, cast

import typer

from assise.cli.nouns import Nouns
from assise.errors import AssiseError

if TYPE_CHECKING:
    from assise.cli.progress import Terminal

EXIT_STOPPED = 130

HELP_COLUMNS = 80
"""The widest help; on a narrower terminal it is as wide as that."""

# typer carries its own copy of click under a private name; this is click's root of errors, reached
# through what typer exports.
_CommandLineError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])


class Call:
    """One call of the program, which commands find in their context."""

    @cached_property
    def terminal(self) -> Terminal:
        """The terminal of this call; what draws on it is imported on first use, never for help."""
        from assise.cli.progress import Terminal

        return Terminal()

    def end(self) -> None:
        """Leave nothing on the terminal but lines."""
        if "terminal" in vars(self):
            self.terminal.stop()


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    call = Call()
    try:
        return _run(arguments, call)
    except _CommandLineError as error:
        error.show()
        return 2
    except (typer.Abort, KeyboardInterrupt):
        goes_on = arguments[:1] in (["load"], ["migrate"])
        more = "; the same command continues where it stopped" if goes_on else ""
        call.terminal.say(f"\nstopped{more}")
        return EXIT_STOPPED
    except OSError as error:
        return _print_os_error(error, call.terminal)
    except UnicodeEncodeError:
        strange = [each for each in arguments if not each.isprintable()]
        if not strange:
            raise
        call.terminal.say(f"error: {strange[0]!r} is not text in UTF-8")
        return 2
    except AssiseError as error:
        _print_error(error, call.terminal)
        return error.exit_code
    finally:
        call.end()


def _run(arguments: Sequence[str], call: Call) -> int:
    code = Nouns().main(
        args=list(arguments),
        standalone_mode=False,
        terminal_width=min(get_terminal_size().columns, HELP_COLUMNS) - 2,
        obj=call,
    )
    if code == EXIT_STOPPED:  # typer's answer to Ctrl-C
        raise KeyboardInterrupt
    if sys.stdout:
        sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _print_os_error(error: OSError, terminal: Terminal) -> int:
    if error.filename is not None:  # a path that was given
        terminal.say(f"error: {error.filename}: {error.strerror}")
        return 1
    # What is left for stdout goes nowhere, or Python would complain about it when it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        terminal.say(f"error: stdout cannot be written: {error.strerror}")
    return 1


def _print_error(error: AssiseError, terminal: Terminal) -> None:
    """Print an error, the chain of its causes, and what to do."""
    terminal.say(f"error: {error.message}")
    cause = error.__cause__
    while isinstance(cause, AssiseError):
        if cause.message not in error.message:
            terminal.say(f"because: {cause.message}")
        cause = cause.__cause__
    if error.remedy:
        terminal.say(error.remedy)
