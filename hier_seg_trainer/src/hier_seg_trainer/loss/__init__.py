# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The hierarchical loss: one for each classifier, from pixels, boxes, image labels and teachers.

For `configuration` (its options) and `training`; imports `batches` and `processes`.
"""

from __future__ import annotations

from hier_seg_trainer.loss.hierarchical import HierarchicalLoss
from hier_seg_trainer.loss.loss_options import (
    BOX_PIXELS,
    IMAGE_LABELS,
    PIXEL_LOSSES,
    LossOptions,
)
from hier_seg_trainer.loss.targets import (
    IGNORED,
    Target,
    build_targets,
    class_weights,
    supervised_nodes,
)

__all__ = [
    'BOX_PIXELS',
    'IGNORED',
    'IMAGE_LABELS',
    'PIXEL_LOSSES',
    'HierarchicalLoss',
    'LossOptions',
    'Target',
    'build_targets',
    'class_weights',
    'supervised_nodes',
]
