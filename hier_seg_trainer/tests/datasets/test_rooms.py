# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Imports within the room of the data sets point one way."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from hier_seg_ros.label_spaces import mapping
from hier_seg_trainer import datasets

FOLDER = Path(datasets.__file__).parent
ROOM = datasets.__name__
# Only what opens a data set or counts its labels knows how it is read.
ABOVE = {'opening', 'statistics'}
# What a data set has of another one's layout, it takes from there.
ON_OTHERS = ('gtsdb', 'cityscapes_extended')


def imported(path: Path) -> set[str]:
    """Return the full names of the modules that a file imports."""
    tree = ast.parse(path.read_text('utf-8'))
    found = {node.module or '' for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize(
    ('files', 'forbidden'),
    [
        (
            [path for path in FOLDER.glob('*.py') if path.stem not in ABOVE],
            (f'{ROOM}.readers', f'{ROOM}.formats', f'{ROOM}.opening', f'{ROOM}.statistics'),
        ),
        (list((FOLDER / 'readers').glob('*.py')), (f'{ROOM}.formats', f'{ROOM}.opening')),
        (
            [path for path in (FOLDER / 'formats').glob('*.py') if path.stem not in ON_OTHERS],
            (f'{ROOM}.formats', f'{ROOM}.opening'),
        ),
    ],
    ids=['datasets', 'readers', 'formats'],
)
def test_imports_point_down(files: list[Path], forbidden: tuple[str, ...]) -> None:
    assert len(files) > 5
    wrong = [(path.name, name) for path in files for name in imported(path)]
    assert not [pair for pair in wrong if pair[1].startswith(forbidden)]


def test_mappings_can_be_read_without_the_trainer() -> None:
    """Evaluation on a robot will."""
    names = imported(Path(mapping.__file__))
    others = {name for name in names if name.partition('.')[0] not in sys.stdlib_module_names}
    own = ('errors', 'files', 'hierarchy', 'label_spaces')
    rooms = ('numpy', *(f'hier_seg_ros.{room}' for room in own))
    assert not [name for name in others if not name.startswith(rooms)]
