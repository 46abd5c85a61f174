/* Clients' names and addresses: in which form two of them are compared, and how they sort.
 *
 * The same as `canonical_client` of lanman.manage.selection and `client_order` of the screen of `lanman watch`.
 * Nothing is looked up: which addresses a name has, a page cannot ask.
 */

import { fold } from "./text.js";

/* What Python's str.strip takes off. */
const EDGES = /^[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+|[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/g;

function strip(text) {
  return text.replace(EDGES, "");
}

function withoutSlashes(name) {
  return name.replace(/^[\\/]+/, "");
}

/** The four numbers of an address of IPv4; null for what is none. `010` is none: some take it for 8. */
function parse4(text) {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part))) return null;
  const numbers = parts.map(Number);
  return numbers.every((number) => number <= 255) ? numbers : null;
}

/** The eight numbers of an address of IPv6 without its zone; null for what is none. */
function parse6(text) {
  let parts = text.split(":");
  if (parts.length < 3) return null;
  const last = parts[parts.length - 1];
  if (last.includes(".")) {
    const four = parse4(last);
    if (four === null) return null;
    parts = [...parts.slice(0, -1), (four[0] * 256 + four[1]).toString(16), (four[2] * 256 + four[3]).toString(16)];
  }
  if (parts.length > 9) return null;
  let gap = -1;
  for (let place = 1; place < parts.length - 1; place++) {
    if (parts[place] !== "") continue;
    if (gap !== -1) return null;
    gap = place;
  }
  let [head, tail] = [parts, []];
  if (gap === -1) {
    if (parts.length !== 8) return null;
  } else {
    [head, tail] = [parts.slice(0, gap), parts.slice(gap + 1)];
    if (head[0] === "") {
      head = head.slice(1);
      if (head.length) return null;
    }
    if (tail[tail.length - 1] === "") {
      tail = tail.slice(0, -1);
      if (tail.length) return null;
    }
    if (head.length + tail.length > 7) return null;
  }
  if (![...head, ...tail].every((part) => /^[0-9a-fA-F]{1,4}$/.test(part))) return null;
  const zeros = new Array(8 - head.length - tail.length).fill(0);
  return [...head.map((part) => parseInt(part, 16)), ...zeros, ...tail.map((part) => parseInt(part, 16))];
}

/** The longest run of zeros, of two at least, is left out; of several the first. */
function text6(numbers) {
  let [start, length] = [-1, 1];
  for (let place = 0; place < 8; place++) {
    let end = place;
    while (end < 8 && numbers[end] === 0) end++;
    if (end - place > length) [start, length] = [place, end - place];
  }
  const hex = numbers.map((number) => number.toString(16));
  if (start === -1) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

/** An address as numbers, `{version, numbers, zone}`; null for a name. */
export function parseAddress(text) {
  const four = parse4(text);
  if (four !== null) return { version: 4, numbers: four, zone: "" };
  const place = text.indexOf("%");
  const zone = place === -1 ? "" : text.slice(place + 1);
  if (place !== -1 && (zone === "" || zone.includes("%"))) return null;
  const six = parse6(place === -1 ? text : text.slice(0, place));
  return six === null ? null : { version: 6, numbers: six, zone };
}

/** A client's name without the slashes before it, and an IPv6 address without its brackets; else as it is. */
export function bareClient(name) {
  const bare = withoutSlashes(name);
  return bare.startsWith("[") && bare.endsWith("]") && bare.includes(":") ? bare.slice(1, -1) : bare;
}

/** A client's name in the one form in which names are compared. */
export function canonicalClient(name) {
  let bare = strip(withoutSlashes(strip(name)));
  if (bare.startsWith("[") && bare.endsWith("]")) bare = bare.slice(1, -1);
  if (bare.includes(":") || /^[0-9]/.test(bare)) {
    const address = parseAddress(bare);
    if (address !== null) return canonicalAddress(address);
  }
  const lower = fold(bare).replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

function canonicalAddress({ version, numbers, zone }) {
  if (version === 4) return numbers.join(".");
  if (numbers.slice(0, 5).every((number) => number === 0) && numbers[5] === 0xffff) {
    return [numbers[6] >> 8, numbers[6] & 255, numbers[7] >> 8, numbers[7] & 255].join(".");
  }
  return zone === "" ? text6(numbers) : `${text6(numbers)}%${zone}`;
}

/** What clients are sorted by: addresses by number, those of IPv4 first, and names behind them; null for null. */
export function clientOrder(name) {
  if (name == null) return null;
  let found = orders.get(name);
  if (found === undefined) {
    if (orders.size >= MAX_ORDERS) orders.clear();
    orders.set(name, (found = orderOf(name)));
  }
  return found;
}

/* Lists are sorted again and again. */
const orders = new Map();
const MAX_ORDERS = 200_000;

function orderOf(name) {
  const bare = name.replace(/^\\+/, "");
  const address = parseAddress(bare.replace(/^[[\]]+|[[\]]+$/g, "").split("%")[0]);
  if (address === null) return `1 ${fold(bare)}`;
  const width = address.version === 4 ? 2 : 4;
  return `0${address.version}${address.numbers.map((number) => number.toString(16).padStart(width, "0")).join("")} ${bare}`;
}
