// The charts of the objective: over time, against each hyperparameter, and what matters how much.

const completed = page.order.filter((place) => page.value[place] !== null);
const failed = page.order.filter((place) => page.value[place] === null);
const dotSize = completed.length > 3000 ? 1.5 : completed.length > 300 ? 2.2 : 3.2;
const dotAlpha = completed.length > 3000 ? 0.35 : completed.length > 300 ? 0.5 : 0.75;

drawn("history", (holder) => {
  if (!page.range) return;
  const rank = new Map(page.order.map((place, index) => [place, index + 1]));
  const made = chart(holder, {
    title: "Objective of each trial in the order in which they ended, and the best so far",
    x: { scale: padded(linearScale(0, page.order.length + 1), 0), label: "trials ended" },
    y: { scale: objectiveScale(), label: objectiveLabel },
    height: 340,
  });
  const points = drawPoints(made, completed, (place) => rank.get(place), dotSize, dotAlpha);
  points.push(...drawFailures(made, failed, (place) => rank.get(place)));
  const { context, px, py, inner } = made;
  context.strokeStyle = colour("best");
  context.lineWidth = 2;
  context.beginPath();
  let so_far = null;
  for (const place of completed) {
    const value = page.value[place];
    if (so_far !== null && sign * value >= sign * so_far) continue;
    const x = px(rank.get(place));
    const inside = (y) => Math.min(inner.top + inner.height, Math.max(inner.top, y));
    if (so_far === null) context.moveTo(x, inside(py(value)));
    else {
      context.lineTo(x, inside(py(so_far)));
      context.lineTo(x, inside(py(value)));
    }
    so_far = value;
  }
  if (so_far !== null) context.lineTo(px(page.order.length), py(so_far));
  context.stroke();
  drawBest(made, best < 0 ? null : rank.get(best));
  tellNearest(made.svg, points);
});

// A place within a choice's own column that looks random and never changes.
function jitter(place) {
  return (((place * 2654435761) % 4294967296) / 4294967296 - 0.5) * 0.6;
}

const byImportance = [...page.hyperparameters].sort((a, b) => (b.importance || 0) - (a.importance || 0));
const varying = byImportance.filter((column) => new Set(column.values).size > 1);

drawn("slices", (holder) => {
  if (!page.range) return;
  holder.replaceChildren();
  for (const column of varying) {
    const box = make("div", { class: "slice" });
    holder.append(box);
    drawSlice(box, column);
  }
});

function drawSlice(box, column) {
  const scale = scaleOf(column);
  const choices = column.choices.length > 0;
  const rotate = choices && column.choices.length > 3;
  const missing = completed.filter((place) => column.values[place] === null).length;
  const label = `${column.name}${column.is_log ? " (logarithmic)" : ""}`
    + `${missing ? `; ${missing} trials do not have it` : ""}`;
  const made = chart(box, {
    title: `Objective against ${column.name}`,
    x: { scale, label, rotate, ticks: choices ? 16 : undefined },
    y: { scale: objectiveScale(), label: objectiveLabel },
    height: rotate ? 310 : 270, bottom: rotate ? 82 : 46,
  });
  const xOf = (place) => column.values[place] === null ? null
    : choices ? column.values[place] + jitter(place) : column.values[place];
  const points = drawPoints(made, completed, xOf, dotSize, dotAlpha);
  points.push(...drawFailures(made, failed, xOf));
  if (choices) drawMedians(made, column, scale);
  if (best >= 0) drawBest(made, xOf(best));
  tellNearest(made.svg, points);
}

function drawMedians({ context, px, py, inner }, column, scale) {
  const groups = column.choices.map(() => []);
  for (const place of completed) {
    if (column.values[place] !== null) groups[column.values[place]].push(page.value[place]);
  }
  context.strokeStyle = colour("text");
  context.lineWidth = 2;
  groups.forEach((values, choice) => {
    if (!values.length) return;
    values.sort((a, b) => a - b);
    const middle = (values[(values.length - 1) >> 1] + values[values.length >> 1]) / 2;
    const half = Math.min(24, scale.step * inner.width * 0.35);
    context.beginPath();
    context.moveTo(px(choice) - half, py(middle));
    context.lineTo(px(choice) + half, py(middle));
    context.stroke();
  });
}

drawn("importance", (holder) => {
  const shown = varying.filter((column) => column.importance !== null);
  if (!shown.length) return;
  const [line, left] = [26, Math.min(220, 30 + 7.5 * Math.max(...shown.map((column) => column.name.length)))];
  const width = Math.min(760, Math.max(280, holder.clientWidth));
  const height = shown.length * line + 44;
  const svg = make("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Importance of each hyperparameter",
  }, make("title", {}, "Importance of each hyperparameter"));
  const most = Math.max(...shown.map((column) => column.importance), 1e-9);
  shown.forEach((column, index) => {
    const y = 6 + index * line;
    const long = (width - left - 60) * (column.importance / most);
    const name = column.name.length > 26 ? `${column.name.slice(0, 25)}…` : column.name;
    svg.append(
      make("text", { x: left - 8, y: y + 15, "text-anchor": "end", class: "tick name" }, name),
      make("rect", { x: left, y, width: Math.max(1, long), height: line - 7, class: "bar" }),
      make("text", { x: left + long + 6, y: y + 15, class: "tick" }, `${(100 * column.importance).toFixed(1)} %`));
  });
  svg.append(make("text", { x: left, y: height - 12, class: "label" }, "share of the importance (%)"));
  holder.replaceChildren(svg);
});
