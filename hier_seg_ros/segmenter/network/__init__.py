# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network that is trained and that runs, and its normalisation.

For `segmenter` and the trainer.
"""

from __future__ import annotations

from hier_seg_ros.segmenter.network.backbone import build_backbone
from hier_seg_ros.segmenter.network.folding import fold_batch_norm
from hier_seg_ros.segmenter.network.hierarchical_network import (
    Features,
    HierarchicalNetwork,
    build_network,
    classifier_sizes,
    parameter_count,
)
from hier_seg_ros.segmenter.network.layers import SubPixelUpsampling
from hier_seg_ros.segmenter.network.network_options import (
    ARCHITECTURES,
    DEEPLABV3_RESNET50,
    LIGHT,
    LIGHT_DETAILED,
    NETWORKS,
    PAPER,
    NetworkOptions,
    check_options,
)
from hier_seg_ros.segmenter.network.outline import network_outline
from hier_seg_ros.segmenter.network.padding import fix_same_padding

__all__ = [
    'ARCHITECTURES',
    'DEEPLABV3_RESNET50',
    'LIGHT',
    'LIGHT_DETAILED',
    'NETWORKS',
    'PAPER',
    'Features',
    'HierarchicalNetwork',
    'NetworkOptions',
    'SubPixelUpsampling',
    'build_backbone',
    'build_network',
    'check_options',
    'classifier_sizes',
    'fix_same_padding',
    'fold_batch_norm',
    'network_outline',
    'parameter_count',
]
