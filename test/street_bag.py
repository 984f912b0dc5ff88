# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the bag of the fixture `street_bag` holds: three images and their signs."""

from __future__ import annotations

import numpy as np

STAMPS = (1_000_000_000, 1_500_000_001, 2_000_000_002)
CAMERA = '/camera/image_raw'
TRUTH = '/ground_truth/traffic_signs/labels'


def photograph(index: int) -> np.ndarray:
    """Return the image of a frame, 64×96×3."""
    return np.random.default_rng(index).integers(0, 256, (64, 96, 3), np.uint8)


def true_labels(index: int) -> np.ndarray:
    """Return the signs of a frame: two in the first, one in the second, none in the third."""
    labels = np.full((64, 96), 255, np.uint8)
    if index < 2:
        labels[10:20, 30:40] = 14
    if index == 0:
        labels[40:60, 70:90] = 2
    return labels
