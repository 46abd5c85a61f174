// Parts that pages are made of: elements, states, times, meters, toasts.
//
// Text always goes in as text, never as markup: `h` makes elements and text nodes and has no way to take HTML. Text of a
// peer goes through `visible` besides (`text.js`).
import { grouped, visible } from "./text.js";
import { UNKNOWN, ago, moment, rfc3339, seconds, serverClock } from "./times.js";

/** Text of a peer as it may be shown, "" for what is not known; see `visible` of text.js. */
export function said(text) {
  return text === null || text === undefined ? "" : visible(String(text));
}

/** A number with its groups; `UNKNOWN` where it is not known. */
export function number(value) {
  return value === null || value === undefined ? UNKNOWN : grouped(value);
}

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** A number of bytes: "1.5 GiB". */
export function bytes(value) {
  if (value === null || value === undefined) return UNKNOWN;
  let left = Number(value);
  let place = 0;
  while (left >= 1024 && place < SIZES.length - 1) {
    left /= 1024;
    place += 1;
  }
  return `${place ? left.toFixed(left < 10 ? 1 : 0) : grouped(left)} ${SIZES[place]}`;
}

/**
 * An element: `h("button", {type: "button", onclick: run, class: "grave"}, "End it")`. Attributes of null, undefined or
 * false are left out, true is an empty attribute; `on…` are listeners, `dataset` and `style` objects. Children are
 * elements, texts, arrays of both; null and false are left out.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) set(element, name, value);
  add(element, children);
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name === "style") for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
  else if (name === "value") element.value = value;
  else element.setAttribute(name, value === true ? "" : String(value));
}

function add(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child instanceof Node ? child : String(child));
  }
}

/** The head of a page: one h1, what belongs below it, and what can be done. */
export function pageHead(title, { about = null, actions = [] } = {}) {
  return h(
    "header",
    { class: "page-head" },
    h("h1", { tabindex: "-1" }, title),
    about ? h("p", { class: "about" }, about) : null,
    actions.length ? h("div", { class: "actions" }, actions) : null,
  );
}

/** What a time was, in words: "3 min ago", "now", "in 5 min". `at` and `now` are in seconds since 1970. */
export function since(at, now = serverClock.now()) {
  if (at > now + 5) return `in ${ago(at - now)}`;
  const words = ago(now - at);
  return words === "now" ? words : `${words} ago`;
}

/**
 * A time as `<time>`: relative as text, absolute on hover and for screen readers. `at` is RFC 3339 or seconds since
 * 1970. Grows old by itself (see `tick`).
 */
export function time(at, { none = UNKNOWN } = {}) {
  const when = typeof at === "number" ? at : seconds(at);
  if (when === null) return h("span", { class: "unknown" }, none);
  const words = moment(when);
  return h(
    "time",
    { datetime: rfc3339(when), title: words, class: "ago" },
    h("span", { "aria-hidden": "true" }, since(when)),
    h("span", { class: "unseen" }, words),
  );
}

/** Let all relative times on the page grow older. */
export function tick(root = document) {
  for (const element of root.querySelectorAll("time.ago")) {
    const words = since(seconds(element.dateTime));
    const shown = element.firstElementChild;
    if (shown && shown.textContent !== words) shown.textContent = words;
  }
}

// --- states: what a page says in place of its content

function state(kind, title, words, ...more) {
  return h("section", { class: `state ${kind}` }, h("h2", {}, title), words.map((text) => text && h("p", {}, text)), more);
}

/** Nothing is there, which is an answer. `hint` says what would put something there. */
export function empty(title, hint = null, ...more) {
  return state("empty", title, [hint], more);
}

/** Something is being asked for. It shows after 200 ms only, so that quick answers do not flash. */
export function loading(words = "Asking the server") {
  return h("p", { class: "state loading", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), `${words} …`);
}

/** What is shown is old. `at` is when it was true, `words` what is being done about it. */
export function stale(at, words, hint = null) {
  return h(
    "p",
    { class: "banner stale", role: "status" },
    h("strong", {}, "As of "),
    time(at, { none: "an unknown time" }),
    ". ",
    words,
    hint ? ` ${hint}` : "",
  );
}

/** A right is missing. `message` and `hint` are lanman's own: which right, and who can give it. */
export function denied(message, hint = null, ...more) {
  return state("denied", "Not allowed", [said(message), said(hint)], more);
}

/** Something does not work. `message` says what, `hint` what to do; `again` is called by the button. */
export function broken(message, hint = null, again = null) {
  const button = again ? h("p", {}, h("button", { type: "button", onclick: again }, "Try again")) : null;
  return state("broken", "That did not work", [said(message), said(hint)], button);
}

/** ERROR_NOT_AUTHENTICATED: this person is not logged on at the server. */
const NOT_LOGGED_ON = 1244;

/** The state that an ApiError is. `login()` lets the person log on at the server, where that is what is missing. */
export function failed(error, again = null, login = null) {
  if (error.status === 403 && error.code === NOT_LOGGED_ON && login) {
    const into = async () => (await login()) && again?.();
    return denied(error.message, error.hint, h("p", {}, h("button", { type: "button", class: "first", onclick: into }, "Log in there")));
  }
  if (error.status === 403) return denied(error.message, error.hint);
  if (error.status === 501) return empty("Not possible here", error.hint ? `${said(error.message)}. ${said(error.hint)}` : said(error.message));
  return broken(error.message, error.hint, again);
}

/**
 * Show what `ask()` answers, drawn by `draw(answer)`, in `element`; loading until then, its error otherwise. Answers
 * whether it was drawn.
 */
export async function fill(element, ask, draw, { words, login = null } = {}) {
  element.replaceChildren(loading(words));
  element.setAttribute("aria-busy", "true");
  try {
    const answer = await ask();
    element.replaceChildren(...[draw(answer)].flat(Infinity).filter(Boolean));
    return true;
  } catch (error) {
    if (error.name === "AbortError") return false;
    if (error.name !== "ApiError") console.error(error);
    const known = error.name === "ApiError" ? error : { message: "This page has an error of its own.", hint: String(error) };
    element.replaceChildren(failed(known, () => fill(element, ask, draw, { words, login }), login));
    return false;
  } finally {
    element.removeAttribute("aria-busy");
  }
}

// --- smaller parts

/** Names and values: `pairs([["Version", "6.1"], ["Since", time(at)]])`. Null values are "not told". */
export function pairs(entries) {
  return h(
    "dl",
    { class: "pairs" },
    entries.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value ?? unknown()))),
  );
}

/** What the server did not say. */
export function unknown(words = "not told") {
  return h("span", { class: "unknown" }, words);
}

/** How full something is: `meter(18, 20, "Sessions")`; the bar is drawn for the eye, the words stand beside it. */
export function meter(value, most, label) {
  const share = most > 0 ? value / most : 0;
  const level = share >= 0.95 ? "full" : share >= 0.8 ? "high" : "";
  const bar = h("meter", { class: level, min: 0, max: most, value, high: most * 0.8, low: 0, optimum: 0, "aria-label": label });
  return h("span", { class: "meter" }, bar, h("span", { class: level }, `${number(value)} of ${number(most)}`));
}

/** A word with a colour: level is "ok", "warn", "bad" or "". */
export function tag(words, level = "") {
  return h("span", { class: `tag ${level}`.trim() }, words);
}

/**
 * A table with a caption, plain, for lists that are short. `columns` are `{title, cell(row), class, label}`: `label` is
 * the title where that is no text. On a phone each row stands below the other, with the titles beside its cells; the
 * roles say what it is all the same.
 */
export function table(caption, columns, rows, { hideCaption = false } = {}) {
  const cells = (row) =>
    columns.map((one) => h("td", { class: one.class, role: "cell", dataset: { label: one.label ?? (typeof one.title === "string" ? one.title : "") } }, one.cell(row)));
  return h(
    "div",
    { class: "table", role: "region", "aria-label": caption, tabindex: "0" },
    h(
      "table",
      { role: "table" },
      h("caption", { class: hideCaption ? "unseen" : "" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map((one) => h("th", { scope: "col", role: "columnheader", class: one.class }, one.title)))),
      h("tbody", { role: "rowgroup" }, rows.map((row) => h("tr", { role: "row" }, cells(row)))),
    ),
  );
}

/** A labelled field: `field("Path", input, "As it is shared, or as it is listed")`. The input needs no id. */
export function field(label, input, help = null) {
  input.id ||= `f${(field.last = (field.last ?? 0) + 1)}`;
  const about = help ? h("small", { id: `${input.id}-help` }, help) : null;
  if (about) input.setAttribute("aria-describedby", about.id);
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input, about);
}

/** Say something in passing, in the live region: `toast("Closed")`; level "bad" stays until it is closed. */
export function toast(words, level = "") {
  const region = document.getElementById("toasts");
  const close = h("button", { type: "button", class: "quiet", "aria-label": "Close this message" }, "×");
  const item = h("div", { class: `toast ${level}`.trim() }, h("span", {}, words), close);
  close.addEventListener("click", () => item.remove());
  region.append(item);
  while (region.childElementCount > 5) region.firstElementChild.remove();
  if (level !== "bad") setTimeout(() => item.remove(), 6000);
  return item;
}

/** A choice of servers: `serverChoice(["fs1"], "fs1", {all: "All servers"})`. */
export function serverChoice(names, chosen, { all = null, ...attributes } = {}) {
  const select = h(
    "select",
    attributes,
    all ? h("option", { value: "" }, all) : null,
    names.map((name) => h("option", { value: name }, visible(name))),
  );
  if (chosen && names.includes(chosen)) select.value = chosen;
  return select;
}

const orderButtons = new Set();

/**
 * A button that gives an order. `why` is why it cannot be used, in words, or null; or a function that answers that, which
 * is asked again whenever `refreshOrders` is called. It says so on hover, to screen readers, and when it is pressed; it
 * stays in the order of the Tab key.
 */
export function orderButton(words, run, { why = null, grave = false } = {}) {
  const note = h("span", { class: "unseen" });
  const button = h("button", { type: "button", class: grave ? "grave" : "" }, words, note);
  const reason = () => (typeof why === "function" ? why() : why);
  button.refresh = () => {
    const now = reason();
    if (now) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
    button.title = now ?? "";
    note.textContent = now ? ` (not possible: ${now})` : "";
  };
  button.addEventListener("click", () => {
    const now = reason();
    if (now) toast(`${words}: ${now}`);
    else run();
  });
  button.refresh();
  if (typeof why === "function") orderButtons.add(new WeakRef(button));
  return button;
}

/** Ask all buttons of orders anew whether they can be used. */
export function refreshOrders() {
  for (const reference of orderButtons) {
    const button = reference.deref();
    if (button === undefined) orderButtons.delete(reference);
    else button.refresh();
  }
}

/** Copy a text, and say so. */
export async function copy(text, what = "Copied") {
  try {
    await navigator.clipboard.writeText(text);
    toast(what);
  } catch {
    toast("The browser does not let this page use the clipboard. Select the text and copy it yourself.", "bad");
  }
}
