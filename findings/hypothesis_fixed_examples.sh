#!/usr/bin/env bash
# hypothesis 6.170.15: a test with derandomize=True and a fixed seed draws other examples when the process has
# imported one more module of the project, which the test does not use: integers and texts are drawn from the
# constants of all local modules in sys.modules too. So the processes of pytest-xdist, which import other test
# modules, run other examples of the same test, and a run that failed passes when the test is run alone.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check hypothesis==6.170.15
printf 'NUMBERS = [%s]\n' "$(seq -s, 700001 700400)" >unused.py
cat >check.py <<'PYTHON'
import hashlib
import sys

from hypothesis import given, seed, settings
from hypothesis import strategies as st

if sys.argv[1:] == ["unused"]:
    import unused

drawn = []


@seed(1)
@settings(max_examples=100, derandomize=True, database=None)
@given(st.lists(st.integers(), max_size=5))
def test(numbers):
    drawn.append(numbers)


test()
with open("unused.py") as file:
    of_unused = {int(number) for number in file.read().strip("NUMBERS =[]\n").split(",")}
print(hashlib.sha256(repr(drawn).encode()).hexdigest()[:8], any(of_unused & {*each} for each in drawn))
PYTHON
alone="$(venv/bin/python check.py)"
again="$(venv/bin/python check.py)"
beside="$(venv/bin/python check.py unused)"
echo "alone:  $alone"
echo "again:  $again"
echo "beside: $beside"
[ "$alone" = "$again" ] && [ "$alone" != "$beside" ]
[ "${alone#* }" = False ] && [ "${beside#* }" = True ]
