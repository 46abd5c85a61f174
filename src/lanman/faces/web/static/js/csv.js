/* Comma-separated values of what is shown, as RFC 4180 has them.
 *
 *   - Lines end in CR LF; a cell with a comma, a quote or an end of line stands in quotes, its quotes doubled.
 *   - Cells are as `lanman.shown.cell` writes them for `--csv`: escaped, "" for what is not known, and an apostrophe
 *     where a spreadsheet would take the text for a formula, since users choose names and paths.
 *   - The file begins with a byte order mark: without one, Excel takes UTF-8 for the computer's own code page and
 *     spoils every name that is not ASCII. Other programs that read UTF-8 leave it out or can be told to
 *     (Python: utf-8-sig).
 */

import { visible } from "./text.js";

const FORMULA = /(^|[,;|])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g;
const BYTE_ORDER_MARK = "\ufeff";

/** A value as a cell: escaped, and no formula. Numbers stay numbers. */
export function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean" || typeof value === "number") return String(value);
  if (Array.isArray(value)) return cell(value.join(" "));
  return visible(String(value)).replace(FORMULA, "$1$2'");
}

function quoted(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The text of a file: a line of titles and one for each row of values. */
export function csv(titles, rows) {
  const lines = [titles, ...rows].map((values) => values.map((value) => quoted(cell(value))).join(","));
  return `${BYTE_ORDER_MARK}${lines.join("\r\n")}\r\n`;
}

/** Have the browser save a text as a file. */
export function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
