# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CamVid in the 480x360, 11-class form of the SegNet tutorial: every pixel is labelled."""

from __future__ import annotations

from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.mapping import LabelMapping
from hier_seg_trainer.datasets.samples import StreetSample, open_image, open_labels

SPLITS = ('train', 'val', 'test')


class CamVid:
    """``<root>/{train,val,test}/*.{png,jpg}`` beside ``<root>/{split}annot/*.png``.

    Brostow et al., "Semantic object classes in video: a high-definition ground truth database",
    Pattern Recognition Letters 2009.
    """

    name = 'camvid'
    title = 'CamVid'
    licence = 'research use; cite Brostow et al., Pattern Recognition Letters 2009'
    may_flip = True

    def __init__(self, root: Path, split: str, hierarchy: Hierarchy) -> None:
        """List the files; HierSegError if a folder or the labels of an image are missing."""
        if split not in SPLITS:
            raise HierSegError(f'camvid: has no split {split!r}; choose among {", ".join(SPLITS)}')
        images, annotations = root / split, root / f'{split}annot'
        for folder in (images, annotations):
            if not folder.is_dir():
                raise HierSegError(
                    f'{folder}: does not exist; CamVid has {split}/ and {split}annot/ in its root'
                )
        self.mapping = LabelMapping.load('camvid', hierarchy)
        self.node_names = self.mapping.node_names
        self._images = sorted(
            path for path in images.iterdir() if path.suffix.lower() in ('.png', '.jpg')
        )
        if not self._images:
            raise HierSegError(f'{images}: holds no PNG or JPEG image; check the data folder')
        self._labels = [annotations / f'{path.stem}.png' for path in self._images]
        for path in self._labels:
            if not path.is_file():
                raise HierSegError(f'{path}: is missing; every image needs its labels')

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def image_path(self, index: int) -> Path:
        """Return the image's file."""
        return self._images[index]

    def __getitem__(self, index: int) -> StreetSample:
        """Read one image and its labels."""
        image = open_image(self._images[index])
        labels = open_labels(self._labels[index])
        if labels.shape != (image.height, image.width):
            raise HierSegError(
                f'{self._labels[index]}: is {labels.shape[1]}x{labels.shape[0]}, its image '
                f'{image.width}x{image.height}; the sizes must agree'
            )
        return StreetSample(image, self.mapping.to_node_ids(labels, self._labels[index]), None)
