// Draws what the page describes as charts, with Vega; and again when the window, the colours or the vertical axis change.

const rank = new Map(page.order.map((place, index) => [place, index + 1]));
const rows = {
  trials: page.drawn.map((place) => ({
    p: place, n: rank.get(place), v: page.value[place],
    ...Object.fromEntries(page.hyperparameters.map((column, k) => [`c${k}`, column.values[place]])),
  })),
  runs: page.runs.trial.map((place, k) => ({
    p: place, worker: page.workers[page.runs.worker[k]], status: page.statuses[page.runs.status[k]],
    from: page.runs.began[k], to: page.runs.began[k] + page.runs.seconds[k],
  })),
};
if (page.curves) {
  rows.curves = page.curve_order.flatMap((k) => page.curves.steps[k].map((step, n, steps) => ({
    p: page.curves.trial[k], k: page.statuses[page.status[page.curves.trial[k]]],
    s: step, v: page.curves.values[k][n], e: n + 1 === steps.length,
  })));
}
const curveAxis = document.getElementById("curve-axis");
const stepAxis = document.getElementById("step-axis");
const chosenAxis = document.getElementById("value-axis");
const views = new Map();
let waiting = 0;

function isDark() {
  const light = document.documentElement.classList.contains("light");
  return !light && window.matchMedia("(prefers-color-scheme: dark)").matches;
}

// What is under the pointer: a row, or the mark of one where the nearest is looked for.
function rowOf(item) {
  const row = item && item.datum ? item.datum.datum || item.datum : {};
  return row.p === undefined ? null : row;
}

function showRow(handler, event, item) {
  const row = rowOf(item);
  if (!row) return hideTip();
  const attempt = row.worker === undefined ? []
    : [row.worker, `attempt: ${statusText(row.status)} after ${durationText(row.to - row.from)}`];
  const [id, ...lines] = trialLines(row.p);
  const point = row.s === undefined ? []
    : [`step ${numberText(row.s)}: ${row.v === null ? "not a number" : numberText(row.v)}`];
  return showTip(event, [...attempt, id, ...point, ...lines]);
}

async function drawChart(name, chart) {
  const holder = document.getElementById(name);
  const config = structuredClone(page.looks[isDark() ? "dark" : "light"]);
  if (chart.hconcat) config.view.continuousWidth = Math.max(100, (holder.clientWidth - 90) / (chart.hconcat.length - 1));
  const view = await vegaEmbed(holder, { ...chart, datasets: rows }, {
    mode: "vega-lite", ast: true, actions: false, renderer: "hybrid", config, tooltip: showRow, logLevel: 1,
  });
  if (views.has(name)) views.get(name).finalize();
  views.set(name, view);
  view.view.addEventListener("click", (event, item) => {
    const row = chart.hconcat ? null : rowOf(item);
    if (row) showInTable(row.p);
  });
}

function drawAll() {
  const ofObjective = chosenAxis ? page.objective_charts[chosenAxis.value] : {};
  const curves = curveAxis ? { curves: page.curve_charts[curveAxis.value][stepAxis.value] } : {};
  const charts = Object.entries({ ...ofObjective, ...curves, ...page.other_charts });
  Promise.all(charts.map(([name, chart]) => drawChart(name, chart))).then(
    () => { document.documentElement.dataset.drawn = charts.length; }, (error) => note(error.message));
}

function drawAgain() {
  clearTimeout(waiting);
  waiting = setTimeout(drawAll, 100);
}

function light(on) {
  document.documentElement.classList.toggle("light", on);
  if (window.matchMedia("(prefers-color-scheme: dark)").matches) drawAll();
}

for (const axis of [chosenAxis, curveAxis, stepAxis]) axis?.addEventListener("change", drawAll);
window.addEventListener("resize", drawAgain);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
window.addEventListener("beforeprint", () => light(true));
window.addEventListener("afterprint", () => light(false));
drawAll();
