# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes whole data sets of synthetic scenes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import written_folder
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import share_folder
from hier_seg_trainer.synthesis.layouts.cityscapes_files import (
    write_cityscapes_image,
    write_minicity_image,
)
from hier_seg_trainer.synthesis.layouts.gtsdb_files import (
    check_gtsdb_counts,
    write_gtsdb_image,
    write_gtsdb_list,
)
from hier_seg_trainer.synthesis.layouts.gtsrb_files import write_gtsrb_crops, write_gtsrb_lists
from hier_seg_trainer.synthesis.layouts.vistas_files import (
    write_vistas_config,
    write_vistas_image,
    write_vistas_panoptic,
)
from hier_seg_trainer.synthesis.scenes.scene import draw_scene
from hier_seg_trainer.synthesis.scenes.styles import load_style

# The data sets that can be written, and the style of each.
STYLE_OF_FORMAT = {
    'cityscapes': 'cityscapes',
    'vistas': 'vistas',
    'gtsdb': 'gtsdb',
    'gtsrb': 'gtsdb',
    'minicity': 'cityscapes',
}
_HIERARCHY = 'street_108'


@dataclass(frozen=True)
class SynthesisOptions:
    """What to write.

    Attributes
    ----------
    formats
        Keys of STYLE_OF_FORMAT.
    images, validation
        How many images for training and for validation, in each format; of 'gtsrb' the scenes whose
        signs are cut out.
    seed
        Another one gives other scenes.
    size
        Factor of the styles' image sizes, above 0.
    workers
        Processes that draw, 0 for none but the caller's.

    """

    formats: tuple[str, ...]
    images: int
    validation: int
    seed: int = 0
    size: float = 1.0
    workers: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """The images of each split."""
        return {'train': self.images, 'val': self.validation}


@dataclass(frozen=True)
class _Task:
    """One image to draw and write; what it depends on is all here."""

    format: str
    split: str
    index: int
    seed: int
    size: float


def synthesize(out: Path, options: SynthesisOptions, command: str, progress: bool = False) -> None:
    """Write a folder for each format, each at once when it is complete.

    Parameters
    ----------
    out
        The folder that they go to.
    options
        What to write.
    command
        What the folders' notes give as the way to make them again.
    progress
        Whether to show bars.

    Raises
    ------
    HierSegError
        A folder is there already, or cannot be written.

    """
    if 'gtsdb' in options.formats:
        check_gtsdb_counts(options.counts)
    for name in options.formats:
        folder = out / name
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise HierSegError(f'{folder}: is not empty; remove it or name another folder')
    for name in options.formats:
        with written_folder(out / name, 'make room or name another folder') as partial_folder:
            _write_dataset(partial_folder, name, options, progress)
            _write_card(partial_folder, name, options, command)


def _write_dataset(root: Path, name: str, options: SynthesisOptions, progress: bool) -> None:
    """Draw and write the images of one data set, and the files that it has once."""
    tasks = [
        _Task(name, split, index, options.seed, options.size)
        for split, count in options.counts.items()
        for index in range(count)
    ]
    with _mapper(options.workers) as run:
        images = run(partial(_write_image, root), tasks)
        bar = tqdm(images, name, len(tasks), unit='image', disable=not progress)
        results = list(zip(tasks, bar, strict=True))
    of_split = {
        split: [result for task, result in results if task.split == split]
        for split, count in options.counts.items()
        if count
    }
    if name == 'vistas':
        write_vistas_config(root)
        for split, entries in of_split.items():
            write_vistas_panoptic(root, split, entries)
    elif name == 'gtsdb':
        write_gtsdb_list(root, chain.from_iterable(result for _, result in results))
    elif name == 'gtsrb':
        for split, rows in of_split.items():
            write_gtsrb_lists(root, split, chain.from_iterable(rows))


def _write_image(root: Path, task: _Task) -> Any:
    """Draw and write one image; return what the files of the whole data set need of it."""
    hierarchy, style = _hierarchy(), load_style(STYLE_OF_FORMAT[task.format])
    series = f'{task.format}/{task.split}'
    scene = draw_scene(style, hierarchy, task.seed, series, task.index, task.size)
    place = root, task.split, task.index, scene
    if task.format == 'cityscapes':
        return write_cityscapes_image(*place, hierarchy)
    if task.format == 'minicity':
        return write_minicity_image(*place, hierarchy)
    if task.format == 'vistas':
        return write_vistas_image(*place, hierarchy)
    if task.format == 'gtsrb':
        return write_gtsrb_crops(*place)
    return write_gtsdb_image(*place)


@cache
def _hierarchy() -> Hierarchy:
    return Hierarchy.load(share_folder() / 'config' / 'hierarchies' / f'{_HIERARCHY}.yaml')


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Yield a map() that keeps the order: in this process, or in `workers` others."""
    if workers < 2:
        yield map
        return
    # Not forked: the caller may have threads.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(workers, context) as pool:
        yield partial(pool.map, chunksize=4)


def _write_card(root: Path, name: str, options: SynthesisOptions, command: str) -> None:
    """Write ``README.txt``: that nothing here is real, and how to make it again."""
    lines = [
        'SYNTHETIC DATA. These are no photographs and no part of the data set whose layout they',
        'have: street scenes drawn by "hier-seg synthesize" of hier_seg_ros, free for any use.',
        '',
        f'layout:   {name}',
        f'images:   {options.images} for training, {options.validation} for validation',
        f'seed:     {options.seed}',
        f'size:     {options.size:g}',
        f'version:  hier_seg_trainer {version("hier_seg_trainer")}',
        f'command:  {command}',
    ]
    (root / 'README.txt').write_text('\n'.join(lines) + '\n', encoding='utf-8')
