// The connection to the stream of events, and tabs that share it; the network and time are scripted.
import assert from "node:assert/strict";
import { test } from "node:test";

import { EventParser, MAX_BEHIND, Remembered, SILENCE, Shared, Source } from "./streamcore.js";
import { Receiver, bestWay } from "./stream.js";

/** A world in which time passes when it is told to, and the network says what a test wants. */
class World {
  constructor() {
    this.time = 1000;
    this.timers = new Set();
    this.asked = [];
    this.answers = [];
    this.now = () => this.time;
    this.random = () => 0.5;
    this.after = (wait, run) => {
      const timer = { at: this.time + wait, run };
      this.timers.add(timer);
      return () => this.timers.delete(timer);
    };
    this.fetch = async (url, { headers, signal }) => {
      const asked = { url, headers, signal };
      this.asked.push(asked);
      const answer = this.answers.shift();
      if (answer instanceof Error) throw answer;
      if (answer !== undefined) return answer;
      return stream(asked);
    };
  }

  async pass(seconds) {
    const until = this.time + seconds;
    for (;;) {
      const next = [...this.timers].filter((timer) => timer.at <= until).sort((one, other) => one.at - other.at)[0];
      if (next === undefined) break;
      this.time = Math.max(this.time, next.at);
      this.timers.delete(next);
      next.run();
      await settled();
    }
    this.time = until;
    await settled();
  }

  get last() {
    return this.asked[this.asked.length - 1];
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** An answer whose body is what is pushed into it. */
function stream(asked) {
  const encoder = new TextEncoder();
  const body = new ReadableStream({
    start(controller) {
      asked.push = async (text) => {
        controller.enqueue(encoder.encode(text));
        await settled();
      };
      asked.end = async () => {
        controller.close();
        await settled();
      };
      asked.signal.addEventListener("abort", () => controller.error(new DOMException("ended", "AbortError")));
    },
  });
  return new Response(body, { status: 200, headers: { "Content-Type": "text/event-stream" } });
}

function refusal(status, message, headers = {}) {
  return new Response(JSON.stringify({ schema: 1, error: { code: 1, message, hint: null } }), { status, headers });
}

async function started() {
  const world = new World();
  const messages = [];
  const source = new Source("/events", (message) => messages.push(message), world);
  source.start();
  await settled();
  const names = () => messages.splice(0).map((message) => (message.type === "state" ? message.state : `${message.name} ${message.id}`.trim()));
  return { world, source, names, messages };
}

const event = (id, name, data = "{}") => `id: ${id}\nevent: ${name}\ndata: ${data}\n\n`;

test("a stream is taken apart wherever it is cut", () => {
  const text = ': hello\r\nid: e-1\r\nevent: hello\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent: plan\ndata: 2\n\n\nid\ndata:x\n\n:c\n\n';
  const whole = [
    { name: "hello", data: '{"a":\n1}', id: "e-1" },
    { name: "plan", data: "2", id: "" },
    { name: "message", data: "x", id: "" },
  ];
  for (let cut = 0; cut <= text.length; cut++) {
    for (const next of [cut, Math.min(text.length, cut + 3)]) {
      const parser = new EventParser();
      const found = [text.slice(0, cut), text.slice(cut, next), text.slice(next)].flatMap((part) => parser.feed(part));
      assert.deepEqual(found, whole, `cut at ${cut}, ${next}`);
    }
  }
});

test("events and states come in order, and it resumes behind the last one", async () => {
  const { world, names } = await started();
  await world.last.push(event("e-4", "hello") + event("e-5", "delta"));
  assert.deepEqual(names(), ["connecting", "live", "hello e-4", "delta e-5"]);
  assert.equal(world.last.headers["Last-Event-ID"], undefined);
  await world.last.end();
  assert.deepEqual(names(), ["away"]);
  await world.pass(1);
  assert.equal(world.last.headers["Last-Event-ID"], "e-5");
  // The place of this hello is beyond what comes behind it, also where that does not come any more.
  await world.last.push(event("e-9", "hello"));
  await world.last.end();
  await world.pass(1);
  assert.equal(world.last.headers["Last-Event-ID"], "e-5");
  names();
  await world.last.push(event("e-9", "hello") + event("e-6", "delta"));
  assert.deepEqual(names(), ["live", "hello e-9", "delta e-6"]);
  await world.last.end();
  await world.pass(1);
  assert.equal(world.last.headers["Last-Event-ID"], "e-6");
});

test("another epoch means that what is shown has to be asked for again", async () => {
  const { world, names } = await started();
  await world.last.push(event("e-4", "hello"));
  await world.last.end();
  await world.pass(1);
  names();
  await world.last.push(event("f-1", "hello"));
  assert.deepEqual(names(), ["live", "resync f-1", "hello f-1"]);
});

test("it waits longer after each failure, never longer than the most, and begins anew after a success", async () => {
  const { world } = await started();
  world.answers = new Array(8).fill(0).map(() => new TypeError("refused"));
  await world.last.end();
  const times = [];
  for (let step = 0; step < 200 && world.answers.length; step++) {
    const before = world.asked.length;
    await world.pass(0.5);
    if (world.asked.length > before) times.push(world.time);
  }
  const gaps = times.slice(1).map((time, place) => time - times[place]);
  assert.deepEqual(gaps, [1, 2, 4, 8, 15, 15, 15]);
  await world.pass(16);
  await world.last.push(event("e-1", "hello"));
  const before = world.time;
  await world.last.end();
  await world.pass(0.5);
  assert.equal(world.time, before + 0.5);
  assert.equal(world.asked.length, 11);
});

test("a connection that says nothing is dead, comments keep it alive", async () => {
  const { world, names } = await started();
  await world.last.push(event("e-1", "hello"));
  names();
  for (let step = 0; step < 4; step++) {
    await world.pass(15);
    await world.last.push(": alive\n\n");
  }
  assert.deepEqual(names(), []);
  const dead = world.last;
  await world.pass(SILENCE + 6);
  assert.equal(dead.signal.aborted, true);
  assert.deepEqual(names(), ["away"]);
  assert.equal(world.asked.length, 2);
});

test("a computer that wakes up looks at once", async () => {
  const { world, source } = await started();
  await world.last.push(event("e-1", "hello"));
  source.wake();
  await world.pass(0);
  assert.equal(world.asked.length, 1, "it was alive a moment ago");
  // Timers have not run while it slept.
  world.time += 3600;
  source.wake();
  await world.pass(0);
  assert.equal(world.asked.length, 2);
});

test("a log-in that is over is said and not tried again; after a log-in all begins anew", async () => {
  const { world, source, names } = await started();
  await world.last.push(event("e-3", "hello"));
  world.answers = [refusal(401, "nobody is logged on")];
  await world.last.end();
  await world.pass(1);
  names();
  assert.equal(source.state.state, "expired");
  await world.pass(600);
  source.wake();
  await world.pass(600);
  assert.equal(world.asked.length, 2);
  source.restart();
  await settled();
  assert.equal(world.last.headers["Last-Event-ID"], undefined);
  await world.last.push(event("e-3", "hello"));
  assert.deepEqual(names().slice(-3), ["live", "resync e-3", "hello e-3"]);
});

test("a refusal is said in the console's words; what is passing is tried again when it says", async () => {
  const { world, source } = await started();
  world.answers = [refusal(503, "too many streams", { "Retry-After": "30" }), refusal(404, "there is no server fs9")];
  await world.last.end();
  await world.pass(1);
  assert.equal(source.state.why, "too many streams");
  await world.pass(29);
  assert.equal(world.asked.length, 2);
  await world.pass(1);
  assert.equal(world.asked.length, 3);
  assert.deepEqual([source.state.state, source.state.why], ["refused", "there is no server fs9"]);
});

test("what is no stream of events is no answer", async () => {
  const { world, source } = await started();
  world.answers = [new Response("<html>log in to the hotel", { headers: { "Content-Type": "text/html" } })];
  await world.last.end();
  await world.pass(1);
  assert.equal(source.state.state, "connecting");
});

// --- tabs

class Port {
  constructor(takes = true) {
    this.takes = takes;
    this.got = [];
    this.taken = 0;
  }

  postMessage(message) {
    this.got.push(message);
    if (this.takes) this.confirm();
  }

  confirm() {
    this.taken = this.got.length;
    this.onmessage({ data: { type: "taken", count: this.taken } });
  }

  say(said) {
    this.onmessage({ data: said });
  }

  names() {
    return this.got.splice(0).map((message) => message.name ?? message.state);
  }
}

function shared() {
  let give;
  const calls = [];
  const made = (url, onMessage) => {
    give = onMessage;
    return Object.fromEntries(["start", "stop", "wake", "restart"].map((name) => [name, () => calls.push(name)]));
  };
  const all = new Shared(made);
  const join = (takes = true) => {
    const port = new Port(takes);
    all.add(port);
    port.say({ type: "join", url: "/events" });
    return port;
  };
  return { all, join, calls, give: (message) => give(message) };
}

const delta = (number) => ({ type: "event", name: "delta", data: "{}", id: `e-${number}` });

test("one source for all tabs; who comes later is told what there is, and the last who leaves ends it", () => {
  const { join, calls, give } = shared();
  const first = join();
  give({ type: "state", state: "live", since: 1, why: "" });
  give({ type: "event", name: "hello", data: '{"servers":[]}', id: "e-1" });
  give({ type: "event", name: "server", data: '{"server":"fs1","state":"away"}', id: "e-2" });
  give({ type: "event", name: "server", data: '{"server":"fs1","state":"up"}', id: "e-3" });
  give(delta(4));
  const second = join();
  assert.deepEqual(first.names(), ["live", "hello", "server", "server", "delta"]);
  assert.deepEqual(second.got.map(({ name, state, id }) => name ?? state), ["live", "hello", "server"]);
  assert.deepEqual(second.got.slice(1).map(({ id }) => id), ["e-4", "e-4"]);
  second.names();
  give(delta(5));
  assert.deepEqual([first.names(), second.names()], [["delta"], ["delta"]]);
  first.say({ type: "leave" });
  assert.ok(!calls.includes("stop"));
  second.say({ type: "leave" });
  assert.equal(calls[calls.length - 1], "stop");
});

test("a tab that sleeps is sent no more than so much, and is told to ask again when it wakes", () => {
  const { join, give } = shared();
  const awake = join();
  const asleep = join(false);
  for (let number = 1; number <= MAX_BEHIND * 3; number++) give(delta(number));
  assert.equal(awake.got.length, MAX_BEHIND * 3);
  assert.equal(asleep.got.length, MAX_BEHIND);
  asleep.takes = true;
  asleep.confirm();
  assert.equal(asleep.got[asleep.got.length - 1].name, "resync");
  give(delta(9999));
  assert.equal(asleep.got[asleep.got.length - 1].id, "e-9999");
});

test("a page is told of each delta once, and of what it has no handler for nothing", () => {
  const heard = [];
  const receiver = new Receiver({ onDelta: ({ id }) => heard.push(id), onState: (state, { since }) => heard.push([state, since]) });
  for (const message of [delta(1), delta(2), delta(2), delta(1), { ...delta(3), name: "plan" }, { ...delta(1), id: "f-1" }]) receiver.take(message);
  receiver.take({ type: "state", state: "away", since: 7, why: "" });
  assert.deepEqual(heard, ["e-1", "e-2", "f-1", ["away", 7]]);
});

test("a hello says whether the stream goes on from what this page was told last", () => {
  const heard = [];
  const receiver = new Receiver({ onHello: ({ goesOn }) => heard.push(goesOn) });
  const hello = (id) => ({ type: "event", name: "hello", data: "{}", id });
  for (const message of [hello("e-1"), hello("e-1"), delta(2), hello("e-2"), delta(3), hello("e-7"), hello("f-7")]) receiver.take(message);
  assert.deepEqual(heard, [false, true, true, false, false]);
});

test("what is remembered for a tab that comes later is bounded by the servers", () => {
  const remembered = new Remembered();
  for (let number = 0; number < 1000; number++) remembered.take({ type: "event", name: "server", data: '{"name":"fs1"}', id: `e-${number}` });
  assert.equal(remembered.messages().length, 1);
});

test("which way a browser has", () => {
  const [SharedWorker, BroadcastChannel, navigator] = [function () {}, function () {}, { locks: {} }];
  assert.equal(bestWay({ SharedWorker, BroadcastChannel, navigator }), "worker");
  assert.equal(bestWay({ BroadcastChannel, navigator }), "lock");
  assert.equal(bestWay({ BroadcastChannel, navigator: {} }), "alone");
});
