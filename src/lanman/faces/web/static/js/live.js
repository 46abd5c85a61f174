// What is known of the servers right now: the stream's `hello` and `server` events, kept for pages to read.
//
//   live.servers        Map of name -> {name, state, level, capabilities, why, …} as `hello` and `server` have told
//   live.person         {name, kind} or null; live.readonly
//   live.state          "off" (not begun), "connecting", "live", "away" (the console does not answer)
//   live.on(event, f)   event: "hello", "server", "delta", "plan", "resync", "state"; returns a function that ends it
//   live.why(server, verb)  null where this person may give this order there, otherwise why not, in words
import { Store } from "./store.js";
import { connect } from "./stream.js";

export class Live {
  constructor() {
    this.servers = new Map();
    this.person = null;
    this.readonly = false;
    this.state = "off";
    this.store = new Store();
    this.listeners = new Map();
    this.connection = null;
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
      onHello: (hello) => {
        this.person = hello.person ?? null;
        this.readonly = Boolean(hello.readonly);
        this.servers = new Map((hello.servers ?? []).map((server) => [server.name, server]));
        this.tell("hello", hello);
      },
      onServer: (server) => {
        const name = server.server ?? server.name;
        this.servers.set(name, { ...this.servers.get(name), ...server, name });
        this.tell("server", this.servers.get(name));
      },
      onDelta: (delta) => {
        this.store.apply(delta);
        this.tell("delta", delta);
      },
      onPlan: (plan) => this.tell("plan", plan),
      onResync: (resync) => this.tell("resync", resync),
      onState: (state) => {
        this.state = state;
        this.tell("state", state);
      },
    });
  }

  stop() {
    this.connection?.close?.();
    this.connection = null;
    this.servers = new Map();
    this.person = null;
    this.state = "off";
    this.tell("state", "off");
  }

  why(name, verb) {
    if (this.readonly) return "this console was started to look only (--readonly)";
    if (this.person?.kind === "proxy") return "who is known by a proxy may look; log in at the server to give orders";
    const server = this.servers.get(name);
    if (!server) return null;
    if (server.state && server.state !== "up") return `${name} does not answer at the moment`;
    if (server.capabilities && server.capabilities[verb] === false) return server.why?.[verb] ?? "the server cannot do this";
    return null;
  }
}
