// Who is connected to a server.
import { SESSION_COLUMNS } from "../columns.js";
import { listPage } from "../listpage.js";

export const fills = true;

export function show(element, route, context) {
  return listPage(element, route, context, {
    kind: "session",
    title: "Sessions",
    columns: SESSION_COLUMNS,
    sort: { column: "client", down: false },
    along: ["file"],
    actions: [{ title: "End …", verb: "end", key: "Delete" }],
    empty: ["Nobody is connected.", "Sessions appear here by themselves as soon as somebody uses a share."],
  });
}
