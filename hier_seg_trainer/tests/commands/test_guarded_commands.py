# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No sub-command opens a connection, unpickles a file, or runs data or a shell."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
import yaml
from small_data_sets import MAPPING, OWN_FORMATS, WRITERS
from small_labelling_folder import FIRST, write_small_folder

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer import commands
from hier_seg_trainer.training.runs.checkpoint import CHECKPOINT

REPOSITORY = Path(__file__).resolve().parents[3]
# Its own tests are beside it: what is ruled out ends the process.
GUARDED = REPOSITORY / 'test' / 'guarded.py'
# No program has this word.
MARK = 'marked_by_the_test'
MAIN = 'hier_seg_trainer.cli:main'


def run_guarded(*lines: list[Any]) -> str:
    """Run sub-commands, each behind the exit code expected; return all that they said."""
    words = json.dumps([[code, MAIN, *arguments] for code, *arguments in lines], default=str)
    done = subprocess.run(
        [sys.executable, str(GUARDED), MARK, words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def write_marked_tree(path: Path, tree: Hierarchy) -> Path:
    content = {**tree.as_dict(), 'name': MARK}
    for node in content['nodes']:
        if node['readable_name'] == 'Bird':  # the data sets need the other names
            node['readable_name'] = f'Bird {MARK}'
    path.write_text(yaml.safe_dump(content), encoding='utf-8')
    return path


def write_marked(format_name: str, root: Path) -> list[Any]:
    """Write a data set whose own classes have the mark; return the options that name it."""
    root.parent.mkdir(parents=True)
    WRITERS[format_name](root)
    options = ['--format', format_name, '--path', root]
    if format_name not in OWN_FORMATS:
        return options
    for path in (*root.rglob('*.csv'), *root.rglob('*.json')):
        path.write_text(path.read_text('utf-8').replace('car', MARK), 'utf-8')
    mapping = root.with_suffix('.yaml')
    mapping.write_text(MAPPING.replace('name: car', f'name: {MARK}'), 'utf-8')
    return [*options, '--mapping', mapping]


def test_every_sub_command_is_guarded_below() -> None:
    modules = {module.name for module in pkgutil.iter_modules(commands.__path__)}
    assert modules - {'arguments'} == {
        'disagree', 'embed', 'evaluate', 'export', 'inspect', 'label', 'propose', 'synthesize',
        'train',
    }  # fmt: skip


def test_every_format_is_read(tmp_path: Path) -> None:
    data = {name: write_marked(name, tmp_path / name / MARK) for name in WRITERS}
    run_guarded(
        *(
            [0, 'inspect', *options, '--split', 'train', '--out', tmp_path / 'out' / name]
            for name, options in data.items()
        )
    )
    # The mark has come through the reader.
    for name in OWN_FORMATS:
        assert MARK in ''.join(
            path.read_text('utf-8') for path in (tmp_path / 'out' / name).glob('*.json')
        )


def test_from_drawn_data_over_a_run_to_a_judged_model(
    tmp_path: Path,
    small_data: Path,
    tree: Hierarchy,
    experiment_content: Callable[..., dict[str, Any]],
) -> None:
    content = experiment_content(
        name=MARK, iterations=2, hierarchy=str(write_marked_tree(tmp_path / 'tree.yaml', tree))
    )
    experiment = tmp_path / 'experiment.yaml'
    experiment.write_text(yaml.safe_dump(content), encoding='utf-8')
    run, other = tmp_path / 'run', tmp_path / 'other'
    other.mkdir()
    torch.save({'format': 1, 'average': Fraction(1)}, other / CHECKPOINT)
    places = ['--data', small_data, '--device', 'cpu', '--run', run]
    camvid = ['--format', 'camvid', '--path', small_data / 'camvid']
    out = ['--out', tmp_path / 'exported']
    model = run / 'model'
    said = run_guarded(
        [
            *(0, 'synthesize', tmp_path / 'drawn', '--formats', 'gtsdb', '--size', '0.2'),
            *('--images', '1', '--validation', '1'),
        ],
        [0, 'train', experiment, *places, '--workers', '2'],
        # Reads the checkpoint.
        [0, 'train', experiment, *places, '--workers', '0'],
        [0, 'export', experiment, *places, *out, '--onnx', tmp_path / 'model.onnx'],
        [0, 'evaluate', model, *camvid, '--device', 'cpu', '--out', tmp_path / 'results'],
        [0, 'embed', model, *camvid, '--device', 'cpu', '--out', tmp_path / 'embeddings'],
        [
            *(0, 'propose', small_data / 'camvid', '--format', 'camvid', '--model', model),
            *('--device', 'cpu', '--min-pixels', '1', '--out', tmp_path / 'proposed'),
        ],
        [
            *(0, 'disagree', small_data / 'gtsdb', '--format', 'gtsdb', '--model', model),
            *('--device', 'cpu', '--out', tmp_path / 'disagreed'),
        ],
        # A checkpoint that holds an object is refused without making the object.
        [1, 'export', experiment, *places[:-1], other, *out],
        [1, 'train', experiment, *places[:-1], other, '--workers', '0'],
    )
    for refused in ('train', 'export'):
        assert f'hier-seg {refused}: {other / CHECKPOINT}: is no checkpoint' in said
    for path in ('results/results.json', 'proposed/folder.json', 'disagreed/disagreements.json'):
        assert MARK in (tmp_path / path).read_text(encoding='utf-8')


def test_results_of_labelling_are_written(tmp_path: Path, tree: Hierarchy) -> None:
    folder = write_small_folder(tmp_path / MARK, tree)
    flag = {'action': 'flag', 'proposal': 7, 'comment': MARK}
    log = folder.open_log()
    folder.append(log, MARK, MARK, flag)
    folder.append(log, MARK, MARK, {'action': 'unknown', 'proposal': 7})
    # Without its page, whose server needs a socket.
    said = run_guarded([0, 'label', folder.path, '--export'])
    assert str(folder.path / 'labels') in said
    assert list((folder.path / 'labels').rglob(f'*{Path(FIRST).stem}*'))
