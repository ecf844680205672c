"""The module `assise_native`, where it is installed and not switched off."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from assise.extras import is_installed, load
from assise.settings import NATIVE, read_setting

MODULE = "assise_native"


@cache
def find_native() -> ModuleType | None:
    """The module; None where it is not installed, or ASSISE_NATIVE is 0."""
    return load(MODULE) if read_setting(NATIVE) and is_installed(MODULE) else None


def describe_native() -> str:
    """Which way documents go, in a few words."""
    if not is_installed(MODULE):
        return "in Python: assise-native is not installed"
    if not read_setting(NATIVE):
        return f"in Python: {NATIVE.variable} switches assise-native off"
    return f"native: assise-native {load(MODULE).__version__}"
