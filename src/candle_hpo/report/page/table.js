// The table of all trials: sorted by any column, filtered by words, a hundred rows at a time.

const ROWS = 100;
const table = { sorted: null, descending: false, words: "", from: 0 };

const columns = [
  { name: "objective", number: true, value: (place) => page.value[place], text: (place) => valueTexts[place] },
  { name: "trial", value: (place) => page.ids[place] },
  ...page.hyperparameters.map((column) => ({
    name: column.name, number: !column.choices.length, value: (place) => column.values[place],
    text: (place) => cellText(column, place),
  })),
  ...page.metrics.map((column) => {
    const texts = textsApart(column.values, 7);
    return {
      name: column.name, number: column.values.some((value) => typeof value === "number"),
      value: (place) => column.values[place], text: (place) => texts[place],
    };
  }),
  { name: "status", value: (place) => statusText(page.statuses[page.status[place]]) },
  { name: "duration (s)", number: true, value: (place) => page.seconds[place] },
  { name: "attempts", number: true, value: (place) => page.attempts[place] },
];

function text(column, place) {
  if (column.text) return column.text(place);
  const value = column.value(place);
  return typeof value === "number" ? numberText(value, 7) : numberText(value);
}

function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1; // what is not there is last, either way
  if (b === null || b === undefined) return -1;
  const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  return table.descending ? -order : order;
}

function rowsShown() {
  const words = table.words.toLowerCase().split(/\s+/).filter(Boolean);
  let places = page.ids.map((_, place) => place);
  if (words.length) {
    places = places.filter((place) => {
      const row = columns.map((column) => `${column.name}=${text(column, place)}`).join(" ").toLowerCase();
      return words.every((word) => row.includes(word));
    });
  }
  if (table.sorted === null) {
    return places.sort((a, b) => compare(page.value[a] === null ? null : sign * page.value[a],
      page.value[b] === null ? null : sign * page.value[b]) || a - b);
  }
  const { value } = columns[table.sorted];
  return places.sort((a, b) => compare(value(a), value(b)) || a - b);
}

function drawTable() {
  const places = rowsShown();
  table.from = Math.max(0, Math.min(table.from, places.length - 1));
  table.from -= table.from % ROWS;
  const head = make("tr", {}, ...columns.map((column, index) => {
    const order = table.sorted !== index ? "none" : table.descending ? "descending" : "ascending";
    const arrow = { none: "", ascending: " ▲", descending: " ▼" }[order];
    return make("th", { "aria-sort": order, scope: "col" },
      make("button", { type: "button", onclick: () => sortBy(index) }, column.name + arrow));
  }));
  const body = places.slice(table.from, table.from + ROWS).map((place) => make("tr",
    { class: place === best ? "is-best" : null }, ...columns.map((column) => {
      const full = text(column, place);
      const short = cutText(full, 60);
      return make("td", { class: column.number ? "number" : null, title: short === full ? null : full }, short);
    })));
  document.getElementById("table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
  const to = Math.min(places.length, table.from + ROWS);
  document.getElementById("table-count").textContent = places.length
    ? `${(table.from + 1).toLocaleString()} to ${to.toLocaleString()} of ${places.length.toLocaleString()} trials`
    : "no trial has these words";
  document.getElementById("previous").disabled = table.from === 0;
  document.getElementById("next").disabled = to >= places.length;
}

function sortBy(index) {
  table.descending = table.sorted === index && !table.descending;
  table.sorted = index;
  table.from = 0;
  drawTable();
}

function showInTable(place) {
  table.words = document.getElementById("words").value = `trial=${page.ids[place]}`;
  drawTable();
  document.getElementById("trials").scrollIntoView({ behavior: "smooth" });
}

document.getElementById("words").addEventListener("input", (event) => {
  table.words = event.target.value;
  table.from = 0;
  drawTable();
});
document.getElementById("previous").addEventListener("click", () => { table.from -= ROWS; drawTable(); });
document.getElementById("next").addEventListener("click", () => { table.from += ROWS; drawTable(); });

drawTable();
