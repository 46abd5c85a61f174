// What is known of the servers right now: the stream's events, kept for pages to read. One for the whole page.
//
//   live.servers        Map of name -> what `hello` and `server` have told of it
//   live.person         {name, kind} or null; live.readonly
//   live.state          "off" (not begun), "connecting", "live", "away", "expired", "refused"; live.why in words
//   live.on(event, f)   event: "hello", "server", "delta", "plan", "resync", "state"; returns a function that ends it
//   live.cannot(server, verb)  null where this person may give this order there, otherwise why not, in words
import { Store } from "./store.js";
import { connect } from "./stream.js";
import { serverClock } from "./times.js";

class Live {
  constructor() {
    this.store = new Store();
    this.listeners = new Map();
    this.connection = null;
    this.forget();
  }

  forget() {
    Object.assign(this, { servers: new Map(), person: null, readonly: false, state: "off", why: null, since: null });
  }

  on(event, listener) {
    if (!this.listeners.has(event)) this.listeners.set(event, new Set());
    this.listeners.get(event).add(listener);
    return () => this.listeners.get(event).delete(listener);
  }

  tell(event, value) {
    for (const listener of [...(this.listeners.get(event) ?? [])]) listener(value);
  }

  start() {
    if (this.connection) return;
    this.connection = connect({
      onHello: (hello) => this.takeHello(hello),
      onServer: (server) => this.takeServer(server),
      onDelta: (delta) => {
        if (typeof delta.t === "number") serverClock.atLeast(delta.t);
        this.store.apply(delta);
        this.tell("delta", delta);
      },
      onPlan: (plan) => this.tell("plan", plan),
      onResync: (resync) => {
        this.store.resync(resync.server ?? null);
        this.tell("resync", resync);
      },
      onState: (state, { why = null, since = null } = {}) => {
        Object.assign(this, { state, why, since });
        this.tell("state", state);
      },
    });
  }

  takeHello(hello) {
    this.store.reach(hello.id, hello.goesOn);
    this.person = hello.person ?? null;
    this.readonly = Boolean(hello.readonly);
    this.servers = new Map((hello.servers ?? []).map((server) => [server.name, server]));
    this.tell("hello", hello);
  }

  takeServer(server) {
    const name = server.server ?? server.name;
    this.servers.set(name, { ...this.servers.get(name), ...server, name });
    this.tell("server", this.servers.get(name));
  }

  /** Somebody has logged in: what follows is what they may see. */
  restart() {
    if (this.connection) this.connection.restart();
    else this.start();
  }

  stop() {
    this.connection?.close();
    this.connection = null;
    this.store.clear();
    this.forget();
    this.tell("state", "off");
  }

  cannot(name, verb) {
    if (this.readonly) return "this console was started to look only (--readonly)";
    if (this.person?.kind === "proxy") return "who is known by a proxy may look; orders want a log-in at the server";
    const server = this.servers.get(name);
    if (!server) return null;
    if (server.state === "login") return `log in at ${name} first`;
    if (server.state && server.state !== "up") return `${name} does not answer at the moment`;
    if (server.capabilities?.[verb] === false) return server.why?.[verb] ?? "the server cannot do this";
    return null;
  }
}

export const live = new Live();
