// Documents of a BSON stream as the package `bson` writes them, one a line; `!` where it fails.
import { readFileSync } from "node:fs";
import { deserialize, EJSON } from "bson";

const kept = { promoteValues: false, promoteBuffers: false, bsonRegExp: true };
const modes = {
  relaxed: [{}, { relaxed: true }],
  canonical: [kept, { relaxed: false }],
  promoted: [{}, { relaxed: false }],
  legacy: [kept, { legacy: true }],
};
const [reading, writing] = modes[process.argv[2]];
const stream = readFileSync(0);
for (let start = 0, size; start < stream.length; start += size) {
  size = stream.readInt32LE(start);
  try {
    const document = deserialize(stream.subarray(start, start + size), reading);
    console.log(EJSON.stringify(document, writing));
  } catch {
    console.log("!");
  }
}
