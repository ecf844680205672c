#!/usr/bin/env bash
# mcp 2.3.0: making an MCPServer sets up the logging of the whole process: a handler that belongs to the
# package stands at the root logger afterwards, and its level is INFO. So lines of all other libraries of an
# application, which were silent, appear on stderr, once it has a server of its own. Where the application has
# put a handler at the root before, nothing is changed.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install mcp==2.3.0
cat >"$folder/check.py" <<'PYTHON'
import logging
import sys

from mcp.server.mcpserver import MCPServer

root = logging.getLogger()
if sys.argv[1:] == ["before"]:
    root.addHandler(logging.NullHandler())
handlers, level = [*root.handlers], root.level
MCPServer("check")
added = [type(handler).__name__ for handler in root.handlers if handler not in handlers]
print(len(added), logging.getLevelName(level), logging.getLevelName(root.level))
logging.getLogger("another.library").info("a line that nobody asked for")
PYTHON
bare="$("$folder/venv/bin/python" "$folder/check.py" 2>"$folder/said")"
kept="$("$folder/venv/bin/python" "$folder/check.py" before 2>"$folder/silent")"
echo "without a handler: $bare; with one: $kept"
grep -o "a line that nobody asked for" "$folder/said"
[ "$bare" = "1 WARNING INFO" ]
[ "$kept" = "0 WARNING WARNING" ]
! grep -q "nobody asked" "$folder/silent"
