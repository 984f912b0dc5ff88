# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a network starts from: random weights, a backbone's, or those of models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter.network import HierarchicalNetwork
from hier_seg_trainer.training.weights.backbone_weights import (
    load_backbone_weights,
    load_imagenet_weights,
)
from hier_seg_trainer.training.weights.model_weights import load_model_weights


def load_initial_weights(
    network: HierarchicalNetwork, hierarchy: Hierarchy, initial_weights: str | Sequence[str]
) -> str:
    """Give a network the weights it starts from; return where they come from, for people to read.

    Parameters
    ----------
    network
        A network with random weights.
    hierarchy
        Its tree.
    initial_weights
        'random' (those it has), 'imagenet', a safetensors file with the weights of the backbone
        under timm's names, or a model folder, by its path or by its name in models/; several model
        folders give their mean.

    Raises
    ------
    HierSegError
        The weights cannot be had.

    """
    if initial_weights == 'random':
        return 'random'
    if initial_weights == 'imagenet':
        return load_imagenet_weights(network)
    if isinstance(initial_weights, str):
        if initial_weights.endswith('.safetensors'):
            return load_backbone_weights(network, Path(initial_weights))
        initial_weights = [initial_weights]
    folders = [_model_folder(entry) for entry in initial_weights]
    return load_model_weights(network, hierarchy, folders)


def _model_folder(name: str) -> Path:
    try:
        return find_model(name)
    except HierSegError as error:
        raise HierSegError(f'initial_weights: {error}, or write imagenet or random') from error
