# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model folder: ``model.yaml``, ``hierarchy.yaml``, ``weights.safetensors`` (and a README.md).

Reading checks everything before the network runs; writing leaves a whole folder or none. For
`segmenter` and the trainer.
"""

from __future__ import annotations

from hier_seg_ros.segmenter.model_folder.description import InputOptions, ModelDescription
from hier_seg_ros.segmenter.model_folder.folder import (
    HIERARCHY_FILE,
    MODEL_FILE,
    WEIGHTS_FILE,
    read_model_folder,
    write_model_folder,
    write_temperatures,
)

__all__ = [
    'HIERARCHY_FILE',
    'MODEL_FILE',
    'WEIGHTS_FILE',
    'InputOptions',
    'ModelDescription',
    'read_model_folder',
    'write_model_folder',
    'write_temperatures',
]
