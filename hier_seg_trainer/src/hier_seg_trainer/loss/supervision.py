# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which pixels train a classifier: the labelled ones, some of a box, some of a labelled image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from hier_seg_trainer.batches.batch import Batch
from hier_seg_trainer.loss.batch_logits import BatchLogits, Samples
from hier_seg_trainer.loss.label_map import LabelMap
from hier_seg_trainer.loss.loss_options import LossOptions
from hier_seg_trainer.loss.targets import IGNORED, Target

# The classifiers above one, top-down, each with the position of the class that leads down to it.
Path = Sequence[tuple[Target, int]]


def labelled_pixels(
    logits: BatchLogits, target: Target, labels: LabelMap, shares: Tensor | None = None
) -> Iterator[Samples]:
    """Yield the labelled pixels of each image.

    Parameters
    ----------
    logits
        Those of the batch.
    target
        The classifier that learns.
    labels
        The node ids of the pixels.
    shares
        (N,) how much the pixels of each image count, 0-1; None: wholly.

    """
    for image in labels.images_with(target.known_ids()):
        positions = target.index_of_id[labels.ids_of(image)]
        share = 1.0 if shares is None else shares[image]
        yield from logits.samples(target, image, positions, share)


def box_pixels(
    logits: BatchLogits,
    target: Target,
    path: Path,
    boxes: LabelMap,
    batch: Batch,
    options: LossOptions,
) -> Iterator[Samples]:
    """Yield the pixels of each image that get their label from boxes.

    Parameters
    ----------
    logits, target
        As for `labelled_pixels`.
    path
        The classifiers above.
    boxes
        The node ids of the boxes.
    batch
        Its outlines of boxes, and what lies far from all of them.
    options
        Which of the pixels train.

    """
    known, own = target.known_ids(), target.own_ids()
    images = set(boxes.images_with(known))
    outside = options.unlabelled_outside_boxes and target.classifier.parent is None
    if outside:
        images.update(images_with_any(batch.far_from_boxes))
    for image in sorted(images):
        node_ids = boxes.ids_of(image)
        # The rule for a box's own classifier is another than that for those above it.
        in_own, in_above = own[node_ids], (known & ~own)[node_ids]
        shapes = batch.box_shapes[image]
        chosen = torch.zeros_like(in_own)
        if options.boxes_teach_ancestors:
            chosen |= in_above & shapes
        if options.box_pixels == 'box':
            chosen |= in_own
        if options.box_pixels in ('shape', 'parent_or_shape'):
            chosen |= in_own & shapes
        if options.box_pixels in ('parent', 'parent_or_shape'):
            chosen |= parents_decided(logits, path, image, in_own & ~chosen)
        positions = target.index_of_id[node_ids].masked_fill(~chosen, IGNORED)
        if outside:
            positions.masked_fill_(batch.far_from_boxes[image], target.unlabelled)
        yield from logits.samples(target, image, positions)


def image_label_samples(
    logits: BatchLogits, target: Target, path: Path, labels: LabelMap, options: LossOptions
) -> Iterator[Samples]:
    """Yield what learns from image labels: pixels, or the logits' mean over a label's region.

    Parameters
    ----------
    logits, target, path
        As for `box_pixels`.
    labels
        The node ids of the images.
    options
        Which of the two it is.

    """
    known, own = target.known_ids(), target.own_ids()
    pooled = own if options.image_labels == 'pooled' else torch.zeros_like(own)
    if options.image_labels_teach_ancestors:
        pooled = pooled | (known & ~own)
    for image in labels.images_with(known):
        node_ids = labels.ids_of(image)
        if options.image_labels == 'parent':
            decided = parents_decided(logits, path, image, own[node_ids])
            positions = target.index_of_id[node_ids].masked_fill(~decided, IGNORED)
            yield from logits.samples(target, image, positions)
        shown = node_ids.unique()
        shown = shown[pooled[shown]]
        if len(shown) > 0:
            means = logits.region_means(target, image, node_ids == shown[:, None, None])
            yield Samples(means, target.index_of_id[shown])


def parents_decided(logits: BatchLogits, path: Path, image: int, where: Tensor) -> Tensor:
    """Return at which pixels all classifiers of a path decide along it.

    One decides by the largest of its logits, "unlabelled" among them.

    Parameters
    ----------
    logits
        Those of the batch.
    path
        The classifiers, each with the position that it must decide for.
    image
        The image of the batch.
    where
        (H, W) bool, the pixels in question.

    Returns
    -------
    Tensor
        (H, W) bool.

    """
    pixels = torch.nonzero(where.flatten()).flatten()
    for above, position in path:
        if len(pixels) > 0:
            pixels = pixels[logits.decisions(above, image, pixels) == position]
    decided = torch.zeros_like(where).flatten()
    decided[pixels] = True
    return decided.reshape(where.shape)


def images_with_any(masks: Tensor) -> list[int]:
    """Return the images of `masks` (N, H, W) bool that are not all false."""
    return torch.nonzero(masks.flatten(1).any(1)).flatten().tolist()
