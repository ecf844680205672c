"""The one tuple of settings and the only reader of the environment.

`load.chunk_bytes` is `--chunk-bytes` on the command line and `ASSISE_LOAD_CHUNK_BYTES` in the
environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from assise.errors import UsageError


@dataclass(frozen=True)
class Setting:
    """A whole number that users may set."""

    name: str
    default: int
    minimum: int
    maximum: int
    help: str

    @property
    def variable(self) -> str:
        """The environment variable of this setting."""
        return "ASSISE_" + self.name.replace(".", "_").upper()

    @property
    def option(self) -> str:
        """The option of this setting on the command line."""
        return "--" + self.name.rpartition(".")[2].replace("_", "-")


SETTINGS = (
    Setting(
        "load.chunk_bytes",
        4 << 20,
        1,
        1 << 28,
        "source bytes of one chunk, that is of one transaction",
    ),
    Setting(
        "workers",
        0,
        0,
        64,
        "worker processes; 0 is one for each core, at most 8, fewer where the source is small",
    ),
    Setting(
        "infer.paths", 20_000, 1, 10_000_000, "paths of one collection that infer profiles at most"
    ),
)

_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:[^}$]|\$(?!\{))*))?\}")


def read_setting(
    name: str, given: int | None = None, *, environ: Mapping[str, str] = os.environ
) -> int:
    """The value of setting `name`: as given, from the environment, or its default.

    Raises:
        UsageError: the value is no whole number or lies outside the setting's bounds.
    """
    setting = next(s for s in SETTINGS if s.name == name)
    text = (
        str(given)
        if given is not None
        else environ.get(setting.variable, "").strip() or str(setting.default)
    )
    name = setting.variable if given is None else setting.option
    if (
        not re.fullmatch(r"-?[0-9]{1,18}", text)
        or not setting.minimum <= int(text) <= setting.maximum
    ):
        raise UsageError(
            f"{name} is {text!r}: {setting.help}",
            remedy=f"Give a whole number from {setting.minimum:,} to {setting.maximum:,}.",
        )
    return int(text)


def count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def expand(text: str, *, environ: Mapping[str, str] = os.environ) -> str:
    """`text` with every `${VAR}` and `${VAR:-default}` replaced, in one pass; `$${` is a `${`.

    Raises:
        UsageError: a variable without a default is not set, or a `${` does not close.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        if name is None:
            return "${"
        found = environ.get(name)
        if found or (found is not None and default is None):
            return found
        if default is None:
            raise UsageError(
                f"the environment variable {name} is not set",
                remedy=f"Set {name}, or write ${{{name}:-a default}}.",
            )
        return default

    if "${" in _VARIABLE.sub(" ", text):
        remedy = "Write ${NAME} or ${NAME:-default}; a literal ${ is $${."
        raise UsageError("${…: this is no variable", remedy=remedy)
    return _VARIABLE.sub(value, text)


def escape_variables(text: str) -> str:
    """`text` so that `expand` gives it back: each `${` is written as `$${`."""
    return text.replace("${", "$${")
