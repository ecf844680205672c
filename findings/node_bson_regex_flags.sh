#!/usr/bin/env bash
# bson 7.3.4 (npm) and Node 20: deserialize() turns a BSON regular expression into a RegExp unless
# bsonRegExp is set. The option s (a dot matches a new line) becomes the flag g: the dot does not match
# a new line, every second test() of one text is false, and EJSON.stringify() throws. The options x, l and
# u are dropped without a word, also from what serialize() then writes back: it is another pattern.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --no-package-lock bson@7.3.4
cat >check.mjs <<'JS'
import assert from "node:assert/strict";
import { BSONRegExp, deserialize, EJSON, serialize } from "bson";

const found = {};
for (const options of ["i", "s", "x", "l", "u"]) {
  const { r } = deserialize(serialize({ r: new BSONRegExp("a.b", options) }));
  const back = deserialize(serialize({ r }), { bsonRegExp: true }).r;
  let text;
  try {
    text = EJSON.stringify({ r });
  } catch (error) {
    text = error.message;
  }
  found[options] = [String(r), r.test("a\nb"), r.test("axb"), r.test("axb"), back.options, text];
  console.log(options, JSON.stringify(found[options]));
}
const written = (options) => `{"r":{"$regularExpression":{"pattern":"a.b","options":"${options}"}}}`;
assert.deepEqual(found.i, ["/a.b/i", false, true, true, "i", written("i")]);
assert.deepEqual(found.s.slice(0, 5), ["/a.b/g", false, true, false, "s"]);
assert.match(found.s[5], /option \[g\] is not supported/);
for (const options of ["x", "l", "u"]) {
  assert.deepEqual(found[options], ["/a.b/", false, true, true, "", written("")]);
}
console.log("as described");
JS
node check.mjs
