// Events: what happens on the servers, as it is told. It can be paused, and filtered as one types.
import { fileUserWords } from "../columns.js";
import { empty, field, h, number, pageHead, said, serverChoice, tag } from "../parts.js";
import { fold, many, uncClient, visible } from "../text.js";
import { clock, moment, rfc3339, serverClock } from "../times.js";
import { OUTCOMES, REASONS } from "../words.js";

const SHOWN = 300;
const KINDS = { session: "session", file: "file", share: "share" };
const WHAT = { open: ["+ opened", "ok"], close: ["− gone", ""], connections: ["connections", ""], server: ["server", "warn"], order: ["order", "warn"], resync: ["gap", "warn"] };

export function show(element, route, { live, log, replace }) {
  const names = [...live.servers.keys()];
  const filter = h("input", { type: "search", spellcheck: "false", autocomplete: "off", value: route.params.get("filter") ?? "", placeholder: "user, client, path" });
  const server = serverChoice(names, route.params.get("server"), { all: "All servers" });
  const pause = h("button", { type: "button", "aria-pressed": "false" }, "Pause");
  const about = h("p", { class: "muted", role: "status" });
  const list = h("ol", { class: "events", tabindex: "0", "aria-label": "What happened, the newest first" });
  const nothing = empty("Nothing has happened yet", "What opens and goes on the servers appears here while this page is open. What comes and goes between two looks at a server that is polled is not seen.");
  element.append(
    pageHead("Events", { actions: [pause] }),
    h("form", { class: "row", role: "search", onsubmit: (event) => event.preventDefault() }, field("Filter", filter), field("Server", server)),
    about,
    nothing,
    list,
  );
  let paused = false;
  let missed = 0;

  const passes = (entry) => {
    if (server.value && entry.server !== server.value) return false;
    const wanted = fold(filter.value.trim());
    return !wanted || wanted.split(/\s+/).every((word) => fold(textOf(entry)).includes(word));
  };
  const tell = () => {
    about.textContent = paused ? `Paused. ${number(missed)} more came since.` : `${number(log.entries.length)} since this page was opened; the newest ${number(SHOWN)} that match are shown.`;
    nothing.hidden = list.childElementCount > 0;
    list.hidden = list.childElementCount === 0;
  };
  const draw = () => {
    list.replaceChildren(...log.entries.filter(passes).slice(-SHOWN).reverse().map(item));
    missed = 0;
    tell();
  };
  const take = (entries) => {
    if (paused) missed += entries.length;
    else {
      list.prepend(...entries.filter(passes).slice(-SHOWN).reverse().map(item));
      while (list.childElementCount > SHOWN) list.lastElementChild.remove();
    }
    tell();
  };
  const changed = () => {
    const params = { filter: filter.value.trim(), server: server.value };
    replace(Object.fromEntries(Object.entries(params).filter(([, value]) => value)));
    draw();
  };
  filter.addEventListener("input", changed);
  server.addEventListener("change", changed);
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    if (paused) tell();
    else draw();
  });
  draw();
  return log.subscribe(take);
}

function item(entry) {
  const [words, level] = WHAT[entry.what];
  return h(
    "li",
    {},
    h("time", { datetime: rfc3339(entry.at), title: moment(entry.at) }, clock(entry.at, serverClock.now())),
    h("span", { class: "server" }, said(entry.server)),
    tag(words, level),
    h("span", { class: "text" }, textOf(entry)),
  );
}

/** What happened, in words. */
function textOf({ what, row, how }) {
  if (what === "server") return `${visible(row.name)}: ${said({ up: "answers", away: "does not answer", denied: "does not allow it", login: "wants a log-in" }[row.state] ?? row.state)}${row.error ? `: ${said(row.error.message)}` : ""}`;
  if (what === "resync") return `the stream was interrupted${row.why ? `: ${said(row.why)}` : ""}; lists were asked for anew`;
  const kind = KINDS[row.kind] ?? (row.key ?? "").split(":")[0];
  const parts = [kind];
  if (row.user_name !== undefined) parts.push(kind === KINDS.file ? visible(fileUserWords(row)) : said(row.user_name) || "(nobody)");
  if (row.client_name) parts.push(visible(uncClient(row.client_name)));
  if (row.path) parts.push(visible(row.path));
  if (row.name) parts.push(visible(row.name));
  if (parts.length === 1) parts.push(said(row.key));
  if (what === "order") parts.push(`${said(row.verb)}: ${OUTCOMES[row.outcome]?.words ?? said(row.outcome)}`, said(row.message ?? REASONS[row.reason] ?? ""));
  if (what === "connections") parts.push(connectionWords(row));
  if (what === "close" && row.why) parts.push(`(${said(row.why)})`);
  if (how === "polled") parts.push("");
  return parts.filter(Boolean).join("  ");
}

/** Which of its connections a session has lost, and which are new. Samba names none where there is one. */
function connectionWords({ channels_before: before, channels: now }) {
  const words = [];
  if (before && now) {
    const [lost, come] = [without(before, now), without(now, before)];
    if (lost.length) words.push(`lost ${said(lost.join(", "))}`);
    if (come.length) words.push(`new ${said(come.join(", "))}`);
  }
  return [...words, `now ${many(now?.length ?? 1, "connection")}`].join(", ");
}

/** What is left of some where others are taken away, each once: a client may come from one address twice. */
function without(some, others) {
  const left = [...some];
  for (const each of others) {
    const place = left.indexOf(each);
    if (place >= 0) left.splice(place, 1);
  }
  return left;
}
