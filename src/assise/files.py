"""Files that people keep: written whole or not at all, and never over another one."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from assise.errors import AssiseError, UsageError


def write_file(path: Path, text: str, *, is_new: bool = False) -> bool:
    """Write a file whole or not at all.

    With `is_new` an existing file stays, also one that another process has just written; False says
    so.

    Raises:
        AssiseError: the file cannot be written.
    """
    draft = path.with_name(f".assise-{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        if is_new:
            with suppress(OSError):  # it exists, or the file system has no hard links
                path.hardlink_to(draft)
                return True
            if os.path.lexists(path):
                return False
        draft.replace(path)
        return True
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            draft.unlink()


def check_new(path: Path) -> None:
    """Check that a new file can be written, before the work whose result it holds.

    Raises:
        UsageError: the file exists. AssiseError: it cannot be written.
    """
    if os.path.lexists(path):
        raise exists_error(path)
    check_writable(path)


def check_writable(path: Path) -> None:
    """Check that a file can be written in the folder of `path`.

    Raises:
        AssiseError: it cannot be written.
    """
    try:
        TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise _cannot_write(path, error) from error


def exists_error(path: Path, *, instead: str = "another file") -> UsageError:
    """Return the error for a file that is in the way; `instead` is what to give."""
    return UsageError(
        f"{path} exists, and is not overwritten", remedy=f"Remove it, or give {instead}."
    )


def _cannot_write(path: Path, error: OSError) -> AssiseError:
    return AssiseError(
        f"{path} cannot be written: {error.strerror}",
        remedy="Give a file in a folder that is there, that this user may write to, "
        "and whose disk has room.",
    )


def is_private(folder: Path, uid: int) -> bool:
    """Whether `folder` is a real folder that only this user can enter."""
    found = folder.lstat()
    is_private_folder = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    return is_private_folder and found.st_uid == uid
