# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""German Traffic Sign Detection Benchmark: street images with a box around each sign.

In the root or in its folder ``FullIJCNN2013``::

    00000.ppm, …, 00899.ppm    images of 1360x800; .jpg will do
    gt.txt                     00000.ppm;774;411;815;446;11: image;left;top;right;bottom;class

A line is one sign, its edges inclusive. An image without a line has no sign of the 43 classes. What
is around the signs has no labels there; some of the images have polygons that come with the
trainer (the README beside them says who drew them).

>>> dataset = Gtsdb(data, 'train', tree)
>>> len(dataset), dataset[0].image.size
(3, (96, 64))
>>> box = dataset.boxes(0)[0]
>>> tree.node_by_id(box.node_id).readable_name, box.left, box.right, box.shape
('speed limit 30', 10, 30, 'circle')

Houben et al., "Detection of Traffic Signs in Real-World Images", IJCNN 2013.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.datasets.faults import EntryError, Fault, noted
from hier_seg_trainer.datasets.formats.polygons import PolygonImages
from hier_seg_trainer.datasets.readers.annotations import shown
from hier_seg_trainer.datasets.readers.boxed_images import BoxedFile, BoxedImages
from hier_seg_trainer.datasets.readers.image_pairs import require_folders
from hier_seg_trainer.datasets.readers.labelled_images import LabelledFile
from hier_seg_trainer.datasets.readers.tables import checked_edges, read_text
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

# The stem of an image, the edges of a sign and its class.
_Row = tuple[str, tuple[float, float, float, float], int]


class Gtsdb(BoxedImages):
    """Images with boxes of 43 classes of signs, every one of which has its box."""

    name = bundled = 'gtsdb'
    title = 'GTSDB'
    licence = 'free for any purpose; cite Houben et al., IJCNN 2013'
    splits = tuple(SPLITS)

    def list_files(self, root: Path, split: str, faults: list[Fault]) -> Iterable[BoxedFile]:
        """Return the images of a split with their boxes."""
        root, images = _find_images(root, split)
        classes = self.mapping.by_value()
        boxes: dict[str, list[Box]] = {}
        for line, (stem, edges, value) in _read_rows(root / 'gt.txt', faults):
            with noted(faults, root / 'gt.txt', line):
                if value not in classes:
                    reason = f'{self.mapping.path.name} has no class {value}; correct one of them'
                    raise EntryError('unknown_class', reason)
                entry = classes[value]
                boxes.setdefault(stem, []).append(Box(*edges, entry.node.id, entry.outline))
        for stem in (f'{number:05d}' for number in SPLITS[split]):
            if stem in boxes and stem not in images:
                reason = 'is missing (nor is there a .jpg), and gt.txt lists it; restore it'
                faults.append(Fault('missing_image', root / f'{stem}.ppm', reason))
        return [BoxedFile(path, tuple(boxes.get(stem, ()))) for stem, path in images.items()]


class GtsdbCoarse(PolygonImages):
    """Polygons of what is around the signs, for some of the images of ``Gtsdb``.

    The polygons come with the trainer; images and boxes are those of ``Gtsdb``. Sign boxes stay
    unlabelled, a margin around them too: the polygons do not follow the signs' outlines.
    """

    name = bundled = 'gtsdb_coarse'
    title = 'GTSDB (coarse polygons)'
    licence = f'polygons: as this project (Apache-2.0); images: {Gtsdb.licence}'
    splits = ('train', 'val')

    # Pixels by which a box grows on each side.
    margin = 3

    def list_files(self, root: Path, split: str, faults: list[Fault]) -> Iterable[LabelledFile]:
        """Return the images of a split that have polygons, and read the boxes."""
        root, images = _find_images(root, split)
        self._boxes: dict[str, list[tuple[float, float, float, float]]] = {}
        for _, (stem, edges, _) in _read_rows(root / 'gt.txt', faults):
            self._boxes.setdefault(stem, []).append(edges)
        for path in sorted((POLYGONS / split).glob('*.json')):
            if path.stem in images:
                yield LabelledFile(images[path.stem], path)
            else:
                reason = 'is missing (nor is there a .jpg), and has polygons; restore it'
                faults.append(Fault('missing_image', root / f'{path.stem}.ppm', reason))

    def label_path(self, index: int) -> None:
        """Return None: the polygons come with the trainer and not with the data set."""
        return

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Return an image's labels, 255 at signs; see ``LabelledImages.labels``."""
        labels = super().labels(index)
        for edges in self._boxes.get(self.image_path(index).stem, ()):
            left, top = (max(math.floor(edge) - self.margin, 0) for edge in edges[:2])
            right, bottom = (max(math.ceil(edge) + self.margin, 0) for edge in edges[2:])
            labels[top:bottom, left:right] = UNLABELLED
        return labels


def _find_images(root: Path, split: str) -> tuple[Path, dict[str, Path]]:
    """Return the folder of the images and those of a split, by stem; HierSegError without any."""
    require_folders([root], 'give the folder of the GTSDB images')
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


def _read_rows(path: Path, faults: list[Fault]) -> Iterator[tuple[str, _Row]]:
    """Yield the signs that a list has, each with its line in words; others go to `faults`."""
    for number, line in enumerate(read_text(path, 'GTSDB has it').splitlines(), start=1):
        if not line.strip():
            continue
        where = f'line {number} ({shown(line)})'
        with noted(faults, path, where):
            try:
                name, *fields = line.split(';')
                left, top, right, bottom, value = map(int, fields)
            except ValueError as error:
                raise EntryError('bad_row', 'must be image;left;top;right;bottom;class') from error
            edges = checked_edges('the box', (left, top, right, bottom), inclusive=True)
            yield where, (Path(name).stem, edges, value)
