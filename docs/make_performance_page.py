# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Puts what `benchmarks/performance.py` has measured into docs/performance.md and README.md.

    python docs/make_performance_page.py

A table or sentence begins after the line ``<!-- NAME -->`` and ends before ``<!-- end -->``. The
pictures go to docs/images; each carries the SHA-256 of the numbers that it was drawn from.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / 'benchmarks'))

from performance import RESULTS, measured_runs  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGES = (ROOT / 'docs' / 'performance.md', ROOT / 'README.md')
IMAGES = ROOT / 'docs' / 'images'
# What a picture's metadata call the SHA-256 of the numbers.
SOURCE = 'Source'
# Readable in print and for those who cannot tell red from green.
COLORS = ('#2166ac', '#f4a582', '#4d9221', '#762a83')
BLOCK = re.compile(r'(<!-- (\w+) -->\n)(.*?)(<!-- end -->)', re.DOTALL)

Row = dict[str, Any]
Runs = dict[str, dict[str, Any]]


def main() -> None:
    """Write the pages and the pictures."""
    runs = measured_runs()
    for path, text in pages(runs).items():
        path.write_text(text, encoding='utf-8')
    for name in pictures(runs):
        figure = PICTURES[name][0](runs)
        figure.savefig(IMAGES / name, dpi=110, metadata={SOURCE: source_of_pictures()})


def source_of_pictures() -> str:
    """Return the SHA-256 of the numbers."""
    return hashlib.sha256(RESULTS.read_bytes()).hexdigest()


def pages(runs: Runs) -> dict[Path, str]:
    """Return the text that each page should have."""
    used: set[str] = set()

    def filled(match: re.Match[str]) -> str:
        begin, name, _, end = match.groups()
        if name not in BLOCKS:
            return match[0]
        used.add(name)
        return '\n'.join([begin, *_block(name, runs), '', end])

    texts = {path: BLOCK.sub(filled, path.read_text(encoding='utf-8')) for path in PAGES}
    if lacking := BLOCKS.keys() - used:
        raise SystemExit(f'the pages: have no place for {", ".join(sorted(lacking))}')
    return texts


def _block(name: str, runs: Runs) -> list[str]:
    make, pieces = BLOCKS[name]
    missing = [piece for piece in pieces if piece not in runs]
    if missing or not runs:
        words = ' '.join(missing)
        return [f'*Not measured yet: `python benchmarks/performance.py {words}`.*']
    return make(runs)


def pictures(runs: Runs) -> list[str]:
    """Return the names of the pictures that can be drawn."""
    return [name for name, (_, pieces) in PICTURES.items() if set(pieces) <= runs.keys()]


def rows_of(run: dict[str, Any], **settings: Any) -> list[Row]:
    """Return the rows of a run that have these settings, in their order."""
    return [
        row
        for row in run['results']
        if all(row.get(key) == value for key, value in settings.items())
    ]


def row_of(run: dict[str, Any], **settings: Any) -> Row:
    """Return the one row of a run that has these settings."""
    (row,) = rows_of(run, **settings)
    return row


def time_of(row: Row, stage: str = 'frame') -> float:
    """Return the median of a stage, in milliseconds."""
    return float(row['milliseconds'][stage]['median'])


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    return [
        f'| {" | ".join(header)} |',
        f'|{"---|" * len(header)}',
        *(f'| {" | ".join(map(str, row))} |' for row in rows),
    ]


def _picture(name: str, what: str) -> str:
    return f'![{what}](images/{name})'


def _size(row: Row) -> str:
    return f'{row["width"]} × {row["height"]}'


def _engine(row: Row) -> str:
    return f'{row["engine"]}, {row["precision"]}'


def _common(row: Row) -> list[object]:
    """Return the cells that most tables end with."""
    frame = row['milliseconds']['frame']
    return [
        f'{frame["median"]:.0f} ({frame["p5"]:.0f} to {frame["p95"]:.0f})',
        f'{row["frames_per_second"]:.1f}',
        f'{row["ratio"]:.2f}',
        row['peak_memory_mib'],
    ]


COMMON = ('ms for an image (5 to 95 %)', 'frames/s', 'to the reference', 'most memory, MiB')


def _reference(run: dict[str, Any]) -> str:
    references = ' and '.join(
        dict.fromkeys(f'`{row["ratio_to"].replace("x", " × ")}`' for row in run['results'])
    )
    return f'The reference is {references}, in the same rounds.'


def _rate(runs: Runs) -> list[str]:
    run = runs['engines_720p']
    best = min(rows_of(run, kind='segmenter'), key=time_of)
    plain = row_of(run, kind='segmenter', engine='torch', precision='float32')
    node = row_of(runs['cameras'], kind='node', cameras=1)
    load = max(runs[piece]['load_average'][0] for piece in ('engines_720p', 'cameras'))
    return [
        f'**How fast?** On {run["cores"]} cores of a server processor ({run["processor"]}), '
        f'`street_lite0` segments {best["frames_per_second"]:.0f} photographs of 1280 × 720 per '
        f'second with {best["engine"]} in {best["precision"]}, and '
        f'{plain["frames_per_second"]:.0f} with PyTorch alone, confidence included. The node, from '
        f'the image message to five output images, makes {node["frames_per_second"]:.0f} frames '
        'per second of it, without the confidence, for which nobody asked. Other programs were at '
        f'work (load average {load}). Other sizes, engines, numbers of cameras and of classes, and '
        'what was not measured: [performance](docs/performance.md).'
    ]


def _engines(runs: Runs) -> list[str]:
    rows = [
        row
        for piece in ('engines', 'engines_720p')
        for row in rows_of(runs[piece], kind='segmenter')
    ]
    return [
        _picture(
            'performance_engines.png',
            'Milliseconds for an image by engine and precision, at two sizes',
        ),
        '',
        *_by_engine(rows),
        '',
        'The reference is the bare `lraspp_mobilenet_v3_large` at the same size.',
    ]


def _by_engine(rows: Sequence[Row]) -> list[str]:
    cells = [[_engine(row), _size(row), *_common(row)] for row in rows]
    return _table(('', 'image', *COMMON), cells)


def _without_confidence(runs: Runs) -> list[str]:
    rows = rows_of(runs['without_confidence'], kind='segmenter')
    return ['Without the confidence:', '', *_by_engine(rows)]


def _peers(runs: Runs) -> list[str]:
    run = runs['peers']
    names = {'flat': 'the same network without a tree', 'segmenter': '`street_lite0`, the tree'}
    rows = [
        [names.get(row['kind'], f'`{row["peer"]}`'), _engine(row), *_common(row), row['gflop']]
        for row in run['results']
    ]
    tree, flat = (row_of(run, kind=kind) for kind in ('segmenter', 'flat'))
    return [
        *_table(('', 'runs in', *COMMON, 'GFLOP'), rows),
        '',
        f'The tree takes {time_of(tree) / time_of(flat):.2f} times as long as a flat classifier '
        f'over the same {flat["decided_classes"]} classes.',
    ]


def _sizes(runs: Runs) -> list[str]:
    rows = [
        [
            _size(row),
            *(f'{time_of(row, stage):.0f}' for stage in ('network', 'decision', 'frame')),
            f'{row["frames_per_second"]:.1f}',
            row['gflop'],
            row['peak_memory_mib'],
        ]
        for row in runs['sizes']['results']
    ]
    header = ('image', 'network, ms', 'the rest, ms', 'together', 'frames/s', 'GFLOP', 'MiB')
    return [
        _picture(
            'performance_sizes.png', 'Milliseconds by the size of the image, and by input_long_side'
        ),
        '',
        *_table(header, rows),
    ]


def _long_sides(runs: Runs) -> list[str]:
    rows = [
        [
            row['input_long_side'],
            *(f'{time_of(row, stage):.0f}' for stage in ('network', 'decision', 'frame')),
            f'{row["frames_per_second"]:.1f}',
            row['peak_memory_mib'],
        ]
        for row in runs['input_long_sides']['results']
    ]
    header = ('`input_long_side`', 'network, ms', 'the rest, ms', 'together', 'frames/s', 'MiB')
    return _table(header, rows)


def _batches(runs: Runs) -> list[str]:
    rows = runs['batches']['results']
    return [
        _picture('performance_cameras.png', 'Frames per second and memory by cameras and by batch'),
        '',
        *_table(
            ('images in one call', 'ms for each', 'frames/s', 'to one image', 'most memory, MiB'),
            [
                [
                    row['batch'],
                    f'{time_of(row):.0f}',
                    f'{row["frames_per_second"]:.1f}',
                    f'{row["ratio"]:.2f}',
                    row['peak_memory_mib'],
                ]
                for row in rows
            ],
        ),
    ]


def _cameras(runs: Runs) -> list[str]:
    run = runs['cameras']
    nodes = rows_of(run, kind='node')
    alone = row_of(run, kind='segmenter')
    one, most = nodes[0], nodes[-1]
    share = most['frames_per_second'] / one['frames_per_second']
    memory = most['peak_memory_mib'] / one['peak_memory_mib']
    return [
        *_table(
            (
                'cameras',
                'frames/s in all',
                'one frame of each to the last output, ms',
                'time for a frame, to the reference',
                'most memory of the node, MiB',
            ),
            [
                [
                    row['cameras'],
                    f'{row["frames_per_second"]:.1f}',
                    f'{time_of(row, "answer"):.0f}',
                    f'{row["ratio"]:.2f}',
                    row['peak_memory_mib'],
                ]
                for row in nodes
            ],
        ),
        '',
        f'In all, {most["cameras"]} cameras got {share:.0%} of the frames per second of one, and '
        f'the node took {memory:.2f} times its memory. In the same rounds the segmenter by itself, '
        'with the confidence, which nobody asked the node for, took '
        f'{time_of(alone):.0f} ms for a frame. {_reference(run)}',
    ]


def _classes(runs: Runs) -> list[str]:
    run = runs['classes']
    rows = []
    for count in sorted({row['classes'] for row in run['results']}):
        tree, flat = (row_of(run, kind=kind, classes=count) for kind in ('tree', 'flat'))
        rows.append(
            [
                count,
                *(
                    f'{time_of(tree, stage):.0f} / {time_of(flat, stage):.0f}'
                    for stage in ('network', 'decision', 'frame')
                ),
                f'{tree["gflop"]:.1f} / {flat["gflop"]:.1f}',
                f'{tree["peak_memory_mib"]} / {flat["peak_memory_mib"]}',
            ]
        )
    header = ('classes', 'network, ms', 'the rest, ms', 'together', 'GFLOP, root', 'MiB')
    return [
        _picture(
            'performance_classes.png',
            'Milliseconds and memory by the number of classes, as a tree and flat',
        ),
        '',
        *_table((header[0], *(f'{name}: tree / flat' for name in header[1:])), rows),
    ]


def _machine(runs: Runs) -> list[str]:
    run = runs['engines']
    rates = [
        f'{rate:.0f} {"GB copied" if name == "copy" else f"GFLOP in {name}"}'
        for name, rate in run['machine'].items()
    ]
    rows = [
        [
            f'`{row["peer"]}`' if row['kind'] == 'peer' else _engine(row),
            row['gflop'],
            row['gigabytes'],
            f'{time_of(row, "network"):.0f}',
            f'{row["matrix_share"]:.0%}',
            f'{row["copy_share"]:.0%}',
        ]
        for row in run['results']
        if 'matrix_share' in row
    ]
    header = ('', 'GFLOP', 'GB', 'network, ms', 'of the matrix rate', 'of the copy rate')
    return [
        'In its own turns, the machine came to '
        f'{", ".join(rates[:-1])} and {rates[-1]} per second.',
        '',
        *_table(header, rows),
    ]


def _circumstances(runs: Runs) -> list[str]:
    first = next(iter(runs.values()))
    loads = [run['load_average'][0] for run in runs.values()]
    nicenesses = ', '.join(sorted({str(run['niceness']) for run in runs.values()}))
    rates = [run['machine']['float32'] for run in runs.values()]
    versions = ', '.join(f'{name} {version}' for name, version in first['versions'].items())
    return [
        f'{first["processor"]}, {first["cores"]} cores, {first["threads"]} threads; Python '
        f'{first["python"]}, {versions}. The load average before the runs was {min(loads)} to '
        f'{max(loads)}, and their niceness {nicenesses}: other programs were at work, and mostly '
        'had to wait. In its own turns the machine multiplied '
        f'{min(rates):.0f} GFLOP per second in float32 in the most disturbed run and '
        f'{max(rates):.0f} in the calmest, so compare milliseconds within a table only.',
        '',
        '```',
        *(run['command'].partition(' --json')[0] for run in runs.values()),
        '```',
    ]


# What each place of the pages shows, and the pieces that it needs.
BLOCKS: dict[str, tuple[Callable[[Runs], list[str]], tuple[str, ...]]] = {
    'rate': (_rate, ('engines_720p', 'cameras')),
    'engines': (_engines, ('engines', 'engines_720p')),
    'without_confidence': (_without_confidence, ('without_confidence',)),
    'peers': (_peers, ('peers',)),
    'sizes': (_sizes, ('sizes', 'input_long_sides')),
    'long_sides': (_long_sides, ('input_long_sides',)),
    'batches': (_batches, ('batches', 'cameras')),
    'cameras': (_cameras, ('cameras',)),
    'classes': (_classes, ('classes',)),
    'machine': (_machine, ('engines',)),
    'circumstances': (_circumstances, ()),
}


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({'font.size': 9, 'axes.grid': True, 'grid.alpha': 0.3})
    figure = Figure(figsize=(8.4, 3.4), layout='constrained', facecolor='white')
    return figure, [figure.add_subplot(1, panels, place + 1) for place in range(panels)]


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set(title=title, xlabel=x, ylabel=y, axisbelow=True)
    # Room for the legend.
    axes.set_ylim(0, 1.3 * axes.get_ylim()[1])
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc='upper left', fontsize=8)


def _stacked(axes: Axes, rows: Sequence[Row], labels: Sequence[str]) -> None:
    """Draw network and the rest upon each other, a bar for each row."""
    places = range(len(rows))
    networks = [time_of(row, 'network') for row in rows]
    rest = [time_of(row) - network for row, network in zip(rows, networks, strict=True)]
    axes.bar(places, networks, color=COLORS[0], label='network')
    axes.bar(places, rest, bottom=networks, color=COLORS[1], label='the rest')
    axes.set_xticks(list(places), labels)


def _draw_engines(runs: Runs) -> Figure:
    figure, panels = _figure(2)
    for axes, piece in zip(panels, ('engines', 'engines_720p'), strict=True):
        rows = rows_of(runs[piece], kind='segmenter')
        _stacked(axes, rows, [f'{row["engine"]}\n{row["precision"]}' for row in rows])
        peer = row_of(runs[piece], kind='peer')
        axes.axhline(time_of(peer), color='black', linestyle='--', label='lraspp, bare network')
        _label(axes, f'{_size(peer)}, with confidence', '', 'ms for an image')
    return figure


def _draw_sizes(runs: Runs) -> Figure:
    figure, (sizes, long_sides) = _figure(2)
    rows = runs['sizes']['results']
    pixels = [row['width'] * row['height'] / 1e6 for row in rows]
    sizes.plot(pixels, [time_of(row) for row in rows], 'o-', color=COLORS[2], label='together')
    for stage, label, color in (
        ('network', 'network', COLORS[0]),
        ('decision', 'the rest', COLORS[1]),
    ):
        sizes.plot(pixels, [time_of(row, stage) for row in rows], 'o-', color=color, label=label)
    _label(sizes, 'by the size of the image', 'megapixels', 'ms for an image')
    rows = runs['input_long_sides']['results']
    _stacked(long_sides, rows, [str(row['input_long_side']) for row in rows])
    _label(long_sides, '1280 × 720', 'input_long_side, pixels', 'ms for an image')
    return figure


def _draw_cameras(runs: Runs) -> Figure:
    figure, (rate, memory) = _figure(2)
    nodes = rows_of(runs['cameras'], kind='node')
    batches = runs['batches']['results']
    for rows, key, label, color in (
        (nodes, 'cameras', 'node, 1280 × 720, by cameras', COLORS[0]),
        (batches, 'batch', 'segmenter, 704 × 512, by batch', COLORS[2]),
    ):
        numbers = [row[key] for row in rows]
        rates = [row['frames_per_second'] for row in rows]
        memories = [row['peak_memory_mib'] for row in rows]
        rate.plot(numbers, rates, 'o-', color=color, label=label)
        memory.plot(numbers, memories, 'o-', color=color, label=label)
    for axes, title, unit in (
        (rate, 'frames of all cameras', 'frames per second'),
        (memory, 'memory of the process', 'MiB at most'),
    ):
        _label(axes, title, 'cameras, or images in one call', unit)
    return figure


def _draw_classes(runs: Runs) -> Figure:
    figure, (times, memory) = _figure(2)
    for kind, color in (('tree', COLORS[0]), ('flat', COLORS[1])):
        rows = sorted(rows_of(runs['classes'], kind=kind), key=lambda row: int(row['classes']))
        counts = [row['classes'] for row in rows]
        times.plot(counts, [time_of(row) for row in rows], 'o-', color=color, label=kind)
        times.plot(
            counts,
            [time_of(row, 'network') for row in rows],
            'o:',
            color=color,
            label=f'{kind}, network',
        )
        memories = [row['peak_memory_mib'] for row in rows]
        memory.plot(counts, memories, 'o-', color=color, label=kind)
    _label(times, '704 × 512', 'classes', 'ms for an image')
    _label(memory, 'memory of the process', 'classes', 'MiB at most')
    return figure


PICTURES: dict[str, tuple[Callable[[Runs], Figure], tuple[str, ...]]] = {
    'performance_engines.png': (_draw_engines, ('engines', 'engines_720p')),
    'performance_sizes.png': (_draw_sizes, ('sizes', 'input_long_sides')),
    'performance_cameras.png': (_draw_cameras, ('batches', 'cameras')),
    'performance_classes.png': (_draw_classes, ('classes',)),
}


if __name__ == '__main__':
    main()
