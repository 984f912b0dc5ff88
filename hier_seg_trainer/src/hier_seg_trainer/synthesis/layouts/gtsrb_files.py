# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the signs of a scene as crops of the German Traffic Sign Recognition Benchmark."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hier_seg_trainer.datasets.formats.gtsrb import TEST_LIST, TRAINING_FOLDER
from hier_seg_trainer.synthesis.scenes.scene import PlacedSign, Scene

COLUMNS = ('Filename', 'Width', 'Height', 'Roi.X1', 'Roi.Y1', 'Roi.X2', 'Roi.Y2', 'ClassId')

# The benchmark's crops have at least so many pixels, and a border of a tenth of the sign, at least
# so many, on each side.
_SMALLEST = 15
_BORDER_SHARE = 0.1
_LEAST_BORDER = 5
# A track shows one sign as the car came nearer: its sizes, as shares of the last one's.
_APPROACH = (0.5, 0.7, 1.0)
# More than any scene has signs of the 43 classes, so that scenes may be written side by side.
_TRACKS_PER_SCENE = 20


@dataclass(frozen=True)
class CropRow:
    """A line of a list, in the order of its columns.

    Attributes
    ----------
    filename
        Of the crop.
    width, height
        Of the crop, in pixels.
    left, top, right, bottom
        The sign within it, all inside.
    class_id
        Of the sign, 0-42.

    """

    filename: str
    width: int
    height: int
    left: int
    top: int
    right: int
    bottom: int
    class_id: int


def write_gtsrb_crops(root: Path, split: str, index: int, scene: Scene) -> list[CropRow]:
    """Write each sign of a scene as a track, or for `val` as a crop of the test set.

    Signs that are too small for the benchmark are left out.

    Parameters
    ----------
    root
        The folder of the data set.
    split
        'train' or 'val'.
    index
        The scene's number in its split.
    scene
        The scene.

    Returns
    -------
    list[CropRow]
        The rows of the lists.

    """
    assert len(scene.signs) <= _TRACKS_PER_SCENE
    rows = []
    for place, sign in enumerate(scene.signs):
        number = index * _TRACKS_PER_SCENE + place
        if split == 'val':
            crops = [(TEST_LIST.parent / f'{number:05d}.ppm', 1.0)]
        else:
            folder = TRAINING_FOLDER / f'{sign.class_id:05d}'
            crops = [
                (folder / f'{number:05d}_{frame:05d}.ppm', scale)
                for frame, scale in enumerate(_APPROACH)
            ]
        for path, scale in crops:
            row = _write(root / path, scene, sign, scale)
            if row is not None:
                rows.append(row)
    return rows


def _write(path: Path, scene: Scene, sign: PlacedSign, scale: float) -> CropRow | None:
    """Write a sign with its border, `scale` times as large; None if it would be too small."""
    left, top, right, bottom = sign.box
    size = max(right - left, bottom - top) + 1
    if scale * size < _SMALLEST:
        return None
    # In the picture that is to be, the border has its least width.
    border = max(_LEAST_BORDER / scale, _BORDER_SHARE * size)
    height, width = scene.image.shape[:2]
    x0, y0 = max(0, round(left - border)), max(0, round(top - border))
    x1, y1 = min(width, round(right + 1 + border)), min(height, round(bottom + 1 + border))
    crop = Image.fromarray(np.ascontiguousarray(scene.image[y0:y1, x0:x1]))
    crop = crop.resize((round(scale * crop.width), round(scale * crop.height)))
    path.parent.mkdir(parents=True, exist_ok=True)
    crop.save(path)
    return CropRow(
        path.name,
        crop.width,
        crop.height,
        round(scale * (left - x0)),
        round(scale * (top - y0)),
        min(crop.width, round(scale * (right + 1 - x0))) - 1,
        min(crop.height, round(scale * (bottom + 1 - y0))) - 1,
        sign.class_id,
    )


def write_gtsrb_lists(root: Path, split: str, rows: Iterable[CropRow]) -> None:
    """Write the list of each class of ``train``, or the one of the test set for ``val``."""
    lists: dict[Path, list[CropRow]] = defaultdict(list)
    for row in rows:
        name = f'{row.class_id:05d}'
        of_class = TRAINING_FOLDER / name / f'GT-{name}.csv'
        lists[root / (of_class if split == 'train' else TEST_LIST)].append(row)
    for path, listed in lists.items():
        with path.open('w', encoding='utf-8', newline='') as file:
            writer = csv.writer(file, delimiter=';', lineterminator='\n')
            writer.writerow(COLUMNS)
            writer.writerows(astuple(row) for row in listed)
