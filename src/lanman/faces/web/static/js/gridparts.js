/* What opens beside a grid: which columns are shown, and which keys and filters there are. */

import { giveBack } from "./dialog.js";
import { FIELDS } from "./filter.js";

/** An element with a class, attributes and children; texts go in as text. */
export function make(tag, name = "", attributes = {}, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...children);
  return element;
}

/** A modal dialog with a title; Escape and its button close it, and the focus goes back to where it was. */
function openDialog(title, ...body) {
  const before = document.activeElement;
  const dialog = make("dialog", "grid-dialog", { "aria-labelledby": "grid-dialog-title" });
  const heading = make("h2", "", { id: "grid-dialog-title" }, title);
  const close = make("button", "", { value: "close" }, "Close");
  const form = make("form", "", { method: "dialog" }, heading, make("div", "dialog-body", {}, ...body), make("div", "buttons", {}, close));
  dialog.append(form);
  dialog.addEventListener("close", () => {
    dialog.remove();
    giveBack(before);
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Choose columns and their order. Each change counts at once. */
export function chooseColumns(grid) {
  const list = make("ul", "grid-columns");
  const shown = new Set(grid.columns.map((column) => column.id));
  const ids = [...grid.columns.map((column) => column.id), ...grid.all.map((column) => column.id).filter((id) => !shown.has(id))];
  const apply = () => grid.setColumns([...list.children].filter((item) => item.box.checked).map((item) => item.column.id));
  for (const id of ids) {
    list.append(columnItem(grid.all.find((column) => column.id === id), shown.has(id), list, apply));
  }
  const usual = make("button", "quiet", { type: "button" }, "As usual");
  usual.addEventListener("click", () => {
    grid.setColumns(grid.usual);
    dialog.close();
  });
  const dialog = openDialog("Columns", list, usual);
}

function columnItem(column, isShown, list, apply) {
  const box = make("input", "", { type: "checkbox" });
  box.checked = isShown;
  const item = make("li", "", {}, make("label", "", {}, box, column.title));
  Object.assign(item, { box, column });
  box.addEventListener("change", () => {
    // A list without columns says nothing: the last one stays.
    if (![...list.children].some((each) => each.box.checked)) box.checked = true;
    apply();
  });
  const move = (words, beside) => {
    const attributes = { type: "button", "aria-label": `Move ${column.title} ${words}` };
    const button = make("button", "quiet", attributes, words === "up" ? "▲" : "▼");
    button.addEventListener("click", () => {
      beside(item);
      apply();
      button.focus();
    });
    return button;
  };
  item.append(
    move("up", () => item.previousElementSibling?.before(item)),
    move("down", () => item.nextElementSibling?.after(item)),
  );
  return item;
}

const KEYS = [
  ["/", "type a filter; Escape there shows all, Enter goes to the rows"],
  ["↑ ↓ Page ↑ Page ↓", "move between rows; with Shift they select"],
  ["Ctrl Home, Ctrl End", "first and last row"],
  ["← → Home End", "move between columns"],
  ["Space", "select the row, or take it out; with Shift all rows from the last one on"],
  ["Ctrl A, Escape", "select all that are shown; select nothing"],
  ["Enter", "show all that is known of the row; on a heading: sort"],
  ["s", "sort by the column: up, down, not at all"],
  ["?", "this help"],
];

const FILTERS = [
  ["budget \"two words\"", "rows that have it in a column that is shown"],
  ["b?d*.xlsx", "a pattern: * is anything, ? is one character"],
  ["user:bob", "users, as --user of the command means them"],
  ["client:10.0.0.*", "clients, as they are listed"],
  ["path:*.xlsx", "paths, as --path of the command means them"],
  ["idle>1h  locks>=2", "durations (1d2h30m) and numbers: > >= < <= ="],
  ["!user:bob", "the opposite; what the server did not say is neither"],
];

/** The keys of a list, and how filters are written. */
export function showKeys(grid) {
  const keys = [...KEYS, ...grid.actions.filter((action) => action.key).map((action) => [action.key, `${action.title}: shows the plan first`])];
  const fields = `Words with a colon or a sign, here: ${Object.keys(FIELDS[grid.kind]).join(", ")}.`;
  openDialog("Keys and filters", make("h3", "", {}, "Keys"), pairs(keys, "kbd"), make("h3", "", {}, "Filters"), pairs(FILTERS, "code"), make("p", "", {}, fields));
}

function pairs(entries, tag) {
  return make("dl", "pairs", {}, ...entries.map(([name, words]) => make("div", "", {}, make("dt", "", {}, make(tag, "", {}, name)), make("dd", "", {}, words))));
}
