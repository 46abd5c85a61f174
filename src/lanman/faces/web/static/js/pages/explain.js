// Explain: who has a file open, from where, since when, how that is known, and what it costs to take it away.
import { get } from "../api.js";
import { fileUserWords } from "../columns.js";
import { askPlan } from "../dialog.js";
import { empty, field, fill, h, number, orderButton, pageHead, said, serverChoice, table, tag, time, unknown } from "../parts.js";
import { uncClient, visible } from "../text.js";
import { HOW, costOf, fileKey } from "../words.js";

const WRITING = 0x6;

export function show(element, route, context) {
  const { live } = context;
  const given = Object.fromEntries(route.params);
  const names = [...live.servers.keys()];
  const path = h("input", { name: "path", required: true, spellcheck: "false", autocapitalize: "none", autocomplete: "off", placeholder: "\\\\server\\share\\folder\\file.xlsx", value: given.path ?? "" });
  const server = serverChoice(names, given.server ?? names[0], { name: "server" });
  const user = h("input", { name: "user", spellcheck: "false", autocapitalize: "none", autocomplete: "off", value: given.user ?? "" });
  const client = h("input", { name: "client", spellcheck: "false", autocapitalize: "none", autocomplete: "off", value: given.client ?? "" });
  const content = h("div", { class: "content" });
  const form = h(
    "form",
    { class: "card asking", role: "search" },
    h("div", { class: "row" }, h("div", { class: "wide" }, field("File, as people write it or as it is listed", path, "* and ? stand for any characters"))),
    h("div", { class: "row" }, field("Server", server), field("Only user", user), field("Only client", client), h("button", { type: "submit", class: "first" }, "Explain")),
  );
  element.append(pageHead("Explain", { about: "Who holds a file, and what it costs to take it away." }), form, content);

  path.addEventListener("change", () => {
    const named = /^\\\\([^\\]+)\\/.exec(path.value.replaceAll("/", "\\"));
    const found = named && names.find((name) => name.toLowerCase() === named[1].toLowerCase());
    if (found) server.value = found;
  });
  const ask = () => {
    const params = { server: server.value || given.server, path: path.value.trim(), user: user.value.trim(), client: client.value.trim() };
    context.replace(Object.fromEntries(Object.entries(params).filter(([, value]) => value)));
    return fill(content, () => get("explain", { params }), (answer) => explained(answer, answer.server, ask, context), {
      words: "Asking who has it open",
      login: () => context.login(params.server),
    });
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  if (given.path) ask();
  // The stream may not have said yet which servers there are.
  return live.on("hello", () => {
    for (const name of live.servers.keys()) {
      if (names.includes(name)) continue;
      names.push(name);
      server.append(h("option", { value: name, selected: name === given.server }, visible(name)));
    }
  });
}

function explained(answer, server, again, context) {
  const holders = answer.holders.map((one) => ({ ...one, key: fileKey(one) }));
  const close = async (some) => {
    if (await askPlan(server, "close", some.map((one) => one.key))) again();
  };
  const why = () => context.live.cannot(server, "close");
  const closable = holders.filter((one) => one.key);
  return [
    h("p", { class: "summary", role: "status" }, summary(answer)),
    answer.missing.length ? h("ul", { class: "banner warn lines" }, answer.missing.map((one) => h("li", {}, said(one)))) : null,
    holders.length
      ? [
          closable.length > 1 ? h("p", {}, orderButton(`Close all ${number(closable.length)} …`, () => close(closable), { why, grave: true })) : null,
          table("Who has it open", columns(close, why, new Set(holders.map((one) => one.path)).size === 1), holders, { hideCaption: true }),
        ]
      : empty("Nobody has it open", "As far as the server tells. A program that has read a file and let it go holds nothing."),
  ];
}

function summary(answer) {
  const many = answer.holders?.length ?? 0;
  const where = answer.local_path && answer.local_path !== answer.path ? [", which is ", h("span", { class: "path" }, said(answer.local_path)), answer.share_how === "inferred" ? " (worked out: where the share is was not told)" : ""] : [];
  const unsure = answer.num_unsure ? ` ${number(answer.num_unsure)} more may be meant by these filters.` : "";
  return [many ? `${number(many)} ${many === 1 ? "holds" : "hold"} ` : "Nobody holds ", h("span", { class: "path" }, said(answer.path)), ...where, ".", unsure];
}

function columns(close, why, sameFile) {
  return [
    { title: "User", class: "name", cell: (one) => [h("strong", {}, one.user_name === null ? "(not told)" : visible(fileUserWords(one))), one.node ? h("div", { class: "muted" }, `on ${visible(one.node)}`) : null] },
    { title: "From", cell: from },
    { title: "Since", cell: sinceWhen },
    { title: "How", cell: access },
    { title: "What it costs to close", cell: (one) => [tag(costOf(one.cost).words, costOf(one.cost).level), one.cost_why ? h("div", {}, said(one.cost_why)) : null] },
    sameFile ? null : { title: "File", class: "path", cell: (one) => said(one.path) },
    { title: h("span", { class: "unseen" }, "Order"), label: "", cell: (one) => orderButton("Close …", () => close([one]), { why: () => why() ?? (one.key ? null : "the server gives no id for it"), grave: true }) },
  ].filter(Boolean);
}

function from(one) {
  if (one.client_name) return h("div", {}, visible(uncClient(one.client_name)), one.client_how === "told" ? null : h("div", { class: "muted" }, HOW[one.client_how] ?? one.client_how));
  if (one.candidates?.length) return h("div", {}, "one of ", one.candidates.map((name) => visible(uncClient(name))).join(", "));
  return unknown("not known from where");
}

function sinceWhen(one) {
  if (one.opened_at) return h("div", {}, time(one.opened_at), one.opened_how === "told" ? null : h("div", { class: "muted" }, HOW[one.opened_how] ?? one.opened_how));
  if (one.not_before) return h("div", {}, "not before ", time(one.not_before), h("div", { class: "muted" }, "when the session began"));
  return unknown();
}

function access(one) {
  const parts = [];
  if (one.access !== null && one.access !== undefined) parts.push(one.access & WRITING ? "writes" : "reads");
  if (one.locks) parts.push(`${number(one.locks)} ${one.locks === 1 ? "lock" : "locks"}`);
  if (one.lease) parts.push(`lease ${visible(one.lease)}`);
  if (one.oplock) parts.push(visible(one.oplock));
  const idle = one.session?.idle_time;
  if (idle !== null && idle !== undefined) parts.push(`session idle ${number(Math.floor(idle / 60))} min`);
  return parts.length ? parts.join(", ") : unknown();
}
