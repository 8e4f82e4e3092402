// Shared by all charts: the data, elements, scales, numbers as text, the tip beside the pointer, drawing again.
"use strict";

const page = JSON.parse(document.getElementById("data").textContent);
const problems = [];
window.addEventListener("error", (event) => note(event.message));
window.addEventListener("securitypolicyviolation", (event) => note(`refused: ${event.blockedURI}`));

function note(message) {
  problems.push(message);
  document.documentElement.dataset.problems = problems.join("; ");
}

const COMPLETED = page.statuses.indexOf("completed");
const sign = page.direction === "minimize" ? 1 : -1;
const best = page.best === null ? -1 : page.best;

function make(tag, attributes = {}, ...children) {
  const drawn = ["svg", "g", "line", "path", "rect", "text", "title", "circle"].includes(tag);
  const element = drawn
    ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function numberText(value, digits = 6) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return typeof value === "string" ? value : JSON.stringify(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) {
    return value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e");
  }
  return String(+value.toPrecision(Number.isInteger(value) ? 15 : digits));
}

// Numbers as texts of so many digits, or with all their digits where different ones would look alike.
function textsApart(values, digits = 6) {
  const texts = values.map((value) => numberText(value, digits));
  const [first, alike] = [new Map(), new Set()];
  values.forEach((value, place) => {
    if (!first.has(texts[place])) first.set(texts[place], value);
    else if (first.get(texts[place]) !== value) alike.add(texts[place]);
  });
  return alike.size ? texts.map((text, place) => (alike.has(text) ? String(values[place]) : text)) : texts;
}

// What is too long has its beginning and its end: long texts often differ there.
function cutText(text, longest) {
  const end = Math.floor(longest / 3);
  return text.length <= longest ? text : `${text.slice(0, longest - 1 - end)}…${text.slice(-end)}`;
}

function ticksAt(values) {
  const texts = textsApart(values);
  return values.map((value, place) => [value, texts[place]]);
}

// Units for a time axis: that of its largest value.
function timeUnit(seconds) {
  if (seconds < 180) return { divisor: 1, name: "s" };
  if (seconds < 3 * 3600) return { divisor: 60, name: "min" };
  return seconds < 4 * 86400 ? { divisor: 3600, name: "h" } : { divisor: 86400, name: "days" };
}

function durationText(seconds) {
  const unit = timeUnit(seconds);
  return `${numberText(seconds / unit.divisor, 3)} ${unit.name}`;
}

// A scale takes a value to a place from 0 to 1, and knows where its ticks are.
function linearScale(low, high) {
  if (!(high > low)) [low, high] = [low - (Math.abs(low) || 1) * 0.5, high + (Math.abs(high) || 1) * 0.5];
  const at = (value) => (value - low) / (high - low);
  const ticks = (most) => {
    const rough = (high - low) / Math.max(1, most);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 2.5, 5, 10].find((times) => times * power >= rough) || 10);
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) {
      found.push(+(k * step).toPrecision(12));
    }
    return ticksAt(found);
  };
  return { at, ticks, low, high };
}

function logScale(low, high) {
  const inner = linearScale(Math.log10(low), Math.log10(high));
  const ticks = (most) => {
    const [from, to] = [Math.ceil(inner.low - 1e-9), Math.floor(inner.high + 1e-9)];
    if (to - from < 2) {
      const few = [1, 2, 5].flatMap((times) => {
        const found = [];
        for (let k = from - 1; k <= to; k += 1) found.push(times * 10 ** k);
        return found;
      }).filter((value) => inner.at(Math.log10(value)) >= 0 && inner.at(Math.log10(value)) <= 1);
      return ticksAt(few.sort((a, b) => a - b).map((value) => +value.toPrecision(6)));
    }
    const every = Math.ceil((to - from + 1) / Math.max(2, most));
    const found = [];
    for (let k = from; k <= to; k += every) found.push([10 ** k, numberText(10 ** k)]);
    return found;
  };
  return { at: (value) => inner.at(Math.log10(value)), ticks, low, high };
}

function padded(scale, part) {
  return { ...scale, at: (value) => part + scale.at(value) * (1 - 2 * part) };
}

// A column's own scale: numbers, or choices one beside the other.
function scaleOf(column) {
  if (column.choices.length) {
    const count = column.choices.length;
    return {
      at: (place) => (place + 0.5) / count,
      ticks: (most) => column.choices
        .map((text, place) => [place, text])
        .filter((_, place) => place % Math.ceil(count / Math.max(1, most)) === 0),
      step: 1 / count,
    };
  }
  let [low, high] = [Infinity, -Infinity];
  for (const value of column.values) {
    if (value !== null) [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  const scale = padded(column.is_log ? logScale(low, high) : linearScale(low, high), 0.04);
  const different = [...new Set(column.values)].filter((value) => value !== null).sort((a, b) => a - b);
  if (different.length > 8 || closest(different, scale) < 0.09) return scale;
  return { ...scale, ticks: () => ticksAt(different) };
}

function closest(values, scale) {
  return values.slice(1).reduce((least, value, k) => Math.min(least, scale.at(value) - scale.at(values[k])), 1);
}

// Cividis (Nuñez, Anderton and Renslow, 2018), made to look alike to people with and without colour blindness.
const CIVIDIS = [[0, 34, 78], [18, 53, 112], [60, 77, 110], [87, 100, 112], [112, 123, 116], [139, 145, 119],
  [168, 169, 113], [202, 194, 99], [254, 232, 56]];

function cividis(share) {
  const place = Math.min(1, Math.max(0, share)) * (CIVIDIS.length - 1);
  const [below, rest] = [Math.floor(place), place % 1];
  const above = Math.min(below + 1, CIVIDIS.length - 1);
  return `rgb(${CIVIDIS[below].map((part, k) => Math.round(part + (CIVIDIS[above][k] - part) * rest)).join(",")})`;
}

function isDark() {
  const light = document.documentElement.classList.contains("light");
  return !light && window.matchMedia("(prefers-color-scheme: dark)").matches;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const tip = make("div", { class: "tip", "aria-hidden": "true" });
document.body.append(tip);

function showTip(event, lines) {
  tip.replaceChildren(...lines.map((line) => make("div", {}, line)));
  tip.style.display = lines.length ? "block" : "none";
  const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  const top = Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 8);
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, top)}px`;
}

function hideTip() { tip.style.display = "none"; }

const valueTexts = textsApart(page.value, 7);
const textsOfNumbers = new Map(); // of a column, made when it is first asked for

function cellText(column, place) {
  const value = column.values[place];
  if (value === null) return "";
  if (column.choices.length) return column.rare[place] ?? column.choices[value];
  if (!textsOfNumbers.has(column)) textsOfNumbers.set(column, numberTexts(column));
  return textsOfNumbers.get(column)[place];
}

function numberTexts(column) {
  const floats = new Set(column.floats); // 1.0, which JSON.parse makes 1 of
  return textsApart(column.values, 7).map((text, place) =>
    floats.has(column.values[place]) && /^-?\d+$/.test(text) ? `${text}.0` : text);
}

function trialLines(place) {
  const lines = [page.ids[place]];
  lines.push(page.value[place] === null
    ? page.statuses[page.status[place]].replaceAll("_", " ") : `objective ${valueTexts[place]}`);
  for (const column of page.hyperparameters.slice(0, 15)) {
    const text = cellText(column, place);
    if (text !== "") lines.push(`${column.name} = ${cutText(text, 60)}`);
  }
  return lines;
}

// What is drawn again when the window, the colours or the choice of the vertical axis change.
const drawings = [];
let waiting = 0;

function drawn(id, draw) {
  const element = document.getElementById(id);
  if (element) drawings.push(() => draw(element));
}

function drawAll() {
  for (const draw of drawings) draw();
  document.documentElement.dataset.drawn = document.querySelectorAll("figure svg").length;
}

function drawAgain() {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(drawAll);
}

function light(on) {
  document.documentElement.classList.toggle("light", on);
  drawAll();
}
