/* A list of very many rows on a page: a grid whose rows are made for the lines that are seen, and used again.
 *
 *   const grid = new Grid(element, { name, kind, label, columns, rows, actions, preferences, clock, about, onOpen, … });
 *   grid.update(change);          // as the store tells it: {opened, changed, closed, first}
 *   grid.selected;                // keys, from top to bottom: what an order means
 *   grid.destroy();
 *
 *   columns   [{id, title, text(row, now, times), order(row), value(row), width, searched, ticks, phone, right}]: `text` is
 *             what stands in the cell ("-" for what is not known), `order` what it is sorted by (null: not known, last),
 *             `value` what CSV has in it, `width` a track of CSS grid, `ticks` that it says another thing each second,
 *             `keepsEnd` that what is too long is cut at its beginning, as the name of a file is a path's end,
 *             `phone` "title", "end" or "sub": where it stands in the two lines of a narrow window
 *   rows      the Map by key, which the store keeps
 *   actions   [{title, key, grave, why(keys), run(keys)}]: `why` says in words why it cannot be done, null where it can
 *
 * The rules:
 *
 *   - Which rows are shown, selected and meant is `Listing`'s. Here is what people see of it and how they get about.
 *   - Text goes into the page with textContent, through `visible`.
 *   - ARIA: a grid with counts and indexes of all rows, though some 40 are there; one cell is in the order of the Tab key
 *     (roving tabindex), and the row that it is in stays in the page when it is scrolled away.
 *   - What a press of the mouse meant is the row that was there when the button went down.
 *   - Said aloud: what a person did to the list, and what was taken out of their selection. Not what changes by itself.
 *
 * tests/faces/web/test_grid_page.py has it in Chromium, tests/js/ the parts that need no page.
 */

import { csv, download } from "./csv.js";
import { parseFilter } from "./filter.js";
import { FRESH, Listing } from "./listing.js";
import { chooseColumns, make, showKeys } from "./gridparts.js";
import { grouped, many, visible } from "./text.js";

/* Lines that are kept above and below those that are seen. */
const BEYOND = 6;
/* However high the list is made, no more lines than this are there. */
const MAX_LINES = 250;
const NARROW = "(max-width: 40rem)";
/* While somebody types, rows are filtered this many milliseconds after the last key. */
const TYPING = 60;
const TELL_AFTER = 700;
const PICK = { id: "", title: "Selected", width: "2.25rem" };

const THINGS = { session: "session", file: "file", share: "share" };

export class Grid {
  constructor(element, options) {
    const { columns, rows, kind = "session", preferences = null, clock = { now: () => Date.now() / 1000 } } = options;
    Object.assign(this, { element, options, rows, kind, preferences, clock, all: columns, actions: options.actions ?? [] });
    this.thing = options.thing ?? THINGS[kind];
    this.about = options.about ?? {};
    this.times = preferences?.times ?? "relative";
    const usual = columns.filter((column) => column.usual !== false).map((column) => column.id);
    const ids = preferences?.columns(options.name, this.#ids(), usual) ?? usual;
    this.usual = usual;
    this.columns = ids.map((id) => this.#column(id));
    this.listing = new Listing(this.columns);
    this.nodes = [];
    this.at = { isHead: false, column: 1 };
    this.filterText = "";
    this.errors = [];
    this.frame = 0;
    this.ended = new AbortController();
    this.#build();
    const sort = preferences?.sort(options.name, this.#ids()) ?? options.sort ?? null;
    if (sort) this.listing.setSort(this.#column(sort.column), sort.down);
    this.listing.fill(rows, this.clock.now());
    this.#drawHead();
    this.#layOut();
    this.ticking = setInterval(() => this.#tick(), 1000);
  }

  #ids() {
    return this.all.map((column) => column.id);
  }

  #column(id) {
    return this.all.find((column) => column.id === id);
  }

  #listen(target, name, listener) {
    target.addEventListener(name, listener, { signal: this.ended.signal });
  }

  /** The keys that an order means, from top to bottom: what is selected, else the row under the cursor. */
  get selected() {
    return this.listing.targets;
  }

  /** How many rows are there, and how many the filter lets through. */
  get counts() {
    return { all: this.listing.entries.size, shown: this.listing.shown, selected: this.listing.selected.size };
  }

  /** Take in what has changed, `{opened, changed, closed, first}`. */
  update(change) {
    const now = this.clock.now();
    if (change.first) this.listing.fill(this.rows, now);
    else this.#lost(this.listing.update(change, this.rows, now));
    this.draw();
  }

  /** Have other rows altogether: another Map by key. */
  fill(rows) {
    this.rows = rows;
    this.listing.fill(rows, this.clock.now());
    this.draw();
  }

  destroy() {
    this.ended.abort();
    clearInterval(this.ticking);
    clearTimeout(this.typing);
    clearTimeout(this.telling);
    cancelAnimationFrame(this.frame);
    this.sizes?.disconnect();
    this.element.replaceChildren();
  }

  /* --- what a person chooses */

  /** Show what a filter lets through. */
  setFilter(text) {
    this.filterText = text;
    if (this.input.value !== text) this.input.value = text;
    const filter = parseFilter(text, this.kind, this.about);
    this.errors = filter.errors;
    this.input.setAttribute("aria-invalid", String(filter.errors.length > 0));
    this.problem.textContent = filter.errors.join(". ");
    // What was shown stays while somebody is in the middle of a word; an address with a mistake shows nothing.
    if (!filter.errors.length || this.listing.filter.isEmpty) {
      this.#lost({ gone: 0, hidden: this.listing.setFilter(filter, this.clock.now()) });
      this.scroller.scrollTop = 0;
      this.#tellLater();
    }
    this.draw();
    this.#viewed();
  }

  /** Sort by a column; by the one that it is sorted by the other way round, then not at all. */
  turn(id) {
    const sort = this.listing.sort;
    if (sort?.column.id !== id) this.setSort({ column: id, down: false });
    else this.setSort(sort.down ? null : { column: id, down: true });
  }

  setSort(sort) {
    const column = sort === null ? null : (this.#column(sort.column) ?? null);
    this.listing.setSort(column, sort?.down ?? false);
    this.#drawHead();
    this.draw();
    this.#kept();
    this.#say(column === null ? "Not sorted" : `Sorted by ${column.title}, ${sort.down ? "descending" : "ascending"}`);
  }

  /** Show these columns, in this order. Ids that are not known are left out. */
  setColumns(ids) {
    const columns = ids.map((id) => this.#column(id)).filter(Boolean);
    if (!columns.length) return;
    this.columns = columns;
    this.#lost({ gone: 0, hidden: this.listing.setColumns(columns, this.clock.now()) });
    this.at.column = Math.min(this.at.column, columns.length);
    for (const node of this.nodes.splice(0)) node.element.remove();
    this.#drawHead();
    this.#layOut();
    this.#kept();
  }

  /** "relative" or "absolute" times. */
  setTimes(times) {
    this.times = times;
    if (this.preferences) this.preferences.times = times;
    this.timesButton.textContent = times === "relative" ? "Times: ago" : "Times: clock";
    this.draw();
  }

  #kept() {
    const sort = this.listing.sort;
    this.preferences?.keep(this.options.name, {
      columns: this.columns.map((column) => column.id),
      sort: sort && { column: sort.column.id, down: sort.down },
    });
    this.#viewed();
  }

  #viewed() {
    this.options.onView?.(this.view);
  }

  /** What the address of the list says: `{filter, sort, columns}`; columns are null where they are the usual ones. */
  get view() {
    const ids = this.columns.map((column) => column.id);
    const sort = this.listing.sort;
    const isUsual = ids.join() === this.usual.join();
    return { filter: this.filterText, sort: sort && { column: sort.column.id, down: sort.down }, columns: isUsual ? null : ids };
  }

  /** Take in what an address says; null is left as it is. */
  set view({ filter, sort, columns }) {
    if (columns) this.setColumns(columns);
    if (sort && this.#column(sort.column)) this.setSort(sort);
    if (filter !== null && filter !== undefined && filter !== this.filterText) this.setFilter(filter);
  }

  /** The text of a CSV file of what is shown. */
  csv() {
    const value = (column, row) => (column.value ? column.value(row) : plain(column.text(row, this.clock.now(), "absolute")));
    const rows = this.listing.order.filter((entry) => this.listing.isTarget(entry)).map(({ row }) => this.columns.map((column) => value(column, row)));
    return csv(this.columns.map((column) => column.title), rows);
  }

  /* --- the page around the rows */

  #build() {
    const id = `grid-${(Grid.last = (Grid.last ?? 0) + 1)}`;
    this.input = make("input", "grid-filter", { type: "search", placeholder: "Filter  ( / )", "aria-label": `Filter ${this.options.label}`, autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-problem`, maxlength: "500" });
    this.counted = make("span", "grid-counts");
    this.problem = make("p", "grid-problem", { id: `${id}-problem`, role: "alert" });
    this.live = make("p", "unseen", { role: "status" });
    this.timesButton = this.#button(this.times === "relative" ? "Times: ago" : "Times: clock", () => this.setTimes(this.times === "relative" ? "absolute" : "relative"));
    this.sortBox = make("select", "grid-sort", { "aria-label": "Sort by" });
    this.#listen(this.sortBox, "change", () => this.#sortChosen());
    const tools = [
      this.timesButton,
      this.#button("Columns", () => chooseColumns(this)),
      this.#button("CSV", () => this.#save()),
      this.#button("Print", () => window.print()),
      this.#button("?", () => showKeys(this), "Keys and filters"),
    ];
    const bar = make("div", "grid-bar", {}, this.input, this.sortBox, this.counted, make("div", "grid-tools", {}, ...tools));
    this.actionBar = make("div", "grid-actions", { role: "group", "aria-label": `Orders for the selected ${this.thing}s` });
    this.#buildActions(id);
    this.head = make("div", "grid-head", { role: "rowgroup" });
    this.headRow = make("div", "grid-row", { role: "row", "aria-rowindex": "1" });
    this.head.append(this.headRow);
    this.body = make("div", "grid-body", { role: "rowgroup" });
    this.grid = make("div", "grid", { role: "grid", "aria-label": this.options.label, "aria-multiselectable": "true", id }, this.head, this.body);
    this.scroller = make("div", "grid-scroll", {}, this.grid);
    this.empty = make("p", "grid-empty", { hidden: "" });
    this.element.classList.add("grid-frame");
    this.element.replaceChildren(bar, this.problem, this.actionBar, this.scroller, this.empty, this.live);
    this.#wire();
  }

  #button(title, run, label = null) {
    const button = make("button", "quiet", { type: "button", ...(label && { "aria-label": label, title: label }) });
    button.textContent = title;
    this.#listen(button, "click", run);
    return button;
  }

  #buildActions(id) {
    this.why = make("span", "grid-why", { id: `${id}-why` });
    this.picked = make("span", "grid-picked");
    this.actionButtons = this.actions.map((action, number) => {
      const button = this.#button(action.title, () => this.act(action));
      button.className = action.grave === false ? "" : "grave";
      button.setAttribute("aria-describedby", `${id}-why-${number}`);
      const why = make("span", "grid-why", { id: `${id}-why-${number}` });
      return { action, button, why };
    });
    this.actionBar.append(this.picked, ...this.actionButtons.flatMap(({ button, why }) => [button, why]));
    this.actionBar.hidden = !this.actions.length;
  }

  #wire() {
    this.#listen(this.input, "input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.setFilter(this.input.value), TYPING);
    });
    this.#listen(this.input, "keydown", (event) => this.#filterKey(event));
    this.#listen(this.scroller, "scroll", () => this.draw());
    this.#listen(this.grid, "keydown", (event) => this.#key(event));
    this.#listen(this.grid, "pointerdown", (event) => {
      this.pressed = this.#hit(event.target);
    });
    this.#listen(this.grid, "click", (event) => this.#click(event));
    this.#listen(this.grid, "focusin", (event) => this.#entered(this.#hit(event.target)));
    this.#listen(this.grid, "dblclick", (event) => this.#open(this.#hit(event.target)?.entry));
    this.#listen(this.grid, "pointerover", (event) => showWhole(event.target));
    this.#listen(document, "keydown", (event) => this.#pageKey(event));
    this.#listen(window, "beforeprint", () => this.#print());
    this.#listen(window, "afterprint", () => this.printed?.remove());
    this.narrow = matchMedia(NARROW);
    this.#listen(this.narrow, "change", () => this.#layOut());
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.scroller);
  }

  #drawHead() {
    const sort = this.listing.sort;
    const cells = [PICK, ...this.columns].map((column, place) => {
      const isSorted = sort?.column === column;
      const cell = make("div", `grid-cell ${cellClass(column)}`, { role: "columnheader", "aria-colindex": String(place + 1), tabindex: "-1" });
      if (place > 0) cell.setAttribute("aria-sort", isSorted ? (sort.down ? "descending" : "ascending") : "none");
      cell.append(make("span", place > 0 ? "grid-title" : "unseen", {}, column.title));
      if (isSorted) cell.append(make("span", "grid-arrow", { "aria-hidden": "true" }, sort.down ? " ▼" : " ▲"));
      return cell;
    });
    const hadFocus = this.headRow.contains(document.activeElement);
    this.headRow.replaceChildren(...cells);
    this.grid.setAttribute("aria-colcount", String(cells.length));
    this.grid.style.setProperty("--grid-columns", [PICK, ...this.columns].map((column) => column.width ?? "minmax(6rem, 1fr)").join(" "));
    this.#drawSortBox();
    this.#rove();
    if (hadFocus) this.focus();
  }

  #drawSortBox() {
    const sort = this.listing.sort;
    const options = [["", "Not sorted"]];
    for (const column of this.columns) options.push([column.id, `${column.title} ▲`], [`-${column.id}`, `${column.title} ▼`]);
    this.sortBox.replaceChildren(...options.map(([value, title]) => make("option", "", { value }, title)));
    this.sortBox.value = sort === null ? "" : (sort.down ? "-" : "") + sort.column.id;
  }

  #sortChosen() {
    const { value } = this.sortBox;
    this.setSort(value === "" ? null : { column: value.replace(/^-/, ""), down: value.startsWith("-") });
  }

  /* --- rows on the page */

  #layOut() {
    this.element.classList.toggle("is-narrow", this.narrow.matches);
    this.lineHeight = 0;
    this.draw();
  }

  #measure() {
    const probe = this.nodes[0] ?? this.#node();
    this.lineHeight = Math.max(16, probe.element.getBoundingClientRect().height);
    for (const node of this.nodes) node.place = -1;
  }

  /** Draw at the next frame; however often it is called until then. */
  draw() {
    this.frame ||= requestAnimationFrame(() => this.drawNow());
  }

  /** Draw what is seen, now. */
  drawNow() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    // Where nothing is seen, nothing can be measured: the observer of the size calls again.
    if (!this.scroller.clientHeight) return;
    if (!this.lineHeight) this.#measure();
    const { order, cursor } = this.listing;
    const height = `${order.length * this.lineHeight}px`;
    if (this.body.style.height !== height) this.body.style.height = height;
    this.grid.setAttribute("aria-rowcount", String(order.length + 1));
    const top = Math.max(0, this.scroller.scrollTop - this.head.offsetHeight);
    const first = Math.max(0, Math.floor(top / this.lineHeight) - BEYOND);
    const seen = Math.ceil((top + this.scroller.clientHeight) / this.lineHeight) + BEYOND;
    const last = Math.min(order.length, seen, first + MAX_LINES);
    const wanted = new Map();
    for (let place = first; place < last; place++) wanted.set(order[place], place);
    if (cursor !== null && !wanted.has(cursor)) {
      const place = order.indexOf(cursor);
      if (place !== -1) wanted.set(cursor, place);
    }
    this.#assign(wanted);
    this.#drawCounts();
    this.#rove();
  }

  /** Give each row that is wanted a node: the one that it had, or one that is free. */
  #assign(wanted) {
    const free = [];
    const now = this.clock.now();
    for (const node of this.nodes) {
      const place = node.entry && wanted.get(node.entry);
      if (place === undefined || place === null) free.push(node);
      else {
        wanted.delete(node.entry);
        this.#drawRow(node, node.entry, place, now);
      }
    }
    for (const [entry, place] of wanted) this.#drawRow(free.pop() ?? this.#node(), entry, place, now);
    for (const node of free) {
      node.entry = null;
      node.element.hidden = true;
    }
    while (free.length > 60) {
      const node = free.pop();
      node.element.remove();
      this.nodes.splice(this.nodes.indexOf(node), 1);
    }
  }

  #node() {
    const cells = [PICK, ...this.columns].map((column, place) => make("div", `grid-cell ${cellClass(column)}`, { role: "gridcell", "aria-colindex": String(place + 1), tabindex: "-1" }));
    const element = make("div", "grid-row", { role: "row" }, ...cells);
    // Cut at its beginning, a text has to be isolated, or the cell's direction would reorder it.
    const texts = cells.map((cell, place) => (this.columns[place - 1]?.keepsEnd ? cell.appendChild(make("bdi", "", { dir: "ltr" })) : cell));
    const node = { element, cells, texts, said: cells.map(() => null), entry: null, place: -1, classes: "" };
    element.node = node;
    this.nodes.push(node);
    this.body.append(element);
    return node;
  }

  #drawRow(node, entry, place, now) {
    if (node.entry !== entry) {
      node.entry = entry;
      node.element.hidden = false;
    }
    if (node.place !== place) {
      node.place = place;
      node.element.style.transform = `translateY(${place * this.lineHeight}px)`;
      node.element.setAttribute("aria-rowindex", String(place + 2));
    }
    const isSelected = entry.isThere && this.listing.selected.has(entry.key);
    this.#drawCell(node, 0, isSelected ? "✓" : "");
    this.columns.forEach((column, number) => this.#drawCell(node, number + 1, column.text(entry.row, now, this.times)));
    const state = !entry.isThere ? " is-gone" : !entry.passes ? " is-hidden-by-filter" : "";
    const fresh = now - entry.freshAt < FRESH && entry.fresh ? ` is-${entry.fresh}` : "";
    const classes = `grid-row${isSelected ? " is-selected" : ""}${state}${fresh}${this.#rowClass(entry.row)}`;
    if (node.classes === classes) return;
    node.classes = classes;
    node.element.className = classes;
    node.element.setAttribute("aria-selected", String(isSelected));
    if (state) node.element.setAttribute("aria-description", entry.isThere ? "no longer matches the filter" : "has gone");
    else node.element.removeAttribute("aria-description");
  }

  #rowClass(row) {
    const name = this.options.rowClass?.(row) ?? "";
    return name && ` ${name}`;
  }

  #drawCell(node, number, text) {
    if (node.said[number] === text) return;
    node.said[number] = text;
    const cell = node.cells[number];
    node.texts[number].textContent = visible(text);
    cell.title = "";
    if (number === 0) cell.setAttribute("aria-label", text ? "selected" : "not selected");
  }

  #tick() {
    if (document.hidden) return;
    const now = this.clock.now();
    if (Math.floor(now) % 5 === 0 && this.listing.filter.timed) {
      this.#lost({ gone: 0, hidden: this.listing.tick(now) });
      this.draw();
    }
    for (const node of this.nodes) {
      if (node.entry === null) continue;
      this.columns.forEach((column, number) => {
        if (column.ticks) this.#drawCell(node, number + 1, column.text(node.entry.row, now, this.times));
      });
      if (node.entry.fresh && now - node.entry.freshAt >= FRESH) {
        node.entry.fresh = "";
        this.#drawRow(node, node.entry, node.place, now);
      }
    }
  }

  #drawCounts() {
    const { all, shown, selected } = this.counts;
    const said = this.listing.filter.isEmpty ? many(all, this.thing) : `${grouped(shown)} of ${many(all, this.thing)}`;
    if (this.counted.textContent !== said) this.counted.textContent = said;
    const targets = selected || (this.listing.targets.length ? 1 : 0);
    this.picked.textContent = selected ? `${many(selected, this.thing)} selected:` : targets ? `The ${this.thing} under the cursor:` : "Nothing selected.";
    const state = `${selected} ${this.listing.cursor?.key} ${targets} ${this.options.stateOf?.() ?? ""}`;
    if (state !== this.drawnActions) {
      this.drawnActions = state;
      this.#drawActions();
    }
    const isEmpty = all > 0 && shown === 0;
    this.empty.hidden = !isEmpty;
    if (isEmpty) this.empty.textContent = this.errors.length ? "The filter is not understood: nothing is shown." : `No ${this.thing} matches the filter. Escape in the filter shows all.`;
    this.options.onCounts?.(this.counts);
  }

  /** Draw anew why orders cannot be given: what a server can do has changed. */
  drawActions() {
    this.#drawActions();
  }

  #drawActions() {
    const keys = this.listing.targets;
    for (const { action, button, why } of this.actionButtons) {
      const reason = keys.length ? (action.why?.(keys) ?? null) : `no ${this.thing} is selected`;
      button.setAttribute("aria-disabled", String(reason !== null));
      why.textContent = reason === null ? "" : `${action.title}: ${reason}`;
      why.classList.toggle("unseen", !keys.length);
    }
  }

  /** Give an order for what is selected, where it can be given. */
  act(action) {
    const keys = this.listing.targets;
    const reason = keys.length ? (action.why?.(keys) ?? null) : `no ${this.thing} is selected`;
    if (reason !== null) this.#say(`${action.title}: ${reason}`);
    else action.run(keys);
  }

  /* --- said aloud */

  #say(words) {
    this.live.textContent = words;
  }

  #tellLater() {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.#say(`${grouped(this.listing.shown)} of ${many(this.listing.entries.size, this.thing)} shown`), TELL_AFTER);
  }

  #lost({ gone, hidden }) {
    if (!gone && !hidden) return;
    const said = [];
    if (gone) said.push(`${many(gone, `selected ${this.thing}`)} ${gone === 1 ? "has" : "have"} gone`);
    if (hidden) said.push(`${many(hidden, `selected ${this.thing}`)} ${hidden === 1 ? "does" : "do"} not match the filter any more`);
    const words = `${said.join(", ")}; ${many(this.listing.selected.size, this.thing)} left in the selection`;
    this.#say(words);
    this.options.onLost?.(words);
  }

  /* --- the mouse */

  #hit(target) {
    const cell = target.closest?.(".grid-cell");
    if (!cell || !this.grid.contains(cell)) return null;
    const row = cell.parentElement;
    return { cell, row, column: [...row.children].indexOf(cell), entry: row.node?.entry ?? null, isHead: row === this.headRow };
  }

  #click(event) {
    const hit = this.#hit(event.target);
    const pressed = this.pressed;
    this.pressed = null;
    // Rows may have moved between the press of the button and its release.
    if (hit === null || (pressed && (pressed.row !== hit.row || pressed.entry !== hit.entry))) return;
    if (hit.isHead) {
      this.at = { isHead: true, column: hit.column };
      if (hit.column === 0) this.#toggleAll();
      else this.turn(this.columns[hit.column - 1].id);
      this.focus();
      return;
    }
    if (hit.entry === null) return;
    this.at = { isHead: false, column: hit.column };
    this.listing.goTo(this.listing.order.indexOf(hit.entry));
    if (event.shiftKey) this.listing.selectRange();
    else if (hit.column === 0 || event.ctrlKey || event.metaKey) this.listing.toggle();
    else if (this.narrow.matches) this.#open(hit.entry);
    else this.listing.selectOnly(hit.entry);
    this.#moved();
  }

  #open(entry) {
    if (entry?.isThere) this.options.onOpen?.(entry.key);
  }

  #toggleAll() {
    if (this.listing.selected.size) this.listing.selectNone();
    else this.listing.selectAll();
    this.#say(`${many(this.listing.selected.size, this.thing)} selected`);
    this.#moved();
  }

  /* --- the keyboard */

  #pageKey(event) {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "/") {
      event.preventDefault();
      this.input.focus();
      this.input.select();
    } else if (event.key === "?") {
      event.preventDefault();
      showKeys(this);
    }
  }

  #filterKey(event) {
    if (event.key === "Escape" && this.input.value !== "") {
      event.preventDefault();
      clearTimeout(this.typing);
      this.setFilter("");
    } else if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      clearTimeout(this.typing);
      if (this.input.value !== this.filterText) this.setFilter(this.input.value);
      this.at.isHead = false;
      this.#go(Math.max(0, this.listing.place));
    }
  }

  #key(event) {
    const handler = this.#keys[event.key === " " ? "Space" : event.key];
    const command = event.ctrlKey || event.metaKey;
    if (event.altKey) return;
    if (command && event.key.toLowerCase() === "a") {
      this.listing.selectAll();
      this.#say(`${many(this.listing.selected.size, this.thing)} selected`);
      this.#moved();
    } else if (handler && !(command && !["Home", "End"].includes(event.key))) handler(event);
    else {
      const wanted = this.actions.find((action) => action.key === event.key);
      if (!wanted || command) return;
      this.act(wanted);
    }
    event.preventDefault();
  }

  #keys = {
    ArrowDown: (event) => this.#step(1, event),
    ArrowUp: (event) => this.#step(-1, event),
    PageDown: (event) => this.#step(this.#page(), event),
    PageUp: (event) => this.#step(-this.#page(), event),
    ArrowRight: () => this.#sideways(this.at.column + 1),
    ArrowLeft: () => this.#sideways(this.at.column - 1),
    Home: (event) => (event.ctrlKey ? this.#go(0, event) : this.#sideways(0)),
    End: (event) => (event.ctrlKey ? this.#go(this.listing.order.length - 1, event) : this.#sideways(this.columns.length)),
    Space: (event) => this.#space(event),
    Enter: () => {
      if (this.at.isHead) this.#headKey();
      else this.#open(this.listing.cursor);
    },
    Escape: () => {
      this.listing.selectNone();
      this.#moved();
    },
    s: () => this.at.column > 0 && this.turn(this.columns[this.at.column - 1].id),
  };

  #headKey() {
    if (this.at.column === 0) this.#toggleAll();
    else this.turn(this.columns[this.at.column - 1].id);
  }

  #space(event) {
    if (this.at.isHead) this.#headKey();
    else if (event.shiftKey) this.listing.selectRange();
    else if (!this.listing.toggle()) this.#say(`This ${this.thing} is not there any more`);
    this.#moved();
  }

  #page() {
    return Math.max(1, Math.floor((this.scroller.clientHeight - this.head.offsetHeight) / this.lineHeight) - 1);
  }

  #sideways(column) {
    this.at.column = Math.max(0, Math.min(column, this.columns.length));
    this.focus();
  }

  #step(lines, event) {
    if (this.at.isHead) {
      if (lines > 0) this.#go(0, event);
    } else if (lines === -1 && this.listing.place <= 0 && !event.shiftKey) {
      this.at.isHead = true;
      this.focus();
    } else this.#go(this.listing.place + lines, event);
  }

  #go(place, event = {}) {
    const before = this.listing.cursor;
    if (!this.listing.goTo(place)) return;
    this.at.isHead = false;
    if (event.shiftKey) {
      if (this.listing.anchor === null) this.listing.anchor = before ?? this.listing.cursor;
      this.listing.selectRange();
    }
    this.#moved();
  }

  /** The cursor or the selection is another one: show it. */
  #moved() {
    this.#reveal();
    this.drawNow();
    this.focus();
    this.options.onMoved?.(this.listing.cursor?.isThere ? this.listing.cursor.key : null);
  }

  #reveal() {
    const place = this.listing.place;
    if (place === -1 || !this.lineHeight) return;
    const top = place * this.lineHeight;
    const room = this.scroller.clientHeight - this.head.offsetHeight;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + this.lineHeight > this.scroller.scrollTop + room) this.scroller.scrollTop = top + this.lineHeight - room;
  }

  #activeCell() {
    if (this.at.isHead) return this.headRow.children[this.at.column];
    const node = this.nodes.find((each) => each.entry !== null && each.entry === this.listing.cursor);
    return node?.cells[this.at.column] ?? null;
  }

  /** Exactly one cell is in the order of the Tab key. */
  #rove() {
    if (this.listing.cursor === null && !this.at.isHead && this.listing.order.length) {
      const first = this.nodes.find((node) => node.place === 0 && node.entry !== null);
      this.#tabStop(first?.cells[Math.max(1, this.at.column)] ?? this.headRow.children[1]);
    } else this.#tabStop(this.#activeCell() ?? this.headRow.children[Math.max(1, this.at.column)]);
  }

  #tabStop(cell) {
    if (this.stop === cell && cell?.tabIndex === 0) return;
    if (this.stop) this.stop.tabIndex = -1;
    if (cell) cell.tabIndex = 0;
    this.stop = cell;
  }

  /** The focus has come to a cell, by the Tab key or a reader: the cursor is there. */
  #entered(hit) {
    if (hit === null || (!hit.isHead && hit.entry === null)) return;
    this.at = { isHead: hit.isHead, column: hit.column };
    if (!hit.isHead && hit.entry !== this.listing.cursor) {
      this.listing.goTo(this.listing.order.indexOf(hit.entry));
      this.draw();
    }
  }

  /** Put the focus into the grid, on the cell under the cursor. */
  focus() {
    if (this.listing.cursor === null && !this.at.isHead && this.listing.order.length) this.listing.goTo(0);
    if (this.frame || this.listing.cursor !== null) this.drawNow();
    this.#rove();
    this.stop?.focus({ preventScroll: !this.at.isHead });
  }

  /* --- out of the page */

  #save() {
    const day = new Date().toISOString().slice(0, 10);
    const name = `${this.thing}s-${this.about.server ?? "lanman"}-${day}.csv`.replace(/[^A-Za-z0-9._-]+/g, "_");
    download(name, this.csv());
    this.#say(`${many(this.listing.shown, this.thing)} saved as ${name}`);
  }

  /** A plain table of all that is shown, for the time of printing. */
  #print() {
    const now = this.clock.now();
    const table = make("table", "grid-print");
    table.append(make("caption", "", {}, `${this.options.label}${this.filterText ? `, filter ${visible(this.filterText)}` : ""}, ${this.counted.textContent}`));
    const head = make("tr", "", {}, ...this.columns.map((column) => make("th", "", { scope: "col" }, column.title)));
    const body = make("tbody");
    for (const entry of this.listing.order) {
      if (this.listing.isTarget(entry)) body.append(make("tr", "", {}, ...this.columns.map((column) => make("td", "", {}, visible(column.text(entry.row, now, "absolute"))))));
    }
    table.append(make("thead", "", {}, head), body);
    this.printed?.remove();
    this.printed = table;
    this.element.append(table);
  }
}

function plain(text) {
  return text === "-" ? null : text;
}

function cellClass(column) {
  return [column.right ? "is-right" : "", column.keepsEnd ? "keeps-end" : "", column === PICK ? "is-pick" : "", `phone-${column === PICK ? "pick" : (column.phone ?? "none")}`].join(" ").trim();
}

function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));
}

/** A cell that is cut shows its whole text when it is pointed at. */
function showWhole(target) {
  const cell = target.closest?.(".grid-cell");
  if (cell && !cell.title && cell.scrollWidth > cell.clientWidth) cell.title = cell.textContent;
}
