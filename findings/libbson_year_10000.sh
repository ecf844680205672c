#!/usr/bin/env bash
# python-bsonjs 0.7.0 (libbson): relaxed mode writes a date from the year 10000 on as ISO text with five digits
# of year, where the specification of Extended JSON asks for {"$numberLong": …}. loads() of the same package and
# json_util of pymongo 4.20.1 refuse that text. Legacy mode writes the doubles NaN and Infinity as bare nan and
# inf, which loads() refuses as well.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check python-bsonjs==0.7.0 pymongo==4.20.1
cat >check.py <<'PYTHON'
import bson
import bsonjs
from bson import json_util
from bson.datetime_ms import DatetimeMS


def refuses(read, text):
    try:
        read(text)
    except ValueError as error:
        print(f"{text.strip()}  {read.__module__ or 'bsonjs'}: {error}")
        return True
    return False


last, first = DatetimeMS(253402300799999), DatetimeMS(253402300800000)
relaxed = [bsonjs.dumps(bson.encode({"v": date}), mode=bsonjs.RELAXED) for date in (last, first)]
assert relaxed[0] == '{ "v" : { "$date" : "9999-12-31T23:59:59.999Z" } }', relaxed
assert relaxed[1] == '{ "v" : { "$date" : "10000-01-01T00:00:00Z" } }', relaxed
assert bsonjs.loads(relaxed[0]) == bson.encode({"v": last})
assert refuses(bsonjs.loads, relaxed[1]) and refuses(json_util.loads, relaxed[1])
for number, word in ((float("nan"), "nan"), (float("-inf"), "-inf")):
    legacy = bsonjs.dumps(bson.encode({"v": number}), mode=bsonjs.LEGACY)
    assert legacy == '{ "v" : %s }' % word, legacy
    assert refuses(bsonjs.loads, legacy)
print("as described")
PYTHON
venv/bin/python check.py
