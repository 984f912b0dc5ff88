# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""German Traffic Sign Detection Benchmark: street images with a box around each sign."""

from __future__ import annotations

from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.mapping import LabelMapping
from hier_seg_trainer.datasets.samples import Box, StreetSample, open_image

# The benchmark keeps 600-899 for its evaluation; what it gives for training is split here.
SPLITS = {'train': range(0, 500), 'val': range(500, 600), 'test': range(600, 900)}


class Gtsdb:
    """``<root>/00000.{ppm,jpg} ...`` and ``<root>/gt.txt``.

    A line of gt.txt is ``image;left;top;right;bottom;class``, corners inclusive. An image without
    a line has no sign of the 43 classes. Houben et al., "Detection of Traffic Signs in Real-World
    Images", IJCNN 2013.
    """

    name = 'gtsdb'
    title = 'GTSDB'
    licence = 'free for any purpose; cite Houben et al., IJCNN 2013'
    # "Go left" in a mirror is "go right".
    may_flip = False

    def __init__(self, root: Path, split: str, hierarchy: Hierarchy) -> None:
        """List the images and read the boxes; HierSegError if something is missing or wrong."""
        if split not in SPLITS:
            raise HierSegError(f'gtsdb: has no split {split!r}; choose among {", ".join(SPLITS)}')
        if not root.is_dir():
            raise HierSegError(f'{root}: does not exist; give the folder of the GTSDB images')
        self.mapping = LabelMapping.load('gtsdb', hierarchy)
        self.node_names = self.mapping.node_names
        self._images = []
        for number in SPLITS[split]:
            found = [root / f'{number:05d}{suffix}' for suffix in ('.ppm', '.jpg')]
            self._images += [path for path in found if path.is_file()][:1]
        if not self._images:
            raise HierSegError(
                f'{root}: holds no image of the {split} split '
                f'({SPLITS[split][0]:05d}-{SPLITS[split][-1]:05d}, .ppm or .jpg)'
            )
        self._boxes = self._read_boxes(root / 'gt.txt')

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def image_path(self, index: int) -> Path:
        """Return the image's file."""
        return self._images[index]

    def boxes(self, index: int) -> tuple[Box, ...]:
        """Return an image's boxes without reading the image."""
        return self._boxes.get(self._images[index].stem, ())

    def __getitem__(self, index: int) -> StreetSample:
        """Read one image and its boxes."""
        return StreetSample(open_image(self._images[index]), None, self.boxes(index))

    def _read_boxes(self, path: Path) -> dict[str, tuple[Box, ...]]:
        classes = self.mapping.by_value()
        boxes: dict[str, tuple[Box, ...]] = {}
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
                entry = classes[value]
            except (ValueError, KeyError) as error:
                raise HierSegError(
                    f'{path}: line {number} is {line!r}; it must be '
                    f'image;left;top;right;bottom;class with a class of {self.mapping.path.name}'
                ) from error
            if right < left or bottom < top:
                raise HierSegError(f'{path}: line {number}: the box {line!r} is empty')
            shape = entry.shape or 'rectangle'
            box = Box(left, top, right + 1, bottom + 1, entry.node.id, shape)
            stem = Path(name).stem
            boxes[stem] = (*boxes.get(stem, ()), box)
        return boxes
