# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CamVid in the 480x360, 11-class form of the SegNet tutorial: every pixel is labelled.

::

    train/0001TP_006690.png         images, PNG or JPEG
    trainannot/0001TP_006690.png    their labels, 0-10 and 11 for void
    val/, valannot/, test/, testannot/

>>> dataset = CamVid(data, 'train', tree)
>>> len(dataset), dataset[0].image.size, dataset[0].labels.shape
(3, (96, 64), (64, 96))
>>> tree.node_by_id(dataset[0].labels[0, 0]).readable_name
'Sky'

Brostow et al., "Semantic object classes in video: a high-definition ground truth database",
Pattern Recognition Letters 2009.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.readers.image_pairs import find_images, require_folders
from hier_seg_trainer.datasets.readers.labelled_images import LabelledFile, LabelledImages


class CamVid(LabelledImages):
    """Images with 11 classes."""

    name = bundled = 'camvid'
    title = 'CamVid'
    licence = 'research use; cite Brostow et al., Pattern Recognition Letters 2009'
    splits = ('train', 'val', 'test')

    def list_files(self, root: Path, split: str, faults: list[Fault]) -> Iterable[LabelledFile]:
        """Return the images of a split with their labels."""
        images, labels = root / split, root / f'{split}annot'
        require_folders([images, labels], f'CamVid has {split}/ and {split}annot/ in its root')
        for key, path in find_images(images, faults).items():
            yield LabelledFile(path, labels / f'{key}.png')
