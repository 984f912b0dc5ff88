# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Splits whose labels a benchmark keeps to itself: images to write predictions for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.faults import Fault, check_faults
from hier_seg_trainer.datasets.formats.labelled_images import require_folder
from hier_seg_trainer.datasets.image_pairs import find_images
from hier_seg_trainer.datasets.mapping import LabelMapping, bundled_mapping

# The format and the split. Cityscapes names its test images as the others, with city folders;
# MiniCity's are <number>.png.
UNLABELLED = (('cityscapes', 'test'), ('minicity', 'test'))


@dataclass(frozen=True)
class UnlabelledImages:
    """Images without labels, and the mapping of the data set that predictions are written for."""

    name: str
    mapping: LabelMapping
    paths: tuple[Path, ...]


def open_unlabelled(
    format_name: str, root: Path, split: str, hierarchy: Hierarchy, mapping: Path | None = None
) -> UnlabelledImages:
    """Return the images in ``<root>/leftImg8bit/<split>``; HierSegError if there are none.

    The arguments are those of ``open_dataset``, format and split one of ``UNLABELLED``.
    """
    folder = root / 'leftImg8bit' / split
    require_folder(folder, 'the images of the split lie there')
    faults: list[Fault] = []
    images = find_images(folder, faults)
    check_faults(faults, strict=True)
    label_mapping = LabelMapping.load(mapping or bundled_mapping(format_name), hierarchy)
    return UnlabelledImages(format_name, label_mapping.require_values(), tuple(images.values()))
