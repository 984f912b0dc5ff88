# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The hierarchical loss: one cross-entropy a classifier, from pixel labels and from boxes.

After Meletis & Dubbelman, IV 2018: the loss of classifier j is the mean over the pixels with pixel
labels plus the mean over the pixels that get their labels from boxes; the total is the sum over
the classifiers, weighted by level. Box pixels are chosen online: only where the parents of the
box's class are decided for it, or (an option) inside the outline of the sign.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hier_seg_ros.hierarchy import Classifier, Hierarchy
from hier_seg_ros.segmenter.interpolation import Grid, upsample, upsample_at
from hier_seg_trainer.batches import Batch

IGNORED = -1
BOX_PIXELS = ('parent', 'shape', 'parent_or_shape')

# A batch without a sign still needs some pixels that say "no sign".
_MINIMUM_NEGATIVES = 1000


@dataclass(frozen=True)
class LossOptions:
    """The choices of the loss.

    Attributes
    ----------
    level_weights : weight of each level's losses; the last one serves all deeper levels
    box_pixels : which pixels of a box train the classifier of its class: those whose parents are
        decided for it ('parent', the paper's rule), those inside its outline ('shape'), or both
    boxes_teach_ancestors : the outlines also train the classifiers above the box's class
    negatives_per_positive : pixels far from all boxes teach the root that they are none of the
        boxes' classes: the hardest ones, this many for each pixel inside an outline; 0: none
    self_training_weight : weight of the loss on a teacher's confident decisions
    """

    level_weights: tuple[float, ...] = (1.0, 0.1, 0.1)
    box_pixels: str = 'parent'
    boxes_teach_ancestors: bool = False
    negatives_per_positive: float = 0.0
    self_training_weight: float = 0.0


@dataclass(frozen=True)
class Target:
    """A classifier as the loss uses it: the supervised classes and "unlabelled".

    ``logit_indices`` select those among its logits; ``index_of_id`` (256,) int64 gives the
    position of the right one for a node id, -1 where the classifier has nothing to say.
    """

    classifier: Classifier
    logit_indices: Tensor
    index_of_id: Tensor
    class_weights: Tensor

    def to(self, device: torch.device) -> Target:
        """Return it on another device."""
        return Target(
            self.classifier,
            self.logit_indices.to(device),
            self.index_of_id.to(device),
            self.class_weights.to(device),
        )


def supervised_nodes(hierarchy: Hierarchy, named: Collection[str]) -> tuple[str, ...]:
    """Return the names of the nodes that labels of the nodes `named` supervise.

    A label also supervises all nodes above it. In the order of the tree.
    """
    names = {step.name for name in named for step in hierarchy.path(hierarchy.node(name))}
    return tuple(node.name for node in hierarchy.nodes if node.name in names)


def build_targets(
    hierarchy: Hierarchy, supervised: Collection[str], weight_of_id: Tensor | None = None
) -> tuple[Target, ...]:
    """Return the classifiers that have a supervised class, top-down.

    `weight_of_id` (256,) float weighs the classes of the root; None weighs all alike.
    """
    targets = []
    for classifier in hierarchy.classifiers:
        chosen = [i for i, node in enumerate(classifier.nodes) if node.name in supervised]
        if not chosen:
            continue
        index_of_id = torch.full((256,), IGNORED, dtype=torch.int64)
        weights = torch.ones(len(chosen) + 1)
        for position, index in enumerate(chosen):
            node = classifier.nodes[index]
            for below in hierarchy.subtree(node):
                index_of_id[below.id] = position
            if weight_of_id is not None and classifier.parent is None:
                ids = [below.id for below in hierarchy.subtree(node)]
                known = weight_of_id[ids]
                weights[position] = known[known > 0].min() if (known > 0).any() else 1.0
        logit_indices = torch.tensor([*chosen, len(classifier.nodes)])
        targets.append(Target(classifier, logit_indices, index_of_id, weights))
    return tuple(targets)


class HierarchicalLoss:
    """The loss of a batch, by classifier name."""

    def __init__(
        self, targets: tuple[Target, ...], box_ids: Collection[int], options: LossOptions
    ) -> None:
        """Take the classifiers from ``build_targets`` and the node ids that boxes may have."""
        self.targets = targets
        self.box_ids = frozenset(box_ids)
        self.options = options

    def __call__(
        self,
        logits_of: Callable[[str], Tensor],
        batch: Batch,
        grid: Grid,
        pseudo_labels: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted losses by name; their sum is the total.

        `logits_of(classifier)` gives the logits (N, C, h, w) of the batch; it may be called more
        than once. `pseudo_labels` (N, H, W) uint8 are a teacher's node ids, 255 where it is
        not sure. A classifier that the batch has nothing for gives exactly 0.
        """
        pixel_losses, root_losses = self._root(logits_of, batch, grid, pseudo_labels)
        losses = dict(root_losses)
        boxed = torch.nonzero(batch.has_boxes).flatten()
        for target in self.targets:
            name = target.classifier.name
            weights = self.options.level_weights
            weight = weights[min(target.classifier.depth, len(weights)) - 1]
            if target.classifier.parent is None:
                pixels = pixel_losses
            else:
                pixels = self._pixel_loss(logits_of, batch, grid, target)
            boxes = self._box_loss(logits_of, batch, grid, target, boxed)
            losses[name] = weight * (pixels + boxes)
        return losses

    def _root(
        self,
        logits_of: Callable[[str], Tensor],
        batch: Batch,
        grid: Grid,
        pseudo_labels: Tensor | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the root's loss on pixel labels and its further losses by name."""
        root = self.targets[0]
        logits = logits_of(root.classifier.name)[:, root.logit_indices].float()
        dense = upsample(logits, grid)
        labels = root.index_of_id[batch.labels.long()]
        pixel_loss = _cross_entropy(dense, labels, root.class_weights)
        further = {}
        weight = self.options.level_weights[0]
        if self.options.negatives_per_positive > 0:
            further['far_from_boxes'] = weight * self._negative_loss(dense, batch, root)
        if pseudo_labels is not None:
            pseudo = root.index_of_id[pseudo_labels.long()]
            further['self_training'] = self.options.self_training_weight * _cross_entropy(
                dense, pseudo, root.class_weights
            )
        return pixel_loss, further

    def _pixel_loss(
        self,
        logits_of: Callable[[str], Tensor],
        batch: Batch,
        grid: Grid,
        target: Target,
    ) -> Tensor:
        labels = target.index_of_id[batch.labels.long()]
        images = torch.nonzero((labels != IGNORED).flatten(1).any(1)).flatten()
        parts = [
            (index, torch.nonzero(labels[index].flatten() != IGNORED).flatten())
            for index in images.tolist()
        ]
        return self._sparse_loss(logits_of, grid, target, parts, labels)

    def _box_loss(
        self,
        logits_of: Callable[[str], Tensor],
        batch: Batch,
        grid: Grid,
        target: Target,
        boxed: Tensor,
    ) -> Tensor:
        """Return the mean loss over the pixels that get their label from boxes."""
        labels = target.index_of_id[batch.box_labels.long()]
        # The rule for a box's own classifier is another than that for the classifiers above it.
        own = torch.zeros(256, dtype=torch.bool, device=labels.device)
        own[[node.id for node in target.classifier.nodes]] = True
        parts = []
        for index in boxed.tolist():
            known = labels[index].flatten() != IGNORED
            is_own = own[batch.box_labels[index].flatten().long()]
            shapes = batch.box_shapes[index].flatten()
            chosen = torch.zeros_like(known)
            if self.options.boxes_teach_ancestors:
                chosen |= known & ~is_own & shapes
            if self.options.box_pixels != 'parent':
                chosen |= known & is_own & shapes
            if self.options.box_pixels != 'shape':
                candidates = torch.nonzero(known & is_own & ~chosen).flatten()
                decided = self._parents_decided(
                    logits_of, grid, target, index, candidates, batch.box_labels[index].flatten()
                )
                chosen[candidates[decided]] = True
            pixels = torch.nonzero(chosen).flatten()
            if len(pixels):
                parts.append((index, pixels))
        return self._sparse_loss(logits_of, grid, target, parts, labels)

    def _parents_decided(
        self,
        logits_of: Callable[[str], Tensor],
        grid: Grid,
        target: Target,
        index: int,
        pixels: Tensor,
        box_labels: Tensor,
    ) -> Tensor:
        """Return for each of `pixels` whether every classifier above decides for its label."""
        decided = torch.ones(len(pixels), dtype=torch.bool, device=pixels.device)
        if len(pixels) == 0:
            return decided
        ids = box_labels[pixels].long()
        with torch.no_grad():
            for above in self.targets:
                if above.classifier.depth >= target.classifier.depth:
                    break
                wanted = above.index_of_id[ids]
                # A classifier on another path has nothing to say about these labels.
                if (wanted == IGNORED).all():
                    continue
                logits = logits_of(above.classifier.name)[index, above.logit_indices].float()
                decided &= upsample_at(logits, pixels, grid).argmax(1) == wanted
        return decided

    def _sparse_loss(
        self,
        logits_of: Callable[[str], Tensor],
        grid: Grid,
        target: Target,
        parts: list[tuple[int, Tensor]],
        labels: Tensor,
    ) -> Tensor:
        """Return the mean cross-entropy over the pixels in `parts` ((image, pixels) pairs)."""
        if not parts:
            return torch.zeros((), device=labels.device)
        logits = logits_of(target.classifier.name)
        sampled = torch.cat(
            [
                upsample_at(logits[index, target.logit_indices].float(), pixels, grid)
                for index, pixels in parts
            ]
        )
        right = torch.cat([labels[index].flatten()[pixels] for index, pixels in parts])
        return functional.cross_entropy(sampled, right, target.class_weights)

    def _negative_loss(self, dense: Tensor, batch: Batch, root: Target) -> Tensor:
        """Return the mean of -log(1 - p(class of a box)) over the hardest far pixels."""
        far = batch.far_from_boxes
        if not self.box_ids or not far.any():
            return torch.zeros((), device=dense.device)
        others = torch.ones(dense.shape[1], dtype=torch.bool, device=dense.device)
        others[root.index_of_id[list(self.box_ids)].to(dense.device)] = False
        images = torch.nonzero(batch.has_boxes).flatten()
        chosen = dense[images]
        # log(1 - p) without ever forming p.
        hardness = torch.logsumexp(chosen, 1) - torch.logsumexp(chosen[:, others], 1)
        values = hardness[far[images]]
        positives = int(batch.box_shapes[images].sum())
        wanted = max(_MINIMUM_NEGATIVES, round(self.options.negatives_per_positive * positives))
        return values.topk(min(wanted, len(values))).values.mean()


def _cross_entropy(logits: Tensor, labels: Tensor, class_weights: Tensor) -> Tensor:
    """Return the weighted mean over the labelled pixels; exactly 0 if there is none."""
    if not (labels != IGNORED).any():
        return torch.zeros((), device=logits.device)
    return functional.cross_entropy(logits, labels, class_weights, ignore_index=IGNORED)
