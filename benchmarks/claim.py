# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""The paper's claim as a table: flat classifiers against the tree, on data sets that disagree.

    python benchmarks/claim.py --data DATA --runs runs/claim --seeds 0 1
    hier-seg synthesize runs/drawn --formats cityscapes vistas gtsdb gtsrb && \
      python benchmarks/claim.py --table drawn --data runs/drawn --runs runs/claim_drawn

Every row is trained by ``hier-seg train`` with the recipe ``claim.yaml``, the same network, images
a step and number of steps, and scored by ``hier-seg evaluate``; the commands are printed and kept.
What a run folder already holds is not trained again, so the program may be stopped at any time and
called again.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hier_seg_ros.files.reading import read_json
from hier_seg_ros.files.writing import write_text

RECIPE = Path(os.path.relpath(Path(__file__).parents[1] / 'hier_seg_trainer/configs/claim.yaml'))
TREE = 'street_108'
# Entries of a recipe's data, and how many images of each a step sees.
Mix = Sequence[tuple[dict[str, Any], int]]

CAMVID = {'format': 'camvid', 'path': 'camvid', 'scale': [0.75, 2.0], 'flip': True}
BOXES = {'format': 'gtsdb', 'path': 'gtsdb', 'scale': [0.5, 1.1], 'focus_on_boxes': 0.8}
CROPS = {'format': 'gtsrb', 'path': 'gtsrb', 'scale': [0.4, 1.5], 'validation_split': ''}
CITYSCAPES = {'format': 'cityscapes', 'path': 'cityscapes', 'scale': [0.5, 1.1], 'flip': True}
VISTAS = {'format': 'vistas_1.2', 'path': 'vistas', 'scale': [0.5, 1.1], 'flip': True}

# Flat classifiers learn from the signs' outlines: boxes alone would teach them the background.
OUTLINES = {'loss.box_pixels': 'shape', 'loss.boxes_teach_ancestors': False}
# As the tree has: without, a flat classifier sees signs all over the images that have boxes.
NEGATIVES = {'loss.negatives_per_positive': 3.0}
# Level 3 then counts a tenth, and the backbone follows the pixels rather than the signs.
PAPER_WEIGHTS = {'loss.level_weights': [1.0, 0.1, 0.1]}
ONLY_OUTLINES = {
    **OUTLINES,
    'loss.unlabelled_outside_boxes': True,
    'loss.negatives_per_positive': 0,
}


@dataclass(frozen=True)
class Row:
    """A row of the table: what is trained on how many images per step of which data sets."""

    name: str
    data: Mix
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def flat(self) -> bool:
        """Whether one softmax decides among all classes."""
        return bool(self.changes.get('flat'))


def flat(name: str, data: Mix, **changes: Any) -> Row:
    """Return a row without the tree."""
    return Row(name, data, {'flat': True, 'loss.negatives_per_positive': 0, **changes})


# What the rows on several data sets learn from.
REAL_JOINT: Mix = [(CAMVID, 4), (BOXES, 4)]
REAL_IMAGE_LABELS: Mix = [(CAMVID, 4), (BOXES, 3), (CROPS, 1)]
DRAWN_JOINT: Mix = [(CITYSCAPES, 2), (VISTAS, 4), (BOXES, 2)]
DRAWN_IMAGE_LABELS: Mix = [(CITYSCAPES, 2), (VISTAS, 3), (BOXES, 2), (CROPS, 1)]

TABLES = {
    'real': (
        flat('flat, CamVid alone', [(CAMVID, 8)]),
        flat('flat, GTSDB alone', [(BOXES, 8)], **ONLY_OUTLINES),
        flat('flat, joint', REAL_JOINT, **OUTLINES),
        flat('flat, joint, far negatives', REAL_JOINT, **OUTLINES, **NEGATIVES),
        Row('tree, boxes', REAL_JOINT),
        Row('tree, boxes, paper weights', REAL_JOINT, PAPER_WEIGHTS),
        Row('tree, boxes and image labels', REAL_IMAGE_LABELS),
        Row('tree, boxes and image labels, paper weights', REAL_IMAGE_LABELS, PAPER_WEIGHTS),
    ),
    'drawn': (
        flat('flat, Cityscapes alone', [(CITYSCAPES, 8)]),
        flat('flat, Vistas alone', [(VISTAS, 8)]),
        flat('flat, GTSDB alone', [(BOXES, 8)], **ONLY_OUTLINES),
        flat('flat, joint', DRAWN_JOINT, **OUTLINES),
        flat('flat, joint, far negatives', DRAWN_JOINT, **OUTLINES, **NEGATIVES),
        Row('tree, boxes', DRAWN_JOINT),
        Row('tree, boxes, paper weights', DRAWN_JOINT, PAPER_WEIGHTS),
        Row('tree, boxes and image labels', DRAWN_IMAGE_LABELS),
        Row('tree, boxes and image labels, paper weights', DRAWN_IMAGE_LABELS, PAPER_WEIGHTS),
    ),
}


def train_command(row: Row, options: argparse.Namespace, seed: int, run: Path) -> list[str]:
    """Return the command that trains a row with a seed."""
    data = [{**entry, 'images_per_batch': images} for entry, images in row.data]
    changes = {**row.changes, 'data': data, 'iterations': options.iterations, 'seed': seed}
    command = ['hier-seg', 'train', str(options.recipe), '--data', str(options.data)]
    command += ['--run', str(run), '--device', options.device]
    for key, value in changes.items():
        text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix('...\n')
        command += ['--set', f'{key}={text.strip()}']
    return command


def evaluate_command(
    row: Row, entry: dict[str, Any], options: argparse.Namespace, run: Path, scores: Path
) -> list[str]:
    """Return the command that scores a trained row on the validation split of a data set."""
    command = ['hier-seg', 'evaluate', str(run / 'model'), '--format', entry['format']]
    command += ['--path', str(options.data / entry['path']), '--device', options.device]
    if row.flat:
        command += ['--tree', TREE, '--runner-up']
    return [*command, '--json', str(scores)]


def run_row(row: Row, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train and score a row with one seed, as far as that is not done yet."""
    run = options.runs / f'{row.name.replace(", ", "_").replace(" ", "_")}_{seed}'
    commands = [train_command(row, options, seed, run)]
    if not (run / 'model').is_dir():
        call(commands[0])
    scores = {}
    for entry, _ in row.data:
        if entry.get('validation_split') == '':
            continue
        path = run / f'{entry["format"]}.json'
        commands.append(evaluate_command(row, entry, options, run, path))
        if not path.is_file():
            call(commands[-1])
        scores[entry['format']] = read_json(path)
    return {
        'row': row.name,
        'seed': seed,
        'scores': scores,
        'commands': [shlex.join(command) for command in commands],
    }


def call(command: list[str]) -> None:
    """Run a command of the trainer with this Python; end with its message where it fails."""
    print(shlex.join(command), flush=True)
    program = 'import sys; from hier_seg_trainer.cli import main; sys.exit(main())'
    if subprocess.run([sys.executable, '-c', program, *command[1:]]).returncode != 0:
        raise SystemExit(f'claim: stopped at {shlex.join(command)}')


def table_lines(results: Sequence[dict[str, Any]]) -> list[str]:
    """Return the table in Markdown: for each data set and level mPA and mIoU, means over seeds."""
    measured: dict[str, dict[str, list[float]]] = {}
    columns: dict[str, None] = {}
    for result in results:
        for data, scores in result['scores'].items():
            for name, value in scores.items():
                measure = name.rpartition('/')[2]
                titles = {'mean_accuracy_paper': 'mPA', 'mean_iou_paper': 'mIoU'}
                titles |= {'signs_found': 'found', 'signs_right': 'right', 'sign_pixels_far': 'far'}
                level = name.startswith('level_') or measure.startswith('sign')
                if measure not in titles or not level:
                    continue
                of_level = f' {name.partition("/")[0].replace("_", " ")}' if '/' in name else ''
                column = f'{data}{of_level} {titles[measure]}'
                columns[column] = None
                measured.setdefault(result['row'], {}).setdefault(column, []).append(value)
    lines = [f'| trained | {" | ".join(columns)} |', f'|---|{"---|" * len(columns)}']
    for row, values in measured.items():
        cells = [_cell(values.get(column, [])) for column in columns]
        lines.append(f'| {row} | {" | ".join(cells)} |')
    return lines


def _cell(values: Sequence[float]) -> str:
    if not values:
        return '–'
    if len(values) == 1:
        return f'{values[0]:.3f}'
    return f'{statistics.fmean(values):.3f} ({min(values):.3f}–{max(values):.3f})'


def main() -> None:
    """Train and score what is missing, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--table', choices=TABLES, default='real', help='which rows')
    parser.add_argument('--data', type=Path, required=True, help='the folder of the data sets')
    parser.add_argument('--runs', type=Path, required=True, help='the folder of all runs')
    parser.add_argument('--recipe', type=Path, default=RECIPE, help='what all rows share')
    parser.add_argument('--iterations', type=int, default=500, help='steps per row (default 500)')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='default 0')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--json', type=Path, help='also write all scores and commands here')
    parser.add_argument('--rows', nargs='+', metavar='NAME', help='these rows alone (default all)')
    options = parser.parse_args()
    names = [row.name for row in TABLES[options.table]]
    for name in options.rows or ():
        if name not in names:
            parser.error(f'--rows {name!r}: is no row; choose among {"; ".join(names)}')
    rows = [row for row in TABLES[options.table] if row.name in (options.rows or names)]
    results = [run_row(row, options, seed) for seed in options.seeds for row in rows]
    print('\n'.join(table_lines(results)))
    if options.json is not None:
        content = {'command': shlex.join(['python', *sys.argv]), 'results': results}
        write_text(options.json, f'{json.dumps(content, indent=2)}\n')


if __name__ == '__main__':
    main()
