#!/usr/bin/env bash
# bson 7.3.4 (npm): a double of 2^63 or a little more, read with deserialize() as a number, is written by
# canonical EJSON.stringify() as {"$numberLong": "9223372036854776000"}, which no int64 holds. EJSON.parse()
# of the same package reads that text as -9223372036854775616: the sign has changed, without an error.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --no-package-lock bson@7.3.4
cat >check.mjs <<'JS'
import assert from "node:assert/strict";
import { deserialize, Double, EJSON, serialize } from "bson";

const before = deserialize(serialize({ v: new Double(2 ** 63) }));
const text = EJSON.stringify(before, { relaxed: false });
const after = EJSON.parse(text, { relaxed: false });
console.log(before.v, text, after.v.constructor.name, after.v.toString());
assert.equal(before.v, 2 ** 63);
assert.equal(text, '{"v":{"$numberLong":"9223372036854776000"}}');
assert.equal(after.v.toString(), "-9223372036854775616");
assert.equal(EJSON.parse(text).v, -9223372036854776000);
console.log("as described");
JS
node check.mjs
