"""A command in a process of its own, whose peak of memory is measured."""

from __future__ import annotations

LIMIT_MB = 300
"""The most that a process may take, whatever the documents are."""

MEASURE = """
import os, sys
_, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process runs the command and prints its peak: a child inherits that of its parent."""
