// The page of web_grid.py: the console's grid and Tabulator, and what each takes.
import { Grid } from "/js/grid.js";
import { Store } from "/js/store.js";
import { SESSION_COLUMNS } from "/js/columns.js";

const frame = () => new Promise(done => requestAnimationFrame(done));
const tasks = [];
new PerformanceObserver(list => tasks.push(...list.getEntries().map(entry => entry.duration))).observe({ type: "longtask", buffered: true });
const now = Date.parse("2026-11-25T20:00:00Z") / 1000;
const clock = { now: () => now };
const columns = SESSION_COLUMNS.filter(column => column.usual !== false);

/** What a call takes: until the second frame behind it, and in scripts and layout alone. */
async function timed(run) {
  await frame(); await frame(); await frame();
  tasks.length = 0;
  const begun = performance.now();
  await run();
  document.querySelector(".grid-scroll, .tabulator-tableholder")?.getBoundingClientRect().top;
  const script = performance.now() - begun;
  await frame(); await frame();
  const all = performance.now() - begun;
  await new Promise(done => setTimeout(done, 30));
  return { script, all, task: Math.max(0, ...tasks) };
}

/** Frames while the list is scrolled to its end in so many steps: the worst, and what is long in them. */
async function scrolled(box, steps) {
  tasks.length = 0;
  let worst = 0;
  const most = box.scrollHeight - box.clientHeight;
  for (let step = 1; step <= steps; step++) {
    const begun = performance.now();
    box.scrollTop = most * step / steps;
    await frame();
    worst = Math.max(worst, performance.now() - begun);
  }
  await frame(); await new Promise(done => setTimeout(done, 30));
  return { script: worst, all: worst, task: Math.max(0, ...tasks) };
}

function changes(rows, count, round) {
  const found = [];
  for (let number = 0; number < count; number++) {
    const row = rows[(number * 37 + round * 11) % rows.length];
    found.push({ key: row.key, kind: "session", num_opens: (number + round) % 50, used_at: new Date((now - (number * 17 + round * 5) % 5000) * 1000).toISOString() });
  }
  return found;
}

const place = document.getElementById("place");
const OURS = {
  async build(rows) {
    const store = new Store({ schedule: run => this.run = run });
    store.begin("fs1", "session");
    store.put("fs1", "session", rows, "e-1");
    this.store = store; this.sequence = 1;
    const element = document.createElement("div");
    place.replaceChildren(element);
    this.grid = new Grid(element, { name: "bench", kind: "session", label: "Sessions", columns, rows: store.rows("fs1", "session"), clock });
    store.flush();
    store.subscribe(change => this.grid.update(change));
    this.grid.drawNow();
  },
  delta(change) {
    this.store.apply({ server: "fs1", id: `e-${++this.sequence}`, change });
    this.store.flush();
    this.grid.drawNow();
  },
  sort(id, down) { this.grid.setSort({ column: id, down }); this.grid.drawNow(); },
  filter(text) { this.grid.setFilter(text); this.grid.drawNow(); },
  box() { return place.querySelector(".grid-scroll"); },
  nodes() { return place.querySelectorAll("*").length; },
  async end() { this.grid.destroy(); place.replaceChildren(); },
};

const TITLES = { client: "client_name", user: "user_name", opens: "num_opens", idle: "used_at", since: "begun_at", dialect: "dialect", shares: "shares", note: "note" };
const THEIRS = {
  async build(rows) {
    const element = document.createElement("div");
    place.replaceChildren(element);
    this.table = new Tabulator(element, {
      data: rows.map(row => ({ ...row })), index: "key", height: 700, layout: "fitColumns",
      columns: columns.map(column => ({
        title: column.title, field: TITLES[column.id],
        formatter: cell => column.text(cell.getData(), now, "relative"),
        sorter: (one, other, a, b) => { const [x, y] = [column.order(a.getData()), column.order(b.getData())]; return x === y ? 0 : x === null ? 1 : y === null ? -1 : x < y ? -1 : 1; },
      })),
    });
    await new Promise(done => this.table.on("tableBuilt", done));
  },
  async delta(change) { await this.table.updateData(change); this.table.setSort("used_at", "asc"); },
  sort(id, down) { this.table.setSort(TITLES[id], down ? "desc" : "asc"); },
  filter(text) {
    const wanted = text.toUpperCase();
    if (text) this.table.setFilter(row => columns.some(column => column.searched !== false && column.text(row, now, "relative").toUpperCase().includes(wanted)));
    else this.table.clearFilter();
  },
  box() { return place.querySelector(".tabulator-tableholder"); },
  nodes() { return place.querySelectorAll("*").length; },
  async end() { this.table.destroy(); place.replaceChildren(); },
};

/** One step of one of the two, and what it takes. */
window.step = async (whose, what, changed, round) => {
  const it = whose === "own" ? OURS : THEIRS;
  const change = what === "delta" ? changes(window.rows, changed, round) : null;
  const steps = {
    build: () => it.build(window.rows),
    sort: () => it.sort("client", false),
    back: () => it.sort("idle", false),
    delta: () => it.delta(change),
    filter: () => it.filter("user42"),
    all: () => it.filter(""),
    end: () => it.end(),
  };
  return what === "scroll" ? scrolled(it.box(), 60) : timed(steps[what]);
};
window.nodes = (whose) => (whose === "own" ? OURS : THEIRS).nodes();
window.ready = true;
