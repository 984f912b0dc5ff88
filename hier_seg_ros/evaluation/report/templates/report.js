// The report of one evaluation: curves over time, the frame at a time, confusion, calibration.
'use strict';

const main = document.querySelector('main');
const cards = [...document.querySelectorAll('.frame')];
const timeline = data.timeline;
const size = timeline === null ? 1 : timeline.framesPerPoint;
const percent = (share) => `${(100 * share).toFixed(1)}%`;
const isHeadline = ({ name }) => /^(mIoU|Confidence)/.test(name);

// ---- the frame at a time ----

// A point is a place on the time line: a frame, or of a very long recording several of them.
const points = timeline === null
  ? [...cards].sort((first, second) => first.dataset.index - second.dataset.index).map((card) => ({
    name: card.dataset.name, seconds: Number(card.dataset.seconds), bag: 0, card,
  }))
  : timeline.names.map((name, point) => ({
    name, seconds: timeline.ownSeconds[point], bag: timeline.bags[point], card: null,
  }));
if (timeline !== null) {
  for (const card of cards) {
    const point = points[Math.floor(Number(card.dataset.index) / size)];
    if (point !== undefined) point.card = card;
  }
}
const pictured = points.flatMap(({ card }, point) => (card === null ? [] : [point]));
let current = 0;

function nearestPictured(point) {
  const distance = (other) => Math.abs(other - point) + (points[other].bag === points[point].bag ? 0 : points.length);
  return pictured.reduce((best, other) => (distance(other) < distance(best) ? other : best), pictured[0]);
}

function level() {
  return main.dataset.level;
}

function picture(card, kind) {
  const selector = kind === 'photograph' ? 'img[data-kind=photograph]' : `img[data-layer="${level()}"][data-kind=${kind}]`;
  return card.querySelector(selector);
}

function fill(image, source) {
  image.hidden = source === null;
  // An image without a source is one that failed.
  if (source === null) image.removeAttribute('src');
  else image.src = source.src;
}

function numbersOf(point) {
  const { name, seconds } = points[point];
  const curves = timeline === null ? [] : timeline.curves;
  const known = curves.filter((curve) => isHeadline(curve) && curve.values[point] !== null);
  const values = known.map((curve) => `${curve.name} ${percent(curve.values[point])}`);
  return [`${name}, ${seconds.toFixed(2)} s`, values.join(', ')];
}

function show(point) {
  if (points.length === 0) return;
  current = Math.min(Math.max(point, 0), points.length - 1);
  const [title, numbers] = numbersOf(current);
  document.getElementById('frame-title').textContent = title;
  document.getElementById('frame-numbers').textContent = numbers;
  slider.value = current;
  slider.setAttribute('aria-valuetext', title);
  moveCursor();
  showPictures();
}

function showPictures() {
  const shown = nearestPictured(current);
  const note = document.getElementById('frame-note');
  if (shown === undefined) return;
  const { card, name, seconds } = points[shown];
  note.hidden = shown === current;
  note.textContent = `The page holds no pictures of this frame; these are of ${name}, at ${seconds.toFixed(2)} s.`
    + ` To have them, evaluate with --show ${points[current].name}`;
  const link = document.getElementById('frame-link');
  link.href = `#${encodeURIComponent(card.id)}`;
  for (const kind of ['photograph', 'truth', 'prediction']) {
    const source = picture(card, kind);
    for (const image of document.querySelectorAll(`[data-view=${kind}]`)) fill(image, source);
    document.querySelectorAll(`[data-without=${kind}]`).forEach((element) => { element.hidden = source !== null; });
  }
  const withTruth = picture(card, 'truth') !== null;
  document.getElementById('left-name').textContent = withTruth ? 'truth' : 'input';
  placeDivider();
}

// Left of the divider is the truth, right of it the prediction, both over the photograph.
function placeDivider() {
  const place = Number(document.getElementById('divider').value);
  const opacity = Number(document.getElementById('opacity').value) / 100;
  const [left, right] = ['stage-truth', 'stage-prediction'].map((id) => document.getElementById(id));
  left.style.clipPath = `inset(0 ${100 - place}% 0 0)`;
  right.style.clipPath = `inset(0 0 0 ${place}%)`;
  left.style.opacity = right.style.opacity = opacity;
  document.getElementById('divider-line').style.left = `${place}%`;
}

function step(direction) {
  const others = pictured.filter((point) => direction * (point - current) > 0);
  if (others.length > 0) show(direction > 0 ? others[0] : others[others.length - 1]);
}

const slider = document.getElementById('frame-slider');
if (points.length > 0) {
  slider.max = points.length - 1;
  slider.addEventListener('input', () => show(Number(slider.value)));
  document.getElementById('previous').addEventListener('click', () => step(-1));
  document.getElementById('next').addEventListener('click', () => step(1));
}
if (cards.length > 0) {
  document.getElementById('divider').addEventListener('input', placeDivider);
  document.getElementById('opacity').addEventListener('input', placeDivider);
  for (const radio of document.querySelectorAll('input[name=level]')) {
    radio.addEventListener('change', () => {
      main.dataset.level = radio.value;
      showPictures();
      redrawShares();
    });
  }
  for (const card of cards) {
    card.querySelector('button.look').addEventListener('click', () => {
      show(points.findIndex((point) => point.card === card));
      document.getElementById('viewer').scrollIntoView();
      slider.focus({ preventScroll: true });
    });
  }
  const order = document.getElementById('order');
  const place = cards[0].parentElement;
  order.addEventListener('change', () => {
    const byTime = [...cards].sort((first, second) => first.dataset.index - second.dataset.index);
    place.append(...(order.value === 'time' ? byTime : cards));
  });
}

// ---- curves over time ----

const timePlots = [];
let following = false; // while one plot takes the range of the other

function cursor(color) {
  const at = timeline.seconds[current];
  return { type: 'line', x0: at, x1: at, y0: 0, y1: 1, yref: 'paper', line: { color, width: 2, dash: 'dot' } };
}

function bagBorders(color) {
  const starts = timeline.bags.flatMap((bag, point) => (point > 0 && bag !== timeline.bags[point - 1] ? [point] : []));
  return starts.map((point) => ({
    type: 'line', x0: timeline.seconds[point], x1: timeline.seconds[point], y0: 0, y1: 1, yref: 'paper',
    line: { color, width: 1 },
  }));
}

let cursorFrame = 0;
function moveCursor() {
  cancelAnimationFrame(cursorFrame);
  cursorFrame = requestAnimationFrame(() => {
    const at = timeline === null ? 0 : timeline.seconds[current];
    timePlots.forEach((element) => Plotly.relayout(element, { 'shapes[0].x0': at, 'shapes[0].x1': at }));
  });
}

function nearestPoint(seconds) {
  const times = timeline.seconds;
  let best = 0;
  times.forEach((time, point) => {
    if (Math.abs(time - seconds) < Math.abs(times[best] - seconds)) best = point;
  });
  return best;
}

function onTimePlot(element) {
  timePlots.push(element);
  element.on('plotly_click', ({ points: clicked }) => show(nearestPoint(clicked[0].x)));
  element.on('plotly_relayout', (change) => {
    const zoomed = 'xaxis.range[0]' in change || 'xaxis.autorange' in change;
    if (following || !zoomed) return;
    following = true;
    const range = element.layout.xaxis.autorange ? { 'xaxis.autorange': true } : { 'xaxis.range': [...element.layout.xaxis.range] };
    const others = timePlots.filter((other) => other !== element);
    Promise.all(others.map((other) => Plotly.relayout(other, range))).then(() => { following = false; });
  });
}

function timeLayout(colors, more) {
  return layout(colors, {
    hovermode: 'x unified', shapes: [cursor(colors.accent), ...bagBorders(colors.soft)],
    xaxis: axis('', colors, { hoverformat: '.2f', ticksuffix: ' s' }), ...more,
  });
}

function curvesPlot(colors) {
  const traces = timeline.curves.map((curve, place) => ({
    name: curve.name, x: timeline.seconds, y: curve.values, type: 'scatter',
    mode: timeline.seconds.length > 200 ? 'lines' : 'lines+markers',
    line: { width: 1.6, color: LINE_COLORS[place % LINE_COLORS.length] },
    marker: { size: 5 },
    visible: isHeadline(curve) || timeline.curves.length < 4 ? true : 'legendonly',
    hovertemplate: '%{y:.1%}',
  }));
  return [traces, timeLayout(colors, { yaxis: axis('', colors, { tickformat: '.0%', rangemode: 'tozero' }) })];
}

function shares() {
  const outputs = Object.keys(timeline.shares);
  return timeline.shares[outputs.includes(level()) ? level() : outputs[0]];
}

function sharesPlot(colors) {
  const { seconds, classes } = shares();
  const traces = classes.map((one) => ({
    name: one.name, x: seconds, y: one.values, type: 'scatter', mode: 'lines', stackgroup: 'all',
    line: { width: 0.5, color: one.color }, fillcolor: one.color, hovertemplate: '%{y:.1%}',
  }));
  return [traces, timeLayout(colors, { yaxis: axis('', colors, { tickformat: '.0%', range: [0, 1] }) })];
}

function redrawShares() {
  if (timeline === null) return;
  const element = document.getElementById('shares');
  if (plots.has(element)) draw(element, plots.get(element));
}

if (timeline !== null) {
  if (timeline.curves.length > 0) addPlot('curves', curvesPlot, onTimePlot);
  if (Object.keys(timeline.shares).length > 0) addPlot('shares', sharesPlot, onTimePlot);
}

// ---- confusion and calibration ----

// Small shares count: the eye is to find one in a hundred. A large one stands out from the card.
function shareColors(card) {
  const dark = Number(card.match(/\d+/)[0]) < 128;
  const steps = dark
    ? ['rgb(45 70 110)', 'rgb(65 105 175)', 'rgb(110 160 235)', 'rgb(185 215 255)']
    : ['rgb(170 190 225)', 'rgb(100 140 205)', 'rgb(45 85 175)', 'rgb(20 40 120)'];
  return [[0, card], ...[0.01, 0.1, 0.5, 1].map((share, place) => [share, steps[place]])];
}

function confusionPlot(colors) {
  const select = document.getElementById('confusion-output');
  const { truth, prediction, pixels } = data.confusions[Number(select.value)];
  const totals = pixels.map((row) => row.reduce((sum, count) => sum + count, 0));
  const trace = {
    type: 'heatmap', x: prediction, y: truth, zmin: 0, zmax: 1, xgap: 1, ygap: 1,
    z: pixels.map((row, place) => row.map((count) => count / totals[place])),
    customdata: pixels,
    colorscale: shareColors(colors.card),
    colorbar: { tickformat: '.0%', thickness: 12, outlinewidth: 0 },
    hovertemplate: 'truth: %{y}<br>prediction: %{x}<br>%{z:.2%} of the truth, %{customdata:,} pixels<extra></extra>',
  };
  const height = Math.max(300, 20 * truth.length + 190);
  document.getElementById('confusion').style.height = `${height}px`;
  return [[trace], layout(colors, {
    height, margin: { l: 20, r: 12, t: 12, b: 20 },
    xaxis: axis('prediction', colors, { tickangle: -60, showgrid: false, type: 'category', dtick: 1 }),
    yaxis: axis('truth', colors, { autorange: 'reversed', showgrid: false, type: 'category', dtick: 1 }),
  })];
}

if (data.confusions.length > 0) {
  addPlot('confusion', confusionPlot);
  document.getElementById('confusion-output').addEventListener('change', () => {
    const element = document.getElementById('confusion');
    if (plots.has(element)) draw(element, confusionPlot);
  });
}

function calibrationPlot(colors) {
  const diagonal = {
    name: 'perfect', x: [0, 1], y: [0, 1], mode: 'lines', line: { color: colors.soft, dash: 'dash', width: 1 }, hoverinfo: 'skip',
  };
  const traces = data.calibration.map(({ title, bins }, place) => ({
    name: title, mode: 'lines+markers', line: { color: LINE_COLORS[place % LINE_COLORS.length] },
    x: bins.map((bin) => bin.confidence), y: bins.map((bin) => bin.accuracy), customdata: bins.map((bin) => bin.pixels),
    hovertemplate: 'confidence %{x:.1%}<br>accuracy %{y:.1%}<br>%{customdata:,} pixels',
  }));
  return [[diagonal, ...traces], layout(colors, {
    xaxis: axis('confidence', colors, { range: [0, 1.02], tickformat: '.0%' }),
    yaxis: axis('accuracy', colors, { range: [0, 1.02], tickformat: '.0%' }),
  })];
}

if (data.calibration.length > 0) addPlot('calibration', calibrationPlot);

// The worst frame is what one comes for.
if (points.length > 0) show(cards.length > 0 ? Math.max(0, points.findIndex(({ card }) => card === cards[0])) : 0);
