# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes drawn as label images, so that they can be compared with what was decided."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.scoring.label_scores import LabelImage
from hier_seg_trainer.datasets.samples import Box
from hier_seg_trainer.datasets.shapes import draw_outline


def draw_boxes(boxes: Iterable[Box], shape: tuple[int, ...]) -> LabelImage:
    """Return node ids (H, W) uint8 in the outlines of `boxes`, 255 elsewhere; later ones win."""
    labels = Image.new('L', (shape[1], shape[0]), UNLABELLED)
    for box in boxes:
        draw_outline(labels, box, box.node_id)
    return np.array(labels)


def draw_signs(boxes: Iterable[Box], shape: tuple[int, ...], hierarchy: Hierarchy) -> LabelImage:
    """Return a traffic-sign image (H, W) uint8 with the outlines of `boxes`, 255 elsewhere."""
    sign_of_id = hierarchy.traffic_sign_of_id
    signs = [box for box in boxes if sign_of_id[box.node_id] != UNLABELLED]
    return sign_of_id[draw_boxes(signs, shape)]
