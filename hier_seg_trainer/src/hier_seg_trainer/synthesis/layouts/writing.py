# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes whole data sets of synthetic scenes."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
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
from hier_seg_trainer.synthesis.scene import draw_scene
from hier_seg_trainer.synthesis.styles import load_style

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

    ``formats``: keys of STYLE_OF_FORMAT. ``images`` and ``validation``: how many for training and
    for validation, in each format; of 'gtsrb' the scenes whose signs are cut out. ``size``: factor
    of the styles' image sizes, above 0. ``workers``: processes that draw, 0 for none but the
    caller's.
    """

    formats: tuple[str, ...]
    images: int
    validation: int
    seed: int = 0
    size: float = 1.0
    workers: int = 0


@dataclass(frozen=True)
class _Task:
    """One image to draw and write; what it depends on is all here."""

    format: str
    split: str
    index: int
    seed: int
    size: float


def synthesize(out: Path, options: SynthesisOptions, command: str, progress: bool = False) -> None:
    """Write ``out/<format>`` for each format, each at once when it is complete.

    `command` is recorded in the folders. Raises HierSegError if a folder is there already, or
    cannot be written.
    """
    counts = {'train': options.images, 'val': options.validation}
    if 'gtsdb' in options.formats:
        check_gtsdb_counts(counts)
    for format_name in options.formats:
        folder = out / format_name
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise HierSegError(f'{folder}: is not empty; remove it or name another folder')
    for format_name in options.formats:
        tasks = [
            _Task(format_name, split, index, options.seed, options.size)
            for split, count in counts.items()
            for index in range(count)
        ]
        try:
            _write_dataset(out / format_name, tasks, options.workers, command, progress)
        except OSError as error:
            reason = error.strerror or error
            raise HierSegError(
                f'{out / format_name}: cannot be written ({reason}); make room or name another '
                f'folder'
            ) from error


def _write_dataset(
    folder: Path, tasks: Sequence[_Task], workers: int, command: str, progress: bool
) -> None:
    """Draw and write the images of one data set, and the files that it has once."""
    format_name = tasks[0].format
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f'.{folder.name}.', dir=folder.parent))
    try:
        with _mapper(workers) as run:
            results = list(
                tqdm(
                    run(partial(_write_image, temporary), tasks),
                    desc=format_name,
                    total=len(tasks),
                    unit='image',
                    disable=not progress,
                )
            )
        of_split = {
            split: [
                result for task, result in zip(tasks, results, strict=True) if task.split == split
            ]
            for split in dict.fromkeys(task.split for task in tasks)
        }
        if format_name == 'vistas':
            write_vistas_config(temporary)
            for split, entries in of_split.items():
                write_vistas_panoptic(temporary, split, entries)
        elif format_name == 'gtsdb':
            write_gtsdb_list(temporary, (line for lines in results for line in lines))
        elif format_name == 'gtsrb':
            for split, rows in of_split.items():
                write_gtsrb_lists(temporary, split, (row for some in rows for row in some))
        _write_card(temporary, tasks, command)
        # mkdtemp makes a folder for its owner only.
        temporary.chmod(0o755)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_image(root: Path, task: _Task) -> Any:
    """Draw and write one image; return what the files of the whole data set need of it."""
    hierarchy = _hierarchy()
    scene = draw_scene(
        load_style(STYLE_OF_FORMAT[task.format]),
        hierarchy,
        task.seed,
        f'{task.format}/{task.split}',
        task.index,
        task.size,
    )
    if task.format == 'cityscapes':
        return write_cityscapes_image(root, task.split, task.index, scene, hierarchy)
    if task.format == 'minicity':
        return write_minicity_image(root, task.split, task.index, scene, hierarchy)
    if task.format == 'vistas':
        return write_vistas_image(root, task.split, task.index, scene, hierarchy)
    if task.format == 'gtsrb':
        return write_gtsrb_crops(root, task.split, task.index, scene)
    return write_gtsdb_image(root, task.split, task.index, scene)


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


def _write_card(root: Path, tasks: Sequence[_Task], command: str) -> None:
    """Write ``README.txt``: that nothing here is real, and how to make it again."""
    counts = {split: sum(task.split == split for task in tasks) for split in ('train', 'val')}
    lines = [
        'SYNTHETIC DATA. These are no photographs and no part of the data set whose layout they',
        'have: street scenes drawn by "hier-seg synthesize" of hier_seg_ros, free for any use.',
        '',
        f'layout:   {tasks[0].format}',
        f'images:   {counts["train"]} for training, {counts["val"]} for validation',
        f'seed:     {tasks[0].seed}',
        f'size:     {tasks[0].size:g}',
        f'version:  hier_seg_trainer {version("hier_seg_trainer")}',
        f'command:  {command}',
    ]
    (root / 'README.txt').write_text('\n'.join(lines) + '\n', encoding='utf-8')
