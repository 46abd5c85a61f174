// Snapshots and deltas into rows: no change lost, none applied twice, whatever order they come in.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Store, position } from "./store.js";

/** A pseudo-random number below `below`, the same in every run. */
function chances(seed) {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
}

test("what a change says of itself is no part of the row", () => {
  const store = new Store({ schedule: () => {} });
  store.begin("fs1", "session");
  store.put("fs1", "session", [{ key: "session:1", kind: "session", channels: ["a", "b"] }], "e-1");
  store.apply({ server: "fs1", id: "e-2", change: [{ key: "session:1", kind: "session", channels: ["a"], channels_before: ["a", "b"] }] });
  assert.deepEqual(store.rows("fs1", "session").get("session:1"), { key: "session:1", kind: "session", channels: ["a"] });
});

/** What a server does: rows that come, change and go, each step with its number. */
class Model {
  constructor(next) {
    this.next = next;
    this.rows = new Map();
    this.epoch = "a";
    this.sequence = 0;
    this.born = 0;
  }

  step() {
    this.sequence += 1;
    const keys = [...this.rows.keys()];
    const key = keys[this.next(keys.length || 1)];
    const choice = this.next(4);
    if (choice === 0 || key === undefined) {
      // Sometimes what comes has the key of what went before.
      const row = { key: `session:${this.next(3) ? this.born++ : this.next(this.born + 1)}`, kind: "session", num_opens: 0 };
      if (this.rows.has(row.key)) return { open: [], change: [], close: [] };
      this.rows.set(row.key, row);
      return { open: [row], change: [], close: [] };
    }
    if (choice === 1) {
      this.rows.delete(key);
      return { open: [], change: [], close: [{ key, kind: "session", why: "vanished" }] };
    }
    const change = { key, kind: "session", num_opens: this.next(100), at: "x", how: "seen", after_at: null };
    this.rows.set(key, { ...this.rows.get(key), num_opens: change.num_opens });
    return { open: [], change: [change], close: [] };
  }

  delta() {
    const first = this.sequence + 1;
    return { server: "fs1", ...this.step(), seq: [first, this.sequence], id: `${this.epoch}-${this.sequence}` };
  }

  snapshot() {
    return { rows: [...this.rows.values()], at: `${this.epoch}-${this.sequence}` };
  }

  restart() {
    this.epoch += "x";
    this.sequence = 0;
    for (const key of [...this.rows.keys()]) if (this.next(2)) this.rows.delete(key);
  }
}

/** A store, and a list of its own that is kept by what its listeners are told alone. */
function watched() {
  const frames = [];
  const store = new Store({ schedule: (run) => frames.push(run) });
  const told = new Map();
  store.subscribe(({ opened, changed, closed }) => {
    for (const key of closed.keys()) {
      assert.ok(told.has(key), `${key} has gone, and was never there`);
      told.delete(key);
    }
    for (const key of opened) {
      assert.ok(!told.has(key), `${key} has come twice`);
      told.set(key, store.rows("fs1", "session").get(key));
    }
    for (const key of changed) {
      assert.ok(told.has(key), `${key} has changed, and was never there`);
      told.set(key, store.rows("fs1", "session").get(key));
    }
  });
  const frame = () => frames.splice(0).forEach((run) => run());
  return { store, told, frame };
}

function history(seed) {
  const next = chances(seed);
  const server = new Model(next);
  const { store, told, frame } = watched();
  let asked = null;
  let lost = true;
  let late = [];
  const flush = (count = late.length) => late.splice(0, count).forEach((delta) => store.apply(delta));
  for (let step = 0; step < 400; step++) {
    const what = next(20);
    if (what < 12) late.push(server.delta());
    else if (what < 15) flush(next(late.length + 1));
    else if (what < 17) frame();
    else if (what === 17 && next(6) === 0) {
      // The console starts anew: what was on the way is lost, and the stream says so.
      server.restart();
      late = [];
      store.resync();
    } else if (what === 18 && next(6) === 0) {
      // The stream begins, or begins anew, where the server is by now.
      late = [];
      store.reach(`${server.epoch}-${server.sequence}`);
    } else if (lost && asked === null) {
      store.begin("fs1", "session", () => (lost = true));
      lost = false;
      asked = server.snapshot();
    } else if (asked !== null && next(2)) {
      if (!store.put("fs1", "session", asked.rows, asked.at)) lost = true;
      asked = null;
    }
  }
  flush();
  for (let round = 0; round < 3 && (lost || asked !== null); round++) {
    if (asked === null) {
      store.begin("fs1", "session", () => (lost = true));
      lost = false;
      asked = server.snapshot();
    }
    if (!store.put("fs1", "session", asked.rows, asked.at)) lost = true;
    asked = null;
  }
  frame();
  assert.deepEqual([...store.rows("fs1", "session").values()].sort(byKey), [...server.rows.values()].sort(byKey), `seed ${seed}`);
  assert.deepEqual([...told.values()].sort(byKey), [...server.rows.values()].sort(byKey), `seed ${seed}`);
}

const byKey = (one, other) => (one.key < other.key ? -1 : 1);

test("2,000 random histories end as the server is, and so does what listeners were told", () => {
  for (let seed = 1; seed <= 2000; seed++) history(seed);
});

const opened = (id, key) => ({ server: "fs1", id, open: [{ key, kind: "session" }], change: [], close: [] });
const gone = (id, key) => ({ server: "fs1", id, open: [], change: [], close: [{ key, why: "logged off" }] });

function begun() {
  const all = watched();
  all.store.begin("fs1", "session");
  return all;
}

test("a delta that came before the snapshot's place is not applied, one after it is", () => {
  const { store, frame, told } = begun();
  store.apply(gone("a-5", "session:1"));
  store.apply(opened("a-7", "session:2"));
  assert.equal(store.put("fs1", "session", [{ key: "session:1", kind: "session" }], "a-6"), true);
  frame();
  assert.deepEqual([...told.keys()], ["session:1", "session:2"]);
  store.apply(gone("a-7", "session:1"));
  store.apply(gone("a-8", "session:2"));
  frame();
  assert.deepEqual([...told.keys()], ["session:1"]);
});

test("a snapshot that is older than what went by is refused", () => {
  const { store } = watched();
  store.apply(opened("a-9", "session:1"));
  store.begin("fs1", "session");
  assert.equal(store.put("fs1", "session", [], "a-8"), false);
  assert.equal(store.isLoaded("fs1", "session"), false);
  assert.equal(store.put("fs1", "session", [], "a-9"), true);
});

test("a stream that begins behind a list says that it is lost, and one that goes on does not", () => {
  const { store } = watched();
  let lost = 0;
  store.begin("fs1", "session", () => (lost += 1));
  store.put("fs1", "session", [], "a-5");
  store.reach("a-5");
  store.reach("a-8", true);
  assert.equal(lost, 0);
  store.reach("a-8");
  assert.equal(lost, 1);
});

test("a snapshot that was asked for before the stream began, and is older, is refused", () => {
  const { store } = begun();
  store.reach("a-8");
  assert.equal(store.put("fs1", "session", [], "a-7"), false);
  store.begin("fs1", "session");
  assert.equal(store.put("fs1", "session", [], "a-8"), true);
});

test("what went and came again under its key within a frame is told as both", () => {
  const { store, frame } = begun();
  store.put("fs1", "session", [{ key: "session:1", kind: "session" }], "a-1");
  frame();
  const heard = [];
  store.subscribe((change) => heard.push([[...change.closed.keys()], [...change.opened]]));
  store.apply(gone("a-2", "session:1"));
  store.apply(opened("a-3", "session:1"));
  frame();
  assert.deepEqual(heard, [[["session:1"], ["session:1"]]]);
});

test("a delta of another epoch says that the list is lost, once, and is kept for the snapshot", () => {
  const { store, frame, told } = watched();
  let lost = 0;
  store.begin("fs1", "session", () => (lost += 1));
  store.put("fs1", "session", [{ key: "session:1", kind: "session" }], "a-1");
  store.apply(opened("b-4", "session:2"));
  store.apply(opened("b-5", "session:3"));
  assert.equal(lost, 1);
  store.begin("fs1", "session");
  store.apply(gone("b-6", "session:2"));
  assert.equal(store.put("fs1", "session", [{ key: "session:2", kind: "session" }, { key: "session:3", kind: "session" }], "b-5"), true);
  frame();
  assert.deepEqual([...told.keys()], ["session:3"]);
});

test("a row's own words are kept apart from those about the change", () => {
  const { store } = begun();
  store.put("fs1", "session", [{ key: "session:1", kind: "session", num_opens: 1 }], "a-1");
  store.apply({ server: "fs1", id: "a-2", change: [{ key: "session:1", kind: "session", num_opens: 2, at: "t", how: "seen", after_at: "s" }] });
  assert.deepEqual(store.rows("fs1", "session").get("session:1"), { key: "session:1", kind: "session", num_opens: 2 });
});

test("changes of files and of other servers leave the sessions alone", () => {
  const { store } = begun();
  store.put("fs1", "session", [], "a-1");
  store.apply({ server: "fs1", id: "a-2", open: [{ key: "file:1:a:b:0" }] });
  store.apply({ server: "fs2", id: "a-3", open: [{ key: "session:9" }] });
  assert.equal(store.rows("fs1", "session").size, 0);
});

test("places in the stream", () => {
  assert.deepEqual(position("7f-3a-1042"), { epoch: "7f-3a", sequence: 1042 });
  assert.equal(position("7f3a"), null);
  assert.equal(position(null), null);
});
