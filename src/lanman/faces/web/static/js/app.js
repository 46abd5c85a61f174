// The shell: who is here, which page is shown, and the way between pages.
//
// A page is a module `pages/NAME.js` with `show(element, route, context) -> leave`. `element` is an empty section in
// <main> that goes when the page is left; `leave()` (may be absent) ends what the page began. A module may export
// `fills = true`: its section has the height of the window, and it scrolls inside (grids).
//
//   route    {page, server, params, hash}: `#/server/fs1/sessions?filter=bob` is page "sessions", server "fs1" (null
//            outside a server), params a URLSearchParams
//   context  {live, store, log, navigate(hash), replace(params), reload(), login(server), title(words)}: `replace` writes
//            parameters into the address without showing the page anew, `login` opens the log-in dialog and answers
//            whether it was done, `log` is the EventLog of this page's life
import { get, onLogin, post } from "./api.js";
import { EventLog } from "./eventlog.js";
import { loginDialog, loginPage, onceOf } from "./login.js";
import { live } from "./live.js";
import { broken, h, refreshOrders, tick, toast } from "./parts.js";
import { ACROSS, OF_SERVER, addressOf, routeOf } from "./routes.js";
import { visible } from "./text.js";

const main = document.getElementById("main");
const side = document.getElementById("side");
let shown = { leave: null, key: null };
let turn = 0;

const context = {
  live,
  store: live.store,
  log: null,
  navigate: (hash) => {
    location.hash = hash;
  },
  replace: (params) => {
    const path = location.hash.split("?")[0] || "#/servers";
    const query = new URLSearchParams(params).toString();
    history.replaceState(history.state, "", `${path}${query ? `?${query}` : ""}`);
  },
  login: (server = null) => letIn(server),
  reload: () => showPage(),
  title: (words) => {
    document.title = `${visible(words)} - lanman`;
  },
};

async function showPage({ focus = true } = {}) {
  const mine = ++turn;
  const route = routeOf(location.hash);
  shown.leave?.();
  shown = { leave: null };
  closeMenu();
  const page = route?.page ?? "lost";
  const section = h("section", { class: `page ${page}` });
  try {
    const module = route ? await import(`./pages/${route.page}.js`) : { show: lost };
    if (mine !== turn) return;
    section.classList.toggle("fill", Boolean(module.fills));
    document.body.classList.toggle("filled", Boolean(module.fills));
    main.replaceChildren(section);
    const leave = await module.show(section, route, context);
    if (mine !== turn) leave?.();
    else shown.leave = leave ?? null;
  } catch (error) {
    if (mine !== turn) return;
    console.error(error);
    main.replaceChildren(section);
    section.replaceChildren(h("h1", { tabindex: "-1" }, "This page"), broken(error.message, error.hint, () => showPage()));
  }
  drawSide();
  const heading = section.querySelector("h1");
  if (heading) {
    document.title = `${heading.textContent}${route?.server ? ` of ${visible(route.server)}` : ""} - lanman`;
    if (focus) heading.focus({ preventScroll: true });
  }
  if (focus) main.scrollTop = 0;
}

function lost(element) {
  element.append(
    h("h1", { tabindex: "-1" }, "There is no such page"),
    h("p", {}, "The address may be of another version of this console. ", h("a", { href: "#/servers" }, "To the servers")),
  );
}

// --- the side: servers, and pages of the one that is looked at

function drawSide() {
  const route = routeOf(location.hash) ?? { page: null, server: null };
  const here = (page, server) => (route.page === page && route.server === server ? "page" : null);
  const across = h(
    "ul",
    {},
    ACROSS.map(([page, words]) => h("li", {}, h("a", { href: `#/${page}`, "aria-current": here(page, null) }, words))),
  );
  const names = [...live.servers.keys()];
  const servers = h("ul", { class: "servers" }, names.map((name) => serverItem(name, route, here)));
  const kept = side.scrollTop;
  side.replaceChildren(h("h2", {}, "All servers"), across, h("h2", {}, "Servers"), servers);
  side.scrollTop = kept;
}

function serverItem(name, route, here) {
  const server = live.servers.get(name);
  const state = server.state ?? "up";
  const isHere = route.server === name;
  const words = { up: "up", away: "does not answer", denied: "not allowed", login: "log in first" }[state] ?? state;
  const link = h(
    "a",
    { href: addressOf(name, isHere ? route.page : "sessions"), class: "server", "aria-current": isHere ? "true" : null, title: words },
    h("span", { class: `dot ${state}`, "aria-hidden": "true" }),
    h("span", { class: "name" }, visible(name)),
    h("span", { class: "unseen" }, `, ${words}`),
  );
  if (!isHere) return h("li", {}, link);
  const pages = OF_SERVER.map(([page, title]) =>
    h("li", {}, h("a", { href: addressOf(name, page), "aria-current": here(page, name) }, title)),
  );
  return h("li", {}, link, h("ul", {}, pages));
}

function closeMenu() {
  document.body.classList.remove("menu-open");
  document.getElementById("menu").setAttribute("aria-expanded", "false");
}

function drawWho() {
  const who = document.getElementById("who");
  if (!live.person) {
    who.replaceChildren();
    return;
  }
  const { name, kind } = live.person;
  const how = { link: "by the one-time link", login: "logged in", proxy: "known by the proxy, looks only" }[kind] ?? kind;
  const out = h("button", { type: "button", class: "quiet", onclick: logOut }, "Log out");
  who.replaceChildren(
    live.readonly ? h("span", { class: "tag warn", title: "This console was started with --readonly" }, "look only") : "",
    h("span", { class: "person", title: how }, visible(name), h("span", { class: "unseen" }, `, ${how}`)),
    kind === "proxy" ? "" : out,
  );
}

function drawStream() {
  const words = {
    connecting: "connecting …",
    live: "live",
    away: "no connection, trying again …",
    expired: "your log-in is over",
    refused: "the console refuses the stream",
  };
  const element = document.getElementById("stream");
  element.textContent = words[live.state] ?? "";
  element.title = live.why ?? "";
  element.className = `stream ${live.state}`;
  if (live.state === "expired") letIn(null);
  else if (live.state === "live") cameBack();
}

// --- log-in and log-out

let asking = null;
let cameBack = () => {};

/** Let the person log in again over the page as it is; all who ask at the same time wait for the same dialog. */
function letIn(server) {
  if (asking === null) {
    // Who has logged in again in another tab is in here too: the stream says so.
    const elsewhere = server === null ? new Promise((resolve) => (cameBack = resolve)) : null;
    asking = loginDialog(server, elsewhere).finally(() => {
      asking = null;
    });
  }
  return asking.then((done) => {
    if (done) live.restart();
    return done;
  });
}


async function logOut() {
  try {
    await post("logout", undefined, { login: false });
  } catch (error) {
    if (error.status !== 401) {
      toast(error.message, "bad");
      return;
    }
  }
  live.stop();
  // Unlike a change of `location`, this does not show a page, which would ask for what nobody may see any more.
  history.replaceState(null, "", "#/servers");
  location.reload();
}

async function begin() {
  const once = onceOf();
  if (once) {
    try {
      await post("login", { once }, { login: false });
    } catch (error) {
      return welcome(error);
    }
  }
  try {
    const { person } = await get("login", { login: false });
    if (!person) return welcome();
  } catch (error) {
    main.replaceChildren(h("section", { class: "page" }, h("h1", {}, "lanman"), broken(error.message, error.hint, begin)));
    return;
  }
  enter();
}

function welcome(error = null) {
  document.body.classList.add("outside");
  loginPage(main, { error, done: begin });
}

function enter() {
  document.body.classList.remove("outside");
  onLogin(() => letIn(null));
  for (const event of ["hello", "server"]) {
    live.on(event, drawSide);
    live.on(event, refreshOrders);
  }
  live.on("hello", drawWho);
  live.on("state", drawStream);
  context.log = new EventLog(live);
  live.start();
  window.addEventListener("hashchange", () => showPage());
  setInterval(() => document.hidden || tick(), 5000);
  showPage({ focus: false });
}

document.getElementById("menu").addEventListener("click", (event) => {
  const open = document.body.classList.toggle("menu-open");
  event.currentTarget.setAttribute("aria-expanded", String(open));
  if (open) side.querySelector("a")?.focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && document.body.classList.contains("menu-open")) {
    closeMenu();
    document.getElementById("menu").focus();
  }
});
document.querySelector("a.skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

begin();
