# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The losses of a batch: one for each classifier, from pixels, boxes, image labels and teachers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from hier_seg_ros.segmenter.logits import Logits
from hier_seg_trainer.batches.batch import Batch
from hier_seg_trainer.loss import pixel_losses
from hier_seg_trainer.loss.batch_logits import BatchLogits, Samples
from hier_seg_trainer.loss.distillation import Distillation
from hier_seg_trainer.loss.label_map import LabelMap
from hier_seg_trainer.loss.loss_options import LossOptions
from hier_seg_trainer.loss.means import Mean, add_means, no_mean
from hier_seg_trainer.loss.node_sets import SetSamples, SetTargets, SetTerm, set_pixels
from hier_seg_trainer.loss.supervision import (
    box_pixels,
    image_label_samples,
    images_with_any,
    labelled_pixels,
)
from hier_seg_trainer.loss.targets import IGNORED, Target, path_to
from hier_seg_trainer.processes.distributed import process_count

# A batch without a sign still needs some pixels that say "no sign".
_MINIMUM_NEGATIVES = 1000


class HierarchicalLoss:
    """The loss of a batch, by name.

    After Meletis & Dubbelman, IV 2018: the loss of classifier j is the mean over the pixels with
    pixel labels plus the mean over the pixels that get their labels from boxes; the total is the
    sum over the classifiers, weighted by level. Box pixels are chosen online: only where the
    parents of the box's class are decided for it, or as ``LossOptions`` says. Image labels are a
    third kind of supervision, after the authors' IV 2019 article. A pixel whose label is a set of
    nodes counts at the classifier where they part (see ``node_sets``), but not for the Lovász loss.

    A mean that is weighted by class divides by the sum of the weights. With torch.distributed
    initialised every mean is over the pixels of all processes; the hardest pixels (of 'ohem' and
    far from boxes) are then the hardest of each process, not of the whole batch.
    """

    def __init__(
        self,
        targets: tuple[Target, ...] | SetTargets,
        box_ids: Collection[int],
        options: LossOptions,
        *,
        negative_ids: Collection[int] | None = None,
        image_ids: Collection[int] | None = None,
        teacher_targets: tuple[Target, ...] | None = None,
    ) -> None:
        """Take what there is to learn.

        Parameters
        ----------
        targets
            The classifiers, from ``build_targets``, or from ``add_sets`` where labels may be sets
            of nodes.
        box_ids
            Node ids that boxes may have.
        options
            The choices.
        negative_ids
            Node ids that no pixel far from all boxes shows; None: the box ids.
        image_ids
            Node ids that image labels may have; None: any. Only their classifiers then have losses
            on image labels.
        teacher_targets
            The classifiers with the classes that the teacher to distil was trained on; None: with
            those of `targets`.

        """
        self._set_terms: Mapping[str, Mapping[int, SetTerm]] = {}
        if isinstance(targets, SetTargets):
            self._set_terms = targets.terms
            targets = targets.targets
        self.targets = targets
        self.box_ids = frozenset(box_ids)
        self.options = options
        self._paths = {target.name: path_to(targets, target) for target in targets}
        self._excluded = _positions(targets[0], box_ids if negative_ids is None else negative_ids)
        self._image_targets = [t for t in targets if _learns_from_images(t, image_ids, options)]
        self._distillation = Distillation(
            targets,
            targets if teacher_targets is None else teacher_targets,
            options.distillation_temperature,
        )

    def __call__(
        self,
        logits: Logits,
        batch: Batch,
        pseudo_labels: Tensor | None = None,
        teacher: Logits | None = None,
    ) -> dict[str, Tensor]:
        """Return the weighted losses of a batch by name; their sum is the total.

        Parameters
        ----------
        logits
            Of the batch.
        batch
            N crops.
        pseudo_labels
            (N, H, W) uint8, a teacher's node ids, 255 where it is not sure.
        teacher
            The logits that are distilled, perhaps at another resolution.

        Returns
        -------
        dict
            What the batch has nothing for is exactly 0. The names depend on the options and on
            which of the teachers there are, never on the batch.

        """
        # Synchronised normalisation waits until every process runs a branch, forth and back.
        connections = {}
        if process_count() > 1:
            connections = {t.name: 0.0 * logits[t.name].float().sum() for t in self.targets}
        losses = add_means(list(self._means(logits, batch, pseudo_labels, teacher)))
        for name, zero in connections.items():
            losses[name] = losses[name] + zero
        return losses

    def _means(
        self,
        of_batch: Logits,
        batch: Batch,
        pseudo_labels: Tensor | None,
        teacher: Logits | None,
    ) -> Iterator[Mean]:
        """Yield all means, the same ones in the same order for every batch."""
        options = self.options
        logits = BatchLogits(of_batch)
        labels, second_labels = LabelMap(batch.labels), LabelMap(batch.second_labels)
        box_labels, image_labels = LabelMap(batch.box_labels), LabelMap(batch.image_labels)
        for target in self.targets:
            level = self._level_weight(target)
            # A mixed image has the labels of both of its parts, each by its share.
            pixels = [
                *labelled_pixels(logits, target, labels, batch.mix),
                *labelled_pixels(logits, target, second_labels, 1.0 - batch.mix),
            ]
            terms = self._set_terms.get(target.name, {})
            of_sets = [
                *set_pixels(logits, terms, labels, batch.mix),
                *set_pixels(logits, terms, second_labels, 1.0 - batch.mix),
            ]
            yield self._mean(target.name, level, target, [*pixels, *of_sets])
            if options.lovasz_weight > 0:
                yield _lovasz(target, options.lovasz_weight * level, pixels)
            path = self._paths[target.name]
            in_boxes = box_pixels(logits, target, path, box_labels, batch, options)
            yield self._mean(target.name, level, target, in_boxes)
        root = self.targets[0]
        if options.negatives_per_positive > 0:
            yield self._negatives(logits, root, batch)
        if pseudo_labels is not None:
            confident = labelled_pixels(logits, root, LabelMap(pseudo_labels))
            yield self._mean('self_training', options.self_training_weight, root, confident)
        for target in self._image_targets:
            weight = options.image_label_weight * self._level_weight(target)
            path = self._paths[target.name]
            shown = image_label_samples(logits, target, path, image_labels, options)
            yield self._mean(f'image_labels/{target.name}', weight, target, shown)
        if options.distillation_weight > 0 and teacher is not None:
            for target, total, count in self._distillation(of_batch, teacher):
                weight = options.distillation_weight * self._level_weight(target)
                yield Mean(f'distillation/{target.name}', weight, total, count)

    def _level_weight(self, target: Target) -> float:
        weights = self.options.level_weights
        return weights[min(target.classifier.depth, len(weights)) - 1]

    def _mean(
        self,
        name: str,
        factor: float,
        target: Target,
        samples: Iterable[Samples | SetSamples],
    ) -> Mean:
        """Return the mean of the chosen pixel loss over `samples`."""
        options = self.options
        losses, weights = [], []
        for sample in samples:
            if isinstance(sample, SetSamples):
                losses.append(_set_loss(sample, options))
                weight = sample.class_weight * sample.share
                weights.append(weight.expand(len(losses[-1])))
                continue
            if options.pixel_loss == 'focal':
                loss = pixel_losses.focal(
                    sample.logits, sample.labels, options.focal_gamma, options.label_smoothing
                )
            else:
                loss = pixel_losses.cross_entropy(
                    sample.logits, sample.labels, options.label_smoothing
                )
            known = sample.labels != IGNORED
            weight = target.class_weights[sample.labels.clamp(min=0)] * known * sample.share
            if options.pixel_loss == 'ohem':
                loss, weight = loss[known], weight[known]
            losses.append(loss.flatten())
            weights.append(weight.flatten())
        if not losses:
            return no_mean(name, target.class_weights.device)
        loss, weight = torch.cat(losses), torch.cat(weights)
        if options.pixel_loss == 'ohem':
            kept = pixel_losses.hardest(loss.detach(), options.ohem_share, options.ohem_threshold)
            weight = weight * kept
        return Mean(name, factor, (weight * loss).sum(), weight.sum())

    def _negatives(self, logits: BatchLogits, root: Target, batch: Batch) -> Mean:
        """Return the mean of -log(1 - p(class of a box)) over the hardest far pixels."""
        images = images_with_any(batch.far_from_boxes)
        if self._excluded is None or not images:
            return no_mean('far_from_boxes', root.class_weights.device)
        far = [torch.nonzero(batch.far_from_boxes[image].flatten()).flatten() for image in images]
        # The search for the hardest needs no gradient, only what it finds does.
        hardness = []
        for image, pixels in zip(images, far, strict=True):
            everywhere = pixel_losses.none_of(logits.dense_values(root, image), self._excluded)
            hardness.append(everywhere.flatten()[pixels])
        values = torch.cat(hardness)
        wanted = round(self.options.negatives_per_positive * int(batch.box_shapes.sum()))
        wanted = max(wanted, _MINIMUM_NEGATIVES // process_count(), 1)
        kept = torch.zeros_like(values, dtype=torch.bool)
        kept[values.topk(min(wanted, len(values)), sorted=False).indices] = True
        parts = zip(images, far, kept.split([len(pixels) for pixels in far]), strict=True)
        chosen = torch.cat([logits.at(root, image, pixels[some]) for image, pixels, some in parts])
        losses = pixel_losses.none_of(chosen, self._excluded)
        count = torch.ones_like(losses).sum()
        return Mean('far_from_boxes', self.options.level_weights[0], losses.sum(), count)


def _set_loss(samples: SetSamples, options: LossOptions) -> Tensor:
    """Return the chosen pixel loss of labels that are sets of nodes, (P,)."""
    losses = -samples.log_probabilities
    smoothing = options.label_smoothing
    smoothed = losses
    if smoothing > 0:
        smoothed = (1.0 - smoothing) * losses - smoothing * samples.mean_log_probabilities
    if options.pixel_loss == 'focal':
        return pixel_losses.focal_factors(losses, options.focal_gamma) * smoothed
    return smoothed


def _lovasz(target: Target, factor: float, samples: Sequence[Samples]) -> Mean:
    """Return the mean over the classes that occur among `samples`."""
    name = f'lovasz/{target.name}'
    if not samples:
        return no_mean(name, target.class_weights.device)
    logits, labels = [], []
    for sample in samples:
        known = sample.labels != IGNORED
        classes_last = sample.logits.movedim(1, -1)
        logits.append(classes_last[known])
        labels.append(sample.labels[known])
    losses = pixel_losses.lovasz_softmax(torch.cat(logits), torch.cat(labels))
    return Mean(name, factor, losses.sum(), torch.ones_like(losses).sum())


def _learns_from_images(
    target: Target, image_ids: Collection[int] | None, options: LossOptions
) -> bool:
    """Return whether image labels that are one of `image_ids` (None: any) train the classifier."""
    if options.image_label_weight == 0:
        return False
    ancestors = options.image_labels_teach_ancestors
    taught = target.known_ids() if ancestors else target.own_ids()
    return bool(taught.any() if image_ids is None else taught[list(image_ids)].any())


def _positions(target: Target, node_ids: Collection[int]) -> Tensor | None:
    """Return which of the target's C logits stand for `node_ids`: (C,) bool; None if none does."""
    positions = target.index_of_id[list(node_ids)]
    found = torch.zeros_like(target.logit_indices, dtype=torch.bool)
    found[positions[positions != IGNORED]] = True
    return found if found.any() else None
