/* What there is on servers, as it was last told: rows by server and kind, each in a Map by key.
 *
 * A list begins with a snapshot from REST, which says of which place in the stream it is (`at`, as `epoch-sequence`),
 * and goes on with the deltas of the stream. The rules by which no change is lost and none counts twice:
 *
 *   - `begin` comes before the snapshot is asked for. From then on deltas are kept; `put` applies those that came after
 *     the snapshot's place and drops the others.
 *   - A snapshot that is older than a delta of its server which went by before `begin`, or of another epoch than the
 *     newest delta, is refused: `put` is false, and it has to be asked for again.
 *   - Of one delta closings come first, then openings, then changes; a change of a row that is not there is left out.
 *   - A delta of another epoch than the list's says that the list is lost: `onLost` is called, and the deltas are kept
 *     for the snapshot that follows. So it is after `resync`.
 *   - A stream that begins at a place, and does not go on from where it was, does not tell what happened before: a list
 *     that is older than this place is lost, and a snapshot that is older is refused.
 *
 * Rows are values: a change puts a new object in the place of the old one. Listeners are told once a frame of all that
 * has changed since the last time, by key: `{server, kind, opened: Set, changed: Set, closed: Map(key -> why), first}`.
 * A key in both `closed` and `opened` went, and something else came under it: the new row is not the old one. `first`:
 * the list was not there before, and its rows are not news. After a resync the differences are told like changes.
 */

/** How many changed rows are kept for a snapshot before it is asked for anew. */
const MAX_KEPT = 100_000;

/* What a change says of itself, and not of the row. */
const ABOUT_THE_CHANGE = new Set(["why", "at", "after_at", "how", "channels_before"]);

/** `epoch-sequence` as `{epoch, sequence}`; null for what is none. */
export function position(text) {
  const found = /^(.+)-([0-9]+)$/.exec(text ?? "");
  return found && { epoch: found[1], sequence: Number(found[2]) };
}

/** Run something at the next frame, or soon where no frames are drawn: a page in the background goes on. */
export function atNextFrame(run) {
  let waiting = true;
  const once = () => {
    if (!waiting) return;
    waiting = false;
    run();
  };
  if (typeof requestAnimationFrame === "function") requestAnimationFrame(once);
  setTimeout(once, 250);
}

class List {
  constructor(server, kind, onLost) {
    Object.assign(this, { server, kind, onLost, rows: new Map(), at: null, floor: null, kept: null, keptRows: 0, lost: false });
  }
}

/** The rows of all lists that are looked at. `schedule` calls a function once, soon: the next frame. */
export class Store {
  constructor({ schedule = atNextFrame } = {}) {
    this.schedule = schedule;
    this.lists = new Map();
    this.listeners = new Set();
    this.pending = new Map();
    this.reached = new Map();
  }

  /** Hear of changes; answers a function that ends it. */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The rows of a list by key; empty where it is not looked at, or not there yet. */
  rows(server, kind) {
    return this.lists.get(name(server, kind))?.rows ?? NO_ROWS;
  }

  /** Whether a list is there. */
  isLoaded(server, kind) {
    return this.lists.get(name(server, kind))?.at != null;
  }

  /** Look at a list from now on, or ask for it anew: call it before the snapshot is asked for. `onLost()` is called when
   * a list that was there has to be asked for again. */
  begin(server, kind, onLost = () => {}) {
    let list = this.lists.get(name(server, kind));
    if (list === undefined) this.lists.set(name(server, kind), (list = new List(server, kind, onLost)));
    Object.assign(list, { onLost, kept: [], keptRows: 0, lost: false, floor: this.reached.get(server) ?? null });
  }

  /** Forget a list. */
  end(server, kind) {
    this.lists.delete(name(server, kind));
    this.pending.delete(name(server, kind));
  }

  /** Forget everything: somebody else has logged in. */
  clear() {
    for (const { server, kind } of [...this.lists.values()]) this.end(server, kind);
    this.reached.clear();
  }

  /** A snapshot has come: its rows, and the place in the stream that it is of (null where the answer names none). False
   * where it is older than what went by, and has to be asked for again. */
  put(server, kind, rows, at) {
    const list = this.lists.get(name(server, kind));
    if (list === undefined || list.kept === null) return true;
    const place = position(at) ?? list.floor ?? { epoch: "", sequence: -1 };
    const newest = list.kept.length ? list.kept[list.kept.length - 1].place : null;
    if (newest !== null && newest.epoch !== place.epoch) return false;
    if (list.floor && list.floor.epoch === place.epoch && place.sequence < list.floor.sequence) return false;
    const first = list.at === null;
    const told = this.#told(list);
    if (first) told.first = true;
    this.#replace(list, told, new Map(rows.map((row) => [row.key, row])));
    const kept = list.kept;
    Object.assign(list, { at: place, kept: null, keptRows: 0, lost: false });
    for (const { place: of, delta } of kept) this.#take(list, told, of, delta);
    return true;
  }

  #replace(list, told, rows) {
    const before = list.rows;
    for (const key of before.keys()) if (!rows.has(key)) closed(told, key, "vanished");
    for (const [key, row] of rows) {
      const old = before.get(key);
      if (old === undefined) told.opened.add(key);
      else if (isSame(old, row)) rows.set(key, old);
      else if (!told.opened.has(key)) told.changed.add(key);
    }
    list.rows = rows;
  }

  /** Take in where the stream begins (the id of a hello); `goesOn` where it was told up to there. */
  reach(id, goesOn = false) {
    const place = position(id);
    if (place === null) return;
    for (const list of this.lists.values()) {
      const { at } = list;
      if (list.kept !== null && !goesOn) list.floor = place;
      if (at !== null && (at.epoch !== place.epoch || (!goesOn && at.sequence < place.sequence))) this.#lose(list);
    }
  }

  /** Take in one delta of the stream, `{server, id, open, change, close}`. */
  apply(delta) {
    const place = position(delta.id);
    if (place !== null) this.reached.set(delta.server, place);
    for (const [kind, part] of byKind(delta)) {
      const list = this.lists.get(name(delta.server, kind));
      if (list === undefined) continue;
      if (list.kept !== null) this.#keep(list, place, part);
      else if (place !== null && list.at !== null && place.epoch !== list.at.epoch) {
        list.kept = [];
        this.#keep(list, place, part);
        this.#lose(list);
      } else if (list.at !== null) this.#take(list, this.#told(list), place, part);
    }
  }

  #keep(list, place, delta) {
    list.keptRows += delta.open.length + delta.change.length + delta.close.length;
    list.kept.push({ place, delta });
    if (list.keptRows <= MAX_KEPT) return;
    Object.assign(list, { kept: [], keptRows: 0, floor: place ?? list.floor });
    this.#lose(list);
  }

  /** The stream has lost its place: lists of this server, or of all for null, have to be asked for again. */
  resync(server = null) {
    for (const list of this.lists.values()) {
      if (server === null || list.server === server) this.#lose(list);
    }
  }

  #lose(list) {
    if (list.lost) return;
    list.lost = true;
    list.kept ??= [];
    list.onLost();
  }

  #take(list, told, place, delta) {
    if (place !== null && list.at !== null && place.epoch === list.at.epoch) {
      if (place.sequence <= list.at.sequence) return;
      list.at = place;
    }
    const { rows } = list;
    for (const { key, why } of delta.close) if (rows.delete(key)) closed(told, key, why ?? "vanished");
    for (const row of delta.open) {
      const was = rows.has(row.key);
      rows.set(row.key, stripped(row));
      (was && !told.opened.has(row.key) ? told.changed : told.opened).add(row.key);
    }
    for (const change of delta.change) {
      const row = rows.get(change.key);
      if (row === undefined) continue;
      rows.set(change.key, { ...row, ...stripped(change) });
      if (!told.opened.has(change.key)) told.changed.add(change.key);
    }
  }

  #told(list) {
    const which = name(list.server, list.kind);
    let told = this.pending.get(which);
    if (told === undefined) {
      told = { server: list.server, kind: list.kind, opened: new Set(), changed: new Set(), closed: new Map(), first: false };
      this.pending.set(which, told);
      if (this.pending.size === 1) this.schedule(() => this.flush());
    }
    return told;
  }

  /** Tell the listeners now what has changed. */
  flush() {
    const told = [...this.pending.values()];
    this.pending.clear();
    for (const change of told) for (const listener of [...this.listeners]) listener(change);
  }
}

const NO_ROWS = new Map();

function name(server, kind) {
  return `${kind} ${server}`;
}

/** A row has gone; one that came and went since the last frame was never there. */
function closed(told, key, why) {
  const isNew = told.opened.delete(key);
  told.changed.delete(key);
  if (!isNew || told.closed.has(key)) told.closed.set(key, why);
}

function stripped(form) {
  const row = {};
  for (const member in form) if (!ABOUT_THE_CHANGE.has(member)) row[member] = form[member];
  return row;
}

function isSame(one, other) {
  const [members, others] = [Object.keys(one), Object.keys(other)];
  return members.length === others.length && members.every((member) => isEqual(one[member], other[member]));
}

function isEqual(one, other) {
  if (one === other) return true;
  return Array.isArray(one) && Array.isArray(other) && one.length === other.length && one.every((each, place) => each === other[place]);
}

/** The parts of a delta that are of one kind of row each: a key begins with its kind. */
function byKind(delta) {
  const found = new Map();
  for (const part of ["open", "change", "close"]) {
    for (const form of delta[part] ?? []) {
      const kind = form.kind ?? form.key.slice(0, form.key.indexOf(":"));
      let of = found.get(kind);
      if (of === undefined) found.set(kind, (of = { open: [], change: [], close: [] }));
      of[part].push(form);
    }
  }
  return found;
}
