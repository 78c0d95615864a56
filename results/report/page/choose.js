// Which networks are shown, and what of them the reader has chosen to see.

function shownTrials() {
  const t = data.trials, limits = Object.entries(state.limits).filter(([name]) => name in t.metrics);
  const within = (i) => limits.every(([name, [low, high]]) => {
    const v = value(name, i);
    return v !== null && (low === null || v >= low) && (high === null || v <= high);
  });
  const families = t.knobs.family;
  return t.trial.map((_, i) => i).filter((i) => !state.hidden.has(t.status[i]) && !(families && state.hidden.has(families[i])) && within(i));
}

const CATEGORIES = 7; // values of a knob that colours can tell apart
const categories = (name) => [...new Set(data.trials.knobs[name])].filter((v) => v !== null).sort(compare);

function fillAxes() {
  const names = data.metrics.map((m) => m.name), known = (name) => names.includes(name);
  if (!known(state.y)) state.y = names[0];
  if (!known(state.x)) state.x = names[1] ?? names[0];
  const knobs = Object.keys(data.trials.knobs).filter((name) => categories(name).length > 1 && categories(name).length <= CATEGORIES);
  const options = data.metrics.map((m) => [m.name, m.label]);
  const colours = [["", "outcome"], ...options, ...knobs.map((name) => [`k ${name}`, name === "family" ? name : `knob ${name}`])];
  state.colour ??= knobs.includes("family") ? "k family" : "";
  if (!colours.some(([name]) => name === state.colour)) state.colour = "";
  for (const id of ["x", "y"]) fillSelect(id, options, state[id], (name) => { state[id] = name; drawScatter(); });
  fillSelect("colour", colours, state.colour, (name) => { state.colour = name; drawScatter(); });
}

// Values of one epoch compare; those of the last epoch that each network reached do not.
function fillFidelity() {
  const t = data.trials, { metrics, values } = data.fidelity, name = metrics[0];
  const partial = name !== undefined && t.status.some((status, i) => status !== "complete" && last(name, i) !== null);
  $("fidelity").hidden = !partial;
  const epochs = Object.keys(values).map((epoch) => [epoch, `after epoch ${epoch}, all that reached it`]);
  const options = [["end", "at the end of the training"], ...epochs, ["last", "after each one's last epoch (does not compare)"]];
  if (!options.some(([at]) => at === state.at)) state.at = partial && !t.status.includes("complete") ? "last" : "end";
  fillSelect("at", options, state.at, (at) => { state.at = at; choiceChanged(); });
}

function fidelityNote(shown) {
  const drawn = [state.x, state.y].filter((name) => data.fidelity.metrics.includes(name));
  const missing = shown.filter((i) => drawn.some((name) => value(name, i) === null && last(name, i) !== null)).length;
  const when = state.at === "end" ? "were not trained to the end" : "did not reach that epoch";
  return missing ? ` ${missing.toLocaleString("en")} of them ${when} and are no points.` : "";
}

function fillStatuses() {
  const counts = {}, families = data.trials.knobs.family ?? [];
  for (const name of [...data.trials.status, ...families]) counts[name] = (counts[name] ?? 0) + 1;
  const boxes = [...Object.keys(LOOKS), ...(families.length ? categories("family") : [])].filter((name) => counts[name]).map((status) => {
    const box = el("input", { type: "checkbox", value: status });
    box.checked = !state.hidden.has(status);
    box.onchange = () => { state.hidden[box.checked ? "delete" : "add"](status); choiceChanged(); };
    return el("label", {}, box, ` ${status} (${counts[status].toLocaleString("en")})`);
  });
  const focused = document.activeElement?.value;
  const hadFocus = $("statuses").contains(document.activeElement);
  $("statuses").replaceChildren(el("legend", {}, "Show"), ...boxes);
  if (hadFocus) $("statuses").querySelector(`input[value="${focused}"]`)?.focus();
}

function fillLimits() {
  const have = [...$("limit-rows").querySelectorAll("[data-metric]")].map((row) => row.dataset.metric);
  if (have.join("\n") === data.metrics.map((m) => m.name).join("\n")) return; // keeps what is being typed
  $("limit-rows").replaceChildren(...data.metrics.map((m) => el("div", { "data-metric": m.name }, el("span", {}, m.label), bound(m, 0), bound(m, 1))));
  $("no-limits").onclick = () => {
    state.limits = {};
    for (const input of $("limit-rows").querySelectorAll("input")) { input.value = ""; input.removeAttribute("aria-invalid"); }
    choiceChanged();
  };
}

function bound(m, side) {
  const word = ["at least", "at most"][side];
  const input = el("input", { type: "text", inputmode: "decimal", placeholder: word, "aria-label": `${m.label} ${word}`, autocomplete: "off" });
  const kept = state.limits[m.name]?.[side];
  if (kept !== null && kept !== undefined) input.value = kept;
  input.oninput = () => {
    const number = parseNumber(input.value);
    input.setAttribute("aria-invalid", Number.isNaN(number));
    const limits = state.limits[m.name] ?? [null, null];
    limits[side] = Number.isNaN(number) ? null : number;
    state.limits[m.name] = limits;
    if (limits[0] === null && limits[1] === null) delete state.limits[m.name];
    choiceChanged();
  };
  return input;
}

function limitsText() {
  const words = Object.entries(state.limits).filter(([name]) => metric(name)).map(([name, [low, high]]) => {
    const m = metric(name), ends = [low === null ? "" : `at least ${format(m, low)}`, high === null ? "" : `at most ${format(m, high)}`];
    return `${m.label} ${ends.filter(Boolean).join(", ")}`;
  });
  return words.length ? `(${words.join("; ")})` : "";
}

function choiceChanged() {
  state.page = 0;
  drawNetworks();
}

function drawNetworks() {
  const shown = shownTrials();
  $("limits-note").textContent = limitsText();
  const total = data.trials.trial.length;
  $("shown").textContent = `${shown.length.toLocaleString("en")} of ${total.toLocaleString("en")} networks pass.${fidelityNote(shown)}`;
  drawScatter(shown);
  drawTable(shown);
}

function select(trial) {
  state.selected = trial;
  drawSelection();
  drawDetail();
  for (const row of document.querySelectorAll("#networks tbody tr")) row.setAttribute("aria-current", Number(row.dataset.trial) === trial);
}
