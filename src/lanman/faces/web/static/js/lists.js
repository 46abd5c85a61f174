/* One list of a server, kept up to date: its snapshot from REST, then what the stream says.
 *
 *   const list = new LiveList(context, "fs1", "session", onStatus);
 *   list.start();  list.rows;  list.status;  list.stop();
 *
 * `status` is {phase, error}: "loading" (there are no rows yet), "ready", or "failed" with an ApiError. Rows that were
 * there stay while they are asked for again. What failed is asked for again when the server or the console is back, or
 * by `again`. Many viewers are told `resync` at the same moment: each waits a little, not all as long.
 */

import { get, part } from "./api.js";

const PATHS = { session: "sessions", file: "files", share: "shares" };
const JITTER = 250;
const MAX_WAIT = 5000;
/* What does not answer now is asked again after so many milliseconds. */
const AGAIN_AFTER = 5000;
const PASSING = new Set([0, 502, 503, 504]);

export class LiveList {
  constructor({ live, store }, server, kind, onStatus = () => {}) {
    Object.assign(this, { live, store, server, kind, onStatus, ends: [], turn: 0, refusals: 0 });
    this.status = { phase: "loading", error: null };
    this.asking = null;
  }

  get rows() {
    return this.store.rows(this.server, this.kind);
  }

  start() {
    this.ends = [
      this.live.on("server", (server) => server.name === this.server && server.state === "up" && this.#back()),
      this.live.on("hello", () => this.#back()),
    ];
    return this.again();
  }

  stop() {
    this.turn += 1;
    clearTimeout(this.timer);
    this.asking?.abort();
    for (const end of this.ends) end();
    this.store.end(this.server, this.kind);
  }

  #back() {
    if (this.status.phase === "failed") this.again();
  }

  #tell(phase, error = null) {
    this.status = { phase, error };
    this.onStatus(this.status);
  }

  #later(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.again(), wait);
  }

  /** Ask for the list now. */
  async again() {
    const mine = ++this.turn;
    clearTimeout(this.timer);
    this.asking?.abort();
    this.asking = new AbortController();
    this.store.begin(this.server, this.kind, () => this.#later(Math.random() * JITTER));
    try {
      const answer = await get(`servers/${part(this.server)}/${PATHS[this.kind]}`, { signal: this.asking.signal });
      if (mine !== this.turn) return;
      if (this.status.phase === "failed") this.#tell("loading");
      if (!this.store.put(this.server, this.kind, answer.rows ?? answer[PATHS[this.kind]], answer.at)) {
        this.#later(Math.min(MAX_WAIT, JITTER * 2 ** this.refusals++));
        return;
      }
      this.refusals = 0;
      this.#tell("ready");
    } catch (error) {
      if (mine !== this.turn || error.name === "AbortError") return;
      if (error.name !== "ApiError") throw error;
      this.#tell("failed", error);
      if (PASSING.has(error.status)) this.#later(AGAIN_AFTER);
    }
  }
}
