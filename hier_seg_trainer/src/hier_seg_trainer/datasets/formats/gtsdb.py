# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""German Traffic Sign Detection Benchmark: street images with a box around each sign.

What is around the signs has no labels there. Some of the images have polygons that come with the
trainer, drawn by this project.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.formats.boxed_images import BoxedFile, BoxedImages
from hier_seg_trainer.datasets.formats.labelled_images import LabelledFile, require_split
from hier_seg_trainer.datasets.formats.polygons import PolygonImages
from hier_seg_trainer.datasets.mapping import LabelMapping, bundled_mapping
from hier_seg_trainer.datasets.samples import Box

# The benchmark keeps 600-899 for its evaluation; what it gives for training (trainval, on which
# the paper trains) is split here.
SPLITS = {
    'train': range(0, 500),
    'val': range(500, 600),
    'test': range(600, 900),
    'trainval': range(0, 600),
}
POLYGONS = Path(__file__).resolve().parents[2] / 'annotations' / 'gtsdb'


class Gtsdb(BoxedImages):
    """``<root>/00000.{ppm,jpg} ...`` and ``<root>/gt.txt``, or those in ``<root>/FullIJCNN2013``.

    A line of gt.txt is ``image;left;top;right;bottom;class``, corners inclusive. An image without
    a line has no sign of the 43 classes. Houben et al., "Detection of Traffic Signs in Real-World
    Images", IJCNN 2013.
    """

    name = 'gtsdb'
    title = 'GTSDB'
    licence = 'free for any purpose; cite Houben et al., IJCNN 2013'

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
    ) -> None:
        """List the images and read the boxes; HierSegError if something is missing or wrong."""
        require_split(self.name, split, tuple(SPLITS))
        root, images = _find_images(root, split)
        label_mapping = LabelMapping.load(mapping or bundled_mapping(self.name), hierarchy)
        boxes, faults = _read_boxes(root / 'gt.txt', label_mapping.require_values())
        for stem in (f'{number:05d}' for number in SPLITS[split]):
            if stem in boxes and stem not in images:
                reason = 'is missing (nor is there a .jpg), and gt.txt lists it; restore it'
                faults.append(Fault('missing_image', root / f'{stem}.ppm', reason))
        files = [BoxedFile(path, tuple(boxes.get(stem, ()))) for stem, path in images.items()]
        super().__init__(label_mapping, files, faults, strict)


class GtsdbCoarse(PolygonImages):
    """Polygons of what is around the signs, for some of the images of ``Gtsdb``.

    The polygons come with the trainer; images and boxes are those of ``Gtsdb``. Sign boxes stay
    unlabelled, a margin around them too: the polygons do not follow the signs' outlines.
    """

    name = 'gtsdb_coarse'
    title = 'GTSDB (coarse polygons)'
    licence = f'polygons: as this project (Apache-2.0); images: {Gtsdb.licence}'

    # Pixels by which a box grows on each side.
    margin = 3

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
    ) -> None:
        """List the files and read the boxes; HierSegError if something is missing or wrong."""
        require_split(self.name, split, ('train', 'val'))
        root, images = _find_images(root, split)
        box_mapping = LabelMapping.load(bundled_mapping(Gtsdb.name), hierarchy)
        self._boxes, faults = _read_boxes(root / 'gt.txt', box_mapping.require_values())
        files = []
        for path in sorted((POLYGONS / split).glob('*.json')):
            if path.stem in images:
                files.append(LabelledFile(images[path.stem], path))
            else:
                reason = 'is missing (nor is there a .jpg), and has polygons; restore it'
                faults.append(Fault('missing_image', root / f'{path.stem}.ppm', reason))
        label_mapping = LabelMapping.load(mapping or bundled_mapping(self.name), hierarchy)
        super().__init__(label_mapping, files, faults, strict)

    def label_path(self, index: int) -> None:
        """Return None: the polygons come with the trainer and not with the data set."""
        return

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Return an image's labels (H, W) uint8, node ids and 255, without reading the image."""
        labels = super().labels(index)
        for box in self._boxes.get(self.image_path(index).stem, ()):
            top, left = (max(math.floor(edge) - self.margin, 0) for edge in (box.top, box.left))
            bottom, right = (math.ceil(edge) + self.margin for edge in (box.bottom, box.right))
            labels[top:bottom, left:right] = UNLABELLED
        return labels


def _find_images(root: Path, split: str) -> tuple[Path, dict[str, Path]]:
    """Return the folder of the images and those of a split, by stem; HierSegError without any."""
    if not root.is_dir():
        raise HierSegError(f'{root}: does not exist; give the folder of the GTSDB images')
    if (root / 'FullIJCNN2013' / 'gt.txt').is_file():
        root = root / 'FullIJCNN2013'
    numbers = SPLITS[split]
    images: dict[str, Path] = {}
    for number in numbers:
        found = [root / f'{number:05d}{suffix}' for suffix in ('.ppm', '.jpg')]
        images |= {path.stem: path for path in found if path.is_file()}
    if not images:
        raise HierSegError(
            f'{root}: holds no image of the {split} split '
            f'({numbers[0]:05d}-{numbers[-1]:05d}, .ppm or .jpg)'
        )
    return root, images


def _read_boxes(path: Path, mapping: LabelMapping) -> tuple[dict[str, list[Box]], list[Fault]]:
    """Return the boxes by the stem of their image, and the lines that cannot be used."""
    classes = mapping.by_value()
    boxes: dict[str, list[Box]] = {}
    faults: list[Fault] = []
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HierSegError(f'{path}: cannot be read ({error}); GTSDB has it') from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            name, *fields = line.split(';')
            left, top, right, bottom, value = (int(field) for field in fields)
        except ValueError:
            reason = f'line {number} is {line!r}; it must be image;left;top;right;bottom;class'
            faults.append(Fault('bad_row', path, reason))
            continue
        if value not in classes:
            reason = f'line {number} is {line!r}; {mapping.path.name} has no class {value}'
            faults.append(Fault('unknown_class', path, reason))
        elif right < left or bottom < top:
            reason = f'line {number}: the box {line!r} is empty; correct it'
            faults.append(Fault('empty_box', path, reason))
        else:
            entry = classes[value]
            box = Box(left, top, right + 1, bottom + 1, entry.node.id, entry.outline)
            boxes.setdefault(Path(name).stem, []).append(box)
    return boxes, faults
