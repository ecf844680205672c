"""squawk on the up part of a revision: what it says, with the safe statement."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from assise import extras
from assise.errors import AssiseError
from assise.revisions.files import Revision

LEFT_OUT = (
    "prefer-robust-stmts",
    "require-timeout-settings",
    "require-lock-timeout",
    "require-statement-timeout",
    "ban-drop-constraint",
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "ban-char-field",
)
"""Rules that the runner fulfils, or that say nothing of safety: a revision goes on where it stopped,
sets its timeouts itself, and types are the manifest's."""


_UNIQUE, _NOT_VALID = "disallowed-unique-constraint", "constraint-missing-not-valid"
"""Of a unique constraint squawk says both, and it cannot be NOT VALID."""


class LintFinding(NamedTuple):
    """What is wrong with a revision: the rule, the place, and what to do."""

    rule: str
    file: str
    line: int
    says: str
    remedy: str


def find_squawk() -> str:
    """The program, beside the interpreter or on the path.

    Raises:
        MissingExtraError: it is not installed.
    """
    beside = Path(sys.executable).with_name("squawk")
    found = str(beside) if beside.exists() else shutil.which("squawk")
    if found is None:
        raise extras.missing_extra("schema")
    return found


def run_squawk(revision: Revision) -> list[LintFinding]:
    """What squawk says of the up part of a revision.

    Raises:
        MissingExtraError: squawk is not installed. AssiseError: it cannot be run.
    """
    if not revision.up:
        return []
    stop = revision.up[-1].statements[-1].stop
    command = [find_squawk(), "--reporter", "json", "--exclude", ",".join(LEFT_OUT)]
    done = subprocess.run(
        [*command, "--stdin-filepath", Path(revision.file).name],
        input=revision.text[:stop] + ";\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    try:
        lines = json.loads(done.stdout or "[]")
    except ValueError as error:
        raise AssiseError(
            f"squawk cannot be run: {(done.stderr or done.stdout).strip()[:200]}",
            remedy="`pip install --upgrade squawk-cli` may help.",
        ) from error
    unique = {line["line"] for line in lines if line["rule_name"] == _UNIQUE}
    lines = [line for line in lines if not _is_safe(revision, line["rule_name"], int(line["line"]))]
    return [
        LintFinding(
            line["rule_name"],
            revision.file,
            int(line["line"]) + 1,
            line["message"],
            line.get("help") or SAFE.get(line["rule_name"], ""),
        )
        for line in lines
        if line["rule_name"] != _NOT_VALID or line["line"] not in unique
    ]


def _is_safe(revision: Revision, rule: str, line: int) -> bool:
    """Whether a statement is safe by what its step does: it makes the view again, runs for each, or
    makes the index of a cut table that the revision makes, which has no rows.
    """
    for block in revision.up:
        first, last = (
            revision.text.count("\n", 0, place)
            for place in (block.statements[0].start, block.statements[-1].stop)
        )
        if first <= line <= last:
            on = _ON_ONLY.match(block.text)
            if on and any(each.text.startswith(f"CREATE TABLE {on[1]} (") for each in revision.up):
                return rule in _OF_EACH
            is_view_again = "CREATE MATERIALIZED VIEW" in block.text and len(block.statements) > 1
            return rule in _OF_VIEWS if is_view_again else block.is_each and rule in _OF_EACH
    return False


_ON_ONLY = re.compile(r"CREATE (?:UNIQUE )?INDEX \S+ ON ONLY (\S+) ")
_OF_VIEWS = {"ban-drop-view", "ban-drop-materialized-view", "require-concurrent-index-creation"}
_OF_EACH = {
    "require-concurrent-index-creation",
    "constraint-missing-not-valid",
    "adding-foreign-key-constraint",
}
SAFE = {
    "require-concurrent-index-creation": "Write CREATE INDEX CONCURRENTLY.",
    "require-concurrent-index-deletion": "Write DROP INDEX CONCURRENTLY.",
    "constraint-missing-not-valid": "Add it NOT VALID, then ALTER TABLE … VALIDATE CONSTRAINT.",
    "adding-foreign-key-constraint": "Add it NOT VALID, then ALTER TABLE … VALIDATE CONSTRAINT.",
    "adding-not-nullable-field": "Add CHECK (… IS NOT NULL) NOT VALID, VALIDATE it, SET NOT NULL.",
    "disallowed-unique-constraint": "CREATE UNIQUE INDEX CONCURRENTLY, then ADD … USING INDEX.",
    "renaming-column": "Running code that uses the old name breaks: deploy it together, or expand.",
    "renaming-table": "Running code that uses the old name breaks: deploy it together, or expand.",
    "changing-column-type": "Add a column, fill it by trigger and batch, swap, drop.",
}
