// The pipeline's pulse: rates as a chart, queues, workers, and whether anything is lost or doubled.

import { byId, count, keyed, make, rate, say, short, size, time } from "./text.js";

const KEPT_S = 120;
const holder = byId("chart");
let rows = [];
let chart = null;

/** Begin with what the server has seen already: [unix time in seconds, in, out] each. */
export function begin(history) {
  rows = history;
}

/** Show a pulse; null where nothing is known. */
export function showPulse(pulse) {
  byId("pulse").hidden = !pulse;
  byId("no-pulse").hidden = Boolean(pulse);
  if (!pulse) return verdict(null);
  const { records = {}, spool = {}, queues = [], workers = [], lag_ms: lag = {}, broker = {} } = pulse;
  verdict(records);
  say(byId("in-rate"), rate(records.in_per_s));
  say(byId("out-rate"), rate(records.out_per_s));
  say(byId("waiting"), short(records.waiting));
  say(byId("spool"), spool.records ? `${short(spool.records)} spooled` : "spool empty");
  say(byId("queued"), short(queues.reduce((sum, queue) => sum + (queue.depth || 0), 0)));
  say(byId("broker"), broker.reachable === false ? "broker away" : broker.blocked ? "broker blocked" : "broker well");
  byId("broker").classList.toggle("bad", broker.reachable === false || broker.blocked === true);
  fact("lost", records.lost);
  fact("duplicated", records.duplicated);
  fact("quarantine", pulse.quarantine);
  say(byId("lag-50"), time(lag.p50));
  say(byId("lag-99"), time(lag.p99));
  say(byId("records-in"), count(records.in));
  say(byId("records-out"), count(records.out));
  say(byId("spool-size"), size(spool.bytes));
  const deepest = Math.max(100, ...queues.map((queue) => queue.depth || 0));
  gauges(byId("queues"), queues, (queue) => queue.channel, (queue) => ({
    share: (queue.depth || 0) / deepest,
    value: `${count(queue.depth)} waiting`,
    note: queue.consumers ? `${count(queue.consumers)} consuming` : "nobody consumes",
    bad: !queue.consumers && queue.depth > 0,
  }));
  const fastest = Math.max(1, ...workers.map((worker) => worker.per_s || 0));
  gauges(byId("workers"), workers, (worker) => worker.name, (worker) => ({
    share: (worker.per_s || 0) / fastest,
    value: `${rate(worker.per_s)} a second`,
    note: `${count(worker.written)} written`,
  }));
  const at = Date.parse(pulse.time) / 1000 || Date.now() / 1000;
  rows.push([at, records.in_per_s ?? null, records.out_per_s ?? null]);
  rows = rows.filter((row) => row[0] > at - KEPT_S);
  draw();
}

function verdict(records) {
  const place = byId("verdict");
  const known = records && [records.lost, records.duplicated].every((value) => typeof value === "number");
  const wrong = known && records.lost + records.duplicated > 0;
  place.dataset.verdict = !known ? "none" : wrong ? "bad" : "good";
  say(place, !known ? "–" : wrong ? `${count(records.lost)} lost, ${count(records.duplicated)} doubled` : "0 lost, 0 doubled");
}

function fact(id, value) {
  say(byId(id), count(value));
  byId(id).classList.toggle("bad", value > 0);
}

function gauges(list, items, nameOf, tell) {
  if (items.length === 0) {
    keyed(list, ["none"], String, () => make("li", "word", "None at the moment."));
    return;
  }
  keyed(
    list,
    items,
    nameOf,
    (item) => {
      const bar = make("span", "gauge-bar", make("span", "gauge-fill"));
      bar.setAttribute("aria-hidden", "true");
      return make("li", "gauge", make("span", "gauge-name", nameOf(item)), make("span", "gauge-value"), bar, make("span", "gauge-note"));
    },
    (line, item) => {
      const { share, value, note, bad } = tell(item);
      say(line.children[1], value);
      line.children[2].firstChild.style.width = `${100 * Math.min(share, 1)}%`;
      say(line.children[3], note);
      line.classList.toggle("bad", Boolean(bad));
    },
  );
}

function draw() {
  if (holder.clientWidth === 0) return;
  chart ??= plot();
  const width = holder.clientWidth;
  if (chart.width !== width) chart.setSize({ width, height: 150 });
  chart.setData([0, 1, 2].map((at) => rows.map((row) => row[at])));
}

function plot() {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { gap: 4, stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const line = (name) => ({ stroke: colour(`--${name}`), fill: colour(`--${name}-soft`), width: 2, points: { show: false } });
  return new uPlot(
    {
      width: holder.clientWidth,
      height: 150,
      cursor: { show: false },
      legend: { show: false },
      padding: [8, 26, 0, 0],
      scales: { y: { range: (_, __, most) => [0, Math.max(10, (most || 0) * 1.15)] } },
      axes: [
        { ...axis, space: 70, size: 26, values: (_, at) => at.map((each) => new Date(each * 1000).toLocaleTimeString([], { hour12: false, timeStyle: "medium" })) },
        { ...axis, size: 44, values: (_, at) => at.map((each) => short(each)) },
      ],
      series: [{}, line("in"), line("out")],
    },
    [[], [], []],
    holder,
  );
}

new ResizeObserver(() => draw()).observe(holder);
for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
  matchMedia(query).addEventListener("change", () => {
    chart?.destroy();
    chart = null;
    draw();
  });
}
