# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Endless mixed batches: a set number of images from each data set in every batch.

Batch number i is a function of the seed and of i alone. So a run resumes at any iteration with
the batches that it would have seen, and worker processes need no state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.augmentation import (
    ColorOptions,
    CropOptions,
    PasteOptions,
    draw_boxes,
    paste_signs,
    random_colors,
    random_crop,
)
from hier_seg_trainer.datasets.gtsrb import Gtsrb
from hier_seg_trainer.datasets.samples import StreetDataset


@dataclass(frozen=True)
class Stream:
    """One data set's share of every batch."""

    dataset: StreetDataset
    images_per_batch: int
    crop: CropOptions
    colors: ColorOptions
    paste: PasteOptions
    signs: Gtsrb | None


@dataclass(frozen=True)
class Batch:
    """A batch of N crops.

    Attributes
    ----------
    images : (N, 3, H, W) uint8 RGB, with changed colours
    plain_images : (N, 3, H, W) uint8 RGB, the same crops with their own colours
    labels : (N, H, W) uint8 node ids, 255 where no pixel label is known
    box_labels : (N, H, W) uint8 node ids of the boxes, 255 outside
    box_shapes : (N, H, W) bool, inside the outline of a box
    far_from_boxes : (N, H, W) bool, of an image with boxes: certainly none of their classes
    has_boxes : (N,) bool, the image is labelled by boxes
    """

    images: Tensor
    plain_images: Tensor
    labels: Tensor
    box_labels: Tensor
    box_shapes: Tensor
    far_from_boxes: Tensor
    has_boxes: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        return Batch(
            **{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)}
        )


class MixedBatches(Dataset[Batch]):
    """Batches by iteration number; a data loader with ``batch_size=None`` reads them in order."""

    def __init__(self, streams: Sequence[Stream], seed: int) -> None:
        """Mix `streams`, seeded by `seed`."""
        self._streams = tuple(streams)
        self._seed = seed
        self._box_weights = [_box_weights(stream.dataset) for stream in streams]

    def __getitem__(self, iteration: int) -> Batch:
        """Return batch number `iteration`."""
        crops = [
            self._crop(number, iteration * stream.images_per_batch + place)
            for number, stream in enumerate(self._streams)
            for place in range(stream.images_per_batch)
        ]
        stacked = {
            name: torch.from_numpy(np.stack([crop[name] for crop in crops])) for name in crops[0]
        }
        for name in ('images', 'plain_images'):
            stacked[name] = stacked[name].permute(0, 3, 1, 2)
        return Batch(**stacked)

    def _crop(self, number: int, position: int) -> dict[str, NDArray]:
        """Return the crop at `position` of stream `number`."""
        stream = self._streams[number]
        rng = np.random.default_rng((self._seed, number, position))
        epoch, place = divmod(position, len(stream.dataset))
        order = np.random.default_rng((self._seed, number, epoch, 0)).permutation(
            len(stream.dataset)
        )
        index = int(order[place])
        weights = self._box_weights[number]
        sample = stream.dataset[index]
        sample = random_crop(sample, stream.crop, None if weights is None else weights[index], rng)
        if stream.signs is not None and sample.boxes is not None:
            sample = paste_signs(sample, stream.signs, stream.paste, rng)
        colored = random_colors(sample.image, stream.colors, rng)
        height, width = stream.crop.size
        box_labels, box_shapes, far = draw_boxes(sample.boxes or (), height, width)
        unknown = np.full((height, width), UNLABELLED, np.uint8)
        return {
            'images': np.array(colored),
            'plain_images': np.array(sample.image),
            'labels': unknown if sample.labels is None else sample.labels.copy(),
            'box_labels': box_labels,
            'box_shapes': box_shapes,
            'far_from_boxes': far & (sample.boxes is not None),
            'has_boxes': np.array(sample.boxes is not None),
        }


def _box_weights(dataset: StreetDataset) -> list[NDArray[np.float64]] | None:
    """Return for each image and box the inverse square root of its class's frequency."""
    boxes_of = getattr(dataset, 'boxes', None)
    if boxes_of is None:
        return None
    counts = np.ones(256)
    every = [boxes_of(index) for index in range(len(dataset))]
    for boxes in every:
        for box in boxes:
            counts[box.node_id] += 1
    return [np.array([counts[box.node_id] ** -0.5 for box in boxes]) for boxes in every]
