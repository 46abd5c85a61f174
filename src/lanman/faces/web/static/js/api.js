// The REST interface from the browser: JSON in, JSON out, and errors that say in words what to do.
//
// Rules:
//   - Addresses are relative to the page, so that the console may lie below a path of a reverse proxy.
//   - 401 means that nothing was done. Whoever registered with `onLogin` may let the person log in again; when they did,
//     the request is made once more.
//   - What time it is at the console, the head of each answer says: `serverClock` takes it in.
//   - Every error is an ApiError. What the server said stands in it as lanman said it.

import { serverClock } from "./times.js";

const BASE = new URL("api/v1/", document.baseURI);

/** What went wrong, in words. `status` 0: the console did not answer. `code`, `hint` and `body` as the server has them. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = null, hint = null, body = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.body = body;
  }
}

let loginAgain = null;

/** `handler()` is called at a 401 and answers whether the person has logged in again. Returns what was there before. */
export function onLogin(handler) {
  const before = loginAgain;
  loginAgain = handler;
  return before;
}

/** The address of a path of the interface, with parameters; null and undefined ones are left out. */
export function address(path, params = {}) {
  const url = new URL(path.replace(/^\//, ""), BASE);
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

/** A part of a path: `servers/${part(name)}/sessions`. */
export const part = encodeURIComponent;

/** `unattended`: the page asks by itself, and nobody did anything; it does not keep a log-in alive. */
export function get(path, { params = {}, signal = null, login = true, unattended = false } = {}) {
  return ask("GET", path, { params, signal, login, unattended });
}

export function post(path, body = undefined, { params = {}, signal = null, login = true } = {}) {
  return ask("POST", path, { params, body, signal, login });
}

async function ask(method, path, { params, body, signal, login, unattended = false }) {
  const init = { method, signal, credentials: "same-origin", cache: "no-store", headers: { Accept: "application/json" } };
  if (unattended) init.headers["Lanman-Unattended"] = "1";
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(address(path, params), init);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The console does not answer.", {
      hint: "Is lanman web still running, and is the network there? This page goes on by itself when it is back.",
    });
  }
  const said = Date.parse(response.headers.get("Date") ?? "");
  // A head has whole seconds, cut off.
  if (!Number.isNaN(said)) serverClock.said(said / 1000 + 0.5);
  if (response.status === 401 && login && loginAgain && (await loginAgain())) {
    return ask(method, path, { params, body, signal, login: false });
  }
  if (response.status === 204) return null;
  const text = await response.text();
  const json = parsed(text);
  if (!response.ok) throw errorOf(response, json);
  if (json === undefined) {
    throw new ApiError("What came from the console is not what was asked for.", {
      status: response.status,
      hint: "Something between this browser and the console may have answered in its place: a proxy, or a log-in page.",
    });
  }
  return json;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const WORDS = {
  401: "You are not logged in.",
  403: "This is not allowed.",
  404: "The console has nothing under this name.",
  409: "It is no longer as it was looked at.",
  410: "This plan is over.",
  413: "That was more than the console takes at once.",
  429: "Too many attempts. Wait a little.",
  501: "The server cannot do this.",
  502: "The server does not answer.",
  503: "The console is busy or being stopped.",
  504: "The server did not answer in time.",
};

function errorOf(response, json) {
  const error = json && typeof json.error === "object" && json.error !== null ? json.error : {};
  const wait = Number(response.headers.get("Retry-After"));
  const hint = error.hint ?? (wait > 0 ? `Try again in ${wait} seconds.` : null);
  const words = WORDS[response.status] ?? `The console answered with status ${response.status}.`;
  return new ApiError(error.message || words, {
    status: response.status,
    code: error.code ?? null,
    hint,
    body: json ?? null,
  });
}
