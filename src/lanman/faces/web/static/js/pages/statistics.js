// What a server has counted since it was started, and how fast it counts while one looks.
import { get, part } from "../api.js";
import { bytes, fill, h, number, pageHead, pairs, said, time } from "../parts.js";
import { visible } from "../text.js";

const GROUPS = [
  ["Sessions", [["sopens", "accepted"], ["stimedout", "ended for idleness"], ["serrorout", "ended by an error"]]],
  ["Traffic", [["bytes_sent", "sent", bytes], ["bytes_received", "received", bytes], ["avresponse", "mean answer", (value) => `${number(value)} ms`]]],
  ["Refused", [["pwerrors", "wrong passwords"], ["permerrors", "accesses denied"], ["syserrors", "errors of the system"]]],
  ["Opened", [["fopens", "files"], ["devopens", "devices"], ["jobsqueued", "print jobs"]]],
  ["Buffers that ran out", [["bigbufneed", "big ones"], ["reqbufneed", "for requests"]]],
];
const EVERY = 5000;

export function show(element, route, context) {
  const { server } = route;
  const content = h("div", { class: "content" });
  element.append(pageHead("Statistics", { about: visible(server) }), content);
  let before = null;
  const ask = (unattended) => get(`servers/${part(server)}/statistics`, { unattended });
  const draw = (answer) => {
    const now = { at: performance.now(), counted: answer.statistics };
    const drawn = drawnOf(now.counted, before?.counted, before ? (now.at - before.at) / 1000 : 0);
    before = now;
    return drawn;
  };
  const begin = () => fill(content, () => ask(false), draw, { login: () => context.login(server) });
  begin();
  const timer = setInterval(async () => {
    if (document.hidden || before === null) return;
    try {
      content.replaceChildren(...draw(await ask(true)));
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      clearInterval(timer);
      content.prepend(h("p", { class: "banner stale", role: "status" }, `The server does not tell any more: ${said(error.message)} `, h("button", { type: "button", onclick: () => context.reload() }, "Ask again")));
    }
  }, EVERY);
  return () => clearInterval(timer);
}

function drawnOf(counted, before, seconds) {
  return [
    h("p", { class: "muted" }, "Counted since ", time(counted.started_at, { none: "a time that the server does not tell" }), "."),
    h(
      "div",
      { class: "cards" },
      GROUPS.map(([title, names]) =>
        h("section", { class: "card" }, h("h2", {}, title), pairs(names.map(([name, words, shown = number]) => [words, figure(counted, before, seconds, name, shown)]))),
      ),
    ),
  ];
}

function figure(counted, before, seconds, name, shown) {
  const value = counted[name];
  if (value === null || value === undefined) return null;
  const more = before && seconds > 0 && name !== "avresponse" ? value - (before[name] ?? value) : 0;
  return [h("span", {}, shown(value)), more > 0 ? h("span", { class: "muted" }, ` +${shown(Math.round(more / seconds) || more)}${Math.round(more / seconds) ? "/s" : ""}`) : null].filter(Boolean);
}
