# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model whose shared features can be looked at, pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hier_seg_ros.segmenter.model_folder import read_model_folder
from hier_seg_ros.segmenter.network import HierarchicalNetwork
from hier_seg_ros.segmenter.segmenter import Segmenter


class EmbeddingModel:
    """A model folder whose shared features can be looked at."""

    def __init__(
        self, model_folder: Path, device: str = 'auto', input_long_side: int | None = None
    ) -> None:
        """Load a model; the arguments are those of ``Segmenter.load``, and so are the errors."""
        description, hierarchy, self._network = read_model_folder(model_folder)
        self.segmenter = Segmenter(
            description,
            hierarchy,
            self._network,
            model_folder=model_folder,
            device=device,
            input_long_side=input_long_side,
        )
        self._features: list[Tensor] = []
        self._network.pyramid.register_forward_hook(self._keep)

    def embed(
        self, image: NDArray[np.uint8], x: NDArray[np.int64], y: NDArray[np.int64]
    ) -> tuple[Tensor, NDArray[np.uint8]]:
        """Return the features and the decisions of pixels, from one pass of the network.

        Parameters
        ----------
        image
            (H, W, 3) uint8 RGB.
        x, y
            (P,), the columns and rows of its pixels.

        Returns
        -------
        features
            (P, C) float32, on the CPU.
        decided
            (P,) uint8, the ids of the finest decided nodes.

        """
        self._features.clear()
        (result,) = self.segmenter.segment([image], confidence=False)
        height, width = image.shape[:2]
        scaled = self.segmenter.network_size(height, width)
        places = np.stack(((x + 0.5) * scaled[1] / width, (y + 0.5) * scaled[0] / height), 1)
        features = features_at(self._features[0], places, self._network)
        return features, result.finest[y, x]

    def _keep(self, module: torch.nn.Module, inputs: object, features: Tensor) -> None:
        self._features.append(features)


def features_at(
    features: Tensor, places: NDArray[np.float64], network: HierarchicalNetwork
) -> Tensor:
    """Return the shared features at some places, interpolated bilinearly.

    Parameters
    ----------
    features
        (1, C, h, w), what the network shares between its classifiers.
    places
        (P, 2), x and y in pixels of the network's input; a pixel's centre lies at a half.
    network
        The network; it says how many pixels of its input a feature is wide.

    Returns
    -------
    Tensor
        (P, C) float32, on the CPU.

    """
    stride = network.options.fused_strides[0]
    size = np.array([features.shape[3], features.shape[2]])
    grid = torch.from_numpy(2 * places / (stride * size) - 1).to(features)
    sampled = functional.grid_sample(
        features, grid[None, None], padding_mode='border', align_corners=False
    )
    return sampled[0, :, 0].T.float().cpu().contiguous()
