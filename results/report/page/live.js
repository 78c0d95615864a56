// Puts everything on the page, and again whenever a live page has new data.

const EVERY = 2000;

function drawWords() {
  $("tiles").replaceChildren(...data.tiles.map(([text, name]) => el("div", {}, el("b", {}, text), el("span", {}, name))));
  $("summary").replaceChildren(...data.summary.map((sentence) => el("p", {}, sentence)));
  $("health").hidden = !data.health.length;
  $("health").querySelector("ul").replaceChildren(...data.health.map((f) => el("li", {}, el("b", {}, f.topic), ` ${f.seen}. `, el("span", {}, `${f.advice[0].toUpperCase()}${f.advice.slice(1)}.`))));
  $("against").hidden = !data.against;
  $("against").textContent = data.against?.note ?? "";
  $("environment").textContent = data.environment;
  $("settings").textContent = data.settings;
}

function draw() {
  hovers.clear();
  drawWords();
  drawFinalists();
  const some = data.trials.trial.length > 0;
  $("networks").hidden = !some;
  $("trade-off").hidden = !some || !data.metrics.length;
  if (some) {
    fillAxes();
    fillFidelity();
    fillStatuses();
    fillLimits();
    drawNetworks();
    drawDetail();
  }
  drawCharts();
}

function drawCharts() {
  drawHypervolume();
  drawCurves();
  drawEffects();
  drawFailures();
}

let tag = null, asOf = "";
async function refresh() {
  try {
    const answer = await fetch("data.json", { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
    if (answer.status === 200) {
      data = await answer.json();
      tag = answer.headers.get("ETag");
      asOf = new Date().toLocaleTimeString();
      draw();
    } else if (answer.status !== 304) throw new Error(await answer.text());
    say(`live · as of ${asOf}`);
  } catch (error) {
    say(error instanceof TypeError ? "not live any more: report --watch has ended" : `not up to date: ${error.message}`);
  }
  setTimeout(refresh, EVERY);
}

function say(text) {
  $("live").hidden = false;
  if ($("live").textContent !== text) $("live").textContent = text;
}

// Paper is light, and as wide as it is: everything is drawn once for it, and once more for the screen.
function drawFor(medium) {
  document.documentElement.classList.toggle("paper", medium === "paper");
  draw();
}

draw();
listenToTable();
addEventListener("beforeprint", () => drawFor("paper"));
addEventListener("afterprint", () => drawFor("screen"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
if (data.live) refresh();
