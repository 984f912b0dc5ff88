# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CamVid in the 480x360, 11-class form of the SegNet tutorial: every pixel is labelled."""

from __future__ import annotations

from pathlib import Path

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.formats.labelled_images import (
    LabelledFile,
    LabelledImages,
    require_folder,
    require_split,
)
from hier_seg_trainer.datasets.image_pairs import find_images
from hier_seg_trainer.datasets.mapping import LabelMapping, bundled_mapping


class CamVid(LabelledImages):
    """``<root>/{train,val,test}/*.{png,jpg}`` beside ``<root>/{split}annot/*.png``.

    Brostow et al., "Semantic object classes in video: a high-definition ground truth database",
    Pattern Recognition Letters 2009.
    """

    name = 'camvid'
    title = 'CamVid'
    licence = 'research use; cite Brostow et al., Pattern Recognition Letters 2009'

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
    ) -> None:
        """List the files; HierSegError if a folder or the labels of an image are missing."""
        require_split(self.name, split, ('train', 'val', 'test'))
        images, annotations = root / split, root / f'{split}annot'
        for folder in (images, annotations):
            require_folder(folder, f'CamVid has {split}/ and {split}annot/ in its root')
        faults: list[Fault] = []
        files = [
            LabelledFile(path, annotations / f'{stem}.png')
            for stem, path in find_images(images, faults).items()
        ]
        label_mapping = LabelMapping.load(mapping or bundled_mapping(self.name), hierarchy)
        super().__init__(label_mapping, files, faults, strict)
