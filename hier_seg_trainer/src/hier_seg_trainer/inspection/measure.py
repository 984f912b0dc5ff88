# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures one image of a data set; what is wrong with it is found on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.datasets.samples import Box, StreetDataset, StreetSample, open_image
from hier_seg_trainer.inspection.boxes import box_problems
from hier_seg_trainer.inspection.duplicates import Fingerprint, fingerprint
from hier_seg_trainer.inspection.file_checks import diagnose, header_problems
from hier_seg_trainer.inspection.problems import Problem


@dataclass(frozen=True)
class ImageMeasures:
    """What is known of image ``index`` of a data set after reading it.

    Attributes
    ----------
    usable : its reader accepts it
    size : (width, height); None if the image cannot be read, and ``fingerprint`` too
    node_ids : (K,) uint8, the nodes that its labels name, in ascending order
    pixels : (K,) int64, the pixels of each: labelled, inside its boxes, or of the whole image
    instances : (K,) int64, the objects of each; None where the labels do not tell
    boxes : its boxes; None unless the data set has boxes
    """

    index: int
    path: Path
    usable: bool
    size: tuple[int, int] | None
    fingerprint: Fingerprint | None
    node_ids: NDArray[np.uint8]
    pixels: NDArray[np.int64]
    instances: NDArray[np.int64] | None
    boxes: tuple[Box, ...] | None
    problems: tuple[Problem, ...]


class Measured(Dataset[ImageMeasures]):
    """A data set as its measures, so that a data loader's processes can take them."""

    def __init__(self, dataset: StreetDataset, hierarchy: Hierarchy) -> None:
        """Measure `dataset`, whose labels are nodes of `hierarchy`."""
        self._dataset = dataset
        self._hierarchy = hierarchy

    def __getitem__(self, index: int) -> ImageMeasures:
        """Read and measure one image; a file that cannot be used is a problem, no error."""
        return measure(self._dataset, index, self._hierarchy)


def measure(dataset: StreetDataset, index: int, hierarchy: Hierarchy) -> ImageMeasures:
    """Read and measure one image; a file that cannot be used is a problem, no error."""
    path, label_path = dataset.image_path(index), dataset.label_path(index)
    problems = list(header_problems(path))
    if label_path is not None:
        problems += header_problems(label_path)
    try:
        sample = dataset[index]
        instance_map = _instance_map(dataset, index)
    except HierSegError as error:
        problems += diagnose(dataset, index, error)
        return _unlabelled(index, path, problems)
    size = sample.image.size
    instances: NDArray[np.int64] | None
    if sample.boxes is not None:
        problems += box_problems(path, sample.boxes, size, hierarchy)
        pixels, instances = _count_boxes(sample.boxes, size)
    elif sample.image_label is not None:
        pixels, instances = np.zeros(256, np.int64), np.zeros(256, np.int64)
        pixels[sample.image_label] = size[0] * size[1]
        instances[sample.image_label] = 1
    else:
        pixels, instances = _count_labels(sample, instance_map)
    # Where every object has its box, an image without one says that it shows none.
    if not pixels.any() and not dataset.complete_boxes:
        problems.append(Problem('no_labels', label_path or path, 'nothing in it is labelled'))
    seen = np.flatnonzero(pixels) if instances is None else np.flatnonzero(pixels + instances)
    return ImageMeasures(
        index,
        path,
        True,
        size,
        fingerprint(sample.image),
        seen.astype(np.uint8),
        pixels[seen],
        None if instances is None else instances[seen],
        sample.boxes,
        tuple(problems),
    )


def _unlabelled(index: int, path: Path, problems: list[Problem]) -> ImageMeasures:
    """Return the measures of an image whose labels cannot be used; of its pixels, if they can."""
    size, print_ = None, None
    try:
        image = open_image(path)
    except HierSegError:
        pass  # reported already
    else:
        size, print_ = image.size, fingerprint(image)
    ids, counts = np.zeros(0, np.uint8), np.zeros(0, np.int64)
    return ImageMeasures(index, path, False, size, print_, ids, counts, None, None, tuple(problems))


def _instance_map(dataset: StreetDataset, index: int) -> NDArray[np.int32] | None:
    """Return (H, W) numbers of instances, 0 where there is none; None if the data has none."""
    instances_of = getattr(dataset, 'instances', None)
    return None if instances_of is None else instances_of(index)


def _count_labels(
    sample: StreetSample, instance_map: NDArray[np.int32] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Return pixels and instances (256,) by node id; an instance is of the class of most of it."""
    assert sample.labels is not None
    pixels = np.bincount(sample.labels.ravel(), minlength=256)
    pixels[UNLABELLED] = 0
    if instance_map is None:
        return pixels, None
    pairs = instance_map.astype(np.int64) * 256 + sample.labels
    found, counts = np.unique(pairs[instance_map > 0], return_counts=True)
    # Of the rows of an instance, the last one is that of its most frequent label.
    found = found[np.lexsort((counts, found // 256))]
    last = np.diff(found // 256, append=-1) != 0
    instances = np.bincount(found[last] % 256, minlength=256)
    instances[UNLABELLED] = 0
    return pixels, instances


def _count_boxes(
    boxes: tuple[Box, ...], size: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pixels inside boxes, as far as in the image, and boxes: (256,) by node id."""
    pixels, instances = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for box in boxes:
        width = min(box.right, size[0]) - max(box.left, 0)
        height = min(box.bottom, size[1]) - max(box.top, 0)
        pixels[box.node_id] += round(max(0.0, width) * max(0.0, height))
        instances[box.node_id] += 1
    return pixels, instances
