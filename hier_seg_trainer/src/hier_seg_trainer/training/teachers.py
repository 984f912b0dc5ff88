# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks that teach the one in training: its own average, and a finished model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter.interpolation import Grid, upsample
from hier_seg_ros.segmenter.model_folder import InputOptions, read_model_folder
from hier_seg_ros.segmenter.network import Features, HierarchicalNetwork
from hier_seg_trainer.batches.mixed_batches import Batch
from hier_seg_trainer.batches.training_data import TrainingData
from hier_seg_trainer.loss import HierarchicalLoss


def normalise(images: Tensor, options: InputOptions) -> Tensor:
    """Return uint8 RGB images (N, 3, H, W) as the network's input."""
    mean = torch.tensor(options.mean, device=images.device).reshape(1, 3, 1, 1)
    deviation = torch.tensor(options.standard_deviation, device=images.device).reshape(1, 3, 1, 1)
    scaled = (images.float() / 255.0 - mean) / deviation
    return scaled.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Teacher:
    """A finished model that the network in training learns to agree with (distillation).

    ``supervised`` are the names of the nodes that it was taught.
    """

    network: HierarchicalNetwork
    input: InputOptions
    supervised: tuple[str, ...]

    def logits_of(self, images: Tensor) -> Callable[[str], Tensor]:
        """Return what gives a classifier's logits (N, C, h, w) for uint8 images (N, 3, H, W).

        The features are computed at the first call and each classifier's logits once.
        """

        @functools.cache
        @torch.no_grad()
        def features() -> Features:
            return self.network.features(normalise(images, self.input))

        @functools.cache
        @torch.no_grad()
        def logits(classifier: str) -> Tensor:
            return self.network.logits(features(), classifier)

        return logits


def load_teacher(name: str, data: TrainingData, device: torch.device) -> Teacher:
    """Read the model folder `name` (its path, or its name in models/) as a teacher.

    Raises HierSegError if it cannot be read or has another tree.
    """
    description, hierarchy, network = read_model_folder(find_model(name))
    if hierarchy != data.network_hierarchy:
        raise HierSegError(
            f"teacher {name!r}: has the tree {hierarchy.name!r}, not the network's "
            f'{data.network_hierarchy.name!r}; choose a model of that tree'
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
    """Return what `average` is sure of in images that have boxes only: (N, H, W) node ids.

    255 where its softmax value is below `confidence`, where a pixel is not known to be far from
    all boxes, and where it decides for a class that boxes teach: those the boxes know better.
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
