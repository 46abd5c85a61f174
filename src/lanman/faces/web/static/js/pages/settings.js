// Settings: what the server says of itself, and the few that can be changed, each by a plan.
import { get, part } from "../api.js";
import { askPlan } from "../dialog.js";
import { askDrain } from "../orderforms.js";
import { bytes, field, fill, h, number, orderButton, pageHead, pairs, said, unknown } from "../parts.js";
import { visible } from "../text.js";

/* 2^32-1 of MS-SRVS is no limit. */
const UNLIMITED = 0xffffffff;

/* What can be changed: the member of the answer, the setting's name in a plan, and how it is asked for. */
const CHANGES = [
  {
    member: "disc",
    name: "autodisconnect",
    title: "Idle sessions end after",
    help: "minutes without anything asked, for sessions without open files; -1 is never",
    shown: (value) => (value === -1 ? "never" : `${number(value)} ${value === 1 ? "minute" : "minutes"}`),
    input: (value) => h("input", { type: "number", min: -1, max: 65535, step: 1, required: true, value: value ?? 15 }),
    read: (input) => input.valueAsNumber,
  },
  {
    member: "comment",
    name: "comment",
    title: "Comment",
    help: "at most 48 characters; it is shown beside the server's name",
    shown: (value) => said(value) || h("span", { class: "muted" }, "none"),
    input: (value) => h("input", { maxlength: 48, value: value ?? "", autocomplete: "off" }),
    read: (input) => input.value,
  },
  {
    member: "hidden",
    name: "hidden",
    title: "Hidden",
    help: "left out of the lists of servers in the network",
    shown: (value) => (value ? "yes" : "no"),
    input: (value) => h("select", {}, h("option", { value: "false", selected: !value }, "no"), h("option", { value: "true", selected: Boolean(value) }, "yes")),
    read: (input) => input.value === "true",
  },
];

const GROUPS = [
  ["Server", [["name", "Name"], ["version", "Version"], ["domain", "Domain"], ["userpath", "Path of users"], ["licenses", "Licences"]]],
  ["Limits", [["users", "Users", limit], ["sessopens", "Open files of a session", limit], ["sessvcs", "Sessions of a client", limit], ["sessusers", "Users of a session", limit], ["sessconns", "Tree connects of a session", limit], ["opensearch", "Searches of a session", limit]]],
];
const BYTES = new Set(["sizreqbuf", "maxrawbuflen", "xactmemsize", "maxpagedmemoryusage", "maxnonpagedmemoryusage"]);

function limit(value) {
  return value === UNLIMITED ? "unlimited" : number(value);
}

export function show(element, route, context) {
  const { server } = route;
  const content = h("div", { class: "content" });
  element.append(pageHead("Settings", { about: visible(server) }), content);
  const ask = () =>
    fill(content, () => get(`servers/${part(server)}/settings`), (answer) => drawn(answer.configuration, server, context, ask), { login: () => context.login(server) });
  ask();
  return undefined;
}

function drawn(told, server, context, again) {
  const left = new Map(Object.entries(told).filter(([name, value]) => value !== null && value !== undefined));
  for (const { member } of CHANGES) left.delete(member);
  const groups = GROUPS.map(([title, members]) => group(title, members, told, left)).filter(Boolean);
  return h(
    "div",
    { class: "content" },
    h("section", { class: "card" }, h("h2", {}, "What can be changed"), h("div", { class: "changes" }, CHANGES.map((one) => changeable(one, told, server, context, again)))),
    maintenance(server, context),
    h("div", { class: "cards" }, groups),
    transports(told.transports),
    others(left),
  );
}

function group(title, members, told, left) {
  const entries = members.map(([name, words, shown = plain]) => {
    left.delete(name);
    if (name === "version") {
      left.delete("version_major");
      left.delete("version_minor");
      return told.version || told.version_major ? [words, said(told.version ?? `${told.version_major & 15}.${told.version_minor ?? 0}`)] : null;
    }
    const value = told[name];
    return value === null || value === undefined ? null : [words, shown(value)];
  });
  return entries.some(Boolean) ? h("section", { class: "card" }, h("h2", {}, title), pairs(entries)) : null;
}

function plain(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? number(value) : said(typeof value === "object" ? JSON.stringify(value) : value);
}

function changeable(one, told, server, context, again) {
  const value = told[one.member];
  const known = value !== null && value !== undefined;
  const place = h("div", { class: "change" });
  const why = () => context.live.cannot(server, "set");
  const open = () => {
    const input = one.input(known ? value : null);
    const cancel = h("button", { type: "button", onclick: closed }, "Leave it");
    const form = h("form", { class: "row" }, field(one.title, input, one.help), h("button", { type: "submit", class: "first" }, "Change …"), cancel);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const rows = await askPlan(server, "set", [], { [one.name]: one.read(input) });
      if (rows) again();
    });
    place.replaceChildren(form);
    input.focus();
  };
  const closed = () => {
    const button = orderButton("Change", open, { why });
    button.firstChild.after(h("span", { class: "unseen" }, ` ${one.title}`));
    place.replaceChildren(h("span", { class: "name" }, one.title), h("span", { class: "value" }, known ? one.shown(value) : unknown()), button);
  };
  closed();
  return place;
}

/** Orders about the whole server: pause, continue, drain. */
function maintenance(server, context) {
  const { live } = context;
  const order = (verb, words) => orderButton(words, () => askPlan(server, verb, []), { why: () => live.cannot(server, verb === "continue" ? "pause" : verb), grave: verb === "pause" });
  const drain = orderButton("Drain …", () => askDrain(server), { why: () => live.cannot(server, "drain"), grave: true });
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Maintenance"),
    h("p", { class: "about" }, "Paused, the server lets nobody new in, and who is there goes on. Drained, nobody is there any more: newcomers are kept out, people are told and waited for, and who is left is ended."),
    h("div", { class: "row" }, order("pause", "Pause …"), order("continue", "Continue …"), drain),
  );
}

function transports(all) {
  if (!all?.length) return null;
  return h("section", { class: "card" }, h("h2", {}, "Listens on"), h("ul", { class: "lines" }, all.map((one) => h("li", {}, said(one.name), one.address ? ` (${said(one.address)})` : ""))));
}

function others(left) {
  left.delete("transports");
  if (!left.size) return null;
  return h(
    "details",
    { class: "card" },
    h("summary", {}, `${number(left.size)} more that the server tells, by the names of MS-SRVS`),
    pairs([...left].map(([name, value]) => [h("code", {}, name), BYTES.has(name) ? bytes(value) : plain(value)])),
  );
}
