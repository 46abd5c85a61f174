// Doctor: what works at a server and what does not, why, and what helps.
import { get } from "../api.js";
import { copy, empty, fill, h, number, pageHead, said, tag, time } from "../parts.js";
import { visible } from "../text.js";

const MARKS = {
  problem: ["problem", "bad", "×"],
  warning: ["warning", "warn", "!"],
  unknown: ["not looked at", "", "?"],
  ok: ["ok", "ok", "✓"],
};
const ORDER = ["problem", "warning", "unknown", "ok"];

/* What was found last, by server: one may look elsewhere and come back. */
const last = new Map();

export function show(element, route, context) {
  const { server } = route;
  const content = h("div", { class: "content" });
  const begin = h("button", { type: "button", class: "first" }, "Examine");
  const take = h("button", { type: "button", hidden: true, onclick: () => copy(textOf(last.get(server)), "The report is copied") }, "Copy as text");
  element.append(
    pageHead("Doctor", { about: `Looks at ${visible(server)} from the network up: name, port, dialects, log-on, rights, lists, limits. It changes nothing.`, actions: [take, begin] }),
    content,
  );
  const drawn = (found) => {
    last.set(server, found);
    take.hidden = false;
    return report(found);
  };
  const run = async () => {
    begin.disabled = true;
    begin.textContent = "Examining …";
    take.hidden = true;
    await fill(content, () => get("doctor", { params: { server } }), drawn, { words: "Examining the server: this takes some seconds", login: () => context.login(server) });
    begin.disabled = false;
    begin.textContent = "Examine again";
  };
  begin.addEventListener("click", run);
  if (last.has(server)) {
    content.append(...drawn(last.get(server)));
    begin.textContent = "Examine again";
  } else if (route.params.has("run")) run();
  else content.append(empty("Not examined yet", "It takes some seconds, and logs on once with your credentials."));
}

function verdictOf(found) {
  const problems = found.problems ?? found.findings.filter((one) => one.mark === "problem").length;
  const warnings = found.warnings ?? found.findings.filter((one) => one.mark === "warning").length;
  if (found.verdict === "no answer") return ["Nobody answers there.", "bad"];
  if (problems) return [`${number(problems)} ${problems === 1 ? "problem" : "problems"}, ${number(warnings)} ${warnings === 1 ? "warning" : "warnings"}.`, "bad"];
  if (warnings) return [`It works, with ${number(warnings)} ${warnings === 1 ? "warning" : "warnings"}.`, "warn"];
  return ["All is well.", "ok"];
}

function report(found) {
  const [words, level] = verdictOf(found);
  const bad = found.findings.filter((one) => one.mark === "problem" || one.mark === "warning");
  bad.sort((one, other) => ORDER.indexOf(one.mark) - ORDER.indexOf(other.mark));
  const categories = [...new Set(found.findings.map((one) => one.category))];
  return [
    h("p", { class: `verdict ${level}`, role: "status" }, h("strong", {}, words), " ", h("span", { class: "muted" }, "Examined ", time(found.asked_at), found.duration ? `, in ${found.duration} s` : "")),
    bad.length ? h("section", { class: "findings" }, h("h2", {}, "What to do"), h("ul", { class: "cards wide" }, bad.map(trouble))) : null,
    h("section", {}, h("h2", {}, "All that was looked at"), h("div", { class: "card looked" }, categories.map((name) => category(name, found.findings.filter((one) => one.category === name))))),
  ].filter(Boolean);
}

function trouble(one) {
  const [words, level] = MARKS[one.mark];
  return h(
    "li",
    { class: `card ${level}` },
    h("h3", {}, tag(words, level), " ", said(one.says)),
    one.why ? h("p", {}, h("strong", {}, "Why: "), said(one.why)) : null,
    one.needs ? h("p", {}, h("strong", {}, "It needs: "), said(one.needs)) : null,
    one.fix ? h("p", { class: "fix" }, h("strong", {}, "What helps: "), said(one.fix)) : null,
    h("p", { class: "muted" }, `${said(one.id)} ${said(one.check)}`),
  );
}

function category(name, findings) {
  const lines = findings.map((one) => {
    const [words, level, sign] = MARKS[one.mark] ?? [one.mark, "", "?"];
    return h("li", {}, h("span", { class: `sign ${level}`, "aria-hidden": "true" }, sign), h("span", { class: "unseen" }, `${words}: `), said(one.says));
  });
  return [h("h3", {}, said(name)), h("ul", { class: "lines" }, lines)];
}

/** The report as text, for a ticket. */
export function textOf(found) {
  const lines = [`lanman doctor of ${visible(found.server ?? "")}, ${found.asked_at}: ${verdictOf(found)[0]}`, ""];
  for (const one of found.findings) {
    lines.push(`${(MARKS[one.mark] ?? [one.mark])[0].padEnd(14)}${one.category}: ${visible(one.says)} [${one.id}]`);
    for (const [label, value] of [["why", one.why], ["needs", one.needs], ["what helps", one.fix]]) if (value) lines.push(`${" ".repeat(14)}${label}: ${visible(value)}`);
  }
  return lines.join("\n");
}
