"use strict";
// What the reader has chosen lives in `state`, what the run has to say in `data`; a live page replaces the latter alone.
let data = JSON.parse(document.getElementById("data").textContent);
const state = { x: null, y: null, colour: null, at: null, hidden: new Set(), population: 0, limits: {}, selected: null, rows: "front", sort: null, page: 0, knob: null, knobMetric: null, split: "" };

const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b3a100"];
const DASHES = ["solid", "dash", "dot", "dashdot"];
const LOOKS = {
  complete: { symbol: "circle", colour: "--complete" }, stopped: { symbol: "x", colour: "--stopped" },
  infeasible: { symbol: "triangle-down", colour: "--infeasible" }, running: { symbol: "diamond", colour: "--running" },
  failed: { symbol: "cross", colour: "--soft" }, duplicate: { symbol: "square", colour: "--soft" },
};
const MANY = 2000; // points from which on WebGL draws them

const $ = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const narrow = () => window.innerWidth < 640;
const metric = (name) => data.metrics.find((m) => m.name === name);
const last = (name, i) => data.trials.metrics[name][i]; // after the last epoch, whichever that was
// What the charts and limits compare: every network at the chosen epoch, null where it never got there.
function value(name, i) {
  if (state.at === "last" || !data.fidelity.metrics.includes(name)) return last(name, i);
  if (state.at === "end") return data.trials.status[i] === "complete" ? last(name, i) : null;
  return data.fidelity.values[state.at][name][i];
}
const paper = () => document.documentElement.classList.contains("paper");
// Plotly reads a little HTML in its texts.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// An element with attributes and children; texts become text nodes, never markup.
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, text] of Object.entries(attributes)) if (text !== null && text !== false) node.setAttribute(name, text === true ? "" : text);
  node.append(...children);
  return node;
}

function si(number) {
  const [size, sign] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([s]) => Math.abs(number) >= s * 0.9995) || [1, ""];
  return Number((number / size).toPrecision(4)) + (sign && ` ${sign}`);
}

function format(m, number) {
  if (number === null || number === undefined) return "–";
  if (m.log) return si(number);
  if (m.whole) return String(number);
  if (number !== 0 && (Math.abs(number) < 1e-4 || Math.abs(number) >= 1e6)) return number.toExponential(3);
  return m.percent ? number.toFixed(2) : String(Number(number.toPrecision(4)));
}

// "20M", "2e7", "20,5" or "100,000": a number; an empty text is null, anything else NaN. A comma before three
// digits stands between thousands, as this page writes them, any other before decimals.
function parseNumber(text) {
  const whole = /^[-+]?[1-9]\d{0,2}(,\d{3})+(?!\d)/.test(text.trim());
  const found = text.trim().replaceAll(",", whole ? "" : ".").match(/^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*([kMGT]?)$/);
  if (!text.trim()) return null;
  return found ? Number(found[1]) * { "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 }[found[2]] : NaN;
}

let hasWebgl = null;
function webgl() {
  hasWebgl ??= Boolean(document.createElement("canvas").getContext("webgl"));
  return hasWebgl;
}

function fillSelect(id, options, chosen, changed) {
  const select = $(id);
  select.replaceChildren(...options.map(([name, label]) => new Option(label, name, false, name === chosen)));
  select.onchange = () => changed(select.value);
}

// How many ticks a log axis has room for: 1, 2, 5, 10, ... where those do not collide, else powers of ten.
function logTickCount(values, pixels) {
  const known = values.filter((v) => v > 0), decades = Math.log10(known.reduce((a, b) => Math.max(a, b), 1e-9) / known.reduce((a, b) => Math.min(a, b), Infinity));
  const room = Math.max(2, Math.floor(pixels / 80));
  if (!(decades >= 1)) return room; // plotly's own ticks are even there
  // plotly writes 1, 2, 5 where a tick stands for 0.3 to 0.7 decades, all digits below, none above
  return Math.max(2, Math.min(room, Math.floor(decades / ((0.3 * pixels) / decades > 50 ? 0.32 : 0.75))));
}

function axis(title, log, values = [], pixels = 400) {
  return {
    title: { text: plain(title), standoff: 10 }, type: log ? "log" : "linear", automargin: true, ...(log ? { tickformat: "~s", nticks: logTickCount(values, pixels) } : {}),
    gridcolor: css("--grid"), linecolor: css("--line"), zeroline: false,
  };
}

function layout(extra) {
  return {
    font: { color: css("--ink"), family: getComputedStyle(document.body).fontFamily, size: 13 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 60, r: 20, t: 40, b: 55 }, hovermode: "closest",
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--soft"), activecolor: css("--accent") },
    hoverlabel: { align: "left", bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink") } }, ...extra,
  };
}

function plot(id, traces, extra) {
  // a printer's page does not tell charts how wide it is
  const size = paper() ? { width: $(id).clientWidth, height: $(id).clientHeight } : { autosize: true };
  return Plotly.react(id, traces, { ...layout(extra), ...size }, {
    responsive: true, displaylogo: false, displayModeBar: narrow() ? false : "hover",
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  });
}
