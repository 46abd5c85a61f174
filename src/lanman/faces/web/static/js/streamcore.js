/* The one connection of a browser to the stream of events, and how its tabs share it. No page is needed here: this runs
 * in a SharedWorker, in the tab that leads where there are none, and in tests.
 *
 *   - The stream is read with fetch rather than EventSource: that tells why it was refused (401, 503), can resume after
 *     an error (Last-Event-ID is ours to send), and sees the comments by which a dead connection is known.
 *   - `Source` keeps it up. It waits a little longer after each failure, up to `MAX_WAIT`; what says nothing for `SILENCE`
 *     (the console says something every 15 s) is dead; `wake` looks at once, as when a computer or a tab wakes up.
 *   - After an interruption it resumes behind the last event that was seen. Where it cannot (the console was started
 *     anew, somebody else logged in), `resync` is told: what is shown has to be asked for again.
 *   - `Shared` gives every message to every tab. A tab confirms what it has taken; one that has not confirmed `MAX_BEHIND`
 *     messages (it sleeps) is sent nothing more, and told `resync` when it is awake. Nothing grows for a tab that sleeps.
 *
 * Messages are `{type: "event", name, data, id}` with the text of the data, and `{type: "state", state, since, why}`:
 *
 *   connecting  not connected yet          away     was connected, tries again; rows are of `since`
 *   live        connected                  expired  401: log in, then `restart`
 *                                          refused  it said no, in words; `restart` tries again
 *
 * `since` is in seconds since 1970: when something was last heard of the console.
 */

export const SILENCE = 40;
export const SUSPICIOUS = 20;
export const MAX_WAIT = 15;
export const MAX_BEHIND = 1000;
const FIRST_WAIT = 0.5;
const LOOK_EVERY = 5;
/** The longest event that is taken, in characters: 100,000 new rows are less. */
const MAX_EVENT = 64 * 2 ** 20;

/** Takes apart a stream of Server-Sent Events. `feed(text)` answers whole events, `{name, data, id}`; `id` is "" where
 * an event has none of its own. */
export class EventParser {
  constructor() {
    this.rest = "";
    this.#clear();
  }

  #clear() {
    this.name = "";
    this.id = "";
    this.data = null;
  }

  feed(text) {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop();
    if (this.rest.length > MAX_EVENT || (this.data?.length ?? 0) > MAX_EVENT) throw new Error("an event without end");
    const events = [];
    for (const line of lines) {
      if (line !== "") this.#line(line);
      else {
        if (this.data !== null) events.push({ name: this.name || "message", data: this.data, id: this.id });
        this.#clear();
      }
    }
    return events;
  }

  #line(line) {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.name = value;
    else if (field === "data") this.data = this.data === null ? value : `${this.data}\n${value}`;
    else if (field === "id" && !value.includes("\0")) this.id = value;
  }
}

const REAL = {
  fetch: (...asked) => fetch(...asked),
  now: () => Date.now() / 1000,
  after: (wait, run) => {
    const timer = setTimeout(run, wait * 1000);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

/** Keeps one connection to the stream up, and tells `onMessage` of its events and states. */
export class Source {
  constructor(url, onMessage, world = REAL) {
    this.url = url;
    this.onMessage = onMessage;
    this.world = world;
    this.lastId = "";
    this.state = { type: "state", state: "connecting", since: null, why: "" };
    this.heardAt = null;
    this.failures = 0;
    this.turn = 0;
    this.isRunning = false;
    this.needsResync = false;
    this.cancel = () => {};
    this.stopLooking = () => {};
    this.abort = null;
  }

  /** Connect, behind the event `lastId` where one is known. */
  start(lastId = "") {
    if (this.isRunning) return;
    this.isRunning = true;
    this.lastId ||= lastId;
    this.#tell(this.heardAt === null ? "connecting" : "away");
    this.#connect();
    this.#look();
  }

  /** End the connection; it can be started again. */
  stop() {
    this.isRunning = false;
    this.turn += 1;
    this.cancel();
    this.stopLooking();
    this.abort?.abort();
  }

  /** Begin anew: somebody has logged in. What was seen before may not be theirs. */
  restart() {
    this.stop();
    this.needsResync = this.lastId !== "";
    this.lastId = "";
    this.failures = 0;
    this.start();
  }

  /** Time may have gone by without us: look now whether the connection is alive. */
  wake() {
    if (!this.isRunning || this.state.state === "expired" || this.state.state === "refused") return;
    const silence = this.heardAt === null ? Infinity : this.world.now() - this.heardAt;
    if (this.state.state === "live" && silence < SUSPICIOUS) return;
    this.failures = 0;
    this.#again("it has said nothing", 0);
  }

  #look() {
    this.stopLooking = this.world.after(LOOK_EVERY, () => {
      if (this.state.state === "live" && this.world.now() - this.heardAt > SILENCE) this.#again("it has said nothing", 0);
      this.#look();
    });
  }

  #tell(state, why = "") {
    this.state = { type: "state", state, since: this.heardAt, why };
    this.onMessage(this.state);
  }

  #again(why, wait = null) {
    this.turn += 1;
    this.cancel();
    this.abort?.abort();
    const longer = Math.min(MAX_WAIT, FIRST_WAIT * 2 ** this.failures) * (0.75 + this.world.random() / 2);
    this.failures = Math.min(this.failures + 1, 10);
    if (this.state.state !== "away" || this.state.why !== why) this.#tell(this.heardAt === null ? "connecting" : "away", why);
    this.cancel = this.world.after(wait ?? longer, () => this.#connect());
  }

  #end(state, why) {
    this.turn += 1;
    this.#tell(state, why);
  }

  async #connect() {
    const mine = ++this.turn;
    this.abort = new AbortController();
    const headers = { Accept: "text/event-stream" };
    if (this.lastId) headers["Last-Event-ID"] = this.lastId;
    try {
      const response = await this.world.fetch(this.url, {
        headers,
        signal: this.abort.signal,
        cache: "no-store",
        credentials: "same-origin",
      });
      if (mine !== this.turn) return;
      if (response.status === 401) return this.#end("expired", "the log-in has expired");
      const isStream = (response.headers.get("Content-Type") ?? "").startsWith("text/event-stream");
      if (!response.ok || !isStream) return await this.#refused(response, mine);
      await this.#read(response.body, mine);
      if (mine === this.turn) this.#again("the console ended the connection");
    } catch (error) {
      if (mine === this.turn) this.#again(error?.name === "AbortError" ? "it was broken off" : "the console does not answer");
    }
  }

  async #refused(response, mine) {
    const words = await response.text().then(wordsOf, () => "");
    if (mine !== this.turn) return;
    const wait = Number(response.headers.get("Retry-After"));
    const isPassing = response.status === 429 || response.status >= 500 || response.ok;
    if (isPassing) this.#again(words || `the console answered with status ${response.status}`, wait > 0 ? Math.min(wait, 300) : null);
    else this.#end("refused", words || `the console answered with status ${response.status}`);
  }

  async #read(body, mine) {
    const parser = new EventParser();
    const decoder = new TextDecoder();
    const reader = body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (mine !== this.turn) return;
      if (done) return;
      this.heardAt = this.world.now();
      if (this.state.state !== "live") this.#tell("live");
      for (const event of parser.feed(decoder.decode(value, { stream: true }))) this.#event(event);
      if (mine !== this.turn) return;
    }
  }

  #event({ name, data, id }) {
    this.failures = 0;
    const isElsewhere = this.lastId !== "" && id !== "" && epochOf(id) !== epochOf(this.lastId);
    // Behind the hello of a stream that resumes comes what was missed: its place is not reached yet.
    if (id !== "" && (name !== "hello" || this.lastId === "" || isElsewhere)) this.lastId = id;
    if ((isElsewhere || this.needsResync) && name !== "resync") {
      this.needsResync = false;
      this.onMessage({ type: "event", name: "resync", data: '{"v":1,"why":"the stream began anew"}', id });
    }
    this.onMessage({ type: "event", name, data, id });
  }
}

/** The epoch of an event's id, `epoch-sequence`. */
export function epochOf(id) {
  return id.slice(0, Math.max(0, id.lastIndexOf("-")));
}

function wordsOf(text) {
  try {
    return JSON.parse(text).error.message ?? "";
  } catch {
    return "";
  }
}

/** What a tab that comes later has to be told first: the newest state, hello, and what servers have said since. */
export class Remembered {
  constructor() {
    this.state = null;
    this.hello = null;
    this.servers = new Map();
    this.lastId = "";
  }

  take(message) {
    if (message.type === "state") {
      this.state = message;
      return;
    }
    if (message.id) this.lastId = message.id;
    if (message.name === "hello") {
      this.hello = message;
      this.servers.clear();
    } else if (message.name === "server") {
      const server = JSON.parse(message.data);
      this.servers.set(server.server ?? server.name, message);
    }
  }

  /** The messages for a tab that comes now; each with the place where the stream is. */
  messages() {
    const first = [this.state, this.hello, ...this.servers.values()].filter(Boolean);
    return first.map((message) => (message.type === "event" ? { ...message, id: this.lastId } : message));
  }
}

const RESYNC = { type: "event", name: "resync", data: '{"v":1,"why":"this tab was asleep"}', id: "" };

/** Gives the messages of one source to many tabs, each behind a MessagePort. What tabs say: `{type: "join", url}`,
 * `{type: "taken", count}`, `{type: "wake"}`, `{type: "restart"}`, `{type: "leave"}`. */
export class Shared {
  constructor(makeSource = (url, onMessage) => new Source(url, onMessage)) {
    this.makeSource = makeSource;
    this.source = null;
    this.tabs = new Map();
    this.remembered = new Remembered();
  }

  /** Listen to what a tab says. */
  add(port) {
    port.onmessage = ({ data }) => this.#said(port, data);
  }

  #said(port, said) {
    if (said.type === "join") this.#join(port, said.url);
    else if (said.type === "taken") this.#taken(port, said.count);
    else if (said.type === "leave") this.#leave(port);
    else if (said.type === "wake") this.source?.wake();
    else if (said.type === "restart") this.source?.restart();
  }

  #join(port, url) {
    this.tabs.set(port, { sent: 0, taken: 0, isBehind: false });
    for (const message of this.remembered.messages()) this.#send(port, message);
    this.source ??= this.makeSource(url, (message) => this.#give(message));
    this.source.start();
  }

  #leave(port) {
    this.tabs.delete(port);
    if (this.tabs.size) return;
    this.source?.stop();
    this.source = null;
    this.remembered = new Remembered();
  }

  #give(message) {
    this.remembered.take(message);
    for (const port of this.tabs.keys()) this.#send(port, message);
  }

  #send(port, message) {
    const tab = this.tabs.get(port);
    if (tab.isBehind) return;
    tab.isBehind = tab.sent - tab.taken >= MAX_BEHIND;
    if (tab.isBehind) return;
    tab.sent += 1;
    port.postMessage(message);
  }

  #taken(port, count) {
    const tab = this.tabs.get(port);
    if (tab === undefined) return;
    tab.taken = Math.max(tab.taken, count);
    if (!tab.isBehind || tab.taken < tab.sent) return;
    tab.isBehind = false;
    for (const message of [...this.remembered.messages(), { ...RESYNC, id: this.remembered.lastId }]) this.#send(port, message);
  }
}
