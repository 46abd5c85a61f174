/* The rows of one list: which of them are shown, in which order, where the cursor stands, and which are selected.
 *
 * Nothing here knows of a page; time is an argument. The rules are those of the screen of `lanman watch`:
 *
 *   - A row is its key, never its line. Rows may come, go and move between a look at the page and the next key, and what
 *     was meant stays what was meant.
 *   - The cursor's row stays where people see it. One that has gone, or that the filter no longer lets through, is shown
 *     as such until the cursor leaves it; it is no target any more, and no other row gets the cursor in its place.
 *   - What goes, and what the filter hides, leaves the selection, and it is said how many that were. A row that comes is
 *     never selected, also where its key is that of one that has gone.
 *   - What is not known sorts last in both directions; equal rows stand as they came.
 *
 * What a row is sorted and searched by is made once for each row, and again when it changes: a change costs what has
 * changed, and one pass over the list.
 */

import { haystack } from "./filter.js";

/** For so many seconds a row is new, or has just changed. */
export const FRESH = 3;

/** One row, with what is known of it here. `fresh` is "new", "changed" or "". */
class Entry {
  constructor(key, row, number) {
    this.key = key;
    this.row = row;
    this.number = number;
    this.value = null;
    this.hay = null;
    this.passes = true;
    this.isThere = true;
    this.isShown = false;
    this.isPlaced = false;
    this.fresh = "";
    this.freshAt = 0;
  }
}

const ALL = { errors: [], isEmpty: true, timed: false, test: () => true };
const NONE = { test: () => false };

/** A list. `columns` are those that are shown: `{id, text(row, now), order(row), searched}`. `order` has the entries that
 * are shown, from top to bottom. */
export class Listing {
  constructor(columns) {
    this.columns = columns;
    this.entries = new Map();
    this.all = [];
    this.order = [];
    this.filter = ALL;
    this.sort = null;
    this.cursor = null;
    this.anchor = null;
    this.selected = new Set();
    this.count = 0;
  }

  /* --- what there is */

  /** Have these rows and no others, none of them as news: `rows` is a Map by key. */
  fill(rows, now) {
    this.entries.clear();
    this.cursor = this.anchor = null;
    this.selected.clear();
    for (const [key, row] of rows) this.entries.set(key, new Entry(key, row, this.count++));
    this.all = [...this.entries.values()];
    for (const entry of this.all) this.#evaluate(entry);
    this.#sortAll();
    this.#sift(now);
  }

  /** Take in what has changed, `{opened, changed, closed}` as the store tells it; `rows` are all there are. Answers how
   * many selected rows have gone, and how many the filter hides now: `{gone, hidden}`. */
  update({ opened, changed, closed }, rows, now, isNews = true) {
    const moved = [];
    const lost = { gone: 0, hidden: 0 };
    for (const key of closed.keys()) this.#close(key, lost);
    for (const key of opened) {
      const row = rows.get(key);
      if (row !== undefined && !this.entries.has(key)) moved.push(this.#open(key, row, now, isNews));
    }
    for (const key of changed) {
      const entry = this.entries.get(key);
      const row = rows.get(key);
      if (entry !== undefined && row !== undefined) this.#change(entry, row, now, moved, lost, isNews);
    }
    this.#merge(moved);
    return lost;
  }

  #open(key, row, now, isNews) {
    const entry = new Entry(key, row, this.count++);
    if (isNews) Object.assign(entry, { fresh: "new", freshAt: now });
    this.entries.set(key, entry);
    this.#evaluate(entry);
    entry.passes = entry.isShown = this.#passes(entry, now);
    return entry;
  }

  #close(key, lost) {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    if (this.selected.delete(key)) lost.gone += 1;
    entry.isThere = false;
    // Under the cursor it stays until the cursor goes.
    entry.isShown = entry.isPlaced = entry === this.cursor && entry.isShown;
    if (entry === this.anchor) this.anchor = null;
  }

  #change(entry, row, now, moved, lost, isNews) {
    entry.row = row;
    entry.hay = null;
    if (isNews && (entry.fresh !== "new" || now - entry.freshAt >= FRESH)) {
      entry.fresh = "changed";
      entry.freshAt = now;
    }
    const before = entry.value;
    this.#evaluate(entry);
    if (before !== entry.value) {
      entry.isPlaced = false;
      moved.push(entry);
    }
    entry.passes = this.#passes(entry, now);
    entry.isShown = entry.passes || (entry === this.cursor && entry.isShown);
    if (!entry.passes && this.selected.delete(entry.key)) lost.hidden += 1;
  }

  #evaluate(entry) {
    entry.value = this.sort === null ? null : (this.sort.column.order(entry.row) ?? null);
  }

  #passes(entry, now) {
    if (this.filter.isEmpty) return true;
    if (entry.hay === null && this.filter.searches) {
      const searched = this.columns.filter((column) => column.searched !== false);
      entry.hay = haystack(searched.map((column) => column.text(entry.row, now)));
    }
    return this.filter.test(entry.row, entry.hay, now);
  }

  /** Put rows whose place has changed where they belong, and leave out those that have gone. */
  #merge(moved) {
    moved.sort(this.#compare);
    const kept = this.all.filter((entry) => entry.isPlaced);
    const merged = new Array(kept.length + moved.length);
    let [place, next] = [0, 0];
    for (let at = 0; at < merged.length; at++) {
      const takeMoved = place >= kept.length || (next < moved.length && this.#compare(moved[next], kept[place]) < 0);
      merged[at] = takeMoved ? moved[next++] : kept[place++];
    }
    for (const entry of moved) entry.isPlaced = true;
    this.all = merged;
    this.order = merged.filter((entry) => entry.isShown);
  }

  #compare = (one, other) => {
    if (this.sort !== null && one.value !== other.value) {
      if (one.value === null) return 1;
      if (other.value === null) return -1;
      return one.value < other.value !== this.sort.down ? -1 : 1;
    }
    return one.number - other.number;
  };

  #sortAll() {
    // Sorting by values alone is several times faster than by #compare, which asks more.
    this.all = this.sort === null ? this.all.sort((one, other) => one.number - other.number) : sorted(this.all, this.sort.down);
    for (const entry of this.all) entry.isPlaced = true;
  }

  /** Find anew what is shown. A row under the cursor that is shown stays so. */
  #sift(now) {
    const { cursor } = this;
    for (const entry of this.all) {
      entry.passes = this.#passes(entry, now);
      entry.isShown = (entry.passes && entry.isThere) || (entry === cursor && entry.isShown);
    }
    this.order = this.all.filter((entry) => entry.isShown);
  }

  /** As time goes by a filter (`idle>1h`) lets other rows through. Answers how many selected rows it hides now. */
  tick(now) {
    if (!this.filter.timed) return 0;
    this.#sift(now);
    return this.#deselectHidden();
  }

  /* --- what people choose */

  /** Show what a filter lets through; null for all. One with errors lets nothing through. Answers how many selected rows
   * it hides. */
  setFilter(filter, now) {
    this.filter = filter === null ? ALL : filter.errors.length ? { ...filter, ...NONE, isEmpty: false } : filter;
    this.#sift(now);
    if (this.cursor !== null && !this.isTarget(this.cursor)) this.#leave();
    return this.#deselectHidden();
  }

  #deselectHidden() {
    const hidden = [...this.selected].filter((key) => !this.entries.get(key).passes);
    for (const key of hidden) this.selected.delete(key);
    return hidden.length;
  }

  /** Sort by a column, or leave rows as they came for null. */
  setSort(column, down) {
    this.sort = column === null ? null : { column, down };
    for (const entry of this.all) this.#evaluate(entry);
    this.#sortAll();
    this.order = this.all.filter((entry) => entry.isShown);
  }

  /** Have other columns: what is searched changes with them. */
  setColumns(columns, now) {
    this.columns = columns;
    for (const entry of this.entries.values()) entry.hay = null;
    return this.filter.isEmpty ? 0 : this.setFilter(this.filter, now);
  }

  /* --- what stands where */

  /** How many rows the filter lets through. */
  get shown() {
    return this.order.length - (this.cursor !== null && !this.isTarget(this.cursor) && this.cursor.isShown ? 1 : 0);
  }

  /** Whether an entry is there, and let through. */
  isTarget(entry) {
    return entry.isThere && entry.passes;
  }

  /** On which line the cursor stands; -1 where it stands nowhere. */
  get place() {
    return this.cursor === null ? -1 : this.order.indexOf(this.cursor);
  }

  /** The keys that an order means, from top to bottom: what is selected, else the row under the cursor. */
  get targets() {
    if (this.selected.size) return this.order.filter((entry) => entry.isThere && this.selected.has(entry.key)).map((entry) => entry.key);
    return this.cursor !== null && this.isTarget(this.cursor) ? [this.cursor.key] : [];
  }

  /* --- cursor and selection */

  /** Put the cursor on a line, or on the nearest that there is. Answers whether it stands on one. */
  goTo(place) {
    if (!this.order.length) return false;
    const entry = this.order[Math.max(0, Math.min(place, this.order.length - 1))];
    if (entry === this.cursor) return true;
    const left = this.cursor;
    this.cursor = entry;
    if (left !== null && !this.isTarget(left)) this.#drop(left);
    return true;
  }

  #leave() {
    const left = this.cursor;
    this.cursor = null;
    this.#drop(left);
  }

  #drop(entry) {
    entry.isShown = false;
    this.order = this.order.filter((each) => each !== entry);
    if (!entry.isThere) this.all = this.all.filter((each) => each !== entry);
  }

  /** Select the row under the cursor, or take it out. False where it is not there to be selected. */
  toggle(entry = this.cursor) {
    if (entry === null || !this.isTarget(entry)) return false;
    if (!this.selected.delete(entry.key)) this.selected.add(entry.key);
    this.anchor = entry;
    return true;
  }

  /** Select one row and no other. */
  selectOnly(entry) {
    this.selected.clear();
    if (entry !== null && this.isTarget(entry)) this.toggle(entry);
  }

  /** Select from where the selection began to the cursor, and nothing else. */
  selectRange() {
    const from = this.anchor !== null && this.anchor.isShown ? this.order.indexOf(this.anchor) : this.place;
    const to = this.place;
    if (to === -1) return;
    if (this.anchor === null || !this.anchor.isShown) this.anchor = this.cursor;
    this.selected.clear();
    for (const entry of this.order.slice(Math.min(from, to), Math.max(from, to) + 1)) {
      if (this.isTarget(entry)) this.selected.add(entry.key);
    }
  }

  /** Select all that are shown. */
  selectAll() {
    for (const entry of this.order) if (this.isTarget(entry)) this.selected.add(entry.key);
  }

  selectNone() {
    this.selected.clear();
    this.anchor = null;
  }
}

function sorted(entries, down) {
  const known = entries.filter((entry) => entry.value !== null);
  const unknown = entries.filter((entry) => entry.value === null);
  const sign = down ? -1 : 1;
  known.sort((one, other) => (one.value < other.value ? -sign : one.value > other.value ? sign : one.number - other.number));
  unknown.sort((one, other) => one.number - other.number);
  return known.concat(unknown);
}
