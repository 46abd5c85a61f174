// History: who was connected, or had what open, at a time or between two; by user, client and file. Where nobody looked,
// it says so: a gap is never shown as nobody.
import { get } from "../api.js";
import { counted, drawChart, pointsOf } from "../chart.js";
import { empty, field, fill, h, number, pageHead, said, serverChoice, table, time, unknown } from "../parts.js";
import { uncClient, visible } from "../text.js";
import { moment, rfc3339, seconds, serverClock } from "../times.js";
import { HOW } from "../words.js";

const SPANS = [["1", "last hour"], ["24", "last 24 hours"], ["168", "last 7 days"], ["720", "last 30 days"]];
const LIMIT = 1000;
const POINTS = 400;

/** A time for `<input type="datetime-local">`, in this computer's zone. */
function local(at) {
  const when = new Date(at * 1000 - new Date(at * 1000).getTimezoneOffset() * 60000);
  return when.toISOString().slice(0, 19);
}

function instant(text) {
  const at = text ? Date.parse(text) / 1000 : NaN;
  return Number.isNaN(at) ? null : at;
}

export function show(element, route, context) {
  const content = h("div", { class: "content" });
  const form = new Form(route.params, [...context.live.servers.keys()]);
  const ask = () => {
    const params = form.params();
    context.replace(params);
    return fill(content, () => asked(form, params), (answer) => drawn(answer, form), { words: "Asking the database", login: () => context.login(params.server) });
  };
  element.append(pageHead("History", { about: "Who was there, as it was recorded. Times are of this computer's zone." }), form.element, content);
  form.element.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  if (!route.params.has("at") && !route.params.has("since")) form.last(24);
  if (form.server.value) ask();
  // The stream may not have said yet which servers there are.
  return context.live.on("hello", () => {
    const first = !form.server.value;
    form.addServers([...context.live.servers.keys()]);
    if (first && form.server.value) ask();
  });
}

/** Who was there, and how many there were over the time. The series is of all; with a filter it is counted from what
 * the filter selects. */
async function asked(form, { kind, ...params }) {
  const path = form.isAt ? "history/at" : "history/between";
  const { server, since, until, user, client, path: file } = params;
  const some = Boolean(user || client || file);
  const [answer, series] = await Promise.all([
    get(path, { params: form.isAt ? params : { ...params, limit: LIMIT } }),
    form.isAt || some ? null : get("history/series", { params: { server, since, until, points: POINTS } }),
  ]);
  const stays = kind ? answer.stays.filter((one) => one.kind === kind) : answer.stays;
  return { ...answer, stays, series };
}

class Form {
  constructor(params, names) {
    const text = (name) => h("input", { name, spellcheck: "false", autocapitalize: "none", autocomplete: "off", value: params.get(name) ?? "" });
    const when = (name) => h("input", { type: "datetime-local", step: "1", name, value: params.get(name) ? local(seconds(params.get(name)) ?? serverClock.now()) : "" });
    Object.assign(this, { at: when("at"), since: when("since"), until: when("until"), user: text("user"), client: text("client"), path: text("path") });
    this.server = serverChoice(names, params.get("server") ?? names[0], { name: "server", required: true });
    this.addServers(params.get("server") ? [params.get("server")] : []);
    this.kind = h("select", { name: "kind" }, h("option", { value: "" }, "Sessions and files"), h("option", { value: "session" }, "Sessions"), h("option", { value: "file" }, "Files"));
    this.kind.value = params.get("kind") ?? "";
    this.isAt = params.has("at");
    this.one = h("input", { type: "radio", name: "what", value: "at" });
    this.two = h("input", { type: "radio", name: "what", value: "between" });
    (this.isAt ? this.one : this.two).checked = true;
    const times = h("div", { class: "row" });
    const choose = () => {
      this.isAt = this.one.checked;
      if (this.isAt && !this.at.value) this.at.value = this.until.value || local(serverClock.now());
      times.replaceChildren(...(this.isAt ? [field("At", this.at)] : [field("From", this.since), field("To", this.until, null), this.spans()]));
    };
    this.choose = choose;
    this.one.addEventListener("change", choose);
    this.two.addEventListener("change", choose);
    this.element = h(
      "form",
      { class: "card asking", role: "search" },
      h("fieldset", { class: "choice" }, h("legend", { class: "unseen" }, "Which time"), h("label", {}, this.two, "Between two times"), h("label", {}, this.one, "At one time")),
      times,
      h("div", { class: "row" }, field("Server", this.server), field("What", this.kind), field("User", this.user), field("Client", this.client), field("File", this.path), h("button", { type: "submit", class: "first" }, "Show")),
    );
    choose();
  }

  addServers(names) {
    const known = new Set([...this.server.options].map((option) => option.value));
    for (const name of names) if (!known.has(name)) this.server.append(h("option", { value: name }, visible(name)));
  }

  spans() {
    return h("div", { class: "spans", role: "group", "aria-label": "Usual times" }, SPANS.map(([hours, words]) => h("button", { type: "button", class: "quiet", onclick: () => this.last(Number(hours), true) }, words)));
  }

  last(hours, submit = false) {
    const now = Math.floor(serverClock.now());
    this.since.value = local(now - hours * 3600);
    this.until.value = local(now);
    if (submit) this.element.requestSubmit();
  }

  params() {
    const params = { server: this.server.value, kind: this.kind.value, user: this.user.value.trim(), client: this.client.value.trim(), path: this.path.value.trim() };
    if (this.isAt) params.at = rfc3339(instant(this.at.value));
    else Object.assign(params, { since: rfc3339(instant(this.since.value)), until: rfc3339(instant(this.until.value)) });
    return Object.fromEntries(Object.entries(params).filter(([, value]) => value));
  }
}

function drawn(answer, form) {
  const { stays, gaps } = answer;
  const span = form.isAt ? null : { since: instant(form.since.value) ?? 0, until: instant(form.until.value) ?? serverClock.now() };
  return [
    gapsOf(gaps, form.isAt),
    summary(answer, stays, form),
    span && (stays.length || gaps.length) ? drawChart(answer.series ? pointsOf(answer.series) : counted(stays, gaps, span), { more: answer.more && !answer.series }) : null,
    stays.length
      ? table("Who was there", columns(form), stays, { hideCaption: true })
      : answer.watched.length === 0
        ? empty("Nothing was recorded of that server", "lanman history record keeps what happens; whatever was before it began is not known.")
        : empty(gaps.length ? "Nobody is known to have been there" : "Nobody was there", gaps.length ? "In the gaps above nobody looked, so others may have been." : "It was recorded during all of that time."),
    watched(answer.watched),
  ];
}

function summary(answer, stays, form) {
  const sessions = stays.filter((one) => one.kind === "session").length;
  const files = stays.length - sessions;
  const words = `${number(sessions)} ${sessions === 1 ? "session" : "sessions"}, ${number(files)} ${files === 1 ? "file" : "files"}${form.isAt ? ` at ${moment(instant(form.at.value))}` : ""}.`;
  return h("p", { role: "status" }, words, answer.more ? h("strong", {}, ` There are more than these ${number(stays.length)}: name a user, a client, a file or a shorter time.`) : "");
}

function gapsOf(gaps, isAt) {
  if (!gaps.length) return null;
  return h(
    "section",
    { class: "banner warn" },
    h("h2", {}, isAt ? "Nobody looked at that time" : `Nobody looked during ${number(gaps.length)} ${gaps.length === 1 ? "gap" : "gaps"}`),
    h("ul", { class: "lines" }, gaps.slice(0, 20).map((gap) => h("li", {}, h("strong", {}, said(gap.server)), `: ${spanOf(gap)}: ${said(gap.why)}`, gap.detail ? ` (${visible(gap.detail)})` : ""))),
    gaps.length > 20 ? h("p", {}, `and ${number(gaps.length - 20)} more`) : null,
  );
}

/** The time of a gap in words; what has no begin, or no end, goes on for ever. */
function spanOf(gap) {
  const [begun, ended] = [gap.begun_at, gap.ended_at].map((at) => (at ? moment(seconds(at)) : null));
  if (begun && ended) return `from ${begun} to ${ended}`;
  return begun ? `from ${begun} on` : ended ? `until ${ended}` : "at all times";
}

function watched(all) {
  if (!all.length) return null;
  return h("details", { class: "watched" }, h("summary", {}, "What is recorded"), h("ul", { class: "lines" }, all.map((one) => h("li", {}, h("strong", {}, said(one.server)), ": since ", moment(seconds(one.since_at)), ", seen last ", time(one.seen_at), one.every ? `, every ${one.every} s` : ""))));
}

function columns(form) {
  return [
    { title: "What", cell: (one) => (one.kind === "file" ? h("span", { class: "path" }, said(one.path) || "path not told") : "session") },
    { title: "User", cell: (one) => (one.user_name ? link(form, { user: one.user_name }, visible(one.user_name)) : unknown()) },
    { title: "From", cell: (one) => from(one, form) },
    { title: "Server", cell: (one) => said(one.server) },
    { title: "Begun", cell: (one) => begin(one.begun_at, one.begun_slack, one.begun_how) },
    { title: "Ended", cell: (one) => h("div", {}, one.ended_at ? begin(one.ended_at, one.ended_slack) : "still there", one.why ? h("div", { class: "muted" }, said(one.why)) : null, one.ended_by ? h("div", {}, `by ${said(one.ended_by.who)} (${said(one.ended_by.verb)})`) : null) },
    form.isAt ? { title: "Certain", cell: (one) => (one.certain === false ? h("span", { class: "warn" }, "perhaps: it began or ended about then") : "yes") } : null,
  ].filter(Boolean);
}

/** The same question about a user or a client. */
function link(form, more, words) {
  return h("a", { href: `#/history?${new URLSearchParams({ ...form.params(), ...more })}` }, words);
}

function from(one, form) {
  if (one.client_name) return h("div", {}, link(form, { client: one.client_name }, visible(uncClient(one.client_name))), one.client_how && one.client_how !== "told" ? h("div", { class: "muted" }, HOW[one.client_how] ?? one.client_how) : null);
  if (one.candidates?.length) return h("span", {}, "one of ", one.candidates.map((name) => visible(uncClient(name))).join(", "));
  return unknown();
}

function begin(at, slack, how) {
  if (!at) return unknown();
  const words = slack ? ` ± ${number(slack)} s` : "";
  return h("span", { title: how ? (HOW[how] ?? how) : null }, moment(seconds(at)).replace(/ [+-]\d\d:\d\d$/, ""), words ? h("span", { class: "muted" }, words) : null);
}
