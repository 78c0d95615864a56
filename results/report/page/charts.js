// The charts below the networks. What they draw was worked out when the page was written.

function drawHypervolume() {
  const progress = data.progress;
  $("progress").hidden = !progress;
  if (!progress) return;
  $("progress-note").textContent = progress.note;
  const line = { x: progress.minutes, y: progress.hypervolume, mode: "lines", line: { shape: "hv", color: css("--accent"), width: 2 }, fill: "tozeroy", hovertemplate: "%{y:.4g} after %{x:.2f} min<extra></extra>" };
  const low = Math.min(...progress.hypervolume), high = Math.max(...progress.hypervolume), room = (high - low) * 0.08 || high * 0.1 || 1;
  plot("hypervolume", [line], { xaxis: axis("minutes since the start"), yaxis: { ...axis("hypervolume"), range: [Math.max(0, low - room), high + room], exponentformat: "SI" }, showlegend: false });
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

function drawTrends() {
  const { knobs, metrics, table, note } = data.trends;
  $("trends").hidden = !knobs.length || !metrics.length;
  if ($("trends").hidden) return;
  $("trends-note").textContent = note;
  if (!knobs.includes(state.knob)) state.knob = knobs[0];
  if (!metrics.includes(state.knobMetric)) state.knobMetric = metrics[0];
  fillSelect("knob", knobs.map((name) => [name, name]), state.knob, (name) => { state.knob = name; drawTrend(); });
  fillSelect("knob-metric", metrics.map((name) => [name, metric(name).label]), state.knobMetric, (name) => { state.knobMetric = name; drawTrend(); });
  drawTrend(table);
}

function drawTrend(table = data.trends.table) {
  const trend = table[state.knob]?.[state.knobMetric], m = metric(state.knobMetric);
  if (!trend) { Plotly.purge("trend"); return; }
  const bars = {
    type: "scatter", mode: "markers", x: trend.at, y: trend.middle, customdata: trend.count, marker: { size: 10, color: css("--accent") },
    error_y: { symmetric: false, array: trend.high.map((v, k) => v - trend.middle[k]), arrayminus: trend.low.map((v, k) => trend.middle[k] - v), color: css("--accent"), thickness: 2, width: 5 },
    hovertemplate: "%{x}: %{y:.4~s} of %{customdata} networks<extra></extra>",
  };
  const xaxis = axis(state.knob);
  if (trend.numeric && trend.at.length <= 12) Object.assign(xaxis, { tickmode: "array", tickvals: trend.at });
  if (!trend.numeric) xaxis.type = "category";
  plot("trend", [bars], { xaxis, yaxis: axis(m.label, m.log), showlegend: false });
}

function drawDistributions() {
  const { splits, note } = data.edf, names = Object.keys(splits);
  $("distribution").hidden = !names.length;
  if (!names.length) return;
  $("distribution-note").textContent = note;
  if (!names.includes(state.split)) state.split = "";
  fillSelect("split", names.map((name) => [name, name || "nothing"]), state.split, (name) => { state.split = name; drawEdf(); });
  drawEdf();
}

function drawEdf() {
  const lines = data.edf.splits[state.split];
  const traces = lines.map((line, k) => ({
    name: line.name, x: line.error, y: line.share, mode: "lines", line: { shape: "hv", color: PALETTE[k % PALETTE.length], dash: DASHES[k % DASHES.length], width: 2 },
    hovertemplate: "%{y:.0%} of the networks err at most %{x:.4~g} %<extra></extra>",
  }));
  plot("edf", traces, { xaxis: axis("error (%)"), yaxis: { ...axis("share of the networks"), tickformat: ".0%", range: [0, 1.02] }, showlegend: lines.length > 1 });
}

function drawFailures() {
  const section = $("failures"), { groups, note } = data.failures;
  section.hidden = !groups.length;
  $("failures-note").textContent = note;
  section.querySelector("thead").replaceChildren(el("tr", {}, ...["outcome", "count", "reason", "trials"].map((name) => el("th", { scope: "col", class: name === "count" ? "number" : null }, name))));
  section.querySelector("tbody").replaceChildren(...groups.map((g) => el("tr", {},
    el("td", {}, g.status), el("td", { class: "number" }, String(g.count)), el("td", {}, el("pre", {}, g.reason)), el("td", {}, g.trials))));
}
