# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A batch of crops with all that is known of their pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from hier_seg_ros.segmenter.model_folder import InputOptions


@dataclass(frozen=True)
class Batch:
    """A batch of N crops.

    Attributes
    ----------
    images
        (N, 3, H, W) uint8 RGB, with changed colours.
    plain_images
        (N, 3, H, W) uint8 RGB, the same crops, mixed in the same way, with their own colours.
    labels
        (N, H, W) uint8 node ids, 255 where no pixel label is known.
    second_labels
        (N, H, W) uint8 node ids of the image that mixup blended in, 255 elsewhere.
    mix
        (N,) float32: a pixel's loss is mix × loss(labels) + (1 - mix) × loss(second_labels); 1
        where nothing was blended in.
    box_labels
        (N, H, W) uint8 node ids of the boxes, 255 outside.
    box_shapes
        (N, H, W) bool, inside the outline of a box.
    far_from_boxes
        (N, H, W) bool, certainly none of the boxes' classes; only of an image from a data set in
        which every object has its box.
    has_boxes
        (N,) bool, the image is labelled by boxes.
    image_labels
        (N, H, W) uint8, where an image lies that has a label as a whole: its node id; 255
        elsewhere.

    """

    images: Tensor
    plain_images: Tensor
    labels: Tensor
    second_labels: Tensor
    mix: Tensor
    box_labels: Tensor
    box_shapes: Tensor
    far_from_boxes: Tensor
    has_boxes: Tensor
    image_labels: Tensor

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory, which a GPU reads while the program goes on.

        A data loader calls it; of a dataclass it would not pin the tensors itself.
        """
        return self._with(Tensor.pin_memory)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=True))

    def _with(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(**{f.name: change(getattr(self, f.name)) for f in fields(self)})


def normalise(images: Tensor, options: InputOptions) -> Tensor:
    """Return uint8 RGB images (N, 3, H, W) as the network's input."""
    mean = torch.tensor(options.mean, device=images.device).reshape(1, 3, 1, 1)
    deviation = torch.tensor(options.standard_deviation, device=images.device).reshape(1, 3, 1, 1)
    scaled = (images.float() / 255.0 - mean) / deviation
    return scaled.contiguous(memory_format=torch.channels_last)
