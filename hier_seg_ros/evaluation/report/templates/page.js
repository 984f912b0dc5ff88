// What all pages share: tables that sort, plots in the colours of the page, and printing.
'use strict';

const data = JSON.parse(document.getElementById('data').textContent);

// ---- tables ----

function cellValue(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  if (text === '' || text === '–') return null;
  return Number.isNaN(Number(text)) ? text : Number(text);
}

function compare(first, second) {
  if (typeof first === 'number' && typeof second === 'number') return first - second;
  return String(first).localeCompare(String(second));
}

function sortTable(table, column, direction) {
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => [cellValue(row, column), row]);
  const known = rows.filter(([value]) => value !== null);
  known.sort(([first], [second]) => direction * compare(first, second));
  // What has no value is last in either direction.
  const unknown = rows.filter(([value]) => value === null);
  body.append(...[...known, ...unknown].map(([, row]) => row));
}

for (const table of document.querySelectorAll('table.sortable')) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = header.textContent;
    header.replaceChildren(button);
    button.addEventListener('click', () => {
      const before = header.getAttribute('aria-sort');
      // Numbers are looked at from the largest down, names from A.
      const first = header.classList.contains('number') ? 'descending' : 'ascending';
      const second = first === 'ascending' ? 'descending' : 'ascending';
      const now = before === first ? second : first;
      headers.forEach((other) => other.removeAttribute('aria-sort'));
      header.setAttribute('aria-sort', now);
      sortTable(table, column, now === 'ascending' ? 1 : -1);
    });
  });
}

// ---- plots ----

// A colour that the styles name, as the browser resolves it for light or dark.
function pageColor(name) {
  const probe = document.createElement('span');
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}

const LINE_COLORS = [
  '#2f8fdb', '#e0792b', '#2ca25f', '#c0455a', '#8b6fd6', '#a0783c', '#d667b4', '#7f8c8d', '#a8b400', '#17a2b8',
];
const plots = new Map(); // what draws each element that has been drawn

function axis(title, colors, more) {
  return {
    title: { text: title }, gridcolor: colors.line, linecolor: colors.line, zerolinecolor: colors.line,
    automargin: true, ...more,
  };
}

function layout(colors, more) {
  return {
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', margin: { l: 56, r: 12, t: 12, b: 44 },
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colors.text },
    hoverlabel: { bgcolor: colors.card, bordercolor: colors.line, font: { color: colors.text } },
    legend: { orientation: 'h', y: 1.02, yanchor: 'bottom', x: 0 },
    ...more,
  };
}

// `build` gets the page's colours and returns the traces and the layout.
function draw(element, build) {
  const names = ['text', 'soft', 'line', 'card', 'accent', 'gain', 'loss'];
  const colors = Object.fromEntries(names.map((name) => [name, pageColor(name)]));
  const [traces, settings] = build(colors);
  Plotly.react(element, traces, settings, { responsive: true, displaylogo: false });
}

// Draws a plot when it comes near the screen: a page of many plots is there at once.
function addPlot(id, build, drawn) {
  const element = document.getElementById(id);
  if (element === null || window.Plotly === undefined) return;
  const start = () => {
    if (plots.has(element)) return;
    plots.set(element, build);
    draw(element, build);
    if (drawn !== undefined) drawn(element);
  };
  waiting.set(element, start);
  observer.observe(element);
}

const waiting = new Map();
const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) waiting.get(target)();
  }
}, { rootMargin: '600px' });

function redraw() {
  plots.forEach((build, element) => draw(element, build));
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);

// ---- printing ----

let closed = [];
addEventListener('beforeprint', () => {
  closed = [...document.querySelectorAll('details:not([open])')];
  closed.forEach((one) => { one.open = true; });
  // Paper is light, and browsers apply its styles only after this.
  document.documentElement.style.colorScheme = 'light';
  waiting.forEach((start) => start());
  redraw();
});
addEventListener('afterprint', () => {
  closed.forEach((one) => { one.open = false; });
  document.documentElement.style.colorScheme = '';
  redraw();
});
