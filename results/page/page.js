"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b3a100"];
const DASHES = ["solid", "dash", "dot", "dashdot"];
const CONFIG = {
  responsive: true, displaylogo: false, displayModeBar: window.innerWidth < 640 ? false : "hover",
  modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
};

const metric = (name) => data.metrics.find((m) => m.name === name);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const narrow = () => window.innerWidth < 640;
// Plotly reads a little HTML in its texts.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

function axis(title, log) {
  return {
    title: { text: plain(title), standoff: 10 }, type: log ? "log" : "linear", automargin: true, tickformat: log ? "~s" : "",
    gridcolor: css("--grid"), linecolor: css("--line"), zeroline: false,
  };
}

function layout(extra) {
  return {
    font: { color: css("--ink"), family: getComputedStyle(document.body).fontFamily, size: 13 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 60, r: 20, t: 40, b: 55 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--soft"), activecolor: css("--accent") },
    hoverlabel: { align: "left", bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink") } }, ...extra,
  };
}

// Ticks 1, 2, 5, 10, ... for a colour bar that shows log10 of its values.
function logTicks(values) {
  const low = Math.min(...values), high = Math.max(...values), ticks = [];
  for (let power = Math.floor(low); power <= high; power++)
    for (const digit of [1, 2, 5]) ticks.push(power + Math.log10(digit));
  const shown = ticks.filter((tick) => tick >= low && tick <= high);
  return { tickvals: shown, ticktext: shown.map((tick) => si(10 ** tick)) };
}

function si(value) {
  const [size, sign] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([s]) => value >= s * 0.999) || [1, ""];
  return Number((value / size).toPrecision(3)) + sign;
}

// The outline of what these networks attain in the two chosen objectives alone.
function attained(x, y) {
  const sign = (name) => (data.objectives[name] === "max" ? -1 : 1);
  const points = data.trials.map((t) => [t.values[x], t.values[y]]).filter((p) => p[0] !== null && p[1] !== null);
  points.sort((a, b) => sign(x) * (a[0] - b[0]) || sign(y) * (a[1] - b[1]));
  const steps = [];
  for (const p of points) if (!steps.length || sign(y) * (p[1] - steps.at(-1)[1]) < 0) steps.push(p);
  return {
    x: steps.map((p) => p[0]), y: steps.map((p) => p[1]), mode: "lines", hoverinfo: "skip", name: "best of these two",
    line: { shape: "hv", color: css("--soft"), width: 1.5, dash: "dot" },
  };
}

function points(name, trials, x, y, colour, ring) {
  const log = colour && metric(colour).log;
  const shade = (value) => (value === null || !log ? value : Math.log10(value));
  return {
    name, mode: "markers", x: trials.map((t) => t.values[x]), y: trials.map((t) => t.values[y]),
    customdata: trials.map((t) => t.trial), hovertemplate: "%{text}<extra></extra>",
    text: trials.map((t) => t.hover.map(plain).join("<br>")),
    marker: {
      size: ring ? 13 : 8, opacity: ring ? 1 : 0.6, line: { width: ring ? 2 : 0, color: css("--ink") },
      ...(colour ? { color: trials.map((t) => shade(t.values[colour])), coloraxis: "coloraxis" }
        : { color: css(ring ? "--front" : "--other") }),
    },
  };
}

function drawScatter() {
  const [x, y, colour] = ["x", "y", "colour"].map((id) => document.getElementById(id).value);
  const traces = [];
  if (x !== y && x in data.objectives && y in data.objectives) traces.push(attained(x, y));
  traces.push(points("other networks", data.trials.filter((t) => !t.front), x, y, colour, false));
  traces.push(points("on the front", data.trials.filter((t) => t.front), x, y, colour, true));
  const extra = { xaxis: axis(metric(x).label, metric(x).log), yaxis: axis(metric(y).label, metric(y).log), hovermode: "closest" };
  if (colour) {
    const values = data.trials.map((t) => t.values[colour]).filter((v) => v !== null);
    const bar = narrow() ? { orientation: "h", y: -0.25, yanchor: "top", thickness: 12 } : { thickness: 14 };
    const ticks = metric(colour).log ? logTicks(values.map(Math.log10)) : {};
    extra.coloraxis = { colorscale: "Cividis", colorbar: { title: { text: plain(metric(colour).label) }, outlinewidth: 0, ...bar, ...ticks } };
  }
  Plotly.react("scatter", traces, layout(extra), CONFIG);
}

function drawCurves() {
  const others = { x: [], y: [], name: "others", mode: "lines", hoverinfo: "skip", line: { color: css("--other"), width: 1 }, opacity: 0.45 };
  for (const curve of data.curves.filter((c) => !c.front)) {
    others.x.push(...curve.epoch, null); // null lifts the pen
    others.y.push(...curve.accuracy, null);
  }
  const front = data.curves.filter((c) => c.front).map((curve, i) => ({
    x: curve.epoch, y: curve.accuracy, name: `trial ${curve.trial}`, mode: "lines+markers", marker: { size: 5 },
    line: { color: PALETTE[i % PALETTE.length], dash: DASHES[Math.floor(i / PALETTE.length) % DASHES.length], width: 2 },
  }));
  const legend = narrow() ? { orientation: "h", y: -0.25, yanchor: "top" } : {};
  Plotly.react("curves", [others, ...front], layout({ xaxis: axis("epoch"), yaxis: axis("accuracy (%)"), legend }), CONFIG);
}

function fillSelect(id, chosen, names) {
  const select = document.getElementById(id);
  for (const name of names) select.add(new Option(name ? metric(name).label : "on the front or not", name, false, name === chosen));
  select.addEventListener("change", drawScatter);
}

function sortable(table) {
  table.querySelectorAll("th").forEach((head, column) => {
    if ("value" in table.tBodies[0].rows[0].cells[column].dataset) head.classList.add("number");
    head.addEventListener("click", () => sortBy(table, head, column));
  });
}

function sortBy(table, head, column) {
  const down = head.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const compare = (a, b) => {
    const [p, q] = [a.cells[column], b.cells[column]];
    if ("value" in p.dataset && "value" in q.dataset) return p.dataset.value - q.dataset.value;
    return p.textContent.localeCompare(q.textContent, undefined, { numeric: true });
  };
  const rows = [...table.tBodies[0].rows].sort((a, b) => (down ? compare(b, a) : compare(a, b)));
  table.tBodies[0].append(...rows);
}

function showRow(trial) {
  const row = document.getElementById(`trial-${trial}`);
  if (!row) return;
  document.querySelectorAll("tr.flash").forEach((old) => old.classList.remove("flash"));
  row.classList.add("flash");
  row.scrollIntoView({ behavior: "smooth", block: "center" });
}

function draw() {
  if (data.trials.length && data.metrics.length) drawScatter();
  if (data.curves.length) drawCurves();
}

document.querySelectorAll("table").forEach(sortable);
document.getElementById("learning").hidden = !data.curves.length;
if (data.trials.length && data.metrics.length) {
  document.getElementById("trade-off").hidden = false;
  const names = data.metrics.map((m) => m.name);
  fillSelect("y", names[0], names);
  fillSelect("x", names[1] ?? names[0], names);
  fillSelect("colour", Object.keys(data.objectives).length > 2 ? names[2] : "", ["", ...names]);
}
draw();
document.getElementById("scatter").on?.("plotly_click", (click) => showRow(click.points[0].customdata));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
