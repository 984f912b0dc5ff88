# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node ids of the pixels of a batch, and which of them occur in which image."""

from __future__ import annotations

import torch
from torch import Tensor


class LabelMap:
    """The node ids of the pixels of a batch.

    Attributes
    ----------
    node_ids
        (N, H, W) uint8, 255 where nothing is known.

    """

    def __init__(self, node_ids: Tensor) -> None:
        """Count the ids of each image once, so that every classifier finds its images."""
        self.node_ids = node_ids
        self._present = torch.stack(
            [torch.bincount(image.flatten(), minlength=256) > 0 for image in node_ids]
        )

    def images_with(self, wanted: Tensor) -> list[int]:
        """Return the images that hold one of some ids: `wanted` is (256,) bool by node id."""
        return torch.nonzero((self._present & wanted).any(1)).flatten().tolist()

    def ids_of(self, image: int) -> Tensor:
        """Return the node ids of an image as indices: (H, W) int64."""
        return self.node_ids[image].long()
