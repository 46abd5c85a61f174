// The servers: which are up, how old what is shown is, what they tell and what not, their limits, and who one is there.
import { get } from "../api.js";
import { empty, h, loading, meter, number, pageHead, pairs, said, tag, time } from "../parts.js";
import { OF_SERVER, addressOf } from "../routes.js";
import { visible } from "../text.js";

const STATES = {
  up: ["up", "ok"],
  away: ["does not answer", "bad"],
  denied: ["not allowed", "warn"],
  login: ["log in first", ""],
};
const VERBS = [
  ["end", "end sessions"],
  ["close", "close files"],
  ["share", "change shares"],
  ["set", "change settings"],
  ["pause", "pause"],
  ["drain", "drain"],
];
const ASK_EVERY = 15000;

export function show(element, route, { live, login }) {
  const list = h("ul", { class: "cards servers" });
  const about = h("p", { class: "about" });
  element.append(pageHead("Servers"), about, list);
  const more = new Map();
  let known = false;

  const draw = () => {
    const servers = [...live.servers.values()].map((server) => ({ ...more.get(server.name), ...server }));
    if (!servers.length) {
      list.replaceChildren(h("li", {}, known ? empty("No servers", "lanman web was started without any: give it some by -S.") : loading("Asking which servers there are")));
      return;
    }
    const up = servers.filter((server) => (server.state ?? "up") === "up").length;
    about.textContent = servers.length > 1 ? `${number(up)} of ${number(servers.length)} answer.` : "";
    const kept = document.activeElement?.closest?.("li.card")?.dataset.server;
    list.replaceChildren(...servers.map((server) => card(server, login)));
    if (kept) [...list.children].find((item) => item.dataset.server === kept)?.querySelector("a")?.focus();
  };
  const ask = async () => {
    try {
      const answer = await get("servers", { unattended: true });
      known = true;
      for (const server of answer.servers ?? answer.rows ?? []) {
        more.set(server.name, server);
        if (!live.servers.has(server.name)) live.servers.set(server.name, server);
      }
    } catch (error) {
      if (error.name !== "ApiError") throw error;
    }
    if (element.isConnected) draw();
  };
  draw();
  ask();
  const timer = setInterval(() => document.hidden || ask(), ASK_EVERY);
  const offs = [live.on("hello", draw), live.on("server", draw)];
  return () => {
    clearInterval(timer);
    for (const off of offs) off();
  };
}

function card(server, login) {
  const state = server.state ?? "up";
  const [words, level] = STATES[state] ?? [state, ""];
  return h(
    "li",
    { class: "card", dataset: { server: server.name } },
    h("h2", {}, h("a", { href: addressOf(server.name, "sessions") }, said(server.name)), " ", tag(words, level)),
    problem(server, state, login),
    pairs([
      ["Known by", howKnown(server)],
      server.user || server.person ? ["You are", said(server.user ?? server.person)] : null,
      ...counts(server),
      ...(server.limits ?? []).map((one) => [said(one.title ?? one.name), limit(one)]),
      ["Not told", untold(server)],
      ["Cannot be ordered", cannot(server)],
    ].filter((entry) => entry && entry[1] !== null)),
    state === "login" ? null : h("p", { class: "links" }, OF_SERVER.map(([page, title]) => h("a", { href: addressOf(server.name, page) }, title))),
  );
}

function problem(server, state, login) {
  if (state === "login") {
    return h("p", {}, h("button", { type: "button", onclick: () => login(server.name) }, `Log in at ${visible(server.name)}`));
  }
  const error = server.error ?? (state === "up" ? null : server.problem ?? null);
  const at = server.stale_at ?? server.since_at ?? server.asked_at ?? null;
  if (!error && state === "up") return null;
  return h(
    "div",
    { class: state === "away" ? "banner bad" : "banner warn" },
    error ? h("p", {}, said(error.message ?? error)) : null,
    error?.hint ? h("p", {}, said(error.hint)) : null,
    state === "away" ? h("p", {}, at ? ["What is shown is of ", time(at), "; "] : "", "it is asked again by itself.") : null,
  );
}

function howKnown(server) {
  const level = server.level === null || server.level === undefined ? null : `level ${server.level}`;
  const stream = server.streamed ? "told as it happens" : server.streamed === false ? "asked again and again" : null;
  return [level, stream].filter(Boolean).join(", ") || null;
}

function counts(server) {
  const counted = server.counts ?? {};
  const words = { session: "Sessions", sessions: "Sessions", file: "Open files", files: "Open files", share: "Shares", shares: "Shares" };
  return Object.entries(counted).filter(([name]) => words[name]).map(([name, value]) => [words[name], number(value)]);
}

function limit(one) {
  const most = one.most ?? one.limit ?? one.max;
  if (most === null || most === undefined) return number(one.value ?? one.used);
  return meter(one.value ?? one.used ?? 0, most, said(one.title ?? one.name));
}

function untold(server) {
  const sentences = server.untold ?? server.missing ?? [];
  const refused = Object.entries(server.refused ?? {}).map(([kind, error]) => `${kind}s: ${error.message ?? error}`);
  const all = [...sentences, ...refused];
  return all.length ? h("ul", { class: "lines" }, all.map((one) => h("li", {}, said(one)))) : null;
}

function cannot(server) {
  const missing = VERBS.filter(([verb]) => server.capabilities?.[verb] === false);
  if (!missing.length) return null;
  return h("ul", { class: "lines" }, missing.map(([verb, words]) => h("li", {}, h("strong", {}, words), server.why?.[verb] ? `: ${visible(server.why[verb])}` : "")));
}
