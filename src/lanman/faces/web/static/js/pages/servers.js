// The servers: which are up, how old what is shown is, what they tell and what not, their limits, and who one is there.
import { get } from "../api.js";
import { empty, h, loading, meter, number, pageHead, pairs, said, tag, time } from "../parts.js";
import { OF_SERVER, addressOf } from "../routes.js";
import { many, visible } from "../text.js";

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
const KINDS = { session: "sessions", file: "open files", share: "shares" };
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
      for (const server of answer.servers) {
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
    state === "login"
      ? null
      : pairs([
          server.user ? ["You are", said(server.user)] : null,
          server.asked_at || state === "up" ? ["Known by", howKnown(server)] : null,
          ...counts(server, state),
          untold(server),
          cannot(server),
        ]),
    state === "login" ? null : h("p", { class: "links" }, OF_SERVER.map(([page, title]) => h("a", { href: addressOf(server.name, page) }, title))),
  );
}

function problem(server, state, login) {
  if (state === "login") {
    return h("p", {}, h("button", { type: "button", onclick: () => login(server.name) }, `Log in at ${visible(server.name)}`));
  }
  if (!server.error && state === "up") return null;
  return h(
    "div",
    { class: state === "away" ? "banner bad" : "banner warn" },
    server.error ? [h("p", {}, said(server.error.message)), server.error.hint ? h("p", {}, said(server.error.hint)) : null] : null,
    state === "away" ? h("p", {}, server.asked_at ? ["What is shown is of ", time(server.asked_at), "; "] : "", "it is asked again by itself.") : null,
  );
}

function howKnown(server) {
  const level = server.level === null || server.level === undefined ? null : `level ${server.level}`;
  const news = server.streamed ? "told as it happens" : "asked again and again";
  return [level, news].filter(Boolean).join(", ");
}

/** How many there are; of a server that is not there, what was seen last. */
function counts(server, state) {
  const entries = [
    ["Sessions", sessions(server)],
    ["Open files", amount(server.files, server.locks ? `, ${many(server.locks, "lock")}` : "")],
    ["Shares", amount(server.shares)],
  ];
  return state === "up" ? entries : entries.filter(([, value]) => value !== null);
}

function amount(value, more = "") {
  return value === null || value === undefined ? null : `${number(value)}${more}`;
}

function sessions(server) {
  const users = server.users === null || server.users === undefined ? "" : `, of ${many(server.users, "user")}`;
  if (server.session_limit && server.sessions !== null && server.sessions !== undefined) {
    return h("div", {}, meter(server.sessions, server.session_limit, "Sessions"), users ? h("div", {}, users.slice(2)) : null);
  }
  return amount(server.sessions, users);
}

/** What it does not tell, and why. */
function untold(server) {
  const refused = Object.entries(server.refused ?? {});
  if (!refused.length) return null;
  const lines = refused.map(([kind, error]) => h("li", {}, h("strong", {}, KINDS[kind] ?? said(kind)), `: ${said(error.message)}${error.hint ? `. ${said(error.hint)}` : ""}`));
  return ["Not told", h("ul", { class: "lines" }, lines)];
}

/** What cannot be ordered, and why: once where it is the same for all. */
function cannot(server) {
  const missing = VERBS.filter(([verb]) => server.capabilities?.[verb] === false);
  if (!missing.length || (server.state ?? "up") !== "up") return null;
  const reasons = new Map();
  for (const [verb, words] of missing) {
    const why = server.why?.[verb] ?? "";
    reasons.set(why, [...(reasons.get(why) ?? []), words]);
  }
  const lines = [...reasons].map(([why, words]) => h("li", {}, h("strong", {}, words.length === VERBS.length ? "nothing can be ordered" : words.join(", ")), why ? `: ${visible(why)}` : ""));
  return ["Not possible", h("ul", { class: "lines" }, lines)];
}
