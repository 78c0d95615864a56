// Which networks are shown, and what of them the reader has chosen to see.

function shownTrials() {
  const t = data.trials, limits = Object.entries(state.limits).filter(([name]) => name in t.metrics);
  const within = (i) => limits.every(([name, [low, high]]) => {
    const v = t.metrics[name][i];
    return v !== null && (low === null || v >= low) && (high === null || v <= high);
  });
  return t.trial.map((_, i) => i).filter((i) => !state.hidden.has(t.status[i]) && within(i));
}

function fillAxes() {
  const names = data.metrics.map((m) => m.name), known = (name) => names.includes(name);
  if (!known(state.y)) state.y = names[0];
  if (!known(state.x)) state.x = names[1] ?? names[0];
  if (state.colour && !known(state.colour)) state.colour = "";
  const options = data.metrics.map((m) => [m.name, m.label]);
  for (const id of ["x", "y"]) fillSelect(id, options, state[id], (name) => { state[id] = name; drawScatter(); });
  fillSelect("colour", [["", "outcome"], ...options], state.colour, (name) => { state.colour = name; drawScatter(); });
}

function fillStatuses() {
  const counts = {};
  for (const status of data.trials.status) counts[status] = (counts[status] ?? 0) + 1;
  const boxes = Object.keys(LOOKS).filter((status) => counts[status]).map((status) => {
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

function choiceChanged() {
  state.page = 0;
  drawNetworks();
}

function drawNetworks() {
  const shown = shownTrials(), limits = Object.keys(state.limits).length;
  $("limits-note").textContent = limits ? `(on ${limits} metric${limits > 1 ? "s" : ""})` : "";
  const total = data.trials.trial.length;
  $("shown").textContent = `${shown.length.toLocaleString("en")} of ${total.toLocaleString("en")} networks pass.`;
  drawScatter(shown);
  drawTable(shown);
}

function select(trial) {
  state.selected = trial;
  drawSelection();
  drawDetail();
  for (const row of document.querySelectorAll("#networks tbody tr")) row.setAttribute("aria-current", Number(row.dataset.trial) === trial);
}
