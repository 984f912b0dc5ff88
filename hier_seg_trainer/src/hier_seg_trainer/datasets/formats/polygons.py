# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One's own images with outlines of what they show, as Cityscapes and LabelMe write them.

Images lie as those of ``label_folder`` do; the JSON files have the same names and lie as label
images would, or beside the images, where LabelMe puts them::

    images/train/001.jpg
    polygons/train/001.json

Cityscapes writes ``imgWidth``, ``imgHeight`` and ``objects`` with a ``label`` and a ``polygon``
each, some of which are ``deleted``. LabelMe writes ``imageWidth``, ``imageHeight`` and ``shapes``
with ``label``, ``points`` and a ``shape_type``: polygons, rectangles (by two opposite corners or
all four) and masks (the first and the last pixel, and ``mask``, a PNG in base64) are read; another
shape is an error.

>>> dataset = PolygonFolder(data, 'train', tree, mapping)
>>> len(dataset), dataset[0].image.size, dataset[0].labels.shape
(3, (96, 64), (64, 96))
>>> tree.node_by_id(dataset[0].labels[5, 5]).readable_name
'Sky'
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import read_json
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.readers.annotations import corners, shown, whole_number
from hier_seg_trainer.datasets.readers.image_pairs import folder_of_split, images_of_split
from hier_seg_trainer.datasets.readers.labelled_images import LabelledFile, LabelledImages
from hier_seg_trainer.datasets.readers.regions import MAXIMUM_PIXELS, Drawing, Mask, Polygon, Region
from hier_seg_trainer.datasets.stored_pixels import decode_mask

ADVICE = 'write polygons as Cityscapes or LabelMe do'
_LABELME_KEYS = ('imageWidth', 'imageHeight', 'shapes', 'points')
# Pixels by which whole-numbered corners of a rectangle that is turned may differ from it.
_ROUNDING = 2.0
# What some programs write around and between base64.
_NO_BASE64 = re.compile(r'^data:image/png;base64,|\s+')
_CITYSCAPES_KEYS = ('imgWidth', 'imgHeight', 'objects', 'polygon')


class PolygonImages(LabelledImages):
    """Images with a JSON file of polygons each, which tell classes by name."""

    labelled_by_value = False

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Return an image's labels; see ``LabelledImages.labels``."""
        path = self._files[index].labels
        return read_polygons(path).node_ids(self.mapping, path)


class PolygonFolder(PolygonImages):
    """One's own images with polygons."""

    name = 'polygons'

    def list_files(self, root: Path, split: str, faults: list[Fault]) -> Iterable[LabelledFile]:
        """Return the images of a split with their files of polygons."""
        images = images_of_split(root, split, faults)
        folder = folder_of_split(root, 'polygons', split)
        for key, path in images.items():
            beside = path.with_suffix('.json')
            yield LabelledFile(path, folder / f'{key}.json' if folder else beside)


def read_polygons(path: Path) -> Drawing:
    """Read a JSON file of polygons.

    Raises
    ------
    HierSegError
        It is missing, broken or of another kind.

    """
    content = read_json(path, 'restore it')
    if not isinstance(content, Mapping):
        raise HierSegError(f'{path}: holds no polygons; {ADVICE}')
    width_key, height_key, list_key, corner_key = (
        _LABELME_KEYS if 'shapes' in content else _CITYSCAPES_KEYS
    )
    width, height = (_size(path, content, key) for key in (width_key, height_key))
    if width * height > MAXIMUM_PIXELS:
        raise HierSegError(f'{path}: is for an image of {width}x{height}; correct the size')
    entries = content.get(list_key)
    if not isinstance(entries, list):
        raise HierSegError(f'{path}: has no list of objects or shapes; {ADVICE}')
    regions = []
    for number, entry in enumerate(entries, start=1):
        where = f'{path}: polygon {number}'
        if not isinstance(entry, Mapping) or not isinstance(entry.get('label'), str):
            raise HierSegError(f'{where}: has no label; {ADVICE}')
        if not entry.get('deleted'):
            regions.append(_region(where, entry, entry.get(corner_key)))
    return Drawing(width, height, tuple(regions))


def _size(path: Path, content: Mapping[str, Any], key: str) -> int:
    value = whole_number(content.get(key))
    if value is None:
        raise HierSegError(f'{path}: its {key} is {shown(content.get(key))}; {ADVICE}')
    return value


def _region(where: str, entry: Mapping[str, Any], points: object) -> Region:
    found = corners(points)
    if found is None:
        raise HierSegError(f'{where}: its corners are no list of [x, y] in pixels; correct it')
    label, kind = entry['label'], entry.get('shape_type') or 'polygon'
    if kind == 'mask':
        return _mask(where, label, found, entry.get('mask'))
    if kind == 'rectangle':
        found = _rectangle(where, found)
    elif kind != 'polygon':
        what = shown(kind).strip("'")
        raise HierSegError(f'{where}: is a {what}; draw a polygon or a rectangle instead')
    if len(found) < 3:
        raise HierSegError(f'{where}: has {len(found)} corners; it needs three or more')
    return Polygon(label, found)


def _rectangle(where: str, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the four corners of a rectangle that is given by them or by two opposite ones."""
    if len(found) == 4:
        # Diagonals that do not halve each other are those of corners in another order.
        if np.abs(found[0] + found[2] - found[1] - found[3]).max() > _ROUNDING:
            raise HierSegError(
                f'{where}: its corners are no rectangle in their order; draw it again'
            )
        return found
    if len(found) != 2:
        raise HierSegError(
            f'{where}: is a rectangle of {len(found)} corners; it has two opposite ones, or four'
        )
    (left, top), (right, bottom) = found
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _mask(where: str, label: str, found: NDArray[np.float64], text: object) -> Mask:
    """Return a mask of LabelMe, whose first and last pixel are given."""
    pixels = found.round().astype(int).tolist()
    if len(pixels) != 2 or not isinstance(text, str):
        raise HierSegError(
            f'{where}: is a mask without its first and last pixel or without its PNG; draw it again'
        )
    (left, top), (right, bottom) = pixels
    try:
        data = base64.b64decode(_NO_BASE64.sub('', text), validate=True)
    except ValueError as error:
        raise HierSegError(f'{where}: its mask is no base64 ({error}); draw it again') from error
    size = (right - left + 1, bottom - top + 1)
    return Mask(label, (left, top), decode_mask(data, f'{where}: its mask', size))
