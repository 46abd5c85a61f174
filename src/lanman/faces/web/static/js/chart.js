// How many sessions and open files there were over time: a chart, and the same as a table.
//
// Rules:
//   - It counts what the answer holds. In a gap nothing is drawn: nobody looked, which is not nobody.
//   - The chart takes the keys (Left, Right, Home, End), and says where it stands in a live region. The table beside it
//     has the same figures.
import uPlot from "../vendor/uplot/uPlot.esm.js";
import { h, number } from "./parts.js";
import { UNKNOWN, moment, seconds } from "./times.js";

const POINTS = 400;
const ROWS = 24;

/** What the console has counted, `{points: [{at, sessions, files}]}`, as `[times, sessions, files]`. */
export function pointsOf({ points }) {
  return [points.map((one) => seconds(one.at)), points.map((one) => one.sessions), points.map((one) => one.files)];
}

/** The same, counted from stays: at `POINTS` times of a span, `{since, until}` in seconds; null in gaps. */
export function counted(stays, gaps, { since, until }) {
  const step = Math.max(1, (until - since) / POINTS);
  const length = Math.max(1, Math.round((until - since) / step)) + 1;
  const times = Array.from({ length }, (_, place) => Math.min(until, since + place * step));
  const series = ["session", "file"].map((kind) => {
    const change = new Array(length + 1).fill(0);
    for (const one of stays) {
      if (one.kind !== kind) continue;
      const begun = seconds(one.begun_at) ?? since;
      const ended = seconds(one.ended_at) ?? Infinity;
      const from = Math.max(0, Math.ceil((begun - since) / step));
      const to = ended === Infinity ? length : Math.min(length, Math.ceil((ended - since) / step));
      if (from < to) {
        change[from] += 1;
        change[to] -= 1;
      }
    }
    let there = 0;
    return times.map((_, place) => (there += change[place]));
  });
  for (const gap of gaps) {
    const [begun, ended] = [seconds(gap.begun_at) ?? since, seconds(gap.ended_at) ?? until];
    times.forEach((at, place) => {
      if (at >= begun && at < ended) for (const one of series) one[place] = null;
    });
  }
  return [times, ...series];
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The chart of `[times, sessions, files]`; `more`: it was counted from a part. */
export function drawChart(data, { more = false } = {}) {
  const said = h("p", { class: "unseen", role: "status" });
  const place = h("div", { class: "chart", tabindex: "0", role: "application", "aria-roledescription": "chart", "aria-label": "Sessions and open files over time. Left and Right go through the times; the same is in the table below." });
  const figure = h(
    "figure",
    { class: "card" },
    h("figcaption", {}, "Sessions and open files over time", more ? h("strong", { class: "warn" }, ": of the newest ones alone, there are more") : ""),
    data[1].every((one) => one === null) ? h("p", { class: "warn" }, "Nobody looked at any of the times that are drawn: choose a shorter time, or one in which it was recorded.") : null,
    place,
    said,
    h("details", {}, h("summary", {}, "The same as a table"), figures(data)),
  );
  // uPlot wants to know its width: it is made when the figure stands on the page.
  const watcher = new ResizeObserver(() => draw());
  let plot = null;
  let width = 0;
  const draw = () => {
    if (!place.isConnected || place.clientWidth === width) return;
    width = place.clientWidth;
    if (plot) plot.setSize({ width, height: 220 });
    else plot = new uPlot(options(width), data, place);
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const again = () => {
    if (!place.isConnected) return dark.removeEventListener("change", again);
    plot?.destroy();
    plot = null;
    width = 0;
    return draw();
  };
  dark.addEventListener("change", again);
  watcher.observe(place);
  place.addEventListener("keydown", (event) => walk(event, plot, data, said));
  return figure;
}

function options(width) {
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: `12px ${colour("--font")}` };
  const stepped = uPlot.paths.stepped({ align: 1 });
  return {
    width,
    height: 220,
    series: [
      { label: "Time", value: (_, at) => (at === null || at === undefined ? UNKNOWN : moment(at)) },
      { label: "Sessions", stroke: colour("--accent"), width: 2, paths: stepped, points: { show: false }, spanGaps: false, value: (_, value) => number(value) },
      { label: "Open files", stroke: colour("--warn"), width: 2, dash: [6, 3], paths: stepped, points: { show: false }, spanGaps: false, value: (_, value) => number(value) },
    ],
    axes: [axis, { ...axis, size: 48, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000] }],
    scales: { y: { range: (_, least, most) => [0, Math.max(1, Math.ceil((most ?? 1) * 1.1))] } },
    cursor: { drag: { x: false, y: false } },
  };
}

function walk(event, plot, data, said) {
  const last = data[0].length - 1;
  const now = plot?.cursor.idx ?? last;
  const step = event.shiftKey ? 10 : 1;
  const to = { ArrowLeft: now - step, ArrowRight: now + step, Home: 0, End: last }[event.key];
  if (to === undefined || !plot) return;
  event.preventDefault();
  const place = Math.max(0, Math.min(last, to));
  plot.setCursor({ left: plot.valToPos(data[0][place], "x"), top: plot.over.clientHeight / 2 });
  const [sessions, files] = [data[1][place], data[2][place]];
  said.textContent = `${moment(data[0][place])}: ${sessions === null ? "nobody looked" : `${number(sessions)} sessions, ${number(files)} open files`}`;
}

function figures(data) {
  const step = Math.max(1, Math.floor(data[0].length / ROWS));
  const rows = data[0].map((at, place) => [at, data[1][place], data[2][place]]).filter((_, place) => place % step === 0);
  return h(
    "table",
    {},
    h("caption", { class: "unseen" }, "Sessions and open files over time"),
    h("thead", {}, h("tr", {}, ["Time", "Sessions", "Open files"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, rows.map(([at, sessions, files]) => h("tr", {}, h("td", {}, moment(at)), sessions === null ? h("td", { colspan: 2 }, "nobody looked") : [h("td", { class: "number" }, number(sessions)), h("td", { class: "number" }, number(files))]))),
  );
}
