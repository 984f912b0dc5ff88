# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of an engine."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.network import Features


class EngineOutputs(NamedTuple):
    """What one run of an engine gives.

    Attributes
    ----------
    features
        What the branches of the other classifiers need, in float32 or the precision of the
        engine.
    root
        The root classifier's logits (N, C, h, w), float32.

    """

    features: Features
    root: Tensor


class Engine(Protocol):
    """What runs the network; one object for each model.

    Attributes
    ----------
    name
        'torch', 'openvino' or 'onnxruntime'.
    precision
        'float32', 'bfloat16' or 'float16': that of most layers.

    """

    name: str
    precision: str

    def run(self, inputs: Tensor) -> EngineOutputs:
        """Run backbone, pyramid, details and the root classifier.

        Parameters
        ----------
        inputs
            Normalised images (N, 3, H, W), float32 and channels last, on the segmenter's device; H
            and W are multiples of the network's.

        """
        ...


class EngineUnavailableError(HierSegError):
    """An engine is not installed here, or cannot do on this device what it is to do."""
