// Which rows are shown, selected and meant, whatever happens to them; filters, columns, preferences and addresses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { FILE_COLUMNS, SESSION_COLUMNS, SHARE_COLUMNS } from "./columns.js";
import { csv } from "./csv.js";
import { filesOf, sessionsWith } from "./details.js";
import { parseFilter, readHash, writeHash } from "./filter.js";
import { Listing } from "./listing.js";
import { Preferences, VERSION, upgraded } from "./preferences.js";
import { ServerClock, ago, begunWords, clock, keptWords, lengthOf, openedWords, rfc3339 } from "./times.js";

const NOW = Date.parse("2026-11-25T12:00:00Z") / 1000;
const at = (secondsAgo) => new Date((NOW - secondsAgo) * 1000).toISOString();

function session(number, more = {}) {
  return { key: `session:${number}`, kind: "session", client_name: `\\\\10.0.0.${number}`, user_name: `user${number}`, num_opens: number, used_at: at(number * 60), ...more };
}

function listing(rows, sort = null) {
  const list = new Listing(SESSION_COLUMNS.slice(0, 5));
  const map = new Map(rows.map((row) => [row.key, row]));
  if (sort) list.setSort(SESSION_COLUMNS.find((column) => column.id === sort.replace("-", "")), sort.startsWith("-"), NOW);
  list.fill(map, NOW);
  const update = (change) => {
    const { opened = [], changed = [], closed = [] } = change;
    for (const key of closed) map.delete(key);
    for (const row of [...opened, ...changed]) map.set(row.key, row);
    return list.update({ opened: new Set(opened.map((row) => row.key)), changed: new Set(changed.map((row) => row.key)), closed: new Map(closed.map((key) => [key, "vanished"])) }, map, NOW);
  };
  return { list, update, map };
}

const keys = (list) => list.order.map((entry) => Number(entry.key.split(":")[1]));
const filtered = (list, text) => list.setFilter(parseFilter(text, "session"), NOW);

test("addresses sort as numbers, names behind them, what is not known last in both directions; equal rows as they came", () => {
  const names = ["\\\\pc9", "\\\\10.0.0.10", null, "\\\\10.0.0.9", "\\\\PC10", "\\\\[::1]", null, "\\\\9.255.0.1", "\\\\pc9"];
  const { list } = listing(names.map((name, number) => session(number, { client_name: name })), "client");
  assert.deepEqual(keys(list), [7, 3, 1, 5, 4, 0, 8, 2, 6]);
  list.setSort(list.sort.column, true, NOW);
  assert.deepEqual(keys(list), [0, 8, 4, 5, 1, 3, 7, 2, 6]);
});

test("changes are merged into the order as a sort from nothing has it, in 300 random histories", () => {
  let state = 7;
  const next = (below) => Math.floor(((state = (state * 1103515245 + 12345) % 2147483648) / 2147483648) * below);
  for (let round = 0; round < 300; round++) {
    const sort = ["client", "-opens", "user", "-idle", null][round % 5];
    const row = (number) => session(number, { num_opens: next(5) ? next(4) : null, user_name: `u${next(6)}`, client_name: `\\\\10.0.0.${next(300)}` });
    const { list, update, map } = listing(Array.from({ length: next(30) }, (_, number) => row(number)), sort);
    if (round % 3 === 0) filtered(list, "opens>=1");
    for (let step = 0; step < 12; step++) {
      if (list.order.length && next(2)) list.goTo(next(list.order.length));
      if (next(2)) list.toggle();
      const there = [...map.keys()].map((key) => Number(key.split(":")[1]));
      const closed = there.filter(() => next(4) === 0).map((number) => `session:${number}`);
      const changed = there.filter((number) => next(3) === 0 && !closed.includes(`session:${number}`)).map(row);
      update({ opened: Array.from({ length: next(4) }, (_, number) => row(1000 + round * 100 + step * 5 + number)), changed, closed });
      const shown = list.order.filter((entry) => list.isTarget(entry));
      const again = new Listing(list.columns);
      Object.assign(again, { sort: list.sort, filter: list.filter });
      again.fill(map, NOW);
      const wanted = again.order.map((entry) => entry.key);
      assert.deepEqual([...shown].map((entry) => entry.key).sort(), [...wanted].sort());
      for (let place = 1; place < shown.length; place++) {
        const [one, other] = [shown[place - 1], shown[place]];
        assert.ok(one.value === other.value ? one.number < other.number : other.value === null || (one.value !== null && one.value < other.value === !list.sort.down));
      }
      assert.equal(list.shown, wanted.length);
      for (const key of list.selected) assert.ok(wanted.includes(key), "only what is shown is selected");
    }
  }
});

test("what goes leaves the selection, and what comes under its key is not selected", () => {
  const { list, update } = listing([session(1), session(2), session(3)]);
  list.goTo(1);
  list.toggle();
  assert.deepEqual(list.targets, ["session:2"]);
  const lost = update({ closed: ["session:2"], opened: [session(2, { user_name: "another" })] });
  assert.deepEqual(lost, { gone: 1, hidden: 0 });
  assert.equal(list.selected.size, 0);
  assert.deepEqual(list.targets, [], "the cursor is on the one that has gone");
  assert.deepEqual(list.order.map((entry) => [entry.key, entry.isThere]), [["session:1", true], ["session:2", false], ["session:3", true], ["session:2", true]]);
  assert.equal(list.toggle(), false);
  list.goTo(0);
  assert.deepEqual(keys(list), [1, 3, 2]);
});

test("a row under the cursor that is filtered away stays in sight, and is no target", () => {
  const { list, update } = listing([session(1), session(2), session(3)]);
  filtered(list, "opens>=2");
  list.goTo(0);
  list.toggle();
  assert.deepEqual(update({ changed: [session(2, { num_opens: 0 })] }), { gone: 0, hidden: 1 });
  assert.deepEqual([keys(list), list.shown, list.targets], [[2, 3], 1, []]);
  list.goTo(1);
  assert.deepEqual([keys(list), list.targets], [[3], ["session:3"]]);
});

test("a filter takes what it hides out of the selection, one with a mistake shows nothing", () => {
  const { list } = listing([session(1), session(2), session(3)]);
  list.selectAll();
  assert.equal(filtered(list, "user:user2"), 2);
  assert.deepEqual(list.targets, ["session:2"]);
  filtered(list, "user:");
  assert.deepEqual([list.shown, list.targets], [0, []]);
});

test("ranges go from where the selection began to the cursor, both ways", () => {
  const { list } = listing([1, 2, 3, 4, 5].map((number) => session(number)));
  list.goTo(2);
  list.toggle();
  list.goTo(4);
  list.selectRange();
  assert.deepEqual(list.targets, ["session:3", "session:4", "session:5"]);
  list.goTo(0);
  list.selectRange();
  assert.deepEqual(list.targets, ["session:1", "session:2", "session:3"]);
});

test("a filter by time lets others through as time passes", () => {
  const { list } = listing([session(1), session(2)]);
  filtered(list, "idle>90s");
  assert.deepEqual(keys(list), [2]);
  list.tick(NOW + 60);
  assert.deepEqual(keys(list), [1, 2]);
});

// --- filters

const row = (more) => ({ ...session(7), user_name: "Bob", num_opens: 2, shares: ["data", "home"], dialect: null, used_at: null, ...more });
const passes = (text, of, hay = "") => {
  const filter = parseFilter(text, "session");
  assert.deepEqual(filter.errors, []);
  return filter.test(of, hay, NOW);
};

test("what the server did not say is neither so nor not so", () => {
  assert.deepEqual(["idle>1s", "idle<1d", "!idle>1s", "dialect:3*", "!dialect:3*"].map((text) => passes(text, row())), [false, false, false, false, false]);
  assert.deepEqual(["idle>1h", "!idle>1h", "idle<=2h", "idle=2h"].map((text) => passes(text, row({ used_at: at(7200) }))), [true, false, true, true]);
});

test("several words each select, the same field twice means either", () => {
  assert.equal(passes("user:bob opens>=2", row()), true);
  assert.equal(passes("user:bob opens>2", row()), false);
  assert.equal(passes("user:carol user:bob", row()), true);
  assert.equal(passes("!user:carol !user:bob", row()), false);
  assert.equal(passes("share:HOME", row()), true);
  assert.equal(passes("USER:bob", row()), true);
});

test("words are looked for in what is shown; quotes keep them together", () => {
  const hay = "\\\\PC7\nBUDGET FINAL.XLSX\nC:\\DATA\\A.TXT\n";
  const found = ['"budget final"', "final*xlsx", "b?dget", "c:/data", "pc7", "!pc8", "\"C:\\data\""].map((text) => passes(text, row(), hay));
  assert.deepEqual(found, [true, true, true, true, true, true, true]);
  assert.deepEqual(['"final budget"', "pc7*data", "!pc7"].map((text) => passes(text, row(), hay)), [false, false, false]);
});

test("addresses and drives with a colon are words and no fields", () => {
  for (const text of ["fe80::1", "::1", "C:\\data", "c:/data", "dead:beef::1"]) assert.deepEqual(parseFilter(text, "session").errors, [], text);
});

test("what means nothing is an error that says what does", () => {
  const first = (text, kind = "session") => parseFilter(text, kind).errors[0];
  assert.match(first("user:"), /user: wants a value, as in user:bob/);
  assert.match(first("idle>soon"), /soon is no duration: write it as in idle>1h30m/);
  assert.match(first("opens>many"), /opens>=2/);
  assert.match(first("owner:bob"), /They have user, client, idle/);
  assert.match(first("user>bob"), /user is no number/);
  assert.match(first("user:EXAMPLE\\"), /without the domain/);
  assert.match(first("path:\\\\fs1", "file"), /names a server and a share/);
  assert.match(first("x".repeat(501)), /500/);
  assert.equal(first("constructor:x").includes("constructor:"), true);
});

test("a path of a share means what lies behind its folder; one of another server is refused", () => {
  const about = { server: "fs1.example.com:4455", folderOf: (share) => (share === "data" ? "C:\\srv\\data" : null) };
  const test = (text, path) => parseFilter(text, "file", about).test({ key: "file:1", path }, "", NOW);
  assert.equal(test("path:\\\\fs1\\data\\a.txt", "C:\\srv\\data\\A.TXT"), true);
  assert.equal(test("path://fs1/data/a.txt", "C:\\else\\a.txt"), false);
  assert.equal(test("path:\\\\fs1\\other\\a.txt", "D:\\anywhere\\a.txt"), true);
  assert.match(parseFilter("path:\\\\fs2\\data\\a.txt", "file", about).errors[0], /that path is on fs2/);
});

test("an address says filter, order and columns, and is read as it was written", () => {
  const view = { path: ["server", "fs1/x ?#", "files"], filter: "path:*.xls? & \"a b\" 100%", sort: { column: "client", down: true }, columns: ["path", "user"] };
  assert.deepEqual(readHash(writeHash(view)), view);
  assert.deepEqual(readHash("#/server/fs1/sessions?filter=user:bob&sort=-idle&columns=client,user"), {
    path: ["server", "fs1", "sessions"],
    filter: "user:bob",
    sort: { column: "idle", down: true },
    columns: ["client", "user"],
  });
  assert.deepEqual(readHash("#/server/%zz/files"), { path: ["server", "%zz", "files"], filter: null, sort: null, columns: null });
});

// --- what is kept

class Storage {
  constructor(text = null) {
    this.text = text;
  }

  getItem() {
    return this.text;
  }

  setItem(name, text) {
    this.text = text;
  }
}

test("columns, order and times are kept, and what is not known is left out", () => {
  const storage = new Storage();
  const first = new Preferences(storage);
  first.keep("session", { columns: ["user", "client", "gone"], sort: { column: "idle", down: true } });
  first.times = "absolute";
  const again = new Preferences(storage);
  assert.deepEqual(again.columns("session", ["client", "user"], ["client"]), ["user", "client"]);
  assert.deepEqual(again.sort("session", ["idle"]), { column: "idle", down: true });
  assert.equal(again.sort("session", ["client"]), null);
  assert.equal(again.times, "absolute");
  assert.deepEqual(again.columns("file", ["path"], ["path"]), ["path"]);
  assert.equal(JSON.parse(storage.text).version, VERSION);
});

test("an older version is upgraded step by step, a newer one neither used nor written over, nonsense is nothing", () => {
  const steps = { 1: (kept) => ({ ...kept, lists: { session: kept.list } }), 2: (kept) => ({ ...kept, times: "absolute" }) };
  const old = JSON.stringify({ version: 1, times: "relative", list: { columns: ["user"] } });
  assert.deepEqual(upgraded(old, steps, 3), { version: 3, times: "absolute", lists: { session: { columns: ["user"] } } });
  for (const text of ["", "null", "7", "[]", "{", '{"version":"1"}', '{"version":0}', '{"version":1,"lists":7}']) {
    assert.deepEqual(upgraded(text), { version: VERSION, times: "relative", lists: {} }, text);
  }
  const newer = JSON.stringify({ version: VERSION + 1, lists: { session: { columns: ["user"] } } });
  const storage = new Storage(newer);
  const preferences = new Preferences(storage);
  assert.deepEqual(preferences.columns("session", ["user", "client"], ["client"]), ["client"]);
  preferences.times = "absolute";
  assert.equal(storage.text, newer);
});

test("a browser that keeps nothing costs no more than that", () => {
  const preferences = new Preferences(null);
  preferences.keep("session", { columns: ["user"], sort: null });
  assert.deepEqual(preferences.columns("session", ["user", "client"], ["client"]), ["user"]);
});

// --- what stands in cells

test("columns say and sort what is known, and nothing else", () => {
  const text = (columns, id, of, times = "relative") => columns.find((column) => column.id === id).text(of, NOW, times);
  assert.equal(text(SESSION_COLUMNS, "idle", row()), "-");
  assert.equal(text(SESSION_COLUMNS, "idle", row({ used_at: at(2532) })), "00:42:12");
  assert.equal(text(SESSION_COLUMNS, "user", row({ user_name: "" })), "(nobody)");
  assert.equal(text(FILE_COLUMNS, "client", { client_how: "candidates", candidates: ["pc4", "pc9"], client_name: null }), "\\\\pc4 | \\\\pc9");
  assert.equal(text(FILE_COLUMNS, "client", { client_how: "inferred", client_name: "\\\\pc4" }), "\\\\pc4 ?");
  assert.equal(text(FILE_COLUMNS, "access", { permissions: 35 }), "WRITE");
  assert.equal(text(FILE_COLUMNS, "since", { opened_at: null, not_before: at(7200) }), "< 2 h");
  assert.equal(text(FILE_COLUMNS, "id", { id: 4294967295 }), "4294967295");
  assert.equal(text(SHARE_COLUMNS, "limit", { max_uses: 0xffffffff }), "no limit");
  for (const columns of [SESSION_COLUMNS, FILE_COLUMNS, SHARE_COLUMNS]) {
    const empty = { key: "session:1", name: "data", candidates: [] };
    for (const column of columns) {
      assert.equal(typeof column.text(empty, NOW, "relative"), "string", column.id);
      assert.ok(column.order(empty) === null || column.id === "name", column.id);
    }
  }
});

test("times in words", () => {
  assert.deepEqual([0, 42, 840, 11_100, 187_200, null].map(ago), ["now", "42 s", "14 min", "3 h 5 min", "2 d 4 h", "-"]);
  assert.deepEqual(["1h", "1d2h30m5.5s", "90", "", "1h1d"].map(lengthOf), [3600, 95405.5, 90, null, null]);
  assert.equal(rfc3339(NOW), "2026-11-25T12:00:00Z");
  assert.equal(clock(null, NOW), "-");
  assert.match(begunWords({ begun_at: at(60), begun_how: "seen" }, NOW), /at the latest: first seen then$/);
  assert.match(begunWords({ begun_at: at(60), begun_how: "told" }, NOW), /give or take 3 s$/);
  assert.match(begunWords({ begun_at: null, begun_how: "unknown" }, NOW), /^not known/);
  assert.match(openedWords({ opened_at: null, not_before: at(60) }, NOW), /^not before /);
  assert.match(openedWords({ opened_at: null, not_before: null }, NOW), /^not known/);
});

test("idle times are by the server's clock where the two differ", () => {
  const here = new ServerClock(() => 1000);
  here.said(1000.5);
  assert.equal(here.now(), 1000);
  here.said(1090);
  assert.equal(here.now(), 1090);
  // What happened before and is told late puts no clock back.
  here.atLeast(800);
  assert.equal(here.now(), 1090);
  here.atLeast(1200);
  assert.equal(here.now(), 1200);
});

test("CSV has one line for each row, no formulas, quotes where they are needed", () => {
  const text = csv(["Path", "User"], [["=cmd|x", "a,b"], ['say "hi"', null], ["two\nlines", "-1"], [["x", "@y"], true]]);
  // The blank before @y is no beginning of a cell; a comma in front of a minus sign may be one.
  assert.equal(text, '\ufeffPath,User\r\n\'=cmd|x,"a,b"\r\n"say ""hi""",\r\ntwo\\x0alines,\'-1\r\nx @y,true\r\n');
});

test("files of a session are told only where they can be told from those of others", () => {
  const map = (...rows) => new Map(rows.map((one) => [one.key, one]));
  const file = (number, more) => ({ key: `file:${number}`, kind: "file", user_name: "BOB", session: null, ...more });
  const [one, other] = [row({ key: "session:1" }), row({ key: "session:2", user_name: "bob" })];
  assert.deepEqual(filesOf(one, map(one), map(file(1), file(2, { user_name: "eve" }))).map(({ key }) => key), ["file:1"]);
  assert.equal(filesOf(one, map(one, other), map(file(1))), null);
  assert.deepEqual(filesOf(one, map(one, other), map(file(1, { session: "session:2" }))), []);
  assert.deepEqual(filesOf(row({ num_opens: 0 }), map(one), map()), []);
  assert.equal(filesOf(row({ num_opens: 1 }), map(one), map()), null);
});

test("what is kept for somebody whose connection was lost is theirs, for so long, and no null session's", () => {
  const map = (...rows) => new Map(rows.map((each) => [each.key, each]));
  const nobody = { key: "session:1", user_name: "", num_opens: 1 };
  const open = { key: "file:1", kind: "file", user_name: "", owner: "", durable: false, expires_at: null, session: null };
  const kept = { ...open, key: "file:2", owner: "ann", durable: true, expires_at: at(-61) };
  assert.equal(keptWords(kept, NOW), "ann, whose connection was lost, 00:01:01 more");
  assert.equal(keptWords({ ...kept, expires_at: null }, NOW), "ann, whose connection was lost");
  assert.equal(keptWords(open, NOW), "");
  assert.deepEqual(sessionsWith(kept, map(nobody)), []);
  assert.deepEqual(sessionsWith(open, map(nobody)), [nobody]);
  assert.deepEqual(filesOf(nobody, map(nobody), map(open, kept)).map(({ key }) => key), ["file:1"]);
  const text = (id, row, times) => FILE_COLUMNS.find((column) => column.id === id).text(row, NOW, times);
  assert.equal(text("user", kept), "ann (away)");
  assert.equal(text("user", open), "(nobody)");
  assert.equal(text("user", { user_name: null }), "-");
  assert.equal(text("left", kept), "00:01:01");
  assert.equal(text("left", kept, "absolute"), clock(NOW + 61, NOW));
  assert.equal(text("left", open), "-");
  assert.equal(text("owner", kept), "ann");
  assert.equal(text("owner", open), "-");
  assert.equal(text("durable", kept), "yes");
  assert.equal(text("durable", {}), "-");
});
