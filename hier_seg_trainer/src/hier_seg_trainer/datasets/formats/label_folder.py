# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One's own images with label images: any label space, with a mapping file.

::

    images/train/a/001.jpg
    labels/train/a/001.png
    labelmap.txt                 only where CVAT wrote the labels as colours

``image_pairs`` shows the other two layouts. A split may have any name; training wants train and
val. An image is PNG, JPEG, PPM, BMP, TIFF or WebP; its labels are a PNG of its size, grey or with a
palette, with the values that the mapping file lists; or, if it lists colours, a PNG of these
colours. If it lists neither, a ``labelmap.txt`` gives the colours, by lines such as
``car:0,0,142::``.

>>> dataset = LabelFolder(data, 'train', tree, mapping)
>>> len(dataset), dataset[0].image.size, dataset[0].labels.shape
(3, (96, 64), (64, 96))
>>> tree.node_by_id(dataset[0].labels[0, 0]).readable_name
'Sky'
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.label_spaces.mapping import Color
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.readers.image_pairs import (
    find_images,
    folder_of_split,
    images_of_split,
    require_folders,
)
from hier_seg_trainer.datasets.readers.labelled_images import LabelledFile, LabelledImages
from hier_seg_trainer.datasets.readers.tables import read_text

LABEL_MAP = 'labelmap.txt'
# A label, its colour, its parts and its actions, as the header of the file names them.
_LABEL_MAP_LINE = re.compile(r'(.+?):\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*:[^:]*:[^:]*')


class LabelFolder(LabelledImages):
    """One's own images and label PNGs of the same names."""

    name = 'folder'

    def list_files(self, root: Path, split: str, faults: list[Fault]) -> Iterable[LabelledFile]:
        """Return the images of a split with their labels."""
        images = images_of_split(root, split, faults)
        labels = folder_of_split(root, 'labels', split) or root / 'labels' / split
        require_folders([labels], 'the label images lie there, beside the images')
        label_images = find_images(labels, faults)
        entries = (*self.mapping.classes, *self.mapping.ignored)
        if (root / LABEL_MAP).is_file() and all(
            entry.value is None and entry.color is None for entry in entries
        ):
            colors = read_label_map(root / LABEL_MAP)
            self.mapping = self.mapping.with_colors(colors, root / LABEL_MAP)
        for key, path in images.items():
            label_path = label_images.get(key, labels / f'{key}.png')
            if label_path.suffix.lower() == '.png':
                yield LabelledFile(path, label_path)
            else:
                reason = f'its labels {label_path} must be a PNG, which keeps their values'
                faults.append(Fault('wrong_pixel_format', path, reason))


def read_label_map(path: Path) -> dict[str, Color]:
    """Return the colour of each class of CVAT's ``labelmap.txt``.

    Raises
    ------
    HierSegError
        It cannot be read, or a line is no class with its colour.

    """
    colors: dict[str, Color] = {}
    lines = read_text(path, 'CVAT writes it beside the masks').splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith('#'):
            continue
        match = _LABEL_MAP_LINE.fullmatch(line.strip())
        red, green, blue = map(int, match.groups()[1:]) if match else (256, 256, 256)
        if match is None or max(red, green, blue) > 255 or match[1] in colors:
            raise HierSegError(
                f'{path}: line {number} is {line!r}; write each class once, name:red,green,blue::'
            )
        colors[match[1]] = red, green, blue
    return colors
