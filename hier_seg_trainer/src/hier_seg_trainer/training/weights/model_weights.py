# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of model folders: taken for fine-tuning, or averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.model_folder import read_model_folder
from hier_seg_ros.segmenter.network import HierarchicalNetwork
from hier_seg_ros.segmenter.network.normalization import replace_batch_norm
from hier_seg_trainer.configuration import LogitOffset
from hier_seg_trainer.training.weights.logit_offsets import add_logit_offsets, offsets_in_weights

# So many tensors that a model folder lacks are named one by one.
_NAMED = 5


def load_model_weights(
    network: HierarchicalNetwork, hierarchy: Hierarchy, folders: Sequence[Path]
) -> str:
    """Give a network the weights of model folders, for fine-tuning; return what was taken.

    Of several, the mean: the weights of runs that went on from one another, or that began alike,
    often do better averaged than any by itself (Izmailov et al., "Averaging weights leads to wider
    optima and better generalization", UAI 2018; Wortsman et al., "Model soups", ICML 2022).

    Tensors are taken where name and shape agree, those of a branch where both trees have a
    classifier of that name, and those with a part for each class where it has the same classes in
    both; the others stay as they are. A batch normalised model also starts a network with another
    normalisation, by the rules of ``replace_batch_norm``. The models' own ``logit_offsets`` are
    taken off again: they belong to their decisions, and training would have to unlearn them.

    Parameters
    ----------
    network
        The network.
    hierarchy
        Its tree.
    folders
        The model folders.

    Raises
    ------
    HierSegError
        A folder cannot be read, nothing in it fits, or several do not give the same tensors.

    """
    if not folders:
        raise HierSegError('initial_weights: lists no model; give one, or write imagenet or random')
    wanted = _by_classifier(network)
    models, trees, offered = zip(*(_offered(network, folder) for folder in folders), strict=True)
    fitting = [_fitting(wanted, tensors) for tensors in offered]
    for folder, names, tree in zip(folders, fitting, trees, strict=True):
        if not names:
            raise HierSegError(
                f'initial_weights {folder}: none of its tensors fits the network; give a model '
                f'folder with the same backbone, or write initial_weights: random'
            )
        if names != fitting[0]:
            raise HierSegError(
                f'initial_weights {folder}: gives other tensors than {folders[0]} '
                f'({min(names ^ fitting[0])}); only models of the same network and tree have a mean'
            )
        _check_classes(folder, tree, trees[0])
    others = tuple(f'branches/{name}/' for name in _other_classifiers(trees[0], hierarchy))
    taken = {n for n in fitting[0] if not n.startswith(others) or '/bottleneck.' in n}
    _take_mean({name: wanted[name] for name in taken}, offered)
    left = [name for name in wanted if name not in taken]
    text = 'the model ' if len(folders) == 1 else 'the mean of the models '
    text += ' and '.join(models) + f': {len(taken)} of {len(wanted)} tensors'
    if left:
        text += '; left as they were: ' + ', '.join(left[:_NAMED])
        text += f' and {len(left) - _NAMED} more' if len(left) > _NAMED else ''
    return text


def average_with_models(
    network: HierarchicalNetwork, hierarchy: Hierarchy, folders: Sequence[Path]
) -> tuple[str, ...]:
    """Replace the weights of a network by the mean of its own and those of models.

    `load_model_weights` says why a mean, and what becomes of offsets.

    Parameters
    ----------
    network
        The network.
    hierarchy
        Its tree.
    folders
        The model folders.

    Returns
    -------
    tuple of str
        The names of the models.

    Raises
    ------
    HierSegError
        A folder cannot be read or holds another network or tree.

    """
    own = _by_classifier(network)
    models, trees, offered = zip(*(_offered(network, folder) for folder in folders), strict=True)
    for folder, tensors, tree in zip(folders, offered, trees, strict=True):
        others = own.keys() ^ tensors.keys() or own.keys() - _fitting(own, tensors)
        if others:
            raise HierSegError(
                f'{folder}: holds another network than the run ({min(others)}); only models of the '
                f'same network and tree have a mean'
            )
        _check_classes(folder, tree, hierarchy)
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


def _fitting(wanted: Mapping[str, Tensor], offered: Mapping[str, Tensor]) -> set[str]:
    """Return the names under which both have tensors of the same shape."""
    return {n for n in wanted if n in offered and offered[n].shape == wanted[n].shape}


def _other_classifiers(tree: Hierarchy, wanted: Hierarchy) -> list[str]:
    """Return the classifiers of both trees whose logits stand for other classes in one of them."""
    names = wanted.classifier_names()
    return [k for k, classes in tree.classifier_names().items() if names.get(k, classes) != classes]


def _check_classes(folder: Path, tree: Hierarchy, wanted: Hierarchy) -> None:
    """Refuse a mean of logits that stand for other classes, though their numbers agree."""
    for name in _other_classifiers(tree, wanted):
        raise HierSegError(
            f'{folder}: its classifier {name} has other classes, or in another order; only models '
            f'of the same tree have a mean'
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
