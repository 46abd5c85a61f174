// How a plan is shown, and what becomes of it.
import { h, number, said, tag } from "./parts.js";
import { many, uncClient, visible } from "./text.js";
import { COST_ORDER, MEANS, OUTCOMES, REASONS, costOf, verbOf } from "./words.js";

/** So many rows are drawn at first; a button draws the others. */
const FIRST = 200;

/** What a target is, in elements: who from where, or which file. */
function named(row) {
  const user = row.user_name === null || row.user_name === undefined ? "user not told" : visible(row.user_name) || "(nobody)";
  const node = row.node ? h("span", { class: "muted" }, ` on ${visible(row.node)}`) : null;
  if (row.kind === "file") return [h("span", { class: "path" }, said(row.path) || "path not told"), h("span", { class: "muted" }, ` ${user}`), node];
  if (row.kind === "share") return [h("strong", {}, said(row.netname ?? row.name)), h("span", { class: "path muted" }, ` ${said(row.path)}`), node];
  if (row.client_name !== undefined) return [h("strong", {}, user), ` ${visible(uncClient(row.client_name ?? "?"))}`, opens(row), node];
  return [h("strong", {}, said(row.name ?? row.key)), changeOf(row)];
}

function opens(row) {
  return row.num_opens === null || row.num_opens === undefined ? null : h("span", { class: "muted" }, ` ${many(row.num_opens, "open file")}`);
}

/** A setting: from what to what. */
function changeOf(row) {
  if (!("to" in row || "after" in row)) return null;
  return h("span", {}, `: ${value(row.from ?? row.before)} → `, h("strong", {}, value(row.to ?? row.after)));
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
    row.capabilities?.why ? h("div", { class: "warn" }, visible(row.capabilities.why)) : null,
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
  const words = MEANS[verb] ?? (plan.summary ? visible(plan.summary) : `${verbOf(verb).run(rows.length)} on ${visible(server)}. ${worst}`);
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
  const consent = h("input", { type: "checkbox", onchange });
  const name = h("input", { autocomplete: "off", spellcheck: "false", autocapitalize: "none", oninput: onchange });
  const note = h("p", { class: "banner warn", role: "alert", hidden: true });
  const confirm = plan.confirm ?? (plan.grave ? server : null);
  name.id = `confirm-${plan.plan}`;
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
    canRun && confirm
      ? h("div", { class: "field confirm" }, h("label", { for: name.id }, "This may cost somebody their work, or is for many. Type ", h("code", {}, visible(confirm)), " to confirm"), name)
      : null,
    note,
  );
  return {
    element,
    canRun,
    isConfirmed: () => !confirm || name.value.trim().toLowerCase() === confirm.toLowerCase(),
    typed: () => (confirm ? name.value.trim() : null),
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

/** What becomes of each target while the order runs: take events, and show them. */
export class Outcomes {
  constructor(rows, words, verb) {
    this.words = words;
    this.verb = verb;
    this.known = new Map(rows.map((row) => [row.key, { ...row, outcome: null }]));
    this.items = new Map();
    this.count = { done: 0, spared: 0, failed: 0 };
    this.over = false;
    this.progress = rows.length > 1 ? h("progress", { max: rows.length, value: 0, "aria-label": "Targets that are settled" }) : null;
    this.line = h("p", { class: "running", role: "status" });
    this.log = h("ul", { class: "lines log" });
    this.list = h("ul", { class: "targets outcomes" });
    for (const row of [...this.known.values()].slice(0, FIRST)) this.draw(row);
    this.element = h("div", { class: "plan" }, this.line, this.progress, this.list, this.log);
    this.tell();
  }

  /** Whether each target is settled. */
  get isComplete() {
    return this.verb !== "drain" && this.known.size > 0 && this.settled >= this.known.size;
  }

  get settled() {
    return this.count.done + this.count.spared + this.count.failed;
  }

  rows() {
    return [...this.known.values()];
  }

  /** Take in what has become of some: `rows` or `outcomes`, or one row in the event itself. */
  take(event) {
    const rows = event.rows ?? event.outcomes ?? (event.key !== undefined ? [event] : []);
    for (const row of rows) if (row.outcome) this.settle(row);
    if (event.says ?? event.line) this.addLine(event.says ?? event.line);
    this.tell();
  }

  settle(row) {
    const before = this.known.get(row.key);
    if (before?.outcome === row.outcome) return;
    if (before?.outcome) this.count[before.outcome] -= 1;
    const now = { ...before, ...row };
    this.known.set(row.key, now);
    if (row.outcome in this.count) this.count[row.outcome] += 1;
    if (this.items.has(row.key) || this.items.size < FIRST || row.outcome !== "done") this.draw(now);
  }

  addLine(words) {
    this.log.prepend(h("li", {}, said(words)));
    while (this.log.childElementCount > FIRST) this.log.lastElementChild.remove();
  }

  draw(row) {
    const { outcome } = row;
    const known = OUTCOMES[outcome] ?? { words: outcome ?? "waiting", level: "" };
    const why = [row.message, row.reason && !row.message ? (REASONS[row.reason] ?? row.reason) : null, row.note].filter(Boolean);
    const words = outcome === "done" ? this.words.done : known.words;
    const item = h(
      "li",
      { class: `target ${outcome ?? "waiting"}` },
      h("div", { class: "what" }, named(row)),
      h("div", { class: "cost" }, tag(words, known.level), why.map((one) => h("span", {}, ` ${visible(one)}`))),
    );
    const old = this.items.get(row.key);
    if (old) old.replaceWith(item);
    else this.list.append(item);
    this.items.set(row.key, item);
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
    const words = this.over ? this.summary() : `Running: ${number(this.settled)} of ${number(this.known.size)} settled. ${this.summary()}`;
    if (this.line.textContent !== words) this.line.textContent = words;
  }

  finish(message) {
    this.over = true;
    this.progress?.remove();
    this.tell();
    if (message) this.element.prepend(h("p", { class: this.count.failed ? "banner bad" : "banner", role: "status" }, visible(message)));
  }
}
