# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks that teach the one in training: its own average, and a finished model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter.interpolation import Grid, upsample
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_ros.segmenter.model_folder import InputOptions, read_model_folder
from hier_seg_ros.segmenter.network import HierarchicalNetwork
from hier_seg_trainer.batches.batch import Batch, normalise
from hier_seg_trainer.loss.hierarchical import HierarchicalLoss


@dataclass(frozen=True)
class Teacher:
    """A finished model that the network in training learns to agree with (distillation).

    Attributes
    ----------
    network
        Its network.
    input
        How images become its input.
    supervised
        Names of the nodes that it was taught.

    """

    network: HierarchicalNetwork
    input: InputOptions
    supervised: tuple[str, ...]

    @torch.no_grad()
    def logits(self, images: Tensor) -> Logits:
        """Return its logits, without gradients, for uint8 images (N, 3, H, W)."""
        features = self.network.features(normalise(images, self.input))
        compute = torch.no_grad()(lambda classifier: self.network.logits(features, classifier))
        return Logits(compute, grid_of(self.network, images))


def grid_of(network: HierarchicalNetwork, images: Tensor) -> Grid:
    """Return how the pixels of images (N, 3, H, W) lie on a network's logits."""
    height, width = images.shape[-2:]
    return Grid(height, width, network.stride, network.stride)


def load_teacher(name: str, hierarchy: Hierarchy, device: torch.device) -> Teacher:
    """Read a model folder as a teacher.

    Parameters
    ----------
    name
        The folder's path, or its name in models/.
    hierarchy
        The tree of the network in training.
    device
        Where the teacher runs.

    Raises
    ------
    HierSegError
        The folder cannot be read or has another tree.

    """
    description, tree, network = read_model_folder(find_model(name))
    if tree != hierarchy:
        raise HierSegError(
            f"teacher {name!r}: has the tree {tree.name!r}, not the network's "
            f'{hierarchy.name!r}; choose a model of that tree'
        )
    network.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Teacher(network.eval(), description.input, description.supervised)


@torch.no_grad()
def self_training_labels(
    average: HierarchicalNetwork,
    batch: Batch,
    loss: HierarchicalLoss,
    grid: Grid,
    image_options: InputOptions,
    confidence: float,
) -> Tensor:
    """Return what averaged weights are sure of in images that have boxes only.

    Parameters
    ----------
    average
        The network with these weights.
    batch
        N images.
    loss
        It knows what boxes teach.
    grid
        How their pixels lie on the logits.
    image_options
        How images become the network's input.
    confidence
        The least softmax value, in 0-1.

    Returns
    -------
    Tensor
        (N, H, W) uint8 node ids. 255 where the softmax value is too low, where a pixel is not known
        to be far from all boxes, and where the decision is for a class that boxes teach: those the
        boxes know better.

    """
    root = loss.targets[0]
    labels = torch.full_like(batch.labels, UNLABELLED)
    images = torch.nonzero(batch.has_boxes).flatten()
    if len(images) == 0:
        return labels
    plain = normalise(batch.plain_images[images], image_options)
    logits = average(plain, [root.classifier.name])[root.classifier.name]
    probability, decided = upsample(logits[:, root.logit_indices].float(), grid).softmax(1).max(1)
    nodes = root.classifier.nodes
    table = [nodes[index].id for index in root.logit_indices.tolist()[:-1]]
    by_boxes = {int(root.index_of_id[box_id]) for box_id in loss.box_ids}
    table = [UNLABELLED if place in by_boxes else node for place, node in enumerate(table)]
    ids = torch.tensor([*table, UNLABELLED], dtype=torch.uint8, device=labels.device)[decided]
    sure = (probability >= confidence) & batch.far_from_boxes[images]
    labels[images] = torch.where(sure, ids, UNLABELLED)
    return labels
