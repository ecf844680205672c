"""The module `assise_native`, where it is installed, of this version, and not switched off."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from assise import __version__
from assise.extras import is_installed, load
from assise.settings import NATIVE, read_setting

MODULE = "assise_native"


@cache
def _find() -> tuple[ModuleType | None, str]:
    """The module, or why there is none."""
    if not is_installed(MODULE):
        return None, "assise-native is not installed"
    if not read_setting(NATIVE):
        return None, f"{NATIVE.variable} switches assise-native off"
    try:
        module = load(MODULE)
    except ImportError as error:
        return None, f"assise-native cannot be imported: {error}"
    version = getattr(module, "__version__", "of no version")
    if version != __version__:
        return None, f"assise-native {version} is not of this version, install {__version__}"
    return module, ""


def find_native() -> ModuleType | None:
    """The module; None where documents go through Python."""
    return _find()[0]


def describe_native() -> str:
    """Which way documents go, in a few words."""
    module, reason = _find()
    return f"native: assise-native {__version__}" if module else f"in Python: {reason}"
