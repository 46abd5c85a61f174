// Logging in: as a page of its own, and as a dialog over a page whose state is kept. And the one-time link.
import { get, post } from "./api.js";
import { openDialog } from "./dialog.js";
import { field, h } from "./parts.js";
import { visible } from "./text.js";

/**
 * The secret of a one-time link (`#once=…`), taken out of the address bar and the history at once; null where there is
 * none. What stands behind it (`&to=/server/fs1/files`) is where to go afterwards.
 */
export function onceOf() {
  const found = /^#once=([^&]+)(?:&to=(.*))?$/.exec(location.hash);
  if (!found) return null;
  history.replaceState(null, "", found[2] ? `#${decodeURIComponent(found[2])}` : "#/servers");
  return decodeURIComponent(found[1]);
}

/** What the console lets one log in to, without being logged in: `{servers: [name…]}`. */
async function offers() {
  try {
    return await get("login", { login: false });
  } catch {
    return { servers: [] };
  }
}

/** What a refused log-in means, and what to do. */
export function wordsOf(error) {
  if (error.status === 429) return [error.message || "Too many attempts.", error.hint ?? "Wait a minute before the next one."];
  if (error.status === 401) {
    return [error.message || "The server did not accept this user and password.", error.hint ?? "Is the server the right one? Write a domain's user as DOMAIN\\user."];
  }
  return [error.message, error.hint];
}

function form(servers, { server = null, submit }) {
  const choice =
    servers.length > 0
      ? h("select", { name: "server", required: true }, servers.map((name) => h("option", { value: name, selected: name === server }, visible(name))))
      : h("input", { name: "server", required: true, autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
  if (server) choice.value = server;
  const user = h("input", { name: "user", required: true, autocomplete: "username", spellcheck: "false", autocapitalize: "none" });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password" });
  const look = h("button", { type: "button", class: "quiet", "aria-pressed": "false" }, "Show");
  look.addEventListener("click", () => {
    const hidden = password.type === "password";
    password.type = hidden ? "text" : "password";
    look.setAttribute("aria-pressed", String(hidden));
    look.textContent = hidden ? "Hide" : "Show";
  });
  const problem = h("div", { class: "problem", role: "alert" });
  const send = h("button", { type: "submit", class: "first" }, "Log in");
  const element = h(
    "form",
    { class: "login-form", method: "post" },
    field("Server", choice),
    field("User", user, "As at the server itself; a domain's as DOMAIN\\user or user@domain"),
    field("Password", h("div", { class: "password" }, password, look)),
    problem,
    h("div", { class: "buttons" }, send),
  );
  element.querySelector(".password").parentElement.querySelector("label").htmlFor = password.id = "password";
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.replaceChildren();
    send.disabled = true;
    send.textContent = "Logging in …";
    try {
      await post("login", { server: choice.value, user: user.value, password: password.value }, { login: false });
      password.value = "";
      submit();
    } catch (error) {
      const [message, hint] = wordsOf(error);
      problem.replaceChildren(h("p", {}, h("strong", {}, visible(message))), hint ? h("p", {}, visible(hint)) : "");
      password.select();
      password.focus();
    } finally {
      send.disabled = false;
      send.textContent = "Log in";
    }
  });
  return { element, first: server || servers.length === 1 ? user : choice };
}

/** The log-in page in `main`; `done()` when somebody is in. `error` is that of a one-time link that no longer works. */
export async function loginPage(main, { error = null, done }) {
  document.title = "Log in - lanman";
  const { servers } = await offers();
  const { element, first } = form(servers ?? [], { submit: done });
  const link = error
    ? h("div", { class: "problem", role: "alert" }, h("p", {}, h("strong", {}, "The one-time link did not work. "), visible(error.message)), h("p", {}, visible(error.hint ?? "It works once, for ten minutes. Start lanman web again for a new one, or log in here.")))
    : null;
  main.replaceChildren(
    h(
      "section",
      { class: "page login" },
      h("h1", { tabindex: "-1" }, "Log in"),
      h("p", { class: "about" }, "You log in as yourself at a server, and its rights decide what you see and may do. The password stays in memory until you log out or are away for 15 minutes."),
      link,
      element,
    ),
  );
  first.focus();
}

/** The same as a dialog, over a page that stays as it is; answers whether somebody is in. It goes when `elsewhere`, a
 * promise, is kept: somebody is in without it. */
export async function loginDialog(server = null, elsewhere = null) {
  const { servers } = await offers();
  let element = null;
  const made = form(servers ?? [], {
    server,
    submit: () => {
      element.returnValue = "in";
      element.close("in");
    },
  });
  const words = server ? "Orders and lists at this server need a log-in there." : "Your log-in is over: nothing was asked for 15 minutes, or the console was started again. Log in, and this page goes on as it is.";
  const opened = openDialog(server ? `Log in at ${visible(server)}` : "Log in again", [h("p", {}, words), made.element], [], { form: false });
  element = opened.element;
  elsewhere?.then(() => element.open && element.close("in"));
  made.first.focus();
  return (await opened.closed) === "in";
}
