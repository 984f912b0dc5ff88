# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several test modules share: trees, real data, small data sets, a tiny network."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageDraw

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.network import NetworkOptions
from hier_seg_trainer import configuration
from hier_seg_trainer.configuration import Experiment, load_experiment

# pytest's importlib mode leaves helper modules beside the tests unfindable.
sys.path.append(str(Path(__file__).parent))

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True, scope='session')
def graph_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep converted networks away from the user's, in this process and in those that it starts."""
    folder = tmp_path_factory.mktemp('cache')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('HIER_SEG_CACHE', str(folder))
        yield folder


@pytest.fixture(autouse=True, scope='module')
def one_thread() -> Iterator[None]:
    """Run on one core: tiny networks gain nothing from more, and results stay the same."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='session')
def tree() -> Hierarchy:
    """Return the default tree."""
    return Hierarchy.load(REPOSITORY / 'config' / 'hierarchies' / 'street_108.yaml')


@pytest.fixture(scope='session')
def real_data() -> Path:
    """Return the folder of real street images; skip where it is absent."""
    default = REPOSITORY.parent / 'shared' / 'data'
    folder = Path(os.environ.get('HIER_SEG_DATA', default))
    if not folder.is_dir():
        pytest.skip(f'the real images are not here ({folder}; set HIER_SEG_DATA)')
    return folder


@pytest.fixture
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> NetworkOptions:
    """Let experiments that say ``network: light`` have the tiny network."""
    from small_models import TINY

    monkeypatch.setitem(configuration.NETWORKS, 'light', TINY)
    return TINY


# Colours by CamVid label value, so that a network can learn the labels from the image.
_BANDS = {0: (120, 180, 255), 1: (150, 60, 60), 3: (90, 90, 90), 8: (20, 20, 200)}


def write_camvid(root: Path, splits: dict[str, int], size: tuple[int, int] = (96, 64)) -> Path:
    """Write a CamVid of coloured bands: images by split, of `size` (width, height)."""
    rng = np.random.default_rng(5)
    width, height = size
    for split, count in splits.items():
        (root / split).mkdir(parents=True)
        (root / f'{split}annot').mkdir()
        for number in range(count):
            labels = np.full((height, width), 11, np.uint8)
            image = np.zeros((height, width, 3), np.uint8)
            edges = [0, *sorted(rng.choice(np.arange(8, height - 8), 3, replace=False)), height]
            for (value, color), top, bottom in zip(
                _BANDS.items(), edges[:-1], edges[1:], strict=True
            ):
                labels[top:bottom] = value
                image[top:bottom] = color
            labels[:, :2] = 11
            Image.fromarray(image).save(root / split / f'{number:04d}.png')
            Image.fromarray(labels).save(root / f'{split}annot' / f'{number:04d}.png')
    return root


def write_gtsdb(root: Path, numbers: list[int], size: tuple[int, int] = (96, 64)) -> Path:
    """Write a GTSDB: a red disc (class 1) and a blue one (class 38) in every other image."""
    root.mkdir(parents=True)
    lines = []
    for number in numbers:
        image = Image.new('RGB', size, (100, 140, 100))
        if number % 2 == 0:
            for left, value, color in ((10, 1, (220, 30, 30)), (60, 38, (30, 30, 220))):
                top = 20 + number % 10
                ImageDraw.Draw(image).ellipse((left, top, left + 19, top + 19), fill=color)
                lines.append(f'{number:05d}.ppm;{left};{top};{left + 19};{top + 19};{value}')
        image.save(root / f'{number:05d}.ppm')
    (root / 'gt.txt').write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return root


def write_gtsrb(
    root: Path, classes: dict[int, tuple[int, int, int]], frames: int = 2, tracks: int = 1
) -> Path:
    """Write a GTSRB: crops of 20x24 with a sign of the class's colour at 3..16, 4..19."""
    for value, color in classes.items():
        folder = root / 'Final_Training' / 'Images' / f'{value:05d}'
        folder.mkdir(parents=True)
        rows = ['Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId']
        for track, frame in itertools.product(range(tracks), range(frames)):
            name = f'{track:05d}_{frame:05d}.ppm'
            image = Image.new('RGB', (20, 24), (0, 0, 0))
            ImageDraw.Draw(image).rectangle((3, 4, 16, 19), fill=color)
            image.save(folder / name)
            rows.append(f'{name};20;24;3;4;16;19;{value}')
        (folder / f'GT-{value:05d}.csv').write_text('\n'.join(rows) + '\n', encoding='utf-8')
    return root


@pytest.fixture(scope='session')
def make_camvid() -> Callable[..., Path]:
    """Return ``write_camvid``."""
    return write_camvid


@pytest.fixture(scope='session')
def make_gtsdb() -> Callable[..., Path]:
    """Return ``write_gtsdb``."""
    return write_gtsdb


@pytest.fixture(scope='session')
def make_gtsrb() -> Callable[..., Path]:
    """Return ``write_gtsrb``."""
    return write_gtsrb


@pytest.fixture(scope='session')
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small CamVid, GTSDB and GTSRB."""
    root = tmp_path_factory.mktemp('data')
    write_camvid(root / 'camvid', {'train': 4, 'val': 2})
    write_gtsdb(root / 'gtsdb', [0, 1, 2, 4, 500, 502])
    write_gtsrb(root / 'gtsrb', {1: (220, 30, 30), 13: (250, 250, 250)})
    return root


@pytest.fixture(scope='session')
def experiment_content() -> Callable[..., dict[str, Any]]:
    """Return a function that gives the content of an experiment file for the small data."""

    def content(**changes: Any) -> dict[str, Any]:
        return {
            'name': 'small',
            'hierarchy': 'street_108',
            'network': 'light',
            'initial_weights': 'random',
            'input': {
                'long_side': 128,
                'mean': [0.5, 0.5, 0.5],
                'standard_deviation': [0.5, 0.5, 0.5],
            },
            'crop': [64, 64],
            'data': [
                {'format': 'camvid', 'path': 'camvid', 'images_per_batch': 2, 'scale': [0.8, 1.2]},
                {
                    'format': 'gtsdb',
                    'path': 'gtsdb',
                    'images_per_batch': 2,
                    'scale': [0.8, 1.2],
                    'focus_on_boxes': 0.8,
                    'pasted_signs': 'gtsrb',
                    'paste': {'count': 1, 'size': [12, 20]},
                },
            ],
            'iterations': 6,
            'optimizer': {'name': 'adamw', 'learning_rate': 0.01, 'weight_decay': 0.01},
            'schedule': {'name': 'cosine', 'warm_up': 2},
            'loss': {
                'level_weights': [1.0, 0.5, 0.5],
                'box_pixels': 'parent_or_shape',
                'boxes_teach_ancestors': True,
                'negatives_per_positive': 3.0,
                'self_training_weight': 0.5,
            },
            'self_training': {'start': 2, 'confidence': 0.1},
            'evaluate_every': 100,
            'checkpoint_every': 100,
            'images_every': 0,
            **changes,
        }

    return content


@pytest.fixture
def make_experiment(
    tmp_path: Path, experiment_content: Callable[..., dict[str, Any]]
) -> Callable[..., tuple[Path, Experiment]]:
    """Return a function that writes an experiment file and gives its path and what it says."""

    def make(**changes: Any) -> tuple[Path, Experiment]:
        path = tmp_path / 'experiment.yaml'
        path.write_text(yaml.safe_dump(experiment_content(**changes)), encoding='utf-8')
        return path, load_experiment(path)

    return make
