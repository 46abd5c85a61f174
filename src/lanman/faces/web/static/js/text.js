/* Text from peers, as it is shown, compared and cut: what `lanman.shown` and `lanman.names` are for the command.
 *
 *   - What a peer chose (names, paths, comments) goes into the page with textContent alone, through `visible`.
 *   - Names are compared by `fold`: Windows' upper case, one character at a time. `toUpperCase` of a whole text joins
 *     names that Windows keeps apart, and compares none here.
 *
 * tests/faces/web/test_scripts.py has both agree with the Python functions, character by character.
 */

/* What could drive or deceive a page: see `lanman.shown`. With the flag u, halves of surrogate pairs alone match. */
const UNSAFE = new RegExp(
  "[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff" +
    "\\ufff9-\\ufffb\\u{e0000}-\\u{e007f}\\ud800-\\udfff\\ue000-\\uf8ff\\u{f0000}-\\u{10ffff}]",
  "gu",
);
const PLAIN = /^[\x20-\x7e]*$/;

/** The text with every character that could drive or deceive a page written as `\x1b`, `\u202e`. */
export function visible(text) {
  return PLAIN.test(text) ? text : text.replace(UNSAFE, asEscape);
}

function asEscape(character) {
  const code = character.codePointAt(0);
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}

/* Lower-case characters that have no entry in Windows' table: see `lanman.names`. */
const WITHOUT_ENTRY = new RegExp(
  "[\\u019b\\u023f\\u0240\\u0252\\u025c\\u0261\\u0264-\\u0266\\u026a\\u026c\\u0282\\u0287\\u029d\\u029e\\u03f3" +
    "\\u0525-\\u052f\\u10d0-\\u10ff\\u13f8-\\u13fd\\u1c8a\\u1d8e\\u2c5f\\u2cec-\\u2cf3\\u2d27\\u2d2d\\ua661\\ua699" +
    "\\ua69b\\ua790-\\ua7ff\\uab30-\\uabbf\\u{10000}-\\u{10ffff}]",
  "u",
);
/* The upper case of small Greek letters with an iota below them is one character, which JavaScript calls title case. */
const WITH_IOTA = /[\u1f80-\u1f87\u1f90-\u1f97\u1fa0-\u1fa7\u1fb3\u1fc3\u1ff3]/;
const ASCII = /^[\x00-\x7f]*$/;
const folded = new Map();

/** A name in the upper case in which names are compared. */
export function fold(name) {
  if (ASCII.test(name)) return name.toUpperCase();
  let found = "";
  for (const character of name) {
    let upper = folded.get(character);
    if (upper === undefined) folded.set(character, (upper = upperCase(character)));
    found += upper;
  }
  return found;
}

function upperCase(character) {
  if (WITHOUT_ENTRY.test(character)) return character;
  if (WITH_IOTA.test(character)) {
    const code = character.codePointAt(0);
    return String.fromCodePoint(code + (code < 0x1fb0 ? 8 : 9));
  }
  const upper = character.toUpperCase();
  if ([...upper].length !== 1 || upper === character || upper.toLowerCase() !== character) return character;
  return upper;
}

/** A client as NET writes it: `\\PC7`, `\\192.0.2.7`, `\\[2001:db8::7]`. */
export function uncClient(name) {
  let bare = name.replace(/^[\\/]+/, "");
  if (bare.includes(":") && !bare.startsWith("[")) bare = `[${bare}]`;
  return `\\\\${bare}`;
}

/** `1 session`, `2 sessions`, `10,000 sessions`. */
export function many(number, thing) {
  return `${grouped(number)} ${thing}${number === 1 ? "" : "s"}`;
}

/** A count as it is read: `10,000`. */
export function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}
