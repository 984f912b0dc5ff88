# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images with outlines of what they show, as Cityscapes and LabelMe write them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.formats.labelled_images import LabelledFile, LabelledImages
from hier_seg_trainer.datasets.image_pairs import images_of_split, require_mapping
from hier_seg_trainer.datasets.mapping import LabelMapping

# Cityscapes marks a polygon that covers several objects so: "cargroup" are cars.
GROUP = 'group'
ADVICE = 'write polygons as Cityscapes or LabelMe do'
# Pillow refuses to read images with more.
MAXIMUM_PIXELS = 178_956_970
# Corners may lie outside of the image, but Pillow cannot draw to any number.
MAXIMUM_COORDINATE = 1e6


@dataclass(frozen=True)
class Polygon:
    """The outline of something: its class in the file's words, and corners (x, y) in pixels."""

    label: str
    corners: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class PolygonFile:
    """The polygons of an image of ``width`` x ``height`` pixels, in the order of drawing."""

    width: int
    height: int
    polygons: tuple[Polygon, ...]


def read_polygons(path: Path) -> PolygonFile:
    """Read a JSON file of polygons; HierSegError if it is missing, broken or of another kind.

    Cityscapes writes ``imgWidth``, ``imgHeight`` and ``objects`` with a ``label`` and a ``polygon``
    each, some of which are ``deleted``. LabelMe writes ``imageWidth``, ``imageHeight`` and
    ``shapes`` with ``label``, ``points`` and a ``shape_type``, of which polygons and rectangles
    outline a region; another shape is an error.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise HierSegError(f'{path}: cannot be read ({error}); restore it') from error
    if not isinstance(content, Mapping):
        raise HierSegError(f'{path}: holds no polygons; {ADVICE}')
    from_labelme = 'shapes' in content
    width, height = (
        _whole_number(path, content, key)
        for key in (('imageWidth', 'imageHeight') if from_labelme else ('imgWidth', 'imgHeight'))
    )
    if width * height > MAXIMUM_PIXELS:
        raise HierSegError(f'{path}: is for an image of {width}x{height}; correct the size')
    entries = content.get('shapes' if from_labelme else 'objects')
    if not isinstance(entries, list):
        raise HierSegError(f'{path}: has no list of objects or shapes; {ADVICE}')
    polygons = []
    for number, entry in enumerate(entries, start=1):
        where = f'{path}: polygon {number}'
        if not isinstance(entry, Mapping) or not isinstance(entry.get('label'), str):
            raise HierSegError(f'{where}: has no label; {ADVICE}')
        if entry.get('deleted'):
            continue
        corners = _corners(where, entry.get('points' if from_labelme else 'polygon'))
        if from_labelme and entry.get('shape_type', 'polygon') == 'rectangle':
            corners = _rectangle(where, corners)
        elif from_labelme and entry.get('shape_type', 'polygon') != 'polygon':
            raise HierSegError(
                f'{where}: is a {entry["shape_type"]}; draw a polygon or a rectangle instead'
            )
        if len(corners) < 3:
            raise HierSegError(f'{where}: has {len(corners)} corners; it needs three or more')
        polygons.append(Polygon(entry['label'], corners))
    return PolygonFile(width, height, tuple(polygons))


def draw_polygons(file: PolygonFile, mapping: LabelMapping, source: Path) -> NDArray[np.uint8]:
    """Return node ids (H, W) uint8: later polygons cover earlier ones, 255 where there is none.

    A class that the mapping ignores is drawn as 255, so that it cuts out what lies below it.
    HierSegError, which names `source`, for a class that the mapping does not list.
    """
    listed = set(mapping.names)
    labels = [_without_group(polygon.label, listed) for polygon in file.polygons]
    if reason := mapping.unknown(labels):
        raise HierSegError(f'{source}: {reason}')
    classes = mapping.by_name()
    canvas = Image.new('L', (file.width, file.height), UNLABELLED)
    draw = ImageDraw.Draw(canvas)
    for label, polygon in zip(labels, file.polygons, strict=True):
        node_id = classes[label].node.id if label in classes else UNLABELLED
        draw.polygon(polygon.corners, fill=node_id)
    return np.array(canvas)


class PolygonImages(LabelledImages):
    """A list of images with a JSON file of polygons each, and the mapping of their classes."""

    def __init__(
        self,
        mapping: LabelMapping,
        files: Iterable[LabelledFile],
        faults: Iterable[Fault] = (),
        strict: bool = True,
    ) -> None:
        """Take the files as ``LabelledImages`` does; the mapping needs no values."""
        # Each class then stands for itself in what other readers have values for.
        numbered = mapping.with_order(mapping.names, mapping.path)
        super().__init__(numbered, files, faults, strict)

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Return an image's labels (H, W) uint8, node ids and 255, without reading the image."""
        path = self._files[index].labels
        return draw_polygons(read_polygons(path), self.mapping, path)


class PolygonFolder(PolygonImages):
    """One's own images with polygons: a JSON file of Cityscapes or LabelMe for each image.

    Images lie as those of ``LabelFolder`` do. Their JSON files have the same names and lie in
    ``<root>/polygons/<split>/``, ``<root>/<split>/polygons/``, ``<root>/polygons/`` or, where
    LabelMe puts them, beside the images.
    """

    name = 'polygons'
    licence = 'as its owner says'

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
    ) -> None:
        """List the files; HierSegError if something is missing or the mapping file is wrong."""
        self.title = root.resolve().name
        mapping = require_mapping(self.name, mapping)
        faults: list[Fault] = []
        images = images_of_split(root, split, faults)
        folders = (root / 'polygons' / split, root / split / 'polygons', root / 'polygons')
        folder = next((folder for folder in folders if folder.is_dir()), None)
        files = [
            LabelledFile(path, folder / f'{key}.json' if folder else path.with_suffix('.json'))
            for key, path in images.items()
        ]
        super().__init__(LabelMapping.load(mapping, hierarchy), files, faults, strict)


def _without_group(label: str, listed: set[str]) -> str:
    """Return the class of a label, which may be that of a group."""
    single = label.removesuffix(GROUP)
    return single if label not in listed and single in listed else label


def _whole_number(path: Path, content: Mapping[str, Any], key: str) -> int:
    value = content.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise HierSegError(f'{path}: its {key} is {value!r}; {ADVICE}')
    return value


def _corners(where: str, points: object) -> tuple[tuple[float, float], ...]:
    """Return the corners of a polygon; HierSegError if they are no list of pixels."""
    try:
        corners = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        corners = np.empty(0)
    inside = np.abs(corners) < MAXIMUM_COORDINATE
    if corners.ndim != 2 or corners.shape[1] != 2 or not inside.all():
        raise HierSegError(f'{where}: its corners are no list of [x, y] in pixels; correct it')
    return tuple((float(x), float(y)) for x, y in corners)


def _rectangle(
    where: str, corners: tuple[tuple[float, float], ...]
) -> tuple[tuple[float, float], ...]:
    """Return the four corners of a rectangle that is given by two opposite ones."""
    if len(corners) != 2:
        raise HierSegError(f'{where}: is a rectangle of {len(corners)} corners; it has two')
    (left, top), (right, bottom) = corners
    return ((left, top), (right, top), (right, bottom), (left, bottom))
