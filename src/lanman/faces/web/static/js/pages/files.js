// What is open on a server, and who has it.
import { FILE_COLUMNS } from "../columns.js";
import { listPage } from "../listpage.js";

export const fills = true;

export function show(element, route, context) {
  return listPage(element, route, context, {
    kind: "file",
    title: "Open files",
    columns: FILE_COLUMNS,
    sort: { column: "path", down: false },
    along: ["session", "share"],
    actions: [{ title: "Close …", verb: "close", key: "Delete" }],
    empty: ["Nothing is open.", "Files appear here by themselves as soon as somebody opens one."],
  });
}
