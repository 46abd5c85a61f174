// What a server shares, and how many use it.
import { SHARE_COLUMNS } from "../columns.js";
import { listPage } from "../listpage.js";
import { askChangedShare, askNewShare } from "../orderforms.js";

export const fills = true;

export function show(element, route, context) {
  return listPage(element, route, context, {
    kind: "share",
    title: "Shares",
    columns: SHARE_COLUMNS,
    sort: { column: "name", down: false },
    sort: { column: "name", down: false },
    along: ["session"],
    head: [{ title: "Share a folder …", verb: "share", ask: askNewShare }],
    actions: [
      { title: "Change …", verb: "share", ask: askChangedShare, ofOne: true, grave: false },
      { title: "Stop sharing …", verb: "share", key: "Delete", ofOne: true },
    ],
    empty: ["Nothing is shared.", "Shares that are added appear here by themselves."],
  });
}
