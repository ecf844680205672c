"""Call the process of `warm.py`: a program that starts at once, as it imports next to nothing."""

import json
import os
import signal
import socket
import sys

PASSED_ON = (signal.SIGINT, signal.SIGTERM)

# A signal that comes before the number of the process is passed on when it is known.
signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
caller = socket.socket(socket.AF_UNIX)
caller.connect(sys.argv[1])
call = {
    "arguments": sys.argv[2:],
    "folder": [os.getcwd()],  # noqa: PTH109 - pathlib takes longer than the call
    "names": [*os.environ],
    "values": [*os.environ.values()],
}
content = json.dumps(call).encode() + b"\n"
sent = socket.send_fds(caller, [content], [0, 1, 2])
caller.sendall(content[sent:])
answers = caller.makefile()
pid = int(answers.readline())
for number in PASSED_ON:
    signal.signal(number, lambda number, _: os.kill(pid, number))
signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
code = int(answers.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
