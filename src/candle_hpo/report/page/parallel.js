// Parallel coordinates: a line for each trial, over an axis for each hyperparameter; ranges drawn on axes choose lines.

const [MOST_LINES, BEST_LINES] = [3000, 100];
const ranges = new Map(); // key of an axis -> [low, high] in places from 0 to 1

function parallelAxes() {
  const columns = varying.slice(0, 20).map((column) => {
    const scale = scaleOf(column);
    const hasMissing = column.values.some((value) => value === null);
    return {
      key: `of ${column.name}`, name: column.name, scale, choices: column.choices.length > 0, hasMissing,
      at: (place) => column.values[place] === null ? null : scale.at(column.values[place]),
    };
  });
  const scale = objectiveScale();
  const clamp = (share) => Math.min(1, Math.max(0, share));
  return [...columns, {
    key: "objective", name: "objective", scale, choices: false, hasMissing: false, at: (place) => clamp(scale.at(page.value[place])),
  }];
}

// The best, and every so-manieth of the rest, so that 100,000 trials can be drawn too.
function chosenLines() {
  if (completed.length <= MOST_LINES) return completed;
  const sorted = [...completed].sort((a, b) => sign * (page.value[a] - page.value[b]));
  const every = Math.ceil((sorted.length - BEST_LINES) / (MOST_LINES - BEST_LINES));
  return sorted.filter((_, rank) => rank < BEST_LINES || rank % every === 0);
}

drawn("parallel", (holder) => {
  if (!page.range || !varying.length) return;
  const axes = parallelAxes();
  const [height, top, bottom] = [380, 46, 40];
  const width = Math.max(holder.clientWidth, axes.length * 120);
  const ratio = window.devicePixelRatio || 1;
  const canvas = make("canvas", { width: width * ratio, height: height * ratio, "aria-hidden": "true" });
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const title = "Parallel coordinates: hyperparameters of each trial, coloured by the objective";
  const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title },
    make("title", {}, title));
  holder.replaceChildren(make("div", { class: "plot" }, canvas, svg));
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const inner = height - top - bottom;
  const x = (index) => 60 + (width - 120) * (index / (axes.length - 1));
  const y = (share) => share === null ? height - bottom + 16 : top + (1 - share) * inner;
  const lines = chosenLines();
  paintLines(context, axes, lines, x, y, width, height);
  paintScale(context, x(axes.length - 1), top, inner);
  axes.forEach((each, index) => drawAxis(svg, each, x(index), { top, bottom, height, inner }));
  const text = lines.length < completed.length
    ? `${lines.length.toLocaleString()} of ${completed.length.toLocaleString()} lines are drawn, the best among them. ` : "";
  document.getElementById("parallel-note").textContent =
    `${text}Draw along an axis to choose a range of it; click the axis to let it go.`;
});

function isChosen(axes, place) {
  return axes.every((each) => {
    const range = ranges.get(each.key);
    const at = each.at(place);
    return !range || (at !== null && at >= range[0] && at <= range[1]);
  });
}

// The best stand out from the page: dark on a light one, bright on a dark one.
function toneOf(share) {
  const fromBest = sign > 0 ? share : 1 - share;
  return cividis(isDark() ? 1 - fromBest : fromBest);
}

function paintScale(context, at, top, inner) {
  for (let y = 0; y < inner; y += 1) {
    context.fillStyle = toneOf(1 - y / inner);
    context.fillRect(at + 2, top + y, 7, 1.5);
  }
}

function paintLines(context, axes, lines, x, y, width, height) {
  const scale = objectiveScale();
  context.clearRect(0, 0, width, height);
  const worstFirst = [...lines].sort((a, b) => sign * (page.value[b] - page.value[a]));
  context.lineWidth = lines.length > 1000 ? 0.7 : 1.3;
  for (const chosen of [false, true]) {
    for (const place of worstFirst) {
      if (isChosen(axes, place) !== chosen) continue;
      const share = scale.at(page.value[place]);
      context.strokeStyle = chosen ? toneOf(share) : colour("faint");
      context.globalAlpha = chosen ? (lines.length > 1000 ? 0.22 : 0.75) : 0.35;
      context.beginPath();
      axes.forEach((each, index) => {
        const spread = each.choices ? jitter(place) * 0.5 * (each.scale.step || 0) : 0;
        const at = each.at(place);
        const to = y(at === null ? null : at + spread);
        if (index) context.lineTo(x(index), to);
        else context.moveTo(x(index), to);
      });
      context.stroke();
    }
  }
  context.globalAlpha = 1;
}

function drawAxis(svg, each, at, { top, bottom, height, inner }) {
  const name = each.name.length > 16 ? `${each.name.slice(0, 15)}…` : each.name;
  const group = make("g", { class: "parallel-axis" },
    make("line", { x1: at, x2: at, y1: top, y2: height - bottom, class: "axis" }),
    make("text", { x: at, y: top - 22, "text-anchor": "middle", class: "label" }, name, make("title", {}, each.name)));
  for (const [value, text] of each.scale.ticks(each.choices ? 12 : 5)) {
    const share = each.scale.at(value);
    if (share < 0 || share > 1) continue;
    const short = cutText(text, 14);
    const to = top + (1 - share) * inner;
    group.append(make("line", { x1: at - 3, x2: at + 3, y1: to, y2: to, class: "axis" }),
      make("text", { x: at + (each.key === "objective" ? 13 : 6), y: to + 4, class: "tick halo" }, short, make("title", {}, text)));
  }
  if (each.hasMissing) {
    group.append(make("text", { x: at, y: height - bottom + 32, "text-anchor": "middle", class: "tick" }, "not set"));
  }
  const range = ranges.get(each.key);
  if (range) {
    group.append(make("rect", {
      x: at - 7, width: 14, y: top + (1 - range[1]) * inner, height: (range[1] - range[0]) * inner, class: "range",
    }));
  }
  const handle = make("rect", { x: at - 12, width: 24, y: top, height: inner, class: "handle" });
  group.append(handle);
  let from = null;
  const shareOf = (event) => 1 - (event.clientY - svg.getBoundingClientRect().top - top) / inner;
  handle.addEventListener("pointerdown", (event) => {
    from = shareOf(event);
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointerup", (event) => {
    const to = shareOf(event);
    if (from === null) return;
    if (Math.abs(to - from) < 0.02) ranges.delete(each.key);
    else ranges.set(each.key, [Math.min(from, to), Math.max(from, to)]);
    from = null;
    drawAgain();
  });
  svg.append(group);
}
