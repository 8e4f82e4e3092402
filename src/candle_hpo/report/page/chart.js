// One chart: axes with their labels as text in SVG, marks on a canvas below them, and what is under the pointer.

// `x` and `y` are {scale, label, ticks}. Returns the canvas' context and functions from values to pixels.
function chart(holder, { title, x, y, height = 300, left = 64, bottom = 46, top = 12, right = 14 }) {
  const width = Math.max(240, holder.clientWidth);
  const ratio = window.devicePixelRatio || 1;
  const canvas = make("canvas", { width: width * ratio, height: height * ratio, "aria-hidden": "true" });
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const svg = make("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title,
  }, make("title", {}, title));
  const inner = { left, top, width: width - left - right, height: height - top - bottom };
  const px = (value) => inner.left + x.scale.at(value) * inner.width;
  const py = (value) => inner.top + (1 - y.scale.at(value)) * inner.height;
  axis(svg, inner, x, true, px);
  axis(svg, inner, y, false, py);
  holder.replaceChildren(make("div", { class: "plot" }, svg, canvas));
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return { context, svg, inner, px, py, width, height };
}

function axis(svg, inner, { scale, label, ticks, rotate }, horizontal, toPixel) {
  const { left, top, width, height } = inner;
  const base = top + height;
  for (const [value, text] of scale.ticks(ticks || (horizontal ? Math.max(2, width / 80) : height / 45))) {
    const at = toPixel(value);
    if (horizontal ? at < left - 1 || at > left + width + 1 : at < top - 1 || at > base + 1) continue;
    svg.append(make("line", horizontal
      ? { x1: at, x2: at, y1: base, y2: base + 4, class: "axis" }
      : { x1: left, x2: left + width, y1: at, y2: at, class: "grid" }));
    const short = cutText(text, 16);
    const place = horizontal
      ? rotate ? { transform: `translate(${at + 3},${base + 12}) rotate(-30)`, "text-anchor": "end" }
        : { x: at, y: base + 17, "text-anchor": "middle" }
      : { x: left - 7, y: at + 4, "text-anchor": "end" };
    svg.append(make("text", { ...place, class: "tick" }, short, make("title", {}, text)));
  }
  svg.append(make("line", { x1: left, x2: left + width, y1: base, y2: base, class: "axis" }));
  if (!label) return;
  svg.append(horizontal
    ? make("text", { x: left + width / 2, y: base + inner.top + (rotate ? 60 : 26), "text-anchor": "middle",
      class: "label" }, label)
    : make("text", { transform: `translate(13,${top + height / 2}) rotate(-90)`, "text-anchor": "middle",
      class: "label" }, label));
}

// Shows what is nearest to the pointer; `points` are [x, y, place of the trial].
function tellNearest(svg, points, lines = trialLines) {
  const nearest = (event) => {
    const box = svg.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let [found, least] = [null, 14 ** 2];
    for (const point of points) {
      const distance = (point[0] - x) ** 2 + (point[1] - y) ** 2;
      if (distance < least) [found, least] = [point, distance];
    }
    return found;
  };
  svg.addEventListener("mousemove", (event) => {
    const found = nearest(event);
    if (found) showTip(event, lines(found[2]));
    else hideTip();
    svg.style.cursor = found ? "pointer" : "";
  });
  svg.addEventListener("mouseleave", hideTip);
  svg.addEventListener("click", (event) => {
    const found = nearest(event);
    if (found) showInTable(found[2]);
  });
}

// The vertical axis of all charts of the objective.
let valueAxis = page.range && page.range.outside ? "best" : "all";

function objectiveScale() {
  const { low, high, shown_low: from, shown_high: to } = page.range;
  if (valueAxis === "log") return padded(logScale(low, high), 0.05);
  return padded(valueAxis === "best" ? linearScale(from, to) : linearScale(low, high), 0.05);
}

const objectiveLabel = `objective (${page.direction === "minimize" ? "lower" : "higher"} is better)`;

// Draws the values of trials; one beyond the axis is a triangle at its edge.
function drawPoints({ context, px, py, inner }, places, xOf, size, alpha) {
  const points = [];
  context.fillStyle = colour("mark");
  context.globalAlpha = alpha;
  for (const place of places) {
    const at = xOf(place);
    if (at === null || page.value[place] === null) continue;
    const [x, y] = [px(at), py(page.value[place])];
    const inside = Math.min(inner.top + inner.height - 3, Math.max(inner.top + 3, y));
    context.beginPath();
    if (Math.abs(inside - y) < 0.5) context.arc(x, y, size, 0, 7);
    else {
      const towards = y < inside ? -1 : 1;
      context.moveTo(x - 3.5, inside);
      context.lineTo(x + 3.5, inside);
      context.lineTo(x, inside + 5 * towards);
    }
    context.fill();
    points.push([x, inside, place]);
  }
  context.globalAlpha = 1;
  return points;
}

function drawBest({ context, px, py }, x) {
  if (best < 0 || x === null) return;
  context.strokeStyle = context.fillStyle = colour("best");
  context.lineWidth = 2;
  context.beginPath();
  context.arc(px(x), py(page.value[best]), 6, 0, 7);
  context.stroke();
}

// Crosses on the horizontal axis: trials without a value.
function drawFailures({ context, px, inner }, places, xOf) {
  context.strokeStyle = colour("failed");
  context.lineWidth = 1.2;
  context.globalAlpha = places.length > 300 ? 0.12 : 0.75;
  const base = inner.top + inner.height;
  const points = [];
  context.beginPath();
  for (const place of places) {
    const at = xOf(place);
    if (at === null) continue;
    const x = px(at);
    context.moveTo(x - 3, base - 7);
    context.lineTo(x + 3, base - 1);
    context.moveTo(x - 3, base - 1);
    context.lineTo(x + 3, base - 7);
    points.push([x, base - 4, place]);
  }
  context.stroke();
  context.globalAlpha = 1;
  return points;
}
