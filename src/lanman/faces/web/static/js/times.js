/* Times: RFC 3339 from the server, as people read them. Nothing here reads a clock; `now` is in seconds since 1970.
 *
 * A page shows times of day by this computer's clock and zone, or how long ago; which of the two a person chooses.
 * What a server did not say is `-`. Clocks of the two computers may differ: see `ServerClock`.
 */

export const UNKNOWN = "-";

/** How many seconds two looks may differ in when a session began: `SLACK` of lanman.manage.watching.keys. */
export const SLACK = 3;

/* A row's times are read again and again while they tick. */
const parsed = new Map();
const MAX_PARSED = 200_000;

/** The seconds since 1970 of a time in RFC 3339; null for null, and for what is no time. */
export function seconds(text) {
  if (text == null) return null;
  let found = parsed.get(text);
  if (found === undefined) {
    if (parsed.size >= MAX_PARSED) parsed.clear();
    const at = Date.parse(text);
    parsed.set(text, (found = Number.isNaN(at) ? null : at / 1000));
  }
  return found;
}

/** `HH:MM:SS` below a day, `01D 03H 12M` from there on, as NET SESSION shows idle time; `-` for null. */
export function duration(length) {
  if (length == null) return UNKNOWN;
  const whole = Math.max(0, Math.floor(length));
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days === 0) return `${two(hours)}:${two(minutes)}:${two(whole % 60)}`;
  return `${two(days)}D ${two(hours)}H ${two(minutes)}M`;
}

/** How long ago, in the two largest units: `now`, `42 s`, `14 min`, `3 h 5 min`, `2 d 4 h`; `-` for null. */
export function ago(length) {
  if (length == null) return UNKNOWN;
  const whole = Math.max(0, Math.floor(length));
  if (whole < 5) return "now";
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  const [units, larger, smaller] = whole < 86400 ? [60, "h", "min"] : [3600, "d", "h"];
  const per = whole < 86400 ? 60 : 24;
  const small = Math.floor(whole / units);
  const rest = small % per;
  return `${Math.floor(small / per)} ${larger}${rest ? ` ${rest} ${smaller}` : ""}`;
}

/** The seconds of a duration as people write it, `1d2h30m5.5s` or any part of that; null for what is none. */
export function lengthOf(text) {
  const parts = /^(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9}(?:\.[0-9]{1,3})?)s?)?$/.exec(text);
  if (parts === null || parts.slice(1).every((part) => part === undefined)) return null;
  return [86400, 3600, 60, 1].reduce((sum, unit, place) => sum + Number(parts[place + 1] ?? 0) * unit, 0);
}

/** A time as people say it: `14:05:02` of today, `24 Nov 14:05` of this year, else with the year; `-` for null. */
export function clock(at, now) {
  if (at == null) return UNKNOWN;
  const [when, today] = [new Date(at * 1000), new Date(now * 1000)];
  if (Number.isNaN(when.getTime())) return UNKNOWN;
  const day = `${when.getDate()} ${MONTHS[when.getMonth()]}`;
  if (when.getFullYear() !== today.getFullYear()) return `${day} ${when.getFullYear()}`;
  const time = `${two(when.getHours())}:${two(when.getMinutes())}`;
  if (when.getMonth() !== today.getMonth() || when.getDate() !== today.getDate()) return `${day} ${time}`;
  return `${time}:${two(when.getSeconds())}`;
}

/** A time in full, with its offset: `2026-11-25 14:05:02 +01:00`; `-` for null. */
export function moment(at) {
  if (at == null) return UNKNOWN;
  const when = new Date(at * 1000);
  if (Number.isNaN(when.getTime())) return UNKNOWN;
  const date = `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
  const time = `${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;
  const offset = -when.getTimezoneOffset();
  const size = Math.abs(offset);
  return `${date} ${time} ${offset < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** A time for programs, in UTC; "" for null. */
export function rfc3339(at) {
  if (at == null) return "";
  const when = new Date(at * 1000);
  return Number.isNaN(when.getTime()) ? "" : when.toISOString().replace(/\.000Z$/, "Z");
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function two(number) {
  return String(number).padStart(2, "0");
}

/** In words how a time is known (`begun_how`, `opened_how`), for a details pane. */
export const HOWS = {
  told: "told by the server",
  inferred: "inferred: the user's only client",
  candidates: "one of these",
  seen: "seen between two looks",
  unknown: "not known",
};

/** Since when a session is there, with what is honest to say of it: `13:58:02 (14 min ago), give or take 3 s`. */
export function begunWords(row, now) {
  const at = seconds(row.begun_at);
  if (at === null) return "not known: the server does not tell how long it has been there";
  const said = `${moment(at)} (${ago(now - at)} ago)`;
  if (row.begun_how === "seen") return `${said} at the latest: first seen then`;
  return row.begun_how === "told" ? `${said}, give or take ${SLACK} s` : said;
}

/** Since when a file is open, with what is honest to say of it. */
export function openedWords(row, now) {
  const at = seconds(row.opened_at);
  const before = seconds(row.not_before);
  const bound = before === null ? "" : `, not before ${moment(before)}`;
  if (at === null) return before === null ? "not known: the server does not tell it" : `not before ${moment(before)}`;
  const said = `${moment(at)} (${ago(now - at)} ago)`;
  return row.opened_how === "seen" ? `${said} at the latest: first seen then${bound}` : said;
}

/** Of a file without a user, where the server does not say more. */
export const MAY_BE_KEPT = "owner unknown: it is kept for a client whose connection was lost, or a null session's";

/** For whom a file is kept whose connection was lost, and for how much longer; "" for a file that somebody has open. */
export function keptWords(row, now) {
  if (!row.owner) return "";
  const until = seconds(row.expires_at);
  return `${row.owner}, whose connection was lost${until === null ? "" : `, ${duration(until - now)} more`}`;
}

/* How far this computer's clock may be off without idle times being put right by the server's. */
const TOLERANCE = 2;

/** The time of the server that is spoken to, as far as it can be told from here: idle times are its, not ours. */
export class ServerClock {
  constructor(here = () => Date.now() / 1000) {
    this.here = here;
    this.ahead = 0;
  }

  /** Take in what the server's clock said just now, in seconds since 1970: the time of a delta, or a Date header. */
  said(at) {
    const ahead = at - this.here();
    this.ahead = Math.abs(ahead) > TOLERANCE ? ahead : 0;
  }

  /** Take in that it is this time at least: that of something that has happened, however long its telling took. */
  atLeast(at) {
    if (at > this.now() + TOLERANCE) this.said(at);
  }

  /** Seconds since 1970. */
  now() {
    return this.here() + this.ahead;
  }
}

/** The one of this page: the head of each answer of the console says what time it is there (`api.js`). Whatever compares
 * a time of the server with now asks it: this computer's clock may be wrong by hours, and a filter `idle>1h` would let
 * everybody through. */
export const serverClock = new ServerClock();
