// The charts below the networks. What they draw was worked out when the page was written.

function drawHypervolume() {
  const progress = data.progress;
  $("progress").hidden = !progress;
  if (!progress) return;
  $("progress-note").textContent = progress.note;
  const line = { x: progress.minutes, y: progress.hypervolume, mode: "lines", line: { shape: "hv", color: css("--accent"), width: 2 }, fill: "tozeroy", hovertemplate: "%{y:.4g} after %{x:.2f} min<extra></extra>" };
  plot("hypervolume", [line], { xaxis: axis("minutes since the start"), yaxis: { ...axis("hypervolume"), rangemode: "tozero", exponentformat: "SI" }, showlegend: false });
}

// Curves of one kind as a single trace: null lifts the pen.
function together(curves, extra) {
  const joined = { x: [], y: [], customdata: [], mode: "lines", hovertemplate: "trial %{customdata}: %{y} after epoch %{x}<extra></extra>", ...extra };
  for (const curve of curves) {
    joined.x.push(...curve.epoch, null);
    joined.y.push(...curve.value, null);
    joined.customdata.push(...curve.epoch.map(() => curve.trial), null);
  }
  return joined;
}

function ends(curves, status) {
  const look = LOOKS[status];
  return {
    name: `${status} here`, mode: "markers", x: curves.map((c) => c.epoch.at(-1)), y: curves.map((c) => c.value.at(-1)), customdata: curves.map((c) => c.trial),
    hovertemplate: `trial %{customdata} ${status} after epoch %{x}<extra></extra>`, marker: { symbol: look.symbol, color: css(look.colour), size: 8 },
  };
}

function drawCurves() {
  const { curves, label, note } = data.learning;
  $("learning").hidden = !curves.length;
  if (!curves.length) return;
  $("learning-note").textContent = note;
  const of = (status) => curves.filter((c) => c.status === status && !c.front), traces = [];
  const others = curves.filter((c) => !c.front && c.status !== "stopped");
  if (others.length) traces.push(together(others, { name: "others", line: { color: css("--other"), width: 1 }, opacity: 0.6 }));
  if (of("stopped").length) traces.push(together(of("stopped"), { name: "stopped early", line: { color: css("--stopped"), width: 1 }, opacity: 0.7 }));
  for (const status of ["stopped", "running", "failed"]) if (of(status).length) traces.push(ends(of(status), status));
  curves.filter((c) => c.front).forEach((c, k) => traces.push({
    x: c.epoch, y: c.value, name: narrow() ? "on the front" : `trial ${c.trial}`, showlegend: !narrow() || k === 0, mode: "lines+markers", marker: { size: 5 }, hovertemplate: `trial ${c.trial}: %{y} after epoch %{x}<extra></extra>`,
    line: { color: PALETTE[k % PALETTE.length], dash: DASHES[Math.floor(k / PALETTE.length) % DASHES.length], width: 2 },
  }));
  const last = Math.max(...curves.flatMap((c) => c.epoch));
  const legend = narrow() ? { orientation: "h", y: -0.25, yanchor: "top" } : { orientation: "v", x: 1.02, y: 1, yanchor: "top" };
  plot("curves", traces, { xaxis: { ...axis("epoch"), ...(last <= 12 ? { dtick: 1 } : {}) }, yaxis: axis(label), legend, uirevision: "curves" });
}

const atEpoch = (m) => (population().epoch && data.fidelity.metrics.includes(m.name) ? `${m.label} after epoch ${population().epoch}` : m.label);
const population = () => data.effects[Math.min(state.population, data.effects.length - 1)];

// Both charts of populations show the same networks.
function drawEffects() {
  for (const id of ["trend-population", "edf-population"]) {
    $(id).parentElement.hidden = data.effects.length < 2;
    fillSelect(id, data.effects.map((e, k) => [String(k), e.name]), String(state.population), (k) => { state.population = Number(k); drawEffects(); });
  }
  drawTrends();
  drawDistributions();
}

function drawTrends() {
  const { knobs, metrics, table, note } = population().trends;
  $("trends").hidden = !knobs.length || !metrics.length;
  if ($("trends").hidden) return;
  $("trends-note").textContent = note;
  if (!knobs.includes(state.knob)) state.knob = knobs[0];
  if (!metrics.includes(state.knobMetric)) state.knobMetric = metrics[0];
  fillSelect("knob", knobs.map((name) => [name, name]), state.knob, (name) => { state.knob = name; drawTrend(); });
  fillSelect("knob-metric", metrics.map((name) => [name, metric(name).label]), state.knobMetric, (name) => { state.knobMetric = name; drawTrend(); });
  drawTrend(table);
}

function drawTrend(table = population().trends.table) {
  const trend = table[state.knob]?.[state.knobMetric], m = metric(state.knobMetric);
  if (!trend) { Plotly.purge("trend"); return; }
  const known = trend.low.map((v) => v !== null), away = (ends) => ends.map((v, k) => (known[k] ? Math.abs(v - trend.middle[k]) : null));
  // without an interval nothing is certain: a hollow mark
  const places = trend.numeric ? trend.at : trend.at.map(plain), few = places.length <= 12;
  const bars = {
    type: "scatter", mode: "markers", x: places, y: trend.middle, customdata: trend.count,
    marker: { size: 10, color: css("--accent"), symbol: known.map((k) => (k ? "circle" : "circle-open")) },
    error_y: { symmetric: false, array: away(trend.high), arrayminus: away(trend.low), color: css("--accent"), thickness: 2, width: 5 },
    hovertemplate: "%{x}: %{y:.4~s} of %{customdata} networks<extra></extra>",
  };
  const xaxis = axis(state.knob);
  if (few) Object.assign(xaxis, { tickmode: "array", tickvals: places, ticktext: places.map((at, k) => `${at}<br>n = ${trend.count[k]}`) });
  if (!trend.numeric) xaxis.type = "category";
  plot("trend", [bars], { xaxis, yaxis: axis(atEpoch(m), m.log, trend.middle, $("trend").clientHeight), showlegend: false });
}

function drawDistributions() {
  const { splits, note } = population().edf, names = Object.keys(splits);
  $("distribution").hidden = !names.length;
  if (!names.length) return;
  $("distribution-note").textContent = note;
  if (!names.includes(state.split)) state.split = "";
  fillSelect("split", names.map((name) => [name, name || "nothing"]), state.split, (name) => { state.split = name; drawEdf(); });
  drawEdf();
}

function drawEdf() {
  const lines = population().edf.splits[state.split];
  const traces = lines.map((line, k) => ({
    name: plain(line.name), x: line.error, y: line.share, mode: "lines", line: { shape: "hv", color: PALETTE[k % PALETTE.length], dash: DASHES[k % DASHES.length], width: 2 },
    hovertemplate: "%{y:.0%} of the networks err at most %{x:.4~g} %<extra></extra>",
  }));
  plot("edf", traces, { xaxis: axis(atEpoch({ name: "accuracy", label: "error (%)" })), yaxis: { ...axis("share of the networks"), tickformat: ".0%", range: [0, 1.02] }, showlegend: lines.length > 1 });
}

function drawFailures() {
  const section = $("failures"), { groups, note } = data.failures;
  section.hidden = !groups.length;
  $("failures-note").textContent = note;
  section.querySelector("thead").replaceChildren(el("tr", {}, ...["outcome", "count", "reason", "trials"].map((name) => el("th", { scope: "col", class: name === "count" ? "number" : null }, name))));
  section.querySelector("tbody").replaceChildren(...groups.map((g) => el("tr", {},
    el("td", {}, g.status), el("td", { class: "number" }, String(g.count)), el("td", {}, el("pre", {}, g.reason)), el("td", {}, g.trials))));
}

function drawFinalists() {
  const section = $("finalists"), finals = data.finalists;
  section.hidden = !finals;
  if (!finals) return;
  const numeric = (i) => (i > 0 && i < finals.headings.length - 1 ? "number" : null);
  $("verdict").replaceChildren(...finals.verdict.slice(1).map((sentence) => el("p", {}, sentence)));
  section.querySelector("thead").replaceChildren(el("tr", {}, ...finals.headings.map((text, i) => el("th", { scope: "col", class: numeric(i) }, text))));
  section.querySelector("tbody").replaceChildren(...finals.rows.map((row) => el("tr", {}, ...row.map((text, i) => el("td", { class: numeric(i) }, text)))));
}
