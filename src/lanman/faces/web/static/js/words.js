// Words for what lanman's answers say with a word of their own: costs, outcomes, how a thing is known. Pure.
import { many } from "./text.js";

/** What it costs whose session or file it is: short, and in a sentence; `level` as `tag` has it. */
export const COSTS = {
  none: { words: "costs nothing", level: "ok", sentence: "Nothing is lost." },
  reopen: { words: "reopens", level: "", sentence: "It is open for reading: the program sees an error, or opens it again." },
  unknown: { words: "cost not known", level: "warn", sentence: "The server does not say enough to tell what is lost." },
  unsaved: { words: "may lose work", level: "bad", sentence: "What is not saved is lost." },
};

/** The worst first. */
export const COST_ORDER = ["unsaved", "unknown", "reopen", "none"];

/** A cost, also one that this page does not know. */
export function costOf(cost) {
  return COSTS[cost] ?? { words: cost ?? "cost not known", level: "warn", sentence: "" };
}

/** What became of a target, and why it was spared. */
export const OUTCOMES = {
  done: { words: "done", level: "ok" },
  spared: { words: "left alone", level: "warn" },
  failed: { words: "failed", level: "bad" },
  unknown: { words: "not known", level: "warn" },
};

export const REASONS = {
  changed: "it is no longer what was looked at",
  gone: "it had gone by itself",
  bystanders: "others would have ended with it",
  own: "it is your own session",
};

/** How a thing is known. */
export const HOW = {
  told: "the server says so",
  inferred: "worked out: the user has sessions from there alone",
  candidates: "one of several",
  seen: "seen between two looks",
  polled: "seen between two looks",
  streamed: "told when it happened",
  unknown: "not known",
};

const VERBS = {
  end: { title: "End sessions", run: (n) => `End ${many(n, "session")}`, done: "ended", thing: "session" },
  close: { title: "Close files", run: (n) => `Close ${many(n, "file")}`, done: "closed", thing: "file" },
  share: { title: "Change shares", run: () => "Do it", done: "done", thing: "share" },
  unshare: { title: "Take a share away", run: () => "Take the share away", done: "taken away", thing: "target" },
  set: { title: "Change settings", run: () => "Change it", done: "changed", thing: "setting" },
  drain: { title: "Drain the server", run: () => "Begin to drain", done: "ended", thing: "session" },
  pause: { title: "Pause the server", run: () => "Pause it", done: "paused", thing: "server" },
  continue: { title: "Continue the server", run: () => "Let it continue", done: "continued", thing: "server" },
};

/** The words of an order. */
export function verbOf(verb) {
  return VERBS[verb] ?? { title: verb, run: () => "Run it", done: "done", thing: "target" };
}

/** What orders on the whole server mean, said before they are given. */
export const MEANS = {
  pause: "Who is connected stays and goes on working. Nobody else can connect until the server continues.",
  continue: "New connections are let in again.",
  drain: "Newcomers are kept out first. Then everybody who is there is waited for, told where that is possible, and ended at the end.",
};

/** The key by which an open file is listed, as `FileKey` of lanman.manage.watching.keys writes it; null where it has no
 * id, or a name that cannot be written so. */
export function fileKey({ id, path, user_name: user, node = null }) {
  if (id === null || id === undefined) return null;
  try {
    const word = ["file", ...[id, path, user, 0].map((part) => (part === null || part === undefined ? "*" : escaped(part)))].join(":");
    return node === null ? word : `${word}@${escaped(node)}`;
  } catch {
    return null;
  }
}

function escaped(part) {
  return encodeURIComponent(String(part)).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}
