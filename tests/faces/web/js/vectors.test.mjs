// What the browser's modules say, compared with what the Python functions said: vectors.json is written by test_scripts.py.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { bareClient, canonicalClient, clientOrder } from "./addresses.js";
import { cell } from "./csv.js";
import { clientTest, pathTest, pattern, splitUnc, userTest } from "./filter.js";
import { fold, uncClient, visible } from "./text.js";
import { duration, lengthOf } from "./times.js";

const vectors = JSON.parse(readFileSync(process.env.VECTORS, "utf8"));

const FUNCTIONS = {
  visible,
  fold,
  uncClient,
  cell,
  bareClient,
  canonicalClient,
  duration,
  lengthOf,
  pattern: (typed, text) => pattern(typed)(text),
  user: (typed, value) => userTest(typed)(value),
  client: (typed, value) => clientTest(typed)(value),
  path: (typed, value) => pathTest(typed)(value),
  splitUnc: (path) => {
    const found = splitUnc(path);
    return found && [found.server, found.share, found.rest];
  },
};

for (const [name, cases] of Object.entries(vectors.functions)) {
  test(`${name} agrees with Python in ${cases.length} cases`, () => {
    assert.ok(cases.length > 0);
    const wrong = [];
    for (const [given, wanted] of cases) {
      let found;
      try {
        found = FUNCTIONS[name](...given);
      } catch (error) {
        found = `${error.constructor.name}`;
      }
      try {
        assert.deepEqual(found ?? null, wanted);
      } catch {
        wrong.push([given, wanted, found]);
      }
    }
    assert.deepEqual(wrong.slice(0, 20), []);
  });
}

test("every character is shown and folded as Python does", () => {
  const differing = [];
  let code = 0;
  for (const [shown, upper] of vectors.characters) {
    const character = String.fromCodePoint(code);
    if (visible(character) !== (shown ?? character)) differing.push(["visible", code.toString(16), shown, visible(character)]);
    if (fold(character) !== (upper ?? character)) differing.push(["fold", code.toString(16), upper, fold(character)]);
    code += 1;
  }
  assert.equal(code, 0x11000);
  assert.deepEqual(differing, []);
});

test("clients sort as the screen sorts them", () => {
  const sorted = [...vectors.clients].sort((one, other) => (clientOrder(one) < clientOrder(other) ? -1 : 1));
  assert.deepEqual(sorted, vectors.sortedClients);
});
