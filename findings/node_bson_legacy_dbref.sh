#!/usr/bin/env bash
# bson 7.3.4 (npm): EJSON.stringify(…, { legacy: true }) writes of a DBRef only $ref and $id. Its database
# and its other fields are gone, though the same package writes all of them in both modes of version 2.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --no-package-lock bson@7.3.4
cat >check.mjs <<'JS'
import assert from "node:assert/strict";
import { deserialize, EJSON, serialize } from "bson";

const raw = serialize({ v: { $ref: "users", $id: 5, $db: "other", since: 2020 } });
const document = deserialize(raw);
const legacy = EJSON.stringify(document, { legacy: true });
const relaxed = EJSON.stringify(document);
console.log(`legacy  ${legacy}\nrelaxed ${relaxed}`);
assert.equal(legacy, '{"v":{"$ref":"users","$id":5}}');
assert.equal(relaxed, '{"v":{"$ref":"users","$id":5,"$db":"other","since":2020}}');
console.log("as described");
JS
node check.mjs
