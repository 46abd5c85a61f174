// How a plan is shown, and what becomes of it.
import { h, number, said, tag } from "./parts.js";
import { many, uncClient, visible } from "./text.js";
import { clock, seconds, serverClock } from "./times.js";
import { COST_ORDER, MEANS, OUTCOMES, REASONS, costOf, verbOf } from "./words.js";

/** So many rows are drawn at first; a button draws the others. */
const FIRST = 200;

/** What a target is, in elements: who from where, or which file. */
function named(row) {
  const user = row.user_name === null || row.user_name === undefined ? "user not told" : visible(row.user_name) || "(nobody)";
  const node = row.node ? h("span", { class: "muted" }, ` on ${visible(row.node)}`) : null;
  if (row.kind === "file") return [h("span", { class: "path" }, said(row.path) || "path not told"), h("span", { class: "muted" }, ` ${user}`), node];
  if (row.kind === "share") return [h("strong", {}, said(row.netname ?? row.name)), h("span", { class: "path muted" }, ` ${said(row.path)}`), shareWords(row), node];
  if (row.client_name !== undefined) return [h("strong", {}, user), ` ${visible(uncClient(row.client_name ?? "?"))}`, opens(row), node];
  return [h("strong", {}, SETTINGS[row.name] ?? said(row.name ?? row.key)), changeOf(row)];
}

const SETTINGS = { autodisconnect: "Idle sessions end after (minutes)", comment: "Comment", hidden: "Hidden" };

function opens(row) {
  return row.num_opens === null || row.num_opens === undefined ? null : h("span", { class: "muted" }, ` ${many(row.num_opens, "open file")}`);
}

/** A setting: from what to what. */
function changeOf(row) {
  if (!("after" in row)) return null;
  return h("span", {}, `: ${value(row.before)} → `, h("strong", {}, value(row.after)));
}

/** What is to become of a share. */
function shareWords(row) {
  const limit = (users) => (users ? many(users, "user") : "any number of users");
  if (row.action === "add") return h("div", {}, `is shared, for ${limit(row.max_users)}${row.remark ? `: ${visible(row.remark)}` : ""}`);
  if (row.action !== "change") return null;
  const parts = [];
  if (row.remark !== null && row.remark !== undefined) parts.push(["remark", value(row.before?.remark), value(row.remark)]);
  if (row.max_users !== null && row.max_users !== undefined) parts.push(["limit", limit(row.before?.max_users), limit(row.max_users)]);
  return parts.map(([name, from, to]) => h("div", {}, `${name}: ${from} → `, h("strong", {}, to)));
}

function value(one) {
  if (one === null || one === undefined) return "not set";
  return typeof one === "boolean" ? (one ? "yes" : "no") : visible(String(one)) || '""';
}

/** One target: name, cost and why, and what is special about it. */
function targetItem(row) {
  const cost = row.cost ? costOf(row.cost) : null;
  return h(
    "li",
    { class: "target", dataset: { key: row.key } },
    h("div", { class: "what" }, named(row)),
    cost ? h("div", { class: "cost" }, tag(cost.words, cost.level), row.cost_why ? h("span", {}, ` ${visible(row.cost_why)}`) : null) : null,
    row.is_own ? h("div", { class: "warn" }, "This is your own session: it is left alone.") : null,
    row.num_bystanders ? h("div", { class: "warn" }, `${many(row.num_bystanders, "other session")} would end with it.`) : null,
    row.is_console ? h("div", { class: "warn" }, "This may be the console's own session, by which it looks.") : null,
  );
}

/** A list of many: the first ones, and a button for the others. */
function longList(rows, item, attributes) {
  const list = h("ul", attributes, rows.slice(0, FIRST).map(item));
  if (rows.length <= FIRST) return list;
  const more = h("button", { type: "button", class: "quiet" }, `Show all ${number(rows.length)}`);
  more.addEventListener("click", () => {
    list.append(...rows.slice(FIRST).map(item));
    more.remove();
    list.focus();
  });
  list.tabIndex = -1;
  return h("div", {}, list, more);
}

function byCost(one, other) {
  return COST_ORDER.indexOf(one.cost) - COST_ORDER.indexOf(other.cost);
}

function summaryOf(plan, verb, server) {
  const rows = plan.rows ?? [];
  const costs = COST_ORDER.map((cost) => [cost, rows.filter((row) => row.cost === cost && !row.is_own).length]).filter(([, n]) => n);
  const worst = costs.length ? costOf(costs[0][0]).sentence : "";
  const parts = costs.map(([cost, n]) => tag(`${number(n)} ${costOf(cost).words}`, costOf(cost).level));
  const words = MEANS[verb] ?? (plan.summary ? visible(plan.summary) : `${verbOf(verb).run(rows.filter((row) => !row.is_own).length)} on ${visible(server)}. ${worst}`);
  return h("div", { class: "summary" }, h("p", {}, words), parts.length ? h("p", { class: "tags" }, parts) : null);
}

function leftOutItem(one) {
  if (typeof one === "string") return h("li", {}, visible(one));
  const row = one.row ?? one;
  return h("li", {}, named({ kind: row.path !== undefined ? "file" : "session", ...row }), `: ${said(one.why ?? one.message)}`);
}

function bystanderItem(one) {
  return h("li", {}, h("strong", {}, said(one.user_name) || "(nobody)"), ` ${visible(uncClient(one.client_name ?? "?"))}`, opens(one));
}

/**
 * A plan with its question. Returns `{element, canRun, isConfirmed(), typed(), withOthers(), runWords(), say(words)}`;
 * `onchange` is called when what is typed or ticked changes.
 */
export function drawPlan(plan, { verb, server, onchange }) {
  const rows = [...(plan.rows ?? [])].sort(byCost);
  const leftOut = plan.left_out ?? [];
  const bystanders = plan.bystanders ?? [];
  const meant = rows.filter((row) => !row.is_own);
  const canRun = ["drain", "pause", "continue"].includes(verb) || meant.length > 0;
  const consent = h("input", { type: "checkbox" });
  const name = h("input", { autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
  const note = h("p", { class: "banner warn", role: "alert", hidden: true });
  name.id = `confirm-${plan.plan}`;
  const wanted = () => (consent.checked ? (plan.confirm_with_others ?? plan.confirm) : plan.confirm) ?? null;
  const asked = h("code", {});
  const confirm = h("div", { class: "field confirm" }, h("label", { for: name.id }, "This may cost somebody their work, or is for many. Type ", asked, " to confirm"), name);
  const changed = () => {
    asked.textContent = visible(wanted() ?? server);
    confirm.hidden = wanted() === null;
    onchange();
  };
  consent.addEventListener("change", changed);
  name.addEventListener("input", changed);
  const element = h(
    "div",
    { class: "plan" },
    canRun ? summaryOf(plan, verb, server) : h("p", {}, "Nothing is left that could be done: see why below."),
    rows.length ? section(verbOf(verb).thing === "setting" ? "What changes" : `What it is for (${number(rows.length)})`, longList(rows, targetItem, { class: "targets" })) : null,
    leftOut.length ? section(`Left out (${number(leftOut.length)})`, longList(leftOut, leftOutItem, { class: "lines" })) : null,
    bystanders.length
      ? section(
          `Would end too (${number(bystanders.length)})`,
          h("p", {}, "The server ends these with what is meant. They are left alone, and so is what cannot end without them, unless you agree."),
          longList(bystanders, bystanderItem, { class: "lines" }),
          h("label", { class: "consent" }, consent, `End ${bystanders.length === 1 ? "this one" : `these ${number(bystanders.length)}`} too`),
        )
      : null,
    canRun ? confirm : null,
    note,
  );
  asked.textContent = visible(wanted() ?? server);
  confirm.hidden = wanted() === null;
  return {
    element,
    canRun,
    isConfirmed: () => wanted() === null || name.value.trim().toLowerCase() === wanted().toLowerCase(),
    typed: () => (wanted() === null ? null : name.value.trim()),
    withOthers: () => consent.checked,
    runWords: () => verbOf(verb).run(meant.length) + (consent.checked ? ` and ${many(bystanders.length, "other")}` : ""),
    say: (words) => {
      note.textContent = words;
      note.hidden = false;
    },
  };
}

function section(title, ...parts) {
  return h("section", { class: "part" }, h("h3", {}, title), parts);
}

/** What a target is known by in a plan: its number, since two of them may have one key. */
function idOf(row) {
  return row.number ?? row.key;
}

const VERDICTS = {
  drained: "Drained: nobody is there any more.",
  timed_out: "Not drained: the time is over, and some are still there.",
  failed: "Not drained.",
  interrupted: "It was stopped; what it had closed is open again.",
};

/** One event of a drain in words. */
function drainLine(event) {
  const time = event.happened_at ? `${clock(seconds(event.happened_at), serverClock.now())}  ` : "";
  const who = event.key ? `${keyWords(event.key)}: ` : "";
  const left = event.left ? `${many(event.left.length, "holder")} left. ` : "";
  return `${time}${who}${event.phase ?? ""} ${left}${event.outcome ?? ""}${event.told ? ` (${event.told})` : ""}${event.message ? `: ${event.message}` : ""}`;
}

/** The parts of a key that say something to people. */
function keyWords(key) {
  const parts = key.split("@")[0].split(":").slice(1, 3).filter((one) => one !== "*");
  return parts.map((one) => unescaped(one)).join(" ");
}

function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What becomes of each target while the order runs: take events, and show them. */
export class Outcomes {
  constructor(rows, words, verb) {
    this.words = words;
    this.verb = verb;
    this.known = new Map(rows.map((row) => [idOf(row), { ...row, outcome: null }]));
    this.items = new Map();
    this.count = { done: 0, spared: 0, failed: 0 };
    this.over = false;
    this.seen = 0;
    this.progress = verb !== "drain" && rows.length > 1 ? h("progress", { max: rows.length, value: 0, "aria-label": "Targets that are settled" }) : null;
    this.line = h("p", { class: "running", role: "status" });
    this.log = h("ul", { class: "lines log" });
    this.list = h("ul", { class: "targets outcomes" });
    for (const row of [...this.known.values()].slice(0, FIRST)) this.draw(row);
    this.element = h("div", { class: "plan" }, this.line, this.progress, this.list, this.log);
    this.tell();
  }

  get settled() {
    return this.count.done + this.count.spared + this.count.failed;
  }

  rows() {
    return [...this.known.values()];
  }

  /** Take in an event of the stream (`outcome` of one target, `event` of a drain), or the whole plan as it is by now. */
  take(event) {
    for (const row of event.outcomes ?? [event.outcome].filter(Boolean)) this.settle(row);
    const lines = event.events?.slice(this.seen) ?? [event.event].filter(Boolean);
    this.seen = Math.max(this.seen, event.events?.length ?? this.seen + lines.length);
    for (const line of lines) this.addLine(drainLine(line));
    this.tell();
  }

  settle(row) {
    const before = this.known.get(idOf(row));
    if (before?.outcome === row.outcome) return;
    if (before?.outcome) this.count[before.outcome] -= 1;
    const now = { ...before, ...row };
    this.known.set(idOf(row), now);
    if (row.outcome in this.count) this.count[row.outcome] += 1;
    if (this.items.has(idOf(row)) || this.items.size < FIRST || row.outcome !== "done") this.draw(now);
  }

  addLine(words) {
    this.log.prepend(h("li", {}, said(words)));
    while (this.log.childElementCount > FIRST) this.log.lastElementChild.remove();
  }

  draw(row) {
    const { outcome } = row;
    const known = OUTCOMES[outcome] ?? { words: outcome ?? "waiting", level: "" };
    const why = [row.message ?? (row.reason ? (REASONS[row.reason] ?? row.reason) : null), row.hint, row.note].filter(Boolean);
    const words = outcome === "done" ? this.words.done : known.words;
    const item = h(
      "li",
      { class: `target ${outcome ?? "waiting"}` },
      h("div", { class: "what" }, named(row)),
      h("div", { class: "cost" }, tag(words, known.level), why.map((one) => h("span", {}, ` ${visible(one)}`))),
    );
    const old = this.items.get(idOf(row));
    if (old) old.replaceWith(item);
    else this.list.append(item);
    this.items.set(idOf(row), item);
  }

  summary() {
    const { done, spared, failed } = this.count;
    const parts = [];
    if (done) parts.push(`${number(done)} ${this.words.done}`);
    if (spared) parts.push(`${number(spared)} left alone`);
    if (failed) parts.push(`${number(failed)} failed`);
    return parts.join(", ") || (this.over ? "It is over." : "");
  }

  tell() {
    if (this.progress) this.progress.value = this.settled;
    const settled = this.progress ? `${number(this.settled)} of ${number(this.known.size)} settled. ` : "";
    const words = this.over ? this.summary() : `Running. ${settled}${this.summary()}`;
    if (this.line.textContent !== words) this.line.textContent = words;
  }

  /** It is over: `verdict` is how a drain ended, `error` and `note` are the plan's. */
  finish({ state = null, verdict = null, error = null, note = null } = {}) {
    this.over = true;
    this.progress?.remove();
    for (const row of this.known.values()) if (!row.outcome && this.verb !== "drain") this.draw({ ...row, outcome: "unknown" });
    this.tell();
    const words = [VERDICTS[verdict] ?? verdict, error?.message, error?.hint, note].filter(Boolean);
    if (state === "stopped" && !verdict) words.unshift("It was stopped; what it had closed is open again.");
    const level = error || this.count.failed ? "bad" : "";
    if (words.length) this.element.prepend(h("div", { class: `banner ${level}`, role: "status" }, words.map((one) => h("p", {}, visible(one)))));
  }
}
