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
from hier_seg_trainer.datasets.samples import Box, StreetDataset, StreetSample
from hier_seg_trainer.datasets.stored_pixels import open_image
from hier_seg_trainer.inspection.checks.box_checks import box_problems
from hier_seg_trainer.inspection.checks.duplicates import Fingerprint, fingerprint
from hier_seg_trainer.inspection.checks.file_checks import attempt, diagnose, header_problems
from hier_seg_trainer.inspection.checks.problems import Problem


@dataclass(frozen=True)
class ImageMeasures:
    """What is known of an image of a data set after reading it.

    Attributes
    ----------
    index
        Its place in the data set.
    path
        Its file.
    problems
        What is wrong with it and its labels.
    usable
        Whether its reader accepts it.
    size
        (width, height) in pixels; None if the image cannot be read.
    fingerprint
        For the comparison with others; None if the image cannot be read.
    node_ids
        (K,) uint8, the nodes that its labels name, in ascending order.
    pixels
        (K,) int64, the pixels of each: labelled, inside its boxes, or of the whole image.
    instances
        (K,) int64, the objects of each; None where the labels do not tell.
    boxes
        Its boxes; None unless the data set has boxes.

    """

    index: int
    path: Path
    problems: tuple[Problem, ...]
    usable: bool
    size: tuple[int, int] | None
    fingerprint: Fingerprint | None
    node_ids: NDArray[np.uint8]
    pixels: NDArray[np.int64]
    instances: NDArray[np.int64] | None = None
    boxes: tuple[Box, ...] | None = None


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
    read, reason = attempt(lambda: _read(dataset, index))
    if read is None:
        problems += diagnose(dataset, index, reason)
        # Without its labels, the image can still be compared with others.
        image, _ = attempt(lambda: open_image(path))
        size, print_ = (None, None) if image is None else (image.size, fingerprint(image))
        none = np.zeros(0, np.int64)
        return ImageMeasures(
            index, path, tuple(problems), False, size, print_, none.astype(np.uint8), none
        )
    sample, instance_map = read
    if sample.boxes is not None:
        problems += box_problems(path, sample.boxes, sample.image.size, hierarchy)
    pixels, instances = _count(sample, instance_map)
    # Where every object has its box, an image without one says that it shows none.
    if not pixels.any() and not dataset.complete_boxes:
        problems.append(Problem('no_labels', label_path or path, 'nothing in it is labelled'))
    seen = np.flatnonzero(pixels if instances is None else pixels + instances)
    return ImageMeasures(
        index,
        path,
        tuple(problems),
        True,
        sample.image.size,
        fingerprint(sample.image),
        seen.astype(np.uint8),
        pixels[seen],
        None if instances is None else instances[seen],
        sample.boxes,
    )


def _read(dataset: StreetDataset, index: int) -> tuple[StreetSample, NDArray[np.int32] | None]:
    """Return an image with what is known of it, and (H, W) numbers of instances.

    The numbers are 0 where there is no instance; None if the data set has none.
    """
    sample = dataset[index]
    instances_of = getattr(dataset, 'instances', None)
    instances = None if instances_of is None else instances_of(index)
    size = (sample.image.height, sample.image.width)
    if instances is not None and instances.shape != size:
        raise HierSegError(
            f'its instances are {instances.shape[1]}×{instances.shape[0]}, it is '
            f'{size[1]}×{size[0]}; find the instance file that belongs to it'
        )
    return sample, instances


def _count(
    sample: StreetSample, instance_map: NDArray[np.int32] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Return the pixels and the objects of each node, (256,) by node id."""
    if sample.boxes is not None:
        return _count_boxes(sample.boxes, sample.image.size)
    if sample.image_label is not None:
        pixels, instances = np.zeros((2, 256), np.int64)
        pixels[sample.image_label] = sample.image.width * sample.image.height
        instances[sample.image_label] = 1
        return pixels, instances
    return _count_labels(sample, instance_map)


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
    pixels, instances = np.zeros((2, 256), np.int64)
    for box in boxes:
        width = min(box.right, size[0]) - max(box.left, 0)
        height = min(box.bottom, size[1]) - max(box.top, 0)
        pixels[box.node_id] += round(max(0.0, width) * max(0.0, height))
        instances[box.node_id] += 1
    return pixels, instances
