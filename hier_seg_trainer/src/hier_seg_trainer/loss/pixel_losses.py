# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Losses of single pixels, as functions of logits and labels.

Shapes: logits are (P, C) for P pixels or (N, C, H, W) for whole images, labels then (P,) or
(N, H, W) int64 in 0 to C - 1, or ``IGNORED``. The losses have the shape of the labels. The last of
the C logits is "unlabelled".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from hier_seg_trainer.loss.targets import IGNORED

# The power's slope at 0 is infinite for exponents below 1.
_SMALLEST_BASE = 1e-8
# A softmax value this close to the truth is right, for the order of the errors.
_SMALLEST_ERROR = 0.005


def cross_entropy(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return -log p(label), 0 where the label is ignored.

    Parameters
    ----------
    logits, labels
        See the shapes above.
    label_smoothing
        The share of the label that is spread evenly over the classes, 0 to below 1 (Szegedy et al.,
        CVPR 2016); "unlabelled" is none of them.

    """
    log_probabilities = logits.log_softmax(1)
    losses = functional.nll_loss(log_probabilities, labels, ignore_index=IGNORED, reduction='none')
    if label_smoothing == 0:
        return losses
    spread = -log_probabilities[:, :-1].mean(1)
    smoothed = (1.0 - label_smoothing) * losses + label_smoothing * spread
    return smoothed.masked_fill(labels == IGNORED, 0.0)


def focal(logits: Tensor, labels: Tensor, gamma: float, label_smoothing: float = 0.0) -> Tensor:
    """Return (1 - p(label)) ** gamma times the cross-entropy (Lin et al., ICCV 2017).

    The balance of classes, the alpha of the article, is in the class weights.

    Parameters
    ----------
    logits, labels, label_smoothing
        As for `cross_entropy`.
    gamma
        At least 0; 0 gives the cross-entropy.

    """
    losses = cross_entropy(logits, labels)
    factors = focal_factors(losses, gamma)
    if label_smoothing > 0:
        losses = cross_entropy(logits, labels, label_smoothing)
    return factors * losses


def focal_factors(losses: Tensor, gamma: float) -> Tensor:
    """Return (1 - p) ** gamma of losses -log p."""
    # 1 - exp(-x) without the rounding of a probability near 1.
    wrong = -torch.expm1(-losses)
    return wrong.clamp(min=_SMALLEST_BASE).pow(gamma)


def hardest(losses: Tensor, share: float, threshold: float) -> Tensor:
    """Return which pixels are among the hardest.

    Online hard example mining after Shrivastava et al. (CVPR 2016).

    Parameters
    ----------
    losses
        (P,).
    share
        The share that is taken, the largest ones, rounded up; 0-1.
    threshold
        All above -log(threshold) are taken, too: for the cross-entropy the pixels whose class has a
        softmax value below it. 0-1; 0: none.

    Returns
    -------
    Tensor
        (P,) bool.

    """
    kept = torch.zeros_like(losses, dtype=torch.bool)
    if threshold > 0:
        kept = losses > -math.log(threshold)
    # The small difference undoes the rounding of a product such as 0.07 * 100.
    count = math.ceil(share * len(losses) - 1e-6)
    kept[losses.topk(count, sorted=False).indices] = True
    return kept


def lovasz_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """Return what stands for 1 - IoU of each class that is among the labels.

    The Lovász extension of the Jaccard loss, on the softmax (Berman, Triki & Blaschko, CVPR 2018).

    Parameters
    ----------
    logits
        (P, C).
    labels
        (P,), none of them ignored.

    Returns
    -------
    Tensor
        (K,) for K classes, in 0-1; empty for no label.

    """
    probabilities = logits.softmax(1)
    losses = []
    for index in labels.unique().tolist():
        truth = labels == index
        errors = torch.where(truth, 1.0 - probabilities[:, index], probabilities[:, index])
        # Most pixels are right beyond doubt and add nothing: only the others need an order.
        some = errors > _SMALLEST_ERROR
        errors, order = errors[some].sort(descending=True)
        right = truth[some][order].float()
        found = right.cumsum(0)
        count = truth.sum()
        jaccard = 1.0 - (count - found) / (count + (1.0 - right).cumsum(0))
        steps = torch.diff(jaccard, prepend=jaccard.new_zeros(1))
        losses.append(errors @ steps)
    return torch.stack(losses) if losses else logits.new_zeros(0)


def distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return the divergence of the student's probabilities from the teacher's.

    KL(teacher || student) of the softmax of logits / temperature, times the square of the
    temperature, so that the gradients keep their size (Hinton, Vinyals & Dean 2015).

    Parameters
    ----------
    student, teacher
        Logits (P, C) or (N, C, h, w).
    temperature
        Above 0.

    Returns
    -------
    Tensor
        (P,) or (N, h, w), at least 0.

    """
    divergence = functional.kl_div(
        (student / temperature).log_softmax(1),
        (teacher / temperature).log_softmax(1),
        reduction='none',
        log_target=True,
    )
    return temperature**2 * divergence.sum(1)


def none_of(logits: Tensor, excluded: Tensor) -> Tensor:
    """Return -log(1 - p(any of some classes)) for every pixel, at least 0.

    Parameters
    ----------
    logits
        See the shapes above.
    excluded
        (C,) bool, those classes; at least one logit is none of them.

    """
    # Without ever forming the probability, which may round to 1.
    return torch.logsumexp(logits, 1) - torch.logsumexp(logits[:, ~excluded], 1)
