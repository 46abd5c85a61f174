// What the stream has told since this page was opened: openings, closings, connections of sessions, servers, orders. The newest are kept.
import { serverClock } from "./times.js";

const MOST = 2000;

export class EventLog {
  constructor(live) {
    this.entries = [];
    this.listeners = new Set();
    this.number = 0;
    live.on("delta", (delta) => this.#delta(delta));
    live.on("server", (server) => this.#add({ at: serverClock.now(), server: server.name, what: "server", row: server }));
    live.on("plan", (plan) => this.#plan(plan));
    live.on("resync", (resync) => this.#add({ at: serverClock.now(), server: resync.server ?? "", what: "resync", row: resync }));
  }

  /** Hear of entries as they come: `listener(entries)`; answers a function that ends it. */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  #delta(delta) {
    const at = delta.t ?? serverClock.now();
    const one = (what) => (row) => ({ at, server: delta.server, what, row, how: delta.how });
    const connections = (delta.change ?? []).filter((change) => change.channels_before !== undefined);
    this.#add(...(delta.open ?? []).map(one("open")), ...connections.map(one("connections")), ...(delta.close ?? []).map(one("close")));
  }

  #plan(plan) {
    const rows = (plan.rows ?? plan.outcomes ?? [plan]).filter((row) => row.outcome);
    this.#add(...rows.map((row) => ({ at: plan.t ?? serverClock.now(), server: plan.server ?? row.server ?? "", what: "order", row: { ...row, verb: plan.verb ?? row.verb } })));
  }

  #add(...entries) {
    if (!entries.length) return;
    const kept = entries.slice(-MOST);
    for (const entry of kept) entry.number = this.number++;
    this.entries.push(...kept);
    if (this.entries.length > MOST) this.entries.splice(0, this.entries.length - MOST);
    for (const listener of this.listeners) listener(kept);
  }
}
