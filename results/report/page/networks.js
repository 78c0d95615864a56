// The table of networks, a page of rows at a time, and the details of the selected one.

const PAGE = 25;

function columns(rows) {
  const t = data.trials;
  return [
    { key: "trial", label: "trial", at: (i) => t.trial[i], number: true },
    ...(t.names ? [{ key: "name", label: "network", at: (i) => t.names[i] }] : []),
    { key: "status", label: "outcome", at: (i) => t.status[i] },
    ...(paper() ? [] : [{ key: "arch_id", label: "architecture", at: (i) => t.arch_id[i] }]),
    ...data.metrics.slice(0, paper() ? 6 : undefined).map((m) => ({ key: `m ${m.name}`, label: m.label, metric: m, at: (i) => last(m.name, i), number: true })),
    ...knobColumns(rows),
  ];
}

// A column a knob; networks of several families share few, and paper is narrow: then each has its own in words.
function knobColumns(rows) {
  const knobs = Object.entries(data.trials.knobs), families = data.trials.knobs.family;
  const own = (i) => knobs.filter(([name, column]) => name !== "family" && column[i] !== null).map(([name, column]) => [name.replace(`${families?.[i]}.`, ""), column[i]]);
  const inWords = [{ key: "k", label: "knobs", at: (i) => alike(own(i)), wide: true }];
  const columns = knobs.map(([name, column]) => ({ key: `k ${name}`, label: name, at: (i) => column[i] })).filter((c) => rows.some((i) => c.at(i) !== null));
  if (families && new Set(rows.map((i) => families[i])).size > 1) return [...columns.filter((c) => c.label === "family"), ...inWords];
  return paper() ? inWords : columns;
}

// "depth 2-1-2-1, radix 2": knobs of the same name but for their number stand together, since a network may have a hundred.
function alike(knobs) {
  const groups = Map.groupBy(knobs, ([name]) => name.replace(/(\d+_)?\d+$/, ""));
  const words = ([base, same]) => `${same.length > 1 ? base : same[0][0]} ${same.map(([, value]) => value).join("-")}`;
  return [...groups].map(words).join(", ");
}

// After which epoch a value stands that is not one of the end.
function reached(name, i) {
  const part = data.trials.status[i] !== "complete" && data.fidelity.metrics.includes(name);
  return part && metric("epochs") ? ` (epoch ${last("epochs", i)})` : "";
}

function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
}

function tableRows(shown) {
  const rows = state.rows === "front" ? shown.filter((i) => data.trials.front[i]) : [...shown];
  const first = Object.keys(data.objectives)[0], all = columns(rows);
  const sort = state.sort ?? (first && { key: `m ${first}`, down: data.objectives[first] === "max" });
  const column = sort && all.find((c) => c.key === sort.key);
  if (!column) return rows;
  const missing = (i) => column.at(i) === null;
  return rows.sort((a, b) => missing(a) - missing(b) || (sort.down ? -1 : 1) * compare(column.at(a), column.at(b)) || a - b);
}

function bestValues(rows) {
  const best = {};
  for (const [name, direction] of Object.entries(data.objectives)) {
    const values = rows.filter((i) => data.trials.status[i] === "complete").map((i) => last(name, i)).filter((v) => v !== null);
    if (values.length) best[name] = values.reduce((a, b) => (direction === "max" ? Math.max(a, b) : Math.min(a, b)));
  }
  return best;
}

function drawTable(shown = shownTrials()) {
  const rows = tableRows(shown), pages = Math.max(1, Math.ceil(rows.length / PAGE)), all = columns(rows);
  state.page = Math.min(state.page, pages - 1);
  const section = $("networks"), best = bestValues(rows), focused = document.activeElement?.dataset?.focus;
  section.querySelector("thead").replaceChildren(el("tr", {}, ...all.map(heading)));
  const body = rows.slice(state.page * PAGE, (state.page + 1) * PAGE).map((i) => tableRow(i, all, best));
  const none = el("tr", {}, el("td", { colspan: all.length }, state.rows === "front" ? "No network on the front is shown." : "No network passes."));
  section.querySelector("tbody").replaceChildren(...(body.length ? body : [none]));
  $("page").textContent = `page ${state.page + 1} of ${pages}`;
  $("previous").disabled = state.page === 0;
  $("next").disabled = state.page === pages - 1;
  if (focused) section.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}

function heading(column) {
  const sorted = state.sort?.key === column.key;
  const button = el(paper() ? "span" : "button", { type: "button", "data-focus": column.key }, column.label);
  button.onclick = () => { state.sort = { key: column.key, down: sorted && !state.sort.down }; state.page = 0; drawTable(); };
  return el("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": sorted ? (state.sort.down ? "descending" : "ascending") : null }, button);
}

function tableRow(i, all, best) {
  const trial = data.trials.trial[i];
  const button = el("button", { type: "button", "data-focus": `trial ${trial}`, "aria-label": `Show trial ${trial}` }, String(trial));
  button.onclick = () => { select(trial); $("detail").scrollIntoView({ behavior: "smooth", block: "nearest" }); };
  const first = paper() ? String(trial) : button; // a button's words are not printed
  const cells = all.slice(1).map((column) => {
    const v = column.at(i), name = column.metric?.name;
    const look = column.number ? (name in best && v === best[name] ? "number best" : "number") : column.wide ? "words" : null;
    const text = column.metric ? format(column.metric, v) + (v === null ? "" : reached(name, i)) : String(v ?? "–");
    return el("td", { class: look, title: name && v !== null ? v : null }, text);
  });
  return el("tr", { "data-trial": trial, "aria-current": String(trial === state.selected) }, el("td", { class: "number" }, first), ...cells);
}

function drawDetail() {
  const i = data.trials.trial.indexOf(state.selected), panel = $("detail");
  if (i < 0) {
    panel.replaceChildren(el("p", { class: "hint" }, "Select a network: click a point, or a trial's number in the table."));
    return;
  }
  const t = data.trials, facts = data.metrics.filter((m) => last(m.name, i) !== null).map((m) => [m.label, format(m, last(m.name, i)) + reached(m.name, i)]);
  const knobs = Object.entries(t.knobs).filter(([, column]) => column[i] !== null).map(([name, column]) => [name, String(column[i])]);
  panel.replaceChildren(
    el("h3", {}, `Trial ${t.trial[i]}`), el("p", {}, [t.front[i] ? "on the front" : t.status[i], t.names?.[i], t.arch_id[i], t.error[i]].filter(Boolean).join(" · ")),
    stages(data.stages.of[i].map((k) => data.stages.rows[k])), command(t.trial[i]), pairs(facts), el("details", {}, el("summary", {}, "Knobs"), pairs(knobs)),
  );
}

function pairs(entries) {
  return el("dl", {}, ...entries.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))));
}

// One box a stage, as high as its depth and as wide as its (log) width.
function stages(rows) {
  if (!rows.length) return el("p", { class: "hint" }, "The stages of this network are not known here.");
  const widest = Math.max(...rows.map((row) => Math.log2(1 + row.width)));
  return el("ol", { class: "stages", "aria-label": "Stages" }, ...rows.map((row) => {
    const size = `width:${(100 * Math.log2(1 + row.width) / widest).toFixed(0)}%;min-height:${1.6 + 0.3 * Math.min(row.depth, 12)}rem`;
    const traits = ["radix", "cardinality", "groups", "attention"].filter((name) => name in row).map((name) => `${name} ${row[name]}`);
    const shape = `${row.depth} block${row.depth > 1 ? "s" : ""}, width ${row.width}`;
    return el("li", { style: size }, el("b", {}, `${row.name} · ${row.resolution}×${row.resolution}`), el("span", {}, shape), el("span", {}, traits.join(", ")));
  }));
}

function command(trial) {
  const text = data.retrain.replace("{trial}", trial), button = el("button", { type: "button" }, "Copy");
  button.onclick = async () => {
    try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(button.previousSibling); button.textContent = "Selected: press Ctrl+C"; }
  };
  return el("div", { class: "command" }, el("p", {}, "Retrain it with"), el("code", { tabindex: "0" }, text), button);
}

function listenToTable() {
  $("rows").onchange = () => { state.rows = $("rows").value; state.page = 0; drawTable(); };
  $("previous").onclick = () => { state.page--; drawTable(); };
  $("next").onclick = () => { state.page++; drawTable(); };
}
