"""Every error that Assise raises on purpose.

AssiseError                 exit 1
├── UsageError              exit 2: the command line, a setting or a variable
├── ManifestError           exit 2: a line of assise.yaml
├── ChangedError            exit 2: source or manifest is not the one that was loaded
├── SourceError             a source cannot be read
├── CollectionError         a collection that stays in MongoDB: unreachable, or it is refused
│   └── RefusedDocumentError    a unique index or a validator refuses a document
├── InvalidBsonError        bytes that are not BSON (caught by the loader: a reject)
├── ExtendedJsonError       JSON that is not Extended JSON
├── CellError               a cell, written by SQL, that has no BSON form
├── MissingExtraError       an optional package is not installed
├── EmbedderError           what turns texts into vectors cannot run, or is not reached
├── ModelError              the model that answers is down, slow, or refuses
├── WorkerError             a worker process has ended by itself
├── TokenError              a token that proves nobody (HTTP 401)
├── ForbiddenError          a user who may not do this (HTTP 403)
├── KeysError               the keys of an issuer cannot be had now (HTTP 503)
├── AmountError             an amount whose term, currency, status or rate is not known
├── ForwardError            PostHog takes no events now; they are kept
├── SpoolError              an event that cannot be written to disk
├── RequestError            a request that cannot be done as it was sent (HTTP 400)
├── RedisError              Redis: unreachable, unfit, or it refused something (HTTP 503)
└── TargetError             PostgreSQL: unreachable, unfit, or it refused something
    ├── DuplicateKeyError   a row whose key exists (caught by the loader)
    ├── LimitError          a row over a limit of the server (caught by the loader)
    ├── ViolationError      rows break a constraint (caught, and reported as a finding)
    ├── RefusedError        SQL that the server cannot run, such as an unknown function
    │   └── ComputationError    a value that SQL cannot compute with
    ├── DependentError      other objects depend on what is to be dropped
    ├── DeniedError         a rule or a grant refuses it
    ├── SlowError           a statement took longer than it may
    ├── EditedError         rows or tables were edited since the load
    ├── BusyError           another session holds a lock for too long
    └── SerializationError  a deadlock or a conflict: another try may succeed
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class AssiseError(Exception):
    """What happened, which value, and what to do about it.

    `remedy` is a sentence of its own; the command line prints it on the next line. Other fields of
    a class are keyword arguments, attributes of the error, and values that JSON can hold.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message

    def as_json(self) -> dict[str, Any]:
        """Return class, message, remedy, fields and the chain of causes.

        The chain ends at the first cause that is an error of another library: its text may hold
        a secret, and what people need of it is in our message.
        """
        cause = self.__cause__
        return {
            "class": type(self).__name__,
            "message": self.message,
            "remedy": self.remedy,
            "fields": {name: value for name, value in vars(self).items() if name not in _COMMON},
            "cause": cause.as_json() if isinstance(cause, AssiseError) else None,
        }

    @staticmethod
    def from_json(facts: dict[str, Any]) -> AssiseError:
        """Return the error that `as_json` described.

        A class that this process has not imported comes back as AssiseError, with everything else.
        """
        kinds = (kind for kind in _walk(AssiseError) if kind.__name__ == facts["class"])
        kind = next(kinds, AssiseError)
        # Not by the class's own __init__: it would put file or offset into the message once more.
        error = kind.__new__(kind)
        AssiseError.__init__(error, facts["message"], remedy=facts["remedy"])
        vars(error).update(facts["fields"])
        if facts["cause"]:
            error.__cause__ = AssiseError.from_json(facts["cause"])
        return error


_COMMON = {"message", "remedy", "__notes__"}


def _walk(kind: type[AssiseError]) -> Iterator[type[AssiseError]]:
    """Yield a class and its subclasses of every package, as far as they are imported."""
    yield kind
    for child in kind.__subclasses__():
        yield from _walk(child)


class UsageError(AssiseError):
    """The command, a setting or an environment variable cannot be used as given.

    Change what the message names.
    """

    exit_code = 2


class ManifestError(AssiseError):
    """A line of the manifest that cannot be used: file, line (from 1), key, value."""

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        file: str = "",
        line: int = 0,
        key: str = "",
        value: str = "",
        remedy: str = "",
    ) -> None:
        at_line = f":{line}" if line else ""
        of_value = f"{value}: " if value else ""
        place = f"{file}{at_line}: " if file else ""
        subject = f"{key}: {of_value}" if key else ""
        super().__init__(f"{place}{subject}{message}", remedy=remedy)
        self.file, self.line, self.key, self.value = file, line, key, value


class AmountError(AssiseError):
    """An amount of money that no figure can be made of: its term, currency or rate is not known.

    Nothing is guessed. Correct the row that the message names, or add the rate.
    """


class ForwardError(AssiseError):
    """PostHog cannot be reached, or takes no events now.

    The events are kept and sent later; nothing is to be done unless the message says so.
    """


class EmbedderError(AssiseError):
    """What turns texts into vectors cannot run here, is not reached, or has ended.

    Nothing that was embedded is lost: the same command goes on where it stopped.
    """


class ModelError(AssiseError):
    """The model that answers is not reached, is silent for too long, or refuses.

    Search goes on without it; `is_too_long` says that the prompt was more than it reads.
    """

    def __init__(self, message: str, *, remedy: str = "", is_too_long: bool = False) -> None:
        super().__init__(message, remedy=remedy)
        self.is_too_long = is_too_long


class ChangedError(AssiseError):
    """The source or the manifest is not the one that this target was loaded from.

    Put the old one back; or `assise undo`, then `assise load SOURCE`, loads anew.
    """

    exit_code = 2


class SourceError(AssiseError):
    """A source cannot be read.

    Check its path and its rights; a broken dump is made again with mongodump.
    """


class CollectionError(AssiseError):
    """A collection that stays in MongoDB cannot be asked or changed now.

    Check the URL, the server and the user's rights; the same command goes on where it stopped.
    """


class RefusedDocumentError(CollectionError):
    """A unique index or a validator of MongoDB refuses a document.

    Change the document, or the rule of its collection in the manifest.
    """


class InvalidBsonError(AssiseError):
    """Bytes that are not BSON; `offset` counts from the start of the document.

    The loader keeps such a document as a reject, with this text as its detail.
    """

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(f"{message} at byte {offset}")
        self.offset = offset


class ExtendedJsonError(AssiseError):
    """JSON text that is not Extended JSON: a malformed type wrapper, a NUL in a key.

    It comes from a cell that SQL has written, as a CellError does.
    """


class CellError(AssiseError):
    """A cell holds what SQL can write and BSON cannot hold.

    `verify` lists it as a difference, `export` names the row and goes on without it. Change the
    cell with SQL.
    """


class MissingExtraError(AssiseError):
    """A feature needs an optional package: the remedy names the extra."""


class WorkerError(AssiseError):
    """A worker process has ended by itself.

    The same command continues where it stopped.
    """


class SpoolError(AssiseError):
    """An event cannot be written to the spool: it is full, or its disk is.

    Drain it, or give it more room.
    """


class TokenError(AssiseError):
    """A token that proves nobody: its form, its signature, its time, whom it is from or for.

    Sign in again. HTTP answers 401, with the reason in `WWW-Authenticate`.
    """


class ForbiddenError(AssiseError):
    """A user who is known and may not do this.

    HTTP answers 403.
    """


class KeysError(AssiseError):
    """The keys of an issuer of tokens cannot be had now; they may in `retry_after_s` seconds.

    HTTP answers 503.
    """

    def __init__(self, message: str, *, retry_after_s: int = 0, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after_s = retry_after_s


class RedisError(AssiseError):
    """Redis cannot be reached, does not fit its use, or refused something.

    `assise redis check` says what a server is, and what to change.
    """


class RequestError(AssiseError):
    """A request over HTTP that cannot be done as it was sent: `status`, and what is wrong where.

    `problems` maps a field of the body to what is wrong with it.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        problems: dict[str, str] | None = None,
        remedy: str = "",
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.status, self.problems = status, problems or {}


class TargetError(AssiseError):
    """PostgreSQL cannot be reached, is not fit, or refused something.

    Check the URL, the server and the user's rights; the same command continues where it stopped.
    """


class DuplicateKeyError(TargetError):
    """A row whose key the table has already (SQLSTATE 23505).

    The loader keeps its document as a reject.
    """


class LimitError(TargetError):
    """A row over a limit of the server (SQLSTATE class 54).

    The loader keeps its document as a reject.
    """


class ViolationError(TargetError):
    """Rows break a constraint that is to be made (SQLSTATE 23502, 23503, 23514).

    The loader reports them as a finding. In a session it is a row that was to be written.
    """


class RefusedError(TargetError):
    """SQL that the server cannot run (SQLSTATE classes 22 and 42), or values that cannot be sent.

    Correct the key of the manifest that the message names; in a session, the SQL or its values.
    """


class ComputationError(RefusedError):
    """A value that SQL cannot compute with, such as a divisor of 0 (SQLSTATE class 22).

    The loader reports an expression of the manifest that fails on a row as a finding.
    """


class DependentError(TargetError):
    """Something that others made depends on what is to be dropped (SQLSTATE 2BP01).

    Drop that object first.
    """


class DeniedError(TargetError):
    """A rule of access or a grant refuses it (SQLSTATE 42501).

    Grant what is missing, or connect as another user. In a session it is a row of somebody else.
    """


class SlowError(TargetError):
    """A statement took longer than it may (SQLSTATE 57014).

    In a session `app.statement_timeout_ms` is the limit.
    """


class EditedError(TargetError):
    """Rows or tables were edited since the load, and nobody has said that they may be discarded."""


class BusyError(TargetError):
    """Another session holds a lock for longer than we wait (SQLSTATE 55P03).

    End it, or wait; then repeat the command.
    """


class SerializationError(TargetError):
    """A deadlock or a serialization failure (SQLSTATE 40P01, 40001).

    The loader tries a chunk three times.
    """
