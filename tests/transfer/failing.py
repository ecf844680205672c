"""Work that fails, for a worker process: each task raises one of the errors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from assise.errors import (
    AssiseError,
    CellError,
    InvalidBsonError,
    ManifestError,
    TargetError,
    UsageError,
)
from assise.transfer.workers.task import Result, Task


class ForeignError(AssiseError):
    """An error of another package, with a field of its own."""

    def __init__(self, message: str, *, words: list[str]) -> None:
        super().__init__(f"{message}: {', '.join(words)}")
        self.words = words


def make_errors() -> list[AssiseError]:
    """Errors with fields, with causes, and of another package."""
    caused = TargetError("a cell was refused", remedy="Change it.")
    caused.__cause__ = CellError("it is infinite")
    caused.__cause__.__cause__ = InvalidBsonError("a boolean that is 7", 12)
    odd = ManifestError(
        "is not a type", file="ä.yaml", line=3, key="type", value="txt", remedy="Write text."
    )
    foreign = ForeignError("not these", words=["a", "b"])
    foreign.__cause__ = ValueError("not ours, and not for everybody")
    return [
        UsageError("", remedy=""),
        InvalidBsonError("a document without a terminator", 1 << 40),
        odd,
        caused,
        foreign,
    ]


class FailingWork:
    """Raises the error whose number is the start of the task."""

    def describe(self) -> Result:
        """Name the work."""
        return {"work": "failing"}

    def cancel(self) -> None:
        """Do nothing: it does not wait."""

    def run_all(self, tasks: Sequence[Task]) -> list[Result]:
        """Do chunk after chunk."""
        return [self.run(task) for task in tasks]

    def run(self, task: Task) -> Result:
        """Raise one of the errors; after the last, one whose class only this process has."""
        errors = make_errors()
        if task.start < len(errors):
            raise errors[task.start]
        local = type("LocalError", (UsageError,), {"exit_code": 2})
        raise local("known to nobody else", remedy="Look here.")


def make_work(_description: Result, _session: ExitStack) -> FailingWork:
    """Make the work anew."""
    return FailingWork()


def answer_as_worker() -> None:
    """Do what a worker process does, with one more work."""
    # Imported here: the command's side has no need of what only a worker process loads.
    from assise.transfer.workers import worker  # noqa: PLC0415

    worker.WORKS["failing"] = __name__
    worker.main()
