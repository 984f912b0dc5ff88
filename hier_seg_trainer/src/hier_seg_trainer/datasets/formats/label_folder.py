# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One's own images with label images: any label space, with a mapping file."""

from __future__ import annotations

from pathlib import Path

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.formats.labelled_images import (
    LabelledFile,
    LabelledImages,
    require_folder,
)
from hier_seg_trainer.datasets.image_pairs import find_images, images_of_split, require_mapping
from hier_seg_trainer.datasets.mapping import LabelMapping


class LabelFolder(LabelledImages):
    """Images and label PNGs of the same name, in one of three layouts.

    - ``<root>/images/<split>/`` and ``<root>/labels/<split>/``;
    - ``<root>/<split>/images/`` and ``<root>/<split>/labels/``;
    - ``<root>/images/`` and ``<root>/labels/`` with ``<root>/<split>.txt``, which lists the images
      of the split: a path below ``images/`` a line, with or without suffix; empty lines and those
      that begin with # do not count.

    A split may have any name; training wants train and val. Sub-folders are allowed and must be the
    same for labels. An image is PNG, JPEG, PPM, BMP, TIFF or WebP; its labels are an 8-bit grey or
    palette PNG of its size and with its name (``a/1.jpg``: ``a/1.png``), with the values that the
    mapping file lists.
    """

    name = 'folder'
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
        by_split = (root / 'labels' / split, root / split / 'labels', root / 'labels')
        labels = next((folder for folder in by_split if folder.is_dir()), by_split[0])
        require_folder(labels, 'the label images lie there, beside the images')
        label_images = find_images(labels, faults)
        files = []
        for key, path in images.items():
            label_path = label_images.get(key, labels / f'{key}.png')
            if label_path.suffix.lower() == '.png':
                files.append(LabelledFile(path, label_path))
            else:
                reason = f'its labels {label_path} must be a PNG, which keeps their values'
                faults.append(Fault('wrong_pixel_format', path, reason))
        super().__init__(LabelMapping.load(mapping, hierarchy), files, faults, strict)
