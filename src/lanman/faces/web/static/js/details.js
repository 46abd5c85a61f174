/* What is shown beside a list of the row under the cursor: everything that is known of it, and how it is known.
 *
 * All of it is of the last look: no server is asked for it. What an order would cost, its plan says, which looks again.
 * Which files a session has open follows from the lists only where they can be told from those of others; the rules are
 * those of the screen of `lanman watch` (`faces/tui/details.py`).
 */

import { clientWords, fileUserWords, ownerUnknown, userWords } from "./columns.js";
import { accessWord, nodeOf, shareWord } from "./filter.js";
import { copy, h, pairs, said } from "./parts.js";
import { addressOf } from "./routes.js";
import { fold, many, visible } from "./text.js";
import { HOWS, MAY_BE_KEPT, UNKNOWN, begunWords, duration, keptWords, moment, openedWords, seconds } from "./times.js";

const MAX_LISTED = 100;

const sameUser = (one, other) => one != null && other != null && fold(one) === fold(other);

/** The files that a session has open; null where they cannot be told from those of others, or are not told. */
export function filesOf(session, sessions, files) {
  if (session.user_name == null) return null;
  const node = nodeOf(session);
  const ofNode = [...files.values()].filter((file) => nodeOf(file) === node);
  const ofUser = ofNode.filter((file) => !file.owner && sameUser(file.user_name, session.user_name));
  if (ofUser.some((file) => file.session != null)) return ofUser.filter((file) => file.session === session.key);
  if (!ofUser.length && (session.num_opens || !ofNode.length)) return session.num_opens === 0 ? [] : null;
  const theirs = [...sessions.values()].filter((one) => nodeOf(one) === node && sameUser(one.user_name, session.user_name));
  return theirs.length === 1 ? ofUser : null;
}

/** The sessions that may have a file open: none where it is kept for somebody who is away. */
export function sessionsWith(file, sessions) {
  if (file.owner || ownerUnknown(file)) return [];
  if (file.session != null) return sessions.has(file.session) ? [sessions.get(file.session)] : [];
  if (file.user_name == null) return [];
  return [...sessions.values()].filter((one) => nodeOf(one) === nodeOf(file) && sameUser(one.user_name, file.user_name));
}

function listed(rows, title, words) {
  const items = rows.slice(0, MAX_LISTED).map((row) => h("li", {}, visible(words(row))));
  const more = rows.length > MAX_LISTED ? h("li", {}, `and ${rows.length - MAX_LISTED} more`) : null;
  return [h("h3", {}, title), h("ul", {}, items, more)];
}

/** Names and values; what is not told has its names in one line at the end. */
function told(entries) {
  const all = entries.filter(Boolean);
  const missing = all.filter(([, value]) => value == null).map(([title]) => title.toLowerCase());
  const values = pairs(all.filter(([, value]) => value != null));
  return h("div", {}, values, missing.length ? h("p", { class: "muted" }, `Not told by the server: ${missing.join(", ")}.`) : null);
}

function known(words) {
  return words === UNKNOWN ? null : visible(words);
}

/** How long ago a session was used: null where it is not told. */
function idleWords(row, now) {
  const at = seconds(row.used_at);
  return at === null ? null : `${duration(now - at)} (last used ${moment(at)})`;
}

function sessionParts(row, now, { sessions, files }) {
  const values = told([
    nodeOf(row) === null ? null : ["Node", said(nodeOf(row))],
    ["Client", known(clientWords(row.client_name))],
    ["User", known(userWords(row.user_name))],
    ["Domain", row.domain && said(row.domain)],
    ["Address", row.address && said(row.address)],
    ["Open files", row.num_opens ?? null],
    ["Idle", idleWords(row, now)],
    ["Since", begunWords(row, now)],
    ["Shares", row.shares && (said(row.shares.join(" ")) || "none")],
    ["Dialect", row.dialect && said(row.dialect)],
    ["Signing", row.signing && said(row.signing)],
    ["Encryption", row.encryption && said(row.encryption)],
    ["Connections", row.channels && `${row.channels.length}: ${said(row.channels.join(", "))}`],
    ["Guest", row.guest == null ? null : row.guest ? "yes" : "no"],
    ["Null session", row.anonymous == null ? null : row.anonymous ? "yes" : "no"],
    ["Client type", row.client_type && said(row.client_type)],
    ["Transport", row.transport && said(row.transport)],
  ]);
  if (files === null) return [values];
  const open = filesOf(row, sessions, files);
  if (open === null) return [values, h("p", { class: "muted" }, "Which files it has open cannot be told from those of the user's other sessions.")];
  if (!open.length) return [values];
  const words = (file) => `${file.path ?? UNKNOWN} (${accessWord(file.permissions) ?? UNKNOWN}${file.num_locks ? `, ${many(file.num_locks, "lock")}` : ""})`;
  return [values, ...listed(open, `It has ${many(open.length, "of the listed file")} open`, words)];
}

function fileParts(row, now, { sessions, files }) {
  const whose = row.candidates?.length ? row.candidates.map(clientWords).join(", ") : clientWords(row.client_name);
  const holders = sessions === null ? [] : sessionsWith(row, sessions);
  const values = told([
    nodeOf(row) === null ? null : ["Node", said(nodeOf(row))],
    ["Path", known(row.path ?? UNKNOWN)],
    ["User", known(userWords(row.user_name))],
    ["Access", accessWord(row.permissions)],
    ["Locks", row.num_locks ?? null],
    ["Client", whose === UNKNOWN ? null : `${visible(whose)} (${HOWS[row.client_how] ?? ""})`],
    ["Open since", openedWords(row, now)],
    ["Idle", holders.length ? holders.map((one) => idleWords(one, now)).filter(Boolean).join(", ") || null : null],
    ["Share", row.share && said(row.share)],
    ["File ID", row.id == null ? null : String(row.id)],
    ["Oplock", row.oplock && said(row.oplock)],
    ["Lease", row.lease && said(`${row.lease} ${row.lease_key ?? ""}`)],
    ["Durable", row.durable == null ? null : row.durable ? "yes" : "no"],
    row.owner && ["Kept for", visible(keptWords(row, now))],
    ownerUnknown(row) && ["Kept for", MAY_BE_KEPT],
  ]);
  const also = [...files.values()].filter((file) => file.path === row.path && file.key !== row.key && nodeOf(file) === nodeOf(row));
  const words = (file) => `${fileUserWords(file)} ${accessWord(file.permissions) ?? UNKNOWN} ${clientWords(file.client_name)}`;
  return [values, ...(also.length ? listed(also, "Others have it open too", words) : [])];
}

function shareParts(row, now, { sessions }) {
  const limit = row.max_uses === 0xffffffff ? "no limit" : (row.max_uses ?? null);
  const values = told([
    nodeOf(row) === null ? null : ["Node", said(nodeOf(row))],
    ["Share", said(row.name)],
    ["Kind", shareWord(row.type)],
    ["Folder", row.path && said(row.path)],
    ["Remark", row.remark && said(row.remark)],
    ["Users", row.current_uses ?? null],
    ["Limit", limit],
    ["Problem", row.problem == null ? null : said(row.problem) || "none"],
  ]);
  const using = sessions === null ? [] : [...sessions.values()].filter((one) => one.shares?.includes(row.name) && nodeOf(one) === nodeOf(row));
  return [values, ...(using.length ? listed(using, "Sessions that use it", (one) => `${userWords(one.user_name)} ${clientWords(one.client_name)}`) : [])];
}

const PARTS = { session: sessionParts, file: fileParts, share: shareParts };

/** What a row is called, in a heading. */
export function titleOf(row, kind) {
  if (kind === "session") return `${userWords(row.user_name)} at ${clientWords(row.client_name)}`;
  return (kind === "file" ? row.path : row.name) ?? UNKNOWN;
}

function links(row, kind, server) {
  const [copied, explained] = [kind === "file" ? row.path : kind === "share" ? row.name : row.client_name, kind === "file" && row.path];
  const query = explained && new URLSearchParams({ server, path: row.path }).toString();
  return h(
    "div",
    { class: "buttons" },
    copied ? h("button", { type: "button", class: "quiet", onclick: () => copy(copied, "Copied as it is listed") }, "Copy") : null,
    h("button", { type: "button", class: "quiet", onclick: () => copy(JSON.stringify(row, null, 2), "Copied as JSON") }, "Copy as JSON"),
    explained ? h("a", { class: "button quiet", href: `#/explain?${query}` }, "Explain: who has it, and what closing costs") : null,
    kind === "session" && row.user_name ? h("a", { class: "button quiet", href: addressOf(server, "files", { filter: `user:"${row.user_name}"` }) }, "Files of this user") : null,
    kind === "file" && row.user_name ? h("a", { class: "button quiet", href: addressOf(server, "sessions", { filter: `user:"${row.user_name}"` }) }, "Sessions of this user") : null,
  );
}

/** The elements of the pane. `known` has the lists by kind, `{sessions, files}`; null for what is not looked at. */
export function detailParts(row, kind, server, now, known) {
  return [links(row, kind, server), ...PARTS[kind](row, now, known)];
}
