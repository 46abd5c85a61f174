/* The stream of events for a page: one connection for all tabs of the browser, however it can be had.
 *
 *   const connection = connect({ onHello, onServer, onDelta, onPlan, onResync, onState });
 *   connection.restart();      // after a log-in: what follows is what the new person may see
 *   connection.close();
 *
 * Handlers get the parsed data of an event, with its `id`; all may be left out. `onState(state, {since, why})` gets
 * "connecting", "live", "away", "expired" or "refused", as streamcore.js has them. A delta comes at most once; after
 * `onResync({server, why})` lists have to be asked for again (of one server, or of all where none is named). A hello
 * has `goesOn` besides: whether nothing can have happened between the last event of this page and what follows. It is
 * false for the first one: what was listed before may be older than where the stream begins.
 *
 * How: a SharedWorker where there is one. Where there is none (Chrome on Android; Safari before 16) one tab leads, which
 * holds a Web Lock, and tells the others over a BroadcastChannel; when it goes, the next one resumes behind the last
 * event that it has seen; when it sleeps (a phone's browser stops tabs in the background), one that is looked at takes
 * the lock from it. Without these either, each tab has a stream of its own.
 */

import { Remembered, Source, epochOf } from "./streamcore.js";

/* Tabs of another version of these files do not understand each other: the number goes up with the messages. */
const NAME = "lanman-stream-1";
const BEAT_EVERY = 10;
/** So many seconds after the last word of the tab that leads, one that is looked at takes its place. */
export const LEADER_SILENCE = 35;

const HANDLERS = { hello: "onHello", server: "onServer", delta: "onDelta", plan: "onPlan", resync: "onResync" };

/** Which way there is in this browser: "worker", "lock" or "alone". */
export function bestWay(scope = globalThis) {
  if (typeof scope.SharedWorker === "function") return "worker";
  return typeof scope.BroadcastChannel === "function" && scope.navigator?.locks ? "lock" : "alone";
}

/** Connect to the stream. `way` and `url` are for tests; see the head of this file. */
export function connect(handlers, { way = bestWay(), url = streamAddress() } = {}) {
  const receiver = new Receiver(handlers);
  const connection = new { worker: ByWorker, lock: ByLock, alone: Alone }[way](url, receiver);
  const wake = () => document.visibilityState === "visible" && connection.wake();
  const leave = () => connection.leave();
  const back = (event) => event.persisted && connection.join();
  const listeners = [
    [window, "online", wake],
    [document, "visibilitychange", wake],
    [document, "resume", wake],
    [window, "pagehide", leave],
    [window, "pageshow", back],
  ];
  for (const [target, name, listener] of listeners) target.addEventListener(name, listener);
  connection.join();
  return {
    restart: () => connection.restart(),
    close: () => {
      for (const [target, name, listener] of listeners) target.removeEventListener(name, listener);
      receiver.close();
      connection.leave();
    },
  };
}

function streamAddress() {
  return new URL("api/v1/events", document.baseURI).href;
}

/** Gives messages to the handlers of a page, each event once. */
export class Receiver {
  constructor(handlers) {
    this.handlers = handlers;
    this.lastId = "";
    this.reached = "";
  }

  close() {
    this.handlers = {};
  }

  take(message) {
    if (message.type === "state") {
      this.handlers.onState?.(message.state, { since: message.since, why: message.why });
      return;
    }
    const { name, data, id } = message;
    if ((name === "delta" || name === "plan") && this.#isKnown(id)) return;
    if (id && name !== "hello") this.lastId = id;
    const more = name === "hello" ? { id, goesOn: Boolean(id) && id === this.reached } : { id };
    if (id) this.reached = id;
    const handler = this.handlers[HANDLERS[name]];
    if (handler) handler.call(this.handlers, { ...JSON.parse(data), ...more });
  }

  #isKnown(id) {
    if (!id || !this.lastId || epochOf(id) !== epochOf(this.lastId)) return false;
    return sequenceOf(id) <= sequenceOf(this.lastId);
  }
}

function sequenceOf(id) {
  return Number(id.slice(id.lastIndexOf("-") + 1));
}

class ByWorker {
  constructor(url, receiver) {
    this.url = url;
    this.receiver = receiver;
    this.taken = 0;
    this.fallback = null;
    const worker = new SharedWorker(new URL("./worker.js", import.meta.url), { type: "module", name: NAME });
    this.port = worker.port;
    this.port.onmessage = ({ data }) => {
      receiver.take(data);
      this.taken += 1;
      this.port.postMessage({ type: "taken", count: this.taken });
    };
    // A worker that cannot be loaded: an old browser that takes no modules in one, or a console that has just gone.
    worker.onerror = () => {
      this.fallback ??= new Alone(url, receiver);
      this.fallback.join();
    };
  }

  join() {
    this.taken = 0;
    if (this.fallback) this.fallback.join();
    else this.port.postMessage({ type: "join", url: this.url });
  }

  leave() {
    this.port.postMessage({ type: "leave" });
    this.fallback?.leave();
  }

  wake() {
    if (this.fallback) this.fallback.wake();
    else this.port.postMessage({ type: "wake" });
  }

  restart() {
    if (this.fallback) this.fallback.restart();
    else this.port.postMessage({ type: "restart" });
  }
}

/** A stream of this tab alone: the same as with a worker, in the tab itself. */
class Alone {
  constructor(url, receiver) {
    this.source = new Source(url, (message) => receiver.take(message));
  }

  join() {
    this.source.start();
  }

  leave() {
    this.source.stop();
  }

  wake() {
    this.source.wake();
  }

  restart() {
    this.source.restart();
  }
}

/** One tab leads and tells the others. */
class ByLock {
  constructor(url, receiver) {
    this.receiver = receiver;
    this.remembered = new Remembered();
    this.source = new Source(url, (message) => this.#tell(message));
    this.me = `${Date.now()}-${Math.random()}`;
    this.isHere = false;
  }

  join() {
    if (this.isHere) return;
    this.isHere = true;
    this.heardAt = Date.now();
    this.channel = new BroadcastChannel(NAME);
    this.channel.onmessage = ({ data }) => this.#heard(data);
    this.beat = setInterval(() => this.#beat(), BEAT_EVERY * 1000);
    this.channel.postMessage({ type: "ask", from: this.me });
    this.#lead({});
  }

  leave() {
    if (!this.isHere) return;
    this.isHere = false;
    clearInterval(this.beat);
    this.#yield();
    this.waiting?.abort();
    this.channel.close();
  }

  wake() {
    if (this.release) this.source.wake();
    else this.#takeOver();
  }

  restart() {
    if (this.release) this.source.restart();
    else this.channel.postMessage({ type: "restart" });
  }

  /** Wait for the lock, or take it from a tab that sleeps; lead while it is held. */
  async #lead({ steal = false }) {
    this.waiting?.abort();
    const waiting = (this.waiting = new AbortController());
    const how = steal ? { steal: true } : { signal: waiting.signal };
    try {
      await navigator.locks.request(NAME, how, () => {
        if (!this.isHere) return undefined;
        return new Promise((resolve) => {
          this.release = resolve;
          this.source.start(this.receiver.lastId);
        });
      });
    } catch {
      // Waiting was ended, or the lock was taken from this tab.
      if (this.release) this.#yield();
      if (this.isHere && waiting === this.waiting) this.#lead({});
    }
  }

  #yield() {
    this.source.stop();
    this.release?.();
    this.release = null;
  }

  #beat() {
    if (this.release) this.channel.postMessage({ type: "beat" });
    else this.#takeOver();
  }

  #takeOver() {
    const isSilent = Date.now() - this.heardAt > LEADER_SILENCE * 1000;
    if (this.isHere && isSilent && document.visibilityState === "visible") {
      this.heardAt = Date.now();
      this.#lead({ steal: true });
    }
  }

  #tell(message) {
    this.remembered.take(message);
    this.channel.postMessage({ type: "message", message });
    this.receiver.take(message);
  }

  #heard(said) {
    if (said.type === "ask" && this.release) {
      for (const message of this.remembered.messages()) this.channel.postMessage({ type: "message", to: said.from, message });
    } else if (said.type === "restart" && this.release) this.source.restart();
    else if (said.type === "beat" || said.type === "message") {
      this.heardAt = Date.now();
      if (said.type === "beat" || this.release || (said.to && said.to !== this.me)) return;
      this.remembered.take(said.message);
      this.receiver.take(said.message);
    }
  }
}
