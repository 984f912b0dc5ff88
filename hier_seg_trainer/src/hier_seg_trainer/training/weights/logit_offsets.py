# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Logits moved after training, for classes that training shows more often than a camera does.

Pasted signs, crops around boxes and means over the pixels of boxes make a class likelier to the
network than it is in an image. A softmax classifier is brought to other frequencies by adding to
its logits (Saerens, Latinne & Decaestecker, Neural Computation 2002; Menon et al., ICLR 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.model_folder import ModelDescription
from hier_seg_ros.segmenter.network import HierarchicalNetwork
from hier_seg_trainer.configuration import LogitOffset


def add_logit_offsets(
    network: HierarchicalNetwork, hierarchy: Hierarchy, offsets: Sequence[LogitOffset]
) -> None:
    """Add the offsets to the biases of a network of `hierarchy`, in place.

    Raises
    ------
    HierSegError
        The tree lacks a class.

    """
    for classifier, index, offset in places(hierarchy, offsets):
        network.add_to_logit(classifier, index, offset)


def offsets_in_weights(description: ModelDescription) -> tuple[LogitOffset, ...]:
    """Return the offsets that a model's weights contain, by the experiment that it records.

    Raises
    ------
    HierSegError
        That record is not as it was exported.

    """
    try:
        recorded = description.training.get('experiment', {}).get('logit_offsets', ())
        return tuple(LogitOffset(entry['node'], float(entry['offset'])) for entry in recorded)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise HierSegError(
            f'model {description.name}: training.experiment.logit_offsets in its model.yaml must '
            f'be a list of entries with node and offset; correct it, or remove it if the weights '
            f'have none'
        ) from error


def places(
    hierarchy: Hierarchy, offsets: Sequence[LogitOffset]
) -> tuple[tuple[str, int, float], ...]:
    """Return the classifier, the position among its logits and the value of each offset.

    Raises
    ------
    HierSegError
        The tree lacks a class.

    """
    found = {
        node.name: (classifier.name, index)
        for classifier in hierarchy.classifiers
        for index, node in enumerate(classifier.nodes)
    }
    for entry in offsets:
        if entry.node not in found:
            raise HierSegError(
                f'logit_offsets: the tree {hierarchy.name} has no class {entry.node!r}; correct '
                f'the name'
            )
    return tuple((*found[entry.node], entry.offset) for entry in offsets)
