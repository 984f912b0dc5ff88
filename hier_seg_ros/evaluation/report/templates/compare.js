// The comparison of two evaluations: the change of each class and of each frame.
'use strict';

const { changes, classes } = data;
const points = (share) => `${share > 0 ? '+' : ''}${(100 * share).toFixed(2)} points`;

// ---- classes ----

function classPlot(colors) {
  const rows = classes[document.getElementById('class-output').value].filter(({ difference }) => difference !== null);
  rows.sort((first, second) => first.difference - second.difference);
  const sure = ({ interval }) => interval !== null && (interval[0] > 0 || interval[1] < 0);
  const color = (row) => (sure(row) ? (row.difference > 0 ? colors.gain : colors.loss) : colors.soft);
  const trace = {
    type: 'bar', orientation: 'h', y: rows.map(({ name }) => name), x: rows.map(({ difference }) => difference),
    marker: { color: rows.map(color) },
    error_x: {
      type: 'data', symmetric: false, color: colors.text, thickness: 1,
      array: rows.map(({ difference, interval }) => (interval === null ? 0 : Math.max(0, interval[1] - difference))),
      arrayminus: rows.map(({ difference, interval }) => (interval === null ? 0 : Math.max(0, difference - interval[0]))),
    },
    text: rows.map(({ difference }) => points(difference)), textposition: 'none',
    hovertemplate: '%{y}: %{text}<extra></extra>',
  };
  const height = Math.max(160, 22 * rows.length + 80);
  document.getElementById('class-changes').style.height = `${height}px`;
  return [[trace], layout(colors, {
    height, showlegend: false,
    xaxis: axis('IoU, B − A', colors, { tickformat: '+.1%' }),
    yaxis: axis('', colors, { type: 'category', dtick: 1 }),
  })];
}

if (Object.keys(classes).length > 0) {
  addPlot('class-changes', classPlot);
  document.getElementById('class-output').addEventListener('change', () => {
    const element = document.getElementById('class-changes');
    if (plots.has(element)) draw(element, classPlot);
  });
}

// ---- frames ----

const places = changes.names.map((name, place) => place);

function framePlot(colors) {
  const labels = changes.names.map((name, place) => `${name}, ${changes.bags[place]}, ${changes.seconds[place].toFixed(2)} s`);
  const traces = Object.entries(changes.outputs).map(([output, values], number) => ({
    name: output, x: places, y: values, text: labels, type: 'scatter',
    mode: places.length > 200 ? 'lines' : 'lines+markers', marker: { size: 5 },
    line: { width: 1.4, color: LINE_COLORS[number % LINE_COLORS.length] },
    hovertemplate: '%{text}<br>%{y:+.2%}',
  }));
  return [traces, layout(colors, {
    hovermode: 'closest', xaxis: axis('frame', colors, {}), yaxis: axis('mIoU, B − A', colors, { tickformat: '+.0%', zeroline: true }),
  })];
}

function showFrame(place) {
  const values = Object.entries(changes.outputs).filter(([, all]) => all[place] !== null).map(([output, all]) => `${output} ${points(all[place])}`);
  document.getElementById('clicked').textContent = `${changes.names[place]}, ${changes.bags[place]}: ${values.join(', ')}`;
  const target = document.getElementById(`frame-${place}`) ?? document.getElementById(`row-${place}`);
  if (target !== null) target.scrollIntoView({ block: 'nearest' });
}

if (Object.keys(changes.outputs).length > 0) {
  addPlot('frame-changes', framePlot, (element) => {
    element.on('plotly_click', ({ points: clicked }) => showFrame(clicked[0].x));
  });
}

for (const radio of document.querySelectorAll('input[name=level]')) {
  radio.addEventListener('change', () => { document.querySelector('main').dataset.level = radio.value; });
}
