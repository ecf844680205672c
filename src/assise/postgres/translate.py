"""Errors of psycopg as errors of ours, by SQLSTATE."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg

from assise.errors import (
    BusyError,
    ComputationError,
    DeniedError,
    DependentError,
    DuplicateKeyError,
    LimitError,
    RefusedError,
    SerializationError,
    SlowError,
    TargetError,
    ViolationError,
)

_ROOM = (
    "The server is out of disk, memory or connections. Make room; the same command then continues"
    " where it stopped."
)
_LOST = (
    "The connection was lost. When the server is back, the same command continues where it stopped."
)
_DEFECT = (
    "This is a defect of Assise: the row should not have been sent."
    " Nothing of its chunk was stored."
)


class translated:  # noqa: N801
    """Raise what psycopg raises as an error of ours; `target` names the server in it.

    In the session of an application the remedies are those for its own SQL. A class costs a quarter
    of a generator, three times in each session.
    """

    __slots__ = ("in_session", "target")

    def __init__(self, target: str, *, in_session: bool = False) -> None:
        self.target, self.in_session = target, in_session

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _where: object) -> None:
        if isinstance(error, psycopg.Error):
            find_remedy = _remedy_in_session if self.in_session else _find_remedy
            raise _translate(error, self.target, find_remedy) from error


def _translate(error: psycopg.Error, target: str, find_remedy: Callable[[str], str]) -> TargetError:
    words = describe_error(error)
    match error.sqlstate or "":
        case "" if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return RefusedError(f"{target}: {words}")
        case "23505":
            return DuplicateKeyError(words)
        case "40001" | "40P01":
            return SerializationError(words)
        case "55P03":
            return BusyError(f"{target}: {words}")
        case "2BP01":
            detail = error.diag.message_detail or ""
            remedy = "Drop what is named, or move it away."
            return DependentError(f"{target}: {words}: {detail}", remedy=remedy)
        case "42501" as state:
            return DeniedError(f"{target}: {words}", remedy=find_remedy(state))
        case "57014" as state:
            return SlowError(f"{target}: {words}", remedy=find_remedy(state))
        case "23001" | "23502" | "23503" | "23514":
            return ViolationError(f"{target}: {words}")
        case state if state.startswith("54"):
            return LimitError(words)
        case state if state.startswith(("22", "42")):
            remedy = find_remedy(state) or error.diag.message_hint or ""
            made = ComputationError if state.startswith("22") else RefusedError
            return made(f"{target}: {words}", remedy=remedy)
        case state:
            return TargetError(f"{target}: {words}", remedy=find_remedy(state))


def describe_error(error: psycopg.Error) -> str:
    """What the server says, without the parts that quote a row's data at length."""
    diag = error.diag
    text = diag.message_primary or str(error).strip() or type(error).__name__
    line = re.match(r"COPY [^\n]*, line \d+", diag.context or "")
    words = f"{text} ({line.group()})" if line else text
    return re.sub(r"(password|passwd)=\S+", r"\1=…", words.replace("\n\t", " "))


def _remedy_in_session(state: str) -> str:
    if state == "22P02":
        return (
            "Give each value as its column has it, also user_id and tenant_id:"
            " of an ObjectId objectid_to_uuid makes the uuid."
        )
    if state in {"42P01", "42883"}:
        return "Check the name. What the manifest asks for, search too, is made by `assise load`."
    if state == "57014":
        return "EXPLAIN shows why it takes so long; app.statement_timeout_ms is the limit."
    if state in {"28000", "28P01"}:
        return "Check the URL of the role, and its password."
    if state.startswith("53"):
        return "The server is out of disk, memory or connections. Make room."
    if state.startswith(("57P", "08")) or not state:
        return "The connection was lost, and what the session wrote with it. Begin a new one."
    return ""


def _find_remedy(state: str) -> str:
    if state in {"42501", "28000", "28P01"}:
        return "Grant the user what is missing, or connect as another one."
    if state.startswith("53"):
        return _ROOM
    if state.startswith(("57P", "08")) or not state:
        return _LOST
    if state.startswith("22"):
        return _DEFECT
    return ""
