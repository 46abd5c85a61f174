// Help: keys, and what words mean here.
import { h, pageHead, tag } from "../parts.js";
import { COSTS } from "../words.js";

const KEYS = [
  ["Everywhere", [["Tab, Shift+Tab", "to the next control, and back"], ["Enter", "follow a link, press a button"], ["Escape", "close a dialog: its answer is No"], ["Alt+Left", "back to the page before"]]],
  ["In a list", [["Up, Down", "to another row"], ["Page Up, Page Down", "a window further"], ["Home, End", "to the first row, to the last"], ["Left, Right", "to another column"], ["Space", "select the row, or take it out"], ["Shift+Up, Shift+Down", "select rows beside each other"], ["Enter", "what is known of the row"], ["/", "to the filter"]]],
  ["In the plan of an order", [["Enter on No", "nothing is done: No has the focus at first"], ["Tab", "to what has to be typed or ticked, then to the order"], ["Escape", "nothing is done; while it runs, it goes on"]]],
  ["In a chart", [["Left, Right", "to another time"], ["Home, End", "to the first, to the last"]]],
];

export function show(element) {
  element.append(
    pageHead("Keys and help"),
    h("div", { class: "cards" }, KEYS.map(([title, keys]) => h("section", { class: "card" }, h("h2", {}, title), h("dl", { class: "pairs keys" }, keys.map(([key, words]) => h("div", {}, h("dt", {}, key.split(", ").map((one, place) => [place ? ", " : "", h("kbd", {}, one)])), h("dd", {}, words))))))),
    h(
      "section",
      { class: "card" },
      h("h2", {}, "What an order costs"),
      h("dl", { class: "pairs" }, Object.values(COSTS).map((cost) => h("div", {}, h("dt", {}, tag(cost.words, cost.level)), h("dd", {}, cost.sentence)))),
      h("p", {}, "An order is always a plan first: it shows what it is for and what that costs, and is run only when you say so. Right before, each target is read again; what is no longer what you looked at is left alone."),
    ),
    h(
      "section",
      { class: "card" },
      h("h2", {}, "What is not known"),
      h("p", {}, "What a server does not say is shown as not told, and never guessed. Over the network, servers tell neither from where nor since when a file is open: the client is worked out from the user's sessions, and each page says how it knows. A server that is polled is asked every few seconds; what opens and closes in between is not seen."),
    ),
    h(
      "section",
      { class: "card" },
      h("h2", {}, "Elsewhere"),
      h("p", {}, "The same is in a terminal (lanman watch) and for programs: ", h("a", { href: "api/v1/openapi.json" }, "the REST interface"), "."),
    ),
  );
}
