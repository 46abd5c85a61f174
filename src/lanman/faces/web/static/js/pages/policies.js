// Policies: what they say, what they would do now, and what was promised. Read-only: policies are files.
import { get } from "../api.js";
import { empty, failed, fill, h, number, pageHead, pairs, said, table, tag, time, unknown } from "../parts.js";
import { uncClient, visible } from "../text.js";
import { moment, seconds } from "../times.js";
import { costOf } from "../words.js";

const NOW = { tell: ["would be told", "warn"], end: ["would be ended", "bad"], wait: ["waits", ""], leave: ["left alone", "ok"] };

export function show(element, route, context) {
  const content = h("div", { class: "content" });
  const ask = () => fill(content, all, drawn, { words: "Asking what the policies would do now: each server is looked at once" });
  element.append(
    pageHead("Policies", {
      about: "What the policies of this console's user would do now, with your rights. Nothing is done here: lanman policy run does it.",
      actions: [h("button", { type: "button", onclick: ask }, "Look again")],
    }),
    content,
  );
  ask();
  return undefined;
}

/** Policies, what they would do, and what was promised; what of it is not to be had is null, with why. */
async function all() {
  const { policies } = await get("policies");
  const [plans, status] = await Promise.all(["policies/plan", "policies/status"].map(attempt));
  return { policies, plans, status };
}

async function attempt(path) {
  try {
    return await get(path);
  } catch (error) {
    if (error.name !== "ApiError") throw error;
    return { error };
  }
}

function drawn({ policies, plans, status }) {
  if (!policies.length) return empty("No policies", "None is for a server where you are logged on. lanman policy check tells whether the file is right.");
  return [
    plans.error ? failed(plans.error) : null,
    policies.map((one) => policy(one, (plans.plans ?? []).filter((each) => each.policy === one.policy))),
    (plans.plans ?? []).filter((one) => !policies.some((each) => each.policy === one.policy)).map(plan),
    h("section", {}, h("h2", {}, "What was promised"), status.error ? h("p", { class: "muted" }, said(status.error.message), status.error.hint ? `. ${said(status.error.hint)}` : "") : standing(status)),
  ];
}

function standing({ runs, promises, spared }) {
  return [
    h("p", { class: "muted" }, runs ? ["Policies run on ", said(runs.host), " since ", time(runs.since_at), "."] : "Nobody runs policies with this database."),
    promises.length ? table("What was promised", PROMISE, promises, { hideCaption: true }) : h("p", { class: "muted" }, "Nothing is due."),
    spared.length ? [h("h3", {}, "Left alone"), h("ul", { class: "lines" }, spared.map((one) => h("li", {}, h("strong", {}, said(one.key)), one.server ? ` on ${visible(one.server)}` : " everywhere", ` until ${moment(seconds(one.until_at))}`, one.by ? `, by ${visible(one.by)}` : "")))] : null,
  ];
}

function policy(one, plans) {
  return h(
    "section",
    { class: "card" },
    h("h2", {}, said(one.policy), " ", mode(one.mode), " ", one.awake === false ? tag("asleep") : null),
    pairs([
      ["Servers", (one.servers ?? []).map((name) => visible(name)).join(", ")],
      one.changes_at ? [one.awake ? "Asleep from" : "Awake from", time(one.changes_at)] : null,
      one.before !== null && one.before !== undefined ? ["Told before", `${number(one.before / 60)} min`] : null,
      one.at_most !== null && one.at_most !== undefined ? ["At most", `${number(one.at_most)} within an hour`] : null,
      one.may_cost ? ["May cost", tag(costOf(one.may_cost).words, costOf(one.may_cost).level)] : null,
    ]),
    plans.map(plan),
  );
}

function mode(word) {
  return word === "enforce" ? tag("in force", "warn") : tag(word === "report" ? "reports only" : (word ?? ""), "");
}

function plan(one) {
  const sessions = one.sessions ?? [];
  const problem = one.message ?? one.stopped ?? one.skipped ?? null;
  return h(
    "section",
    { class: "planned" },
    h("h3", {}, `Now on ${said(one.server)}`),
    problem ? h("p", { class: "banner warn" }, said(problem)) : null,
    one.error !== null && one.error !== undefined ? null : h("p", {}, one.asleep ? "It does nothing at this hour." : `It means ${one.matched === null || one.matched === undefined ? "an unknown number" : number(one.matched)} of ${one.total === null || one.total === undefined ? "an unknown number of" : number(one.total)} sessions.`),
    sessions.length ? table(`What ${said(one.policy)} means on ${said(one.server)}`, MEANT, sessions, { hideCaption: true }) : null,
    one.undecided?.length ? h("div", {}, h("h4", {}, "Cannot be told whether they are meant"), h("ul", { class: "lines" }, one.undecided.map((each) => h("li", {}, who(each), `: ${said(each.why)}`)))) : null,
  );
}

function who(one) {
  return h("span", {}, h("strong", {}, said(one.user_name) || "(not told)"), ` ${visible(uncClient(one.client_name ?? "?"))}`);
}

const MEANT = [
  { title: "Session", cell: who },
  { title: "Now", cell: (one) => h("div", {}, tag(...(NOW[one.now] ?? [one.now, ""])), one.why ? h("div", {}, said(one.why)) : null) },
  { title: "Ended at the earliest", cell: (one) => (one.due_at ? time(one.due_at) : unknown("not")) },
  { title: "Meant because", cell: (one) => said(one.meant) },
  { title: "What it costs", cell: (one) => h("div", {}, tag(costOf(one.cost).words, costOf(one.cost).level), one.cost_why ? h("div", {}, said(one.cost_why)) : null) },
];

const PROMISE = [
  { title: "Due", cell: (one) => time(one.due_at) },
  { title: "Policy", cell: (one) => said(one.policy) },
  { title: "Server", cell: (one) => said(one.server) },
  { title: "Session", cell: who },
  { title: "Where it stands", cell: (one) => `${said(one.state)}${one.told ? `, told: ${said(one.told)}` : ""}${one.reason ? `: ${said(one.reason)}` : ""}` },
];
