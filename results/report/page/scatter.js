// The scatter plot: one trace per outcome, the front ringed, the selected network circled.

const hovers = new Map();
function hover(i) {
  if (!hovers.has(i)) hovers.set(i, hoverText(i));
  return hovers.get(i);
}

function hoverText(i) {
  const t = data.trials, lines = [[`trial ${t.trial[i]}`, t.names?.[i], t.status[i]].filter(Boolean).join(", ")];
  for (const m of data.metrics) if (last(m.name, i) !== null) lines.push(`${m.label}: ${format(m, last(m.name, i))}${reached(m.name, i)}`);
  let line = "";
  for (const [name, column] of Object.entries(t.knobs)) {
    if (column[i] === null) continue;
    const knob = `${name} ${column[i]}`;
    if (line && line.length + knob.length > 58) { lines.push(line); line = ""; }
    line += (line && ", ") + knob;
  }
  return [...lines, line].map(plain).join("<br>");
}

// Which metrics have a log scale is said in results/metrics.py (`logarithmic`).
// Ticks 1, 2, 5, 10, ... for a colour bar that shows log10 of its values.
function logTicks(values) {
  const low = Math.min(...values), high = Math.max(...values), ticks = [];
  for (let power = Math.floor(low); power <= high; power++) for (const digit of [1, 2, 5]) ticks.push(power + Math.log10(digit));
  const shown = ticks.filter((tick) => tick >= low && tick <= high);
  return { tickvals: shown, ticktext: shown.map((tick) => si(10 ** tick)) };
}

// The outline of what the shown, completely trained networks attain in the two chosen objectives alone.
function attained(shown, x, y) {
  const sign = (name) => (data.objectives[name] === "max" ? -1 : 1);
  const final = (i) => data.trials.status[i] === "complete" || state.at in data.fidelity.values;
  const points = shown.filter(final).map((i) => [value(x, i), value(y, i)]);
  points.sort((a, b) => sign(x) * (a[0] - b[0]) || sign(y) * (a[1] - b[1]));
  const steps = [];
  for (const p of points) if (!steps.length || sign(y) * (p[1] - steps.at(-1)[1]) < 0) steps.push(p);
  return {
    type: kind(), x: steps.map((p) => p[0]), y: steps.map((p) => p[1]), mode: "lines", hoverinfo: "skip", name: "best of these two",
    line: { shape: "hv", color: css("--soft"), width: 1.5, dash: "dot" },
  };
}

// One kind for all traces: what WebGL draws covers what SVG draws, whatever their order.
const many = () => data.trials.trial.length > MANY;
const kind = () => (many() && webgl() ? "scattergl" : "scatter");
const knobColoured = () => (state.colour?.startsWith("k ") ? state.colour.slice(2) : null);

function colourOf(indices, look) {
  const knob = knobColoured(), colour = metric(state.colour);
  if (knob) {
    const values = categories(knob), column = data.trials.knobs[knob];
    return { color: indices.map((i) => (column[i] === null ? css("--other") : PALETTE[values.indexOf(column[i])])) };
  }
  if (!colour) return { color: css(look.colour) };
  const shade = (i) => { const v = value(colour.name, i); return v !== null && colour.log ? Math.log10(v) : v; };
  return { color: indices.map(shade), coloraxis: "coloraxis" };
}

function points(name, indices, look, ring) {
  return {
    name, type: kind(), mode: "markers", legendgroup: name, showlegend: !state.colour,
    x: indices.map((i) => value(state.x, i)), y: indices.map((i) => value(state.y, i)),
    customdata: indices.map((i) => data.trials.trial[i]), text: indices.map(hover), hovertemplate: "%{text}<extra></extra>",
    marker: {
      size: ring ? 12 : many() ? 6 : 8, opacity: ring ? 1 : 0.65, symbol: look.symbol, line: { width: ring ? 2 : 0, color: css("--ink") },
      ...colourOf(indices, look),
    },
  };
}

// Entries of the legend without points: where colours tell something else, outcomes are told by shape alone.
function legendOnly(name, marker) {
  return { name: plain(name), legendgroup: name, type: kind(), mode: "markers", x: [null], y: [null], hoverinfo: "skip", marker: { size: 9, ...marker } };
}

function colourLegend(outcomes) {
  const knob = knobColoured(), grey = css("--other");
  if (!state.colour) return [];
  const values = knob ? categories(knob).map((v, k) => legendOnly(knob === "family" ? v : `${knob} ${v}`, { color: PALETTE[k], symbol: "square" })) : [];
  return [...values, ...outcomes.map(([name, look, ring]) => legendOnly(name, { color: grey, symbol: look.symbol, line: { width: ring ? 2 : 0, color: css("--ink") } }))];
}

function publicModels() {
  const models = data.against?.models ?? [];
  if (!models.length || !(state.x in models[0]) || !(state.y in models[0])) return [];
  const families = [...new Set(models.map((m) => m.family))];
  return families.map((family, k) => {
    const members = models.filter((m) => m.family === family);
    return {
      name: `${plain(family)} (public)`, type: kind(), mode: "markers", x: members.map((m) => m[state.x]), y: members.map((m) => m[state.y]),
      text: members.map((m) => plain(`${m.model} at ${m.resolution} px`)), hovertemplate: "%{text}<br>%{x}, %{y}<extra></extra>",
      marker: { symbol: ["star-diamond", "hexagram", "bowtie"][k % 3], size: 9, opacity: 0.8, color: css(["--infeasible", "--stopped", "--running"][k % 3]) },
    };
  });
}

function scatterTraces(shown) {
  const { x, y } = state, drawn = shown.filter((i) => value(x, i) !== null && value(y, i) !== null);
  const traces = [], outcomes = [];
  if (x !== y && x in data.objectives && y in data.objectives) traces.push(attained(drawn, x, y));
  traces.push(...publicModels());
  for (const [status, look] of Object.entries(LOOKS)) {
    const members = drawn.filter((i) => data.trials.status[i] === status && !data.trials.front[i]);
    if (members.length) outcomes.push([status === "complete" ? "trained to the end" : status, look, false, members]);
  }
  const front = drawn.filter((i) => data.trials.front[i]);
  if (front.length) outcomes.push(["on the front", { symbol: "circle", colour: "--front" }, true, front]);
  traces.push(...colourLegend(outcomes), ...outcomes.map(([name, look, ring, members]) => points(name, members, look, ring)));
  return [...traces, selection()];
}

function selection() {
  const i = data.trials.trial.indexOf(state.selected);
  const known = i >= 0 && value(state.x, i) !== null && value(state.y, i) !== null;
  return {
    name: "selected", type: kind(), mode: "markers", hoverinfo: "skip", showlegend: false, x: known ? [value(state.x, i)] : [], y: known ? [value(state.y, i)] : [],
    marker: { symbol: "circle-open", size: 22, color: css("--ink"), line: { width: 3 } },
  };
}

function drawScatter(shown = shownTrials()) {
  if (!data.metrics.length) return;
  const { x, y, at } = state, colour = metric(state.colour) && state.colour;
  const title = (m) => (data.fidelity.metrics.includes(m.name) && at in data.fidelity.values ? `${m.label} after epoch ${at}` : m.label);
  const along = (name, pixels) => axis(title(metric(name)), metric(name).log, shown.map((i) => value(name, i)), pixels);
  const extra = { xaxis: along(x, $("scatter").clientWidth), yaxis: along(y, $("scatter").clientHeight), uirevision: `${x} ${y} ${at}` };
  if (colour) {
    const values = shown.map((i) => value(colour, i)).filter((v) => v !== null && (!metric(colour).log || v > 0));
    const bar = narrow() ? { orientation: "h", y: -0.25, yanchor: "top", thickness: 12 } : { thickness: 14 };
    const ticks = metric(colour).log && values.length ? logTicks(values.map(Math.log10)) : {};
    extra.coloraxis = { colorscale: "Cividis", colorbar: { title: { text: plain(metric(colour).label) }, outlinewidth: 0, ...bar, ...ticks } };
  }
  const first = !$("scatter").data;
  plot("scatter", scatterTraces(shown), extra);
  if (first) listenToScatter();
}

function drawSelection() {
  const chart = $("scatter"), circle = selection();
  if (chart.data?.length) Plotly.restyle(chart, { x: [circle.x], y: [circle.y] }, [chart.data.length - 1]);
}

// ← and → go through the shown points in the order of the horizontal axis.
function walk(step) {
  const order = shownTrials().filter((i) => value(state.x, i) !== null && value(state.y, i) !== null);
  order.sort((a, b) => value(state.x, a) - value(state.x, b) || a - b);
  if (!order.length) return;
  const at = order.findIndex((i) => data.trials.trial[i] === state.selected);
  const next = at < 0 ? (step > 0 ? 0 : order.length - 1) : Math.min(order.length - 1, Math.max(0, at + step));
  select(data.trials.trial[order[next]]);
}

function listenToScatter() {
  $("scatter").on("plotly_click", (click) => { if (click.points[0].customdata !== undefined) select(click.points[0].customdata); });
  $("scatter").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) { event.preventDefault(); walk(step); }
  });
}
