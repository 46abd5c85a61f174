/* A page with one list of a server, and what is known of the row under the cursor beside it.
 *
 *   return listPage(element, route, context, {kind, title, columns, sort, actions, empty, along});
 *
 * What can be the matter, and what the page shows then: the list is asked for (loading), there is nothing (empty), the
 * server does not answer or the console is away (the rows as they were, greyed, with their age), a right is missing or
 * the person is not logged in there (denied, with what to do), something else went wrong (broken, with a button).
 * The address of the page says which rows are shown and in which order: it may be kept and sent to others.
 */

import { detailParts, titleOf } from "./details.js";
import { askPlan } from "./dialog.js";
import { Grid } from "./grid.js";
import { LiveList } from "./lists.js";
import { denied, empty, failed, h, loading, orderButton, pageHead, stale, toast } from "./parts.js";
import { Preferences } from "./preferences.js";
import { readHash, writeHash } from "./filter.js";
import { fold, visible } from "./text.js";
import { serverClock as clock } from "./times.js";

const preferences = new Preferences();

/* How often, in milliseconds, it is looked whether what is shown has grown old, and how long a stream may take. */
const LOOK_EVERY = 1000;
const PATIENCE = 5000;

class ListPage {
  constructor(element, route, context, options) {
    Object.assign(this, { element, route, context, options, server: route.server, shownKey: null, ends: [], isOld: false });
    this.openedAt = Date.now();
    const { live, store } = context;
    this.lists = new Map();
    for (const kind of new Set([options.kind, ...(options.along ?? [])])) {
      this.lists.set(kind, new LiveList({ live, store }, this.server, kind, () => this.#drawState()));
    }
    this.main = this.lists.get(options.kind);
    this.state = h("div", { class: "list-state" });
    this.details = h("aside", { class: "details", "aria-label": "Details", hidden: true, tabindex: "-1" });
    this.frame = h("div", {});
    this.body = h("div", { class: "list-and-details" }, this.frame, this.details);
    this.headActions = h("div", { class: "actions" });
    const head = pageHead(options.title, { about: visible(this.server) });
    if (options.head) head.append(this.headActions);
    element.append(head, this.state, this.body);
  }

  show() {
    const { live, store } = this.context;
    this.grid = new Grid(this.frame, this.#gridOptions());
    this.grid.view = readHash(this.route.hash ?? location.hash);
    this.ends = [
      store.subscribe((change) => this.#changed(change)),
      live.on("server", () => this.#drawState()),
      live.on("hello", () => this.#drawState()),
      live.on("state", () => this.#drawState()),
    ];
    this.ticking = setInterval(() => {
      if (!this.#isConnected() !== this.isOld) this.#drawState();
      this.#drawDetails();
    }, LOOK_EVERY);
    this.#drawState();
    for (const list of this.lists.values()) list.start();
    return () => this.#leave();
  }

  #leave() {
    clearInterval(this.ticking);
    for (const end of this.ends) end();
    for (const list of this.lists.values()) list.stop();
    this.grid.destroy();
  }

  #gridOptions() {
    const { kind, columns, sort, actions = [], title } = this.options;
    return {
      name: kind,
      kind,
      columns,
      sort,
      preferences,
      clock,
      label: `${title} of ${visible(this.server)}`,
      rows: this.main.rows,
      about: { server: this.server, folderOf: (share) => this.#folderOf(share) },
      actions: actions.map((action) => ({
        ...action,
        why: (keys) => (action.ofOne && keys.length > 1 ? "for one at a time" : this.#why(action.verb)),
        run: (keys) => this.#ask(() => (action.ask ? action.ask(this.server, this.main.rows.get(keys[0])) : askPlan(this.server, action.verb, keys))),
      })),
      stateOf: () => actions.map((action) => this.#why(action.verb)).join(),
      rowClass: () => (this.isOld ? "is-old" : ""),
      onOpen: (key) => this.#open(key, true),
      onMoved: (key) => this.shownKey !== null && key !== null && this.#open(key, false),
      onView: (view) => this.#viewed(view),
      onLost: (words) => toast(words),
    };
  }

  #folderOf(share) {
    const shares = this.context.store.rows(this.server, "share");
    for (const row of shares.values()) if (fold(row.name) === fold(share)) return row.path;
    return null;
  }

  #why(verb) {
    if (this.isOld && !this.#isConnected()) return "there is no connection to the console at the moment";
    return this.context.live.cannot(this.server, verb);
  }

  async #ask(ask) {
    try {
      await ask();
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      toast([error.message, error.hint].filter(Boolean).join(" "), "bad");
    }
  }

  #viewed(view) {
    if (!this.grid) return;
    const said = new URLSearchParams(writeHash({ path: [], ...view }).split("?")[1] ?? "");
    this.context.replace(Object.fromEntries(said));
  }

  #changed(change) {
    if (change.server !== this.server) return;
    if (change.kind !== this.options.kind) {
      this.#drawDetails();
      return;
    }
    this.grid.rows = this.main.rows;
    this.grid.update(change);
    if (this.shownKey !== null && change.closed.has(this.shownKey)) this.goneBecause = change.closed.get(this.shownKey);
    this.#drawState();
    this.#drawDetails();
  }

  /* --- the state of the list */

  #drawState() {
    const { live, store } = this.context;
    const server = live.servers.get(this.server);
    const isLoaded = store.isLoaded(this.server, this.options.kind);
    const wasOld = this.isOld;
    this.isOld = isLoaded && (!this.#isConnected() || (server?.state ?? "up") !== "up");
    const words = this.#stateParts(server, isLoaded);
    const key = words === null ? "" : words.key;
    if (key !== this.drawnState) {
      this.drawnState = key;
      this.state.replaceChildren(...(words === null ? [] : [words.make()]));
    }
    this.body.hidden = !isLoaded;
    this.#drawHead();
    if (this.grid === undefined) return;
    if (wasOld !== this.isOld) this.grid.draw();
    this.grid.drawActions();
  }

  /** What can be done with the server itself, and why not. */
  #drawHead() {
    const actions = (this.options.head ?? []).map((action) => ({ ...action, why: this.#why(action.verb) }));
    const state = actions.map((action) => action.why).join();
    if (state === this.drawnHead) return;
    this.drawnHead = state;
    this.headActions.replaceChildren(...actions.map(({ title, ask, why }) => orderButton(title, () => this.#ask(() => ask(this.server)), { why })));
  }

  /** Whether the stream tells what happens. A page that was opened a moment ago may have its list before the stream. */
  #isConnected() {
    const { state } = this.context.live;
    return state === "live" || (state === "connecting" && Date.now() - this.openedAt < PATIENCE);
  }

  /** What is to be said in place of the list, or above it: `{key, make}`; null for nothing. */
  #stateParts(server, isLoaded) {
    const { phase, error } = this.main.status;
    const state = server?.state ?? "up";
    if (isLoaded && this.isOld) return this.#oldParts(server, state);
    if (isLoaded && this.main.rows.size === 0) return { key: "empty", make: () => empty(...this.options.empty) };
    if (isLoaded) return null;
    if (state === "login") {
      return { key: "login", make: () => denied(`You are not logged in at ${visible(this.server)}.`, "Log in there as yourself: what you may see is what its server tells you.", this.#loginButton()) };
    }
    if (phase === "failed") return { key: `failed ${error.message}`, make: () => failed(error, () => this.main.again()) };
    return { key: "loading", make: () => loading(`Asking ${visible(this.server)}`) };
  }

  #oldParts(server, state) {
    const { live } = this.context;
    if (!this.#isConnected()) {
      const words = { expired: "Your log-in is over.", refused: `The console refuses to tell what happens: ${visible(live.why ?? "")}.` }[live.state] ?? "The console does not answer: trying again.";
      const parts = () => [stale(live.since ?? null, words, "Rows are as they were last seen."), live.state === "expired" ? this.#loginButton() : ""];
      return { key: `${live.state} ${live.since} ${live.why}`, make: () => h("div", {}, parts()) };
    }
    const problem = server?.error ?? {};
    const at = server?.asked_at ?? null;
    const words = state === "denied" ? "The server does not tell this any more" : state === "login" ? "You are not logged in there any more" : "The server does not answer";
    return { key: `${state} ${at} ${problem.message}`, make: () => stale(at, `${words}${problem.message ? `: ${visible(problem.message)}` : "."}`, problem.hint && visible(problem.hint)) };
  }

  #loginButton() {
    return h("p", {}, h("button", { type: "button", onclick: () => this.context.login(this.server) }, "Log in"));
  }

  /* --- details */

  #open(key, focus) {
    this.shownKey = key;
    this.goneBecause = null;
    this.shownRow = null;
    this.details.hidden = false;
    this.#drawDetails();
    if (focus) this.details.focus();
    this.grid.draw();
  }

  #close() {
    this.shownKey = null;
    this.details.hidden = true;
    this.grid.focus();
  }

  #drawDetails() {
    if (this.shownKey === null || document.hidden) return;
    const row = this.main.rows.get(this.shownKey);
    const { store } = this.context;
    const { kind } = this.options;
    const now = clock.now();
    // Somebody may be reading, or be on a link: once a minute is enough where nothing has changed.
    const state = `${this.goneBecause} ${Math.floor(now / 60)} ${[...this.lists.values()].map((list) => list.status.phase)}`;
    if (row !== undefined && row === this.shownRow && state === this.shownState) return;
    if (row === undefined && state === this.shownState) return;
    this.shownState = state;
    this.shownRow = row ?? this.shownRow;
    if (!this.shownRow) return;
    const of = (which) => (store.isLoaded(this.server, which) ? store.rows(this.server, which) : null);
    const close = h("button", { type: "button", class: "quiet", onclick: () => this.#close() }, "Close");
    const gone = row === undefined ? h("p", { class: "banner warn" }, `It has gone${this.goneBecause ? `: ${visible(this.goneBecause)}` : ""}. This is how it was last seen.`) : null;
    const hadFocus = this.details.contains(document.activeElement);
    this.details.replaceChildren(
      h("h2", {}, visible(titleOf(this.shownRow, kind))),
      gone ?? "",
      ...detailParts(this.shownRow, kind, this.server, now, { sessions: of("session"), files: of("file") ?? (kind === "file" ? new Map() : null) }),
      h("div", { class: "buttons" }, close),
    );
    if (hadFocus) this.details.focus();
  }
}

/** Show a list; answers what ends it. */
export function listPage(element, route, context, options) {
  const page = new ListPage(element, route, context, options);
  page.details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    page.details.querySelector(".buttons:last-child button")?.click();
  });
  return page.show();
}
