/* The columns of sessions, open files and shares: what stands in them, and what they are sorted by.
 *
 * The same as the screen of `lanman watch` has, and some more to choose from. What a server did not say is "-", and sorts
 * last. Text is as it may be searched and copied: it is made visible where it goes into the page.
 */

import { clientOrder } from "./addresses.js";
import { accessWord, nodeOf, shareWord } from "./filter.js";
import { fold, grouped, uncClient } from "./text.js";
import { UNKNOWN, ago, clock, duration, seconds } from "./times.js";

const NO_LIMIT = 0xffffffff;

function shown(value) {
  return value == null ? UNKNOWN : String(value);
}

/** A user; a null session has none. */
export function userWords(name) {
  return name == null ? UNKNOWN : name || "(nobody)";
}

export function clientWords(name) {
  return name == null ? UNKNOWN : uncClient(name);
}

/** From where a file is open, as far as that is known: with `?` where it is inferred, `\\pc4|\\pc9` for one of these. */
export function fileClientWords(row) {
  if (row.client_how === "candidates") return row.candidates.map(uncClient).join(" | ");
  if (row.client_name == null) return UNKNOWN;
  return uncClient(row.client_name) + (row.client_how === "inferred" ? " ?" : "");
}

/** Whether a file has no user, and the server does not say for whom it is kept, nor whether it is. Pipes are never kept. */
export function ownerUnknown(row) {
  return row.user_name === "" && row.owner == null && !/^[\\/]pipe[\\/]/iu.test(row.path ?? "");
}

/** Who has a file open; of one that is kept for a client whose connection was lost, whose it is, where that is known. */
export function fileUserWords(row) {
  if (row.owner) return `${row.owner} (away)`;
  return ownerUnknown(row) ? "(owner unknown)" : userWords(row.user_name);
}

function textColumn(id, title, of, more = {}) {
  return {
    id,
    title,
    text: (row) => shown(of(row)),
    order: (row) => {
      const value = of(row);
      return value == null || value === "" ? null : fold(String(value));
    },
    value: of,
    ...more,
  };
}

function numberColumn(id, title, of, more = {}) {
  return {
    id,
    title,
    text: (row) => (of(row) == null ? UNKNOWN : grouped(of(row))),
    order: (row) => of(row) ?? null,
    value: of,
    right: true,
    width: "5.5rem",
    ...more,
  };
}

/** A column of moments: how long ago, or by the clock. */
function timeColumn(id, title, member, more = {}) {
  return {
    id,
    title,
    text: (row, now, times) => {
      const at = seconds(row[member]);
      return times === "absolute" ? clock(at, now) : ago(at === null ? null : now - at);
    },
    order: (row) => seconds(row[member]),
    value: (row) => row[member] ?? null,
    searched: false,
    ticks: true,
    width: "8.5rem",
    ...more,
  };
}

const joined = (member) => (row) => row[member]?.join(" ") ?? null;
const member = (name) => (row) => row[name];

function sessionNote(row) {
  return [row.guest && "guest", row.anonymous && "null session"].filter(Boolean).join(", ");
}

const NODE = textColumn("node", "Node", nodeOf, { usual: false, width: "minmax(5rem, 0.6fr)" });

export const SESSION_COLUMNS = [
  {
    id: "client",
    title: "Client",
    text: (row) => clientWords(row.client_name),
    order: (row) => clientOrder(row.client_name),
    value: member("client_name"),
    width: "minmax(9rem, 1.6fr)",
    phone: "title",
  },
  {
    ...textColumn("user", "User", member("user_name"), { width: "minmax(7rem, 1.2fr)", phone: "sub" }),
    text: (row) => userWords(row.user_name),
  },
  numberColumn("opens", "Opens", member("num_opens")),
  {
    id: "idle",
    title: "Idle",
    // The longest idle is what was used first: a session that is idle has the same order at every look.
    text: (row, now, times) => {
      const at = seconds(row.used_at);
      if (times === "absolute") return clock(at, now);
      return duration(at === null ? null : now - at);
    },
    order: (row) => (row.used_at == null ? null : -seconds(row.used_at)),
    value: (row) => row.used_at ?? null,
    csvTitle: "Last used",
    searched: false,
    ticks: true,
    right: true,
    width: "8rem",
    phone: "end",
  },
  timeColumn("since", "Since", "begun_at"),
  textColumn("dialect", "Dialect", member("dialect"), { width: "5rem" }),
  textColumn("shares", "Shares", joined("shares"), { width: "minmax(6rem, 1fr)" }),
  textColumn("note", "Note", sessionNote, { width: "minmax(6rem, 0.7fr)", text: sessionNote }),
  textColumn("address", "Address", member("address"), { usual: false, width: "minmax(8rem, 1fr)", order: (row) => clientOrder(row.address) }),
  textColumn("domain", "Domain", member("domain"), { usual: false }),
  textColumn("signing", "Signing", member("signing"), { usual: false, width: "7rem" }),
  textColumn("encryption", "Encryption", member("encryption"), { usual: false, width: "8rem" }),
  numberColumn("connections", "Connections", (row) => row.channels?.length ?? null, { usual: false, width: "7rem" }),
  textColumn("type", "Client type", member("client_type"), { usual: false }),
  textColumn("transport", "Transport", member("transport"), { usual: false }),
  NODE,
];

export const FILE_COLUMNS = [
  textColumn("path", "Path", member("path"), { width: "minmax(14rem, 4fr)", phone: "title", keepsEnd: true }),
  {
    ...textColumn("user", "User", member("user_name"), { width: "minmax(6rem, 1fr)", phone: "sub" }),
    text: fileUserWords,
    order: (row) => fold(row.owner || row.user_name || "") || null,
  },
  {
    ...textColumn("access", "Access", (row) => accessWord(row.permissions), { width: "5.5rem", phone: "end" }),
    order: (row) => row.permissions ?? null,
  },
  numberColumn("locks", "Locks", member("num_locks")),
  {
    id: "client",
    title: "Client",
    text: fileClientWords,
    order: (row) => clientOrder(row.client_name),
    value: (row) => row.client_name ?? (row.candidates?.length ? row.candidates : null),
    width: "minmax(8rem, 1.2fr)",
  },
  {
    ...timeColumn("since", "Since", "opened_at"),
    text: (row, now, times) => {
      const [at, bound] = [seconds(row.opened_at), seconds(row.not_before)];
      const said = (when) => (times === "absolute" ? clock(when, now) : ago(now - when));
      if (at !== null) return said(at);
      return bound === null ? UNKNOWN : `${times === "absolute" ? ">" : "<"} ${said(bound)}`;
    },
    order: (row) => seconds(row.opened_at) ?? seconds(row.not_before),
  },
  numberColumn("id", "ID", member("id"), { width: "8rem", text: (row) => shown(row.id) }),
  textColumn("share", "Share", member("share"), { usual: false }),
  textColumn("oplock", "Oplock", member("oplock"), { usual: false, width: "7rem" }),
  textColumn("lease", "Lease", member("lease"), { usual: false, width: "6rem" }),
  textColumn("durable", "Durable", (row) => (row.durable == null ? null : row.durable ? "yes" : "no"), { usual: false, width: "6rem" }),
  textColumn("owner", "Kept for", (row) => row.owner || null, { usual: false, searched: false }),
  {
    id: "left",
    title: "Kept until",
    text: (row, now, times) => {
      const until = seconds(row.expires_at);
      return times === "absolute" ? clock(until, now) : duration(until === null ? null : until - now);
    },
    order: (row) => seconds(row.expires_at),
    value: (row) => row.expires_at ?? null,
    searched: false,
    ticks: true,
    right: true,
    usual: false,
    width: "8rem",
  },
  NODE,
];

export const SHARE_COLUMNS = [
  textColumn("name", "Share", member("name"), { width: "minmax(8rem, 1fr)", phone: "title" }),
  numberColumn("users", "Users", member("current_uses"), { phone: "end" }),
  numberColumn("limit", "Limit", member("max_uses"), {
    text: (row) => (row.max_uses === NO_LIMIT ? "no limit" : row.max_uses == null ? UNKNOWN : grouped(row.max_uses)),
    value: (row) => (row.max_uses === NO_LIMIT ? "no limit" : row.max_uses),
    width: "6rem",
  }),
  textColumn("kind", "Kind", (row) => shareWord(row.type), { width: "5rem" }),
  textColumn("folder", "Folder", member("path"), { width: "minmax(10rem, 2fr)", phone: "sub", keepsEnd: true }),
  textColumn("remark", "Remark", (row) => row.problem || row.remark || "", { width: "minmax(8rem, 2fr)" }),
  NODE,
];
