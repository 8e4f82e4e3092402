// Shared by the charts and the table: the data, elements, numbers as text, the tip beside the pointer.
"use strict";

const page = JSON.parse(document.getElementById("data").textContent);
const problems = [];
window.addEventListener("error", (event) => note(event.message));
window.addEventListener("securitypolicyviolation", (event) => note(`refused: ${event.blockedURI}`));

function note(message) {
  problems.push(message);
  document.documentElement.dataset.problems = problems.join("; ");
}

const sign = page.direction === "minimize" ? 1 : -1;
const best = page.best === null ? -1 : page.best;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
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

function durationText(seconds) {
  const [divisor, name] = [[86400, "days"], [3600, "h"], [60, "min"]].find(([least]) => seconds >= 3 * least) || [1, "s"];
  return `${numberText(seconds / divisor, 3)} ${name}`;
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

function statusText(status) { return status === "stopped" ? "stopped early" : status.replaceAll("_", " "); }

function trialLines(place) {
  const lines = [page.ids[place]];
  lines.push(page.value[place] === null
    ? statusText(page.statuses[page.status[place]]) : `objective ${valueTexts[place]}`);
  for (const column of page.hyperparameters.slice(0, 15)) {
    const text = cellText(column, place);
    if (text !== "") lines.push(`${column.name} = ${cutText(text, 60)}`);
  }
  return lines;
}
