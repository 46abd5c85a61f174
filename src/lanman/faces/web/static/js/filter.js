/* The filter that is typed above a list, and the address of a list with its filter, order and columns.
 *
 *   Typed              Lets through
 *   -----------------  ------------------------------------------------------------------------------------------------
 *   bud  "two words"   rows that have it in a column that is shown; letter case does not count, `/` is `\`
 *   b?d*.xlsx          the same with a pattern: `*` is any characters or none, `?` is one, nothing else is special
 *   user:bob           as `--user` does: `EXAMPLE\bob` and `bob@example.com` mean `bob` where only that is listed
 *   client:10.0.0.*    as `--client` does, but that nothing is looked up: type what the list shows
 *   path:*.xlsx        as `--path` does; `\\server\share\path` where the share's folder is told
 *   share:data         other words of a row (see FIELDS), by the same rules as names: equal, shown as, alike, pattern
 *   idle>1h  locks>=2  durations (`1d2h30m`, seconds alone) and numbers: `>` `>=` `<` `<=` `=`; `id:7` is `id=7`
 *   !WORD              the opposite of any of these
 *
 *   - Several words select what each of them does on its own; the same field with `:` twice means either.
 *   - What the server did not say is neither so nor not so: such a row passes neither `idle>1h` nor `!idle>1h`.
 *   - As in `lanman watch`, a row is judged as it comes, and not beside all others (`faces/cli/watchfilter.py`): a name
 *     also means those that differ from it in letter case alone.
 *   - A word that means nothing is an error, in words. A filter with one is not used at all: what is typed in haste
 *     (`user:`) must not let everything through.
 *
 * tests/faces/web/test_scripts.py compares user, client and path with lanman.manage.selection.
 */

import { bareClient, canonicalClient, parseAddress } from "./addresses.js";
import { fold, visible } from "./text.js";
import { lengthOf, seconds } from "./times.js";

export const MAX_LENGTH = 500;

/* PERM_FILE_READ, and PERM_FILE_WRITE with PERM_FILE_CREATE (MS-SRVS 2.2.4.7); access masks have the same bits. */
const [READS, WRITES] = [0x1, 0x6];

/** How a file is open, in one word; null where it is not told. */
export function accessWord(mask) {
  if (mask == null) return null;
  return mask & WRITES ? "WRITE" : mask & READS ? "READ" : "NONE";
}

/** What is shared (STYPE_, MS-SRVS 2.2.2.4), in one word; null where it is not told. */
export function shareWord(type) {
  return type == null ? null : (["disk", "print", "device", "IPC"][type & 0xff] ?? String(type & 0xff));
}

/** The node of a cluster that a row is of: what stands behind the `@` of its key; null for a single server. */
export function nodeOf(row) {
  const place = row.key.lastIndexOf("@");
  return place === -1 ? null : decodeURIComponent(row.key.slice(place + 1));
}

function since(name) {
  return (row, now) => {
    const at = seconds(row[name]);
    return at === null ? null : Math.max(0, now - at);
  };
}

function member(name) {
  return (row) => row[name] ?? null;
}

/** The clients that a row is from, or may be from. */
export function clientsOf(row) {
  if (row.client_name != null) return [row.client_name];
  return row.candidates ?? [];
}

const SESSION_FIELDS = {
  user: { kind: "user", of: member("user_name") },
  client: { kind: "client", of: clientsOf },
  idle: { kind: "duration", of: since("used_at") },
  age: { kind: "duration", of: since("begun_at") },
  opens: { kind: "number", of: member("num_opens") },
  share: { kind: "text", of: member("shares") },
  dialect: { kind: "text", of: member("dialect") },
  encryption: { kind: "text", of: member("encryption") },
  signing: { kind: "text", of: member("signing") },
  node: { kind: "text", of: nodeOf },
};

const FILE_FIELDS = {
  path: { kind: "path", of: member("path") },
  user: SESSION_FIELDS.user,
  client: SESSION_FIELDS.client,
  access: { kind: "text", of: (row) => accessWord(row.permissions) },
  locks: { kind: "number", of: member("num_locks") },
  age: { kind: "duration", of: since("opened_at") },
  id: { kind: "number", of: member("id") },
  share: { kind: "text", of: member("share") },
  node: SESSION_FIELDS.node,
};

const SHARE_FIELDS = {
  name: { kind: "text", of: member("name") },
  users: { kind: "number", of: member("current_uses") },
  type: { kind: "text", of: (row) => shareWord(row.type) },
  folder: { kind: "path", of: member("path") },
  remark: { kind: "text", of: member("remark") },
  node: SESSION_FIELDS.node,
};

/** What can be asked for by name, for each kind of row. */
export const FIELDS = { session: SESSION_FIELDS, file: FILE_FIELDS, share: SHARE_FIELDS };

/* --- patterns: `Pattern` of lanman.manage.selection */

export function isPattern(text) {
  return /[*?]/.test(text);
}

/** Tests whether a pattern matches the whole of a text. Each part between stars is looked for from left to right. */
export function pattern(typed) {
  if (!typed.includes("?")) {
    const parts = typed.split(/\*+/);
    return (text) => matches(parts, text, (part, place) => text.startsWith(part, place), (part, from) => text.indexOf(part, from));
  }
  const parts = typed.split(/\*+/).map((part) => Array.from(part));
  return (text) => {
    // One `?` is one character, also where JavaScript has two units for it.
    const characters = Array.from(text);
    const isAt = (part, place) => part.every((wanted, offset) => wanted === "?" || wanted === characters[place + offset]);
    const find = (part, from) => {
      for (let place = from; place + part.length <= characters.length; place++) if (isAt(part, place)) return place;
      return -1;
    };
    return matches(parts, characters, isAt, find);
  };
}

function matches(parts, text, isAt, find) {
  const [head, tail] = [parts[0], parts[parts.length - 1]];
  if (parts.length === 1) return text.length === head.length && isAt(head, 0);
  const end = text.length - tail.length;
  if (end < head.length || !isAt(head, 0) || !isAt(tail, end)) return false;
  let place = head.length;
  for (const part of parts.slice(1, -1)) {
    const found = find(part, place);
    if (found < 0 || found + part.length > end) return false;
    place = found + part.length;
  }
  return true;
}

function alike(typed) {
  const folded = fold(typed);
  if (!isPattern(typed)) return (value) => fold(value) === folded;
  const test = pattern(folded);
  return (value) => test(fold(value));
}

/* --- what each kind of field means: the tests of lanman.manage.selection, for one value at a time */

/** A problem with what is typed, in words for people. */
export class FilterError extends Error {}

export function userTest(typed) {
  const behind = typed.slice(typed.lastIndexOf("\\") + 1);
  const forms = [...new Set([typed, behind, behind.split("@", 1)[0]])];
  if (forms[forms.length - 1] === "") throw new FilterError("the user is empty: nothing is left without the domain");
  const tests = [];
  for (const form of forms) {
    tests.push((value) => value === form, (value) => visible(value) === form);
    // EXAMPLE\* is everybody of a domain: where no domains are listed, that is not everybody.
    if (!isPattern(form) || form === typed) tests.push(alike(form));
  }
  return (value) => value !== "" && tests.some((test) => test(value));
}

export function clientTest(typed) {
  const bare = bareClient(typed);
  if (bare === "") throw new FilterError("the client is empty");
  const equal = (value) => bareClient(value) === bare || visible(bareClient(value)) === bare;
  if (isPattern(typed)) {
    const like = alike(bare);
    return (value) => value !== "" && (equal(value) || like(bareClient(value)));
  }
  const canonical = canonicalClient(typed);
  return (value) => value !== "" && (equal(value) || (canonical !== "" && canonicalClient(value) === canonical));
}

function slashes(path) {
  return path.replaceAll("\\", "/");
}

function pathForms(path) {
  const plain = slashes(path).replace(/\/+$/, "");
  return plain.startsWith("C:") || plain.startsWith("c:") ? [plain, plain.slice(2)] : [plain];
}

export function pathTest(typed) {
  if (typed === "") throw new FilterError("the path is empty");
  const plain = slashes(typed).replace(/\/+$/, "");
  // A slash behind a pattern stays: without it `a*/` would mean more than it says.
  const like = alike(isPattern(typed) ? slashes(typed) : plain);
  return (value) => {
    if (value === "") return false;
    if (value === typed || visible(value) === typed) return true;
    const forms = pathForms(value);
    return forms.includes(plain) || forms.some(like);
  };
}

function textTest(typed) {
  const like = alike(typed);
  return (value) => String(value) === typed || visible(String(value)) === typed || like(String(value));
}

/** `\\server\share\path` as `{server, share, rest}`; null for any other path. */
export function splitUnc(path) {
  if (!/^(\\\\|\/\/)/.test(path)) return null;
  const [server, share = "", ...rest] = path.slice(2).replaceAll("/", "\\").split("\\");
  return server && share && !isPattern(server + share) ? { server, share, rest: rest.join("\\") } : null;
}

function below(folder, rest) {
  const separator = folder.startsWith("/") ? "/" : "\\";
  const tail = separator === "/" ? rest.replaceAll("\\", "/") : rest.replaceAll("/", "\\");
  return folder.replace(/[\\/]+$/, "") + (tail ? separator + tail : "") || separator;
}

/** A path as the server lists it, of one that names a share. `about` is `{server, folderOf(share)}`. */
function listedPath(typed, about) {
  if (!/^(\\\\|\/\/)/.test(typed)) return typed;
  const unc = splitUnc(typed);
  if (unc === null) {
    throw new FilterError("a path that begins with two slashes names a server and a share, without * and ?");
  }
  if (about.server !== undefined && !isSameServer(unc.server, about.server)) {
    throw new FilterError(
      `that path is on ${visible(unc.server)}, and this list is of ${visible(about.server)}: ` +
        "type the path as it is listed here, or open the list of the other server",
    );
  }
  const folder = about.folderOf?.(unc.share) ?? null;
  return folder === null ? `*\\${unc.rest}` : below(folder, unc.rest);
}

function isSameServer(typed, server) {
  const [one, other] = [typed, server.replace(/:[0-9]+$/, "")].map(canonicalClient);
  if (one === other) return true;
  if (parseAddress(one) !== null || parseAddress(other) !== null) return false;
  return one.split(".")[0] === other.split(".")[0] && (!one.includes(".") || !other.includes("."));
}

/* --- words */

const WORD = /(!?)((?:"[^"]*"?|[^\s"])+)/g;
const COMPARISON = /^([a-z_]+)(>=|<=|>|<|=)(.*)$/i;
const NAMED = /^([a-z_]+):(.*)$/is;

const COMPARE = {
  ">": (value, wanted) => value > wanted,
  ">=": (value, wanted) => value >= wanted,
  "<": (value, wanted) => value < wanted,
  "<=": (value, wanted) => value <= wanted,
  "=": (value, wanted) => value === wanted,
};

function unquoted(text) {
  return text.replaceAll('"', "");
}

/** What one word means: `{field, test(row, hay, now) -> true | false | null}`. */
function parseWord(word, fields, about) {
  const compared = COMPARISON.exec(word);
  if (compared !== null && compared[1].toLowerCase() in fields) {
    const [name, sign, value] = [compared[1].toLowerCase(), compared[2], unquoted(compared[3])];
    if (fields[name].kind === "number" || fields[name].kind === "duration") return comparison(name, fields[name], sign, value);
    if (sign === "=") return namedTest(name, fields[name], value, about);
    throw new FilterError(`${name} is no number: write ${name}:…`);
  }
  const named = NAMED.exec(word);
  if (named === null || word.startsWith('"') || isNoField(word, named)) return { field: null, test: wordTest(unquoted(word)), searches: true };
  const [name, value] = [named[1].toLowerCase(), unquoted(named[2])];
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (field === undefined) {
    throw new FilterError(`${name}: is nothing that these rows have. They have ${Object.keys(fields).join(", ")}. Quotes look for the text itself: "${visible(unquoted(word))}"`);
  }
  if (field.kind === "number" || field.kind === "duration") {
    const signed = /^(>=|<=|>|<|=)?(.*)$/.exec(value);
    return comparison(name, field, signed[1] ?? "=", signed[2]);
  }
  return namedTest(name, field, value, about);
}

/** Whether a word with a colon is a drive (`C:\data`) or an address, and no field. */
function isNoField(word, named) {
  return (named[1].length === 1 && /^[\\/]/.test(named[2])) || parseAddress(word) !== null || named[2].startsWith(":");
}

function comparison(name, field, sign, value) {
  const wanted = field.kind === "duration" ? lengthOf(value) : /^[0-9]{1,15}$/.test(value) ? Number(value) : null;
  if (wanted === null) {
    const example = field.kind === "duration" ? `${name}>1h30m` : `${name}>=2`;
    throw new FilterError(value === "" ? `${name}${sign} wants a value, as in ${example}` : `${visible(value)} is no ${field.kind}: write it as in ${example}`);
  }
  const compare = COMPARE[sign];
  const test = (row, hay, now) => {
    const found = field.of(row, now);
    return found === null ? null : compare(Math.floor(found), wanted);
  };
  return { field: null, test, timed: field.kind === "duration" };
}

const TESTS = { user: userTest, client: clientTest, path: pathTest, text: textTest };

function namedTest(name, field, value, about) {
  if (value === "") throw new FilterError(`${name}: wants a value, as in ${name}:${EXAMPLES[field.kind]}`);
  const single = TESTS[field.kind](field.kind === "path" ? listedPath(value, about) : value);
  const known = new Map();
  const test = (found) => {
    let result = known.get(found);
    if (result === undefined) {
      if (known.size > 50_000) known.clear();
      known.set(found, (result = single(found)));
    }
    return result;
  };
  return {
    field: name,
    test: (row, hay, now) => {
      const found = field.of(row, now);
      if (found === null) return null;
      return Array.isArray(found) ? (found.length ? found.some(test) : field.kind === "client" ? null : false) : test(found);
    },
  };
}

const EXAMPLES = { user: "bob", client: "10.0.0.*", path: "*.xlsx", text: "data" };

function wordTest(typed) {
  const wanted = fold(typed.replaceAll("/", "\\"));
  if (!isPattern(wanted)) return (row, hay) => hay.includes(wanted);
  const test = pattern(`*${wanted}*`);
  return (row, hay) => hay.split("\n").some(test);
}

/* Cells that are shown as they are. */
const SEARCHABLE = /^[\x20-\x7e\n]*$/;

/** What a filter looks at in a row for words without a field: its cells, as they are and as they are shown. */
export function haystack(cells) {
  const joined = cells.join("\n");
  if (SEARCHABLE.test(joined)) return joined.replaceAll("/", "\\").toUpperCase();
  let found = "";
  for (const cell of cells) {
    const shown = visible(cell);
    found += `${shown}\n`;
    if (shown !== cell) found += `${cell.replaceAll("\n", " ")}\n`;
  }
  return fold(found.replaceAll("/", "\\"));
}

/** A filter: `text`, `errors` (in words; not to be used where there are any), `isEmpty`, `timed` (means other rows
 * as time passes), `searches` (wants what is searched) and `test(row, hay, now)`. `kind` is of the rows; `about` is `{server, folderOf}` for paths of
 * shares. */
export function parseFilter(text, kind, about = {}) {
  const fields = FIELDS[kind];
  const errors = [];
  const single = [];
  const either = new Map();
  let [timed, searches] = [false, false];
  if (text.length > MAX_LENGTH) errors.push(`a filter has ${MAX_LENGTH} characters at most`);
  for (const [, not, word] of text.slice(0, MAX_LENGTH).matchAll(WORD)) {
    if (unquoted(word) === "") continue;
    try {
      const parsed = parseWord(word, fields, about);
      timed ||= parsed.timed === true;
      searches ||= parsed.searches === true;
      if (not) single.push((row, hay, now) => parsed.test(row, hay, now) === false);
      else if (parsed.field === null) single.push((row, hay, now) => parsed.test(row, hay, now) === true);
      else either.set(parsed.field, [...(either.get(parsed.field) ?? []), parsed.test]);
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      errors.push(error.message);
    }
  }
  for (const tests of either.values()) single.push((row, hay, now) => tests.some((test) => test(row, hay, now) === true));
  return {
    text,
    errors,
    timed,
    searches,
    isEmpty: single.length === 0 && errors.length === 0,
    test: (row, hay, now) => single.every((test) => test(row, hay, now)),
  };
}

/* --- the address of a list */

/** What a hash says: `#/server/fs1/sessions?filter=user:bob&sort=-idle&columns=client,user` as
 * `{path: ["server", "fs1", "sessions"], filter, sort: {column, down}, columns}`; null for what it does not say. */
export function readHash(hash) {
  const text = hash.replace(/^#\/?/, "");
  const place = text.includes("?") ? text.indexOf("?") : text.length;
  const [path, query] = [text.slice(0, place), text.slice(place + 1)];
  const said = new URLSearchParams(query);
  const sort = said.get("sort");
  const columns = said.get("columns");
  return {
    path: path.split("/").filter(Boolean).map(decoded),
    filter: said.get("filter"),
    sort: sort ? { column: sort.replace(/^-/, ""), down: sort.startsWith("-") } : null,
    columns: columns ? columns.split(",").filter(Boolean) : null,
  };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The hash that says so; what is null or empty is left out. */
export function writeHash({ path, filter = null, sort = null, columns = null }) {
  const said = new URLSearchParams();
  if (filter) said.set("filter", filter);
  if (sort) said.set("sort", (sort.down ? "-" : "") + sort.column);
  if (columns) said.set("columns", columns.join(","));
  const query = said.toString();
  return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}
