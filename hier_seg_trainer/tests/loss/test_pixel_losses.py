# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The losses of single pixels, and the logits that they look at."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.interpolation import Grid
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_trainer.loss.batch_logits import BatchLogits
from hier_seg_trainer.loss.pixel_losses import (
    cross_entropy,
    distillation,
    focal,
    hardest,
    lovasz_softmax,
    none_of,
)
from hier_seg_trainer.loss.targets import IGNORED, build_targets


def random_pixels(shape: tuple[int, ...], classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and labels, a fifth of them ignored, for labels of `shape`."""
    generator = torch.Generator().manual_seed(3)
    logits = 3 * torch.randn(shape[0], classes, *shape[1:], generator=generator)
    labels = torch.randint(0, classes - 1, shape, generator=generator)
    labels[torch.rand(shape, generator=generator) < 0.2] = IGNORED
    return logits, labels


SHAPES = [(50,), (2, 5, 6)]


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('smoothing', [0.0, 0.3])
def test_cross_entropy_against_pytorch_with_soft_labels(
    shape: tuple[int, ...], smoothing: float
) -> None:
    classes = 6
    logits, labels = random_pixels(shape, classes)
    soft = (1 - smoothing) * functional.one_hot(labels.clamp(min=0), classes).float()
    soft[..., :-1] += smoothing / (classes - 1)
    expected = functional.cross_entropy(logits, soft.movedim(-1, 1), reduction='none')
    expected[labels == IGNORED] = 0.0
    torch.testing.assert_close(cross_entropy(logits, labels, smoothing), expected)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('gamma', [0.0, 0.5, 1.0, 2.0, 5.0])
def test_focal_loss_against_its_formula(shape: tuple[int, ...], gamma: float) -> None:
    logits, labels = random_pixels(shape, 4)
    right = logits.double().softmax(1).movedim(1, -1)
    right = right.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    expected = -((1 - right) ** gamma) * right.log()
    expected[labels == IGNORED] = 0.0
    torch.testing.assert_close(focal(logits, labels, gamma), expected.float())


def test_a_focal_loss_of_certainty_has_a_finite_gradient() -> None:
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0], [0.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0, 0, IGNORED])
    for gamma in (0.0, 0.5, 2.0):
        losses = focal(logits, labels, gamma)
        assert losses.tolist() == pytest.approx([0.0, 400.0, 0.0])
        (gradient,) = torch.autograd.grad(losses.sum(), logits)
        assert torch.isfinite(gradient).all()
        assert (gradient[2] == 0).all()


def test_smoothing_leaves_unlabelled_alone() -> None:
    """Whoever minimises the smoothed loss never learns to say "unlabelled"."""
    logits = torch.zeros(1, 4, requires_grad=True)
    labels = torch.tensor([1])
    (gradient,) = torch.autograd.grad(cross_entropy(logits, labels, 0.3).sum(), logits)
    # p - q with p = 1/4 and q = 0.1, 0.7 + 0.1, 0.1, 0
    assert gradient[0].tolist() == pytest.approx([0.15, -0.55, 0.15, 0.25])


def test_the_hardest_are_the_largest() -> None:
    losses = torch.tensor([0.1, 3.0, 0.5, 2.0, 0.2, 0.4, 1.0, 0.3, 0.05, 0.6])
    assert losses[hardest(losses, 0.2, 0.0)].tolist() == pytest.approx([3.0, 2.0])
    assert losses[hardest(losses, 0.21, 0.0)].tolist() == pytest.approx([3.0, 2.0, 1.0])
    assert hardest(losses, 1.0, 0.0).all()
    # A softmax value below 0.64 is a loss above 0.446.
    above = losses[hardest(losses, 0.1, 0.64)].tolist()
    assert above == pytest.approx([3.0, 0.5, 2.0, 1.0, 0.6])
    assert hardest(losses, 0.3, 0.01).sum() == 3
    assert hardest(torch.rand(100), 0.07, 0.0).sum() == 7


def jaccard_loss(labels: torch.Tensor, wrong: set[int], index: int) -> float:
    """Return 1 - IoU of the class `index` where just the pixels `wrong` are mistaken about it."""
    truth = {pixel for pixel, label in enumerate(labels.tolist()) if label == index}
    return len(wrong) / len(truth | wrong)


def test_lovasz_softmax_of_certainty_is_one_minus_iou() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (60,), generator=generator)
    decided = torch.randint(0, 4, (60,), generator=generator)
    logits = 100.0 * functional.one_hot(decided, 5).float()
    expected = []
    for index in range(3):
        wrong = torch.nonzero((labels == index) != (decided == index)).flatten().tolist()
        expected.append(jaccard_loss(labels, set(wrong), index))
    torch.testing.assert_close(lovasz_softmax(logits, labels), torch.tensor(expected))


def test_lovasz_softmax_is_linear_between_sets_of_mistakes() -> None:
    """Berman et al., definition 1: the largest errors are mistakes first."""
    logits, labels = random_pixels((40,), 4)
    known = labels != IGNORED
    logits, labels = logits[known], labels[known]
    expected = []
    for index in labels.unique().tolist():
        errors = (logits.softmax(1)[:, index] - (labels == index).float()).abs().tolist()
        wrong: set[int] = set()
        loss = 0.0
        for pixel in sorted(range(len(errors)), key=lambda pixel: -errors[pixel]):
            before = jaccard_loss(labels, wrong, index)
            wrong.add(pixel)
            loss += errors[pixel] * (jaccard_loss(labels, wrong, index) - before)
        expected.append(loss)
    # Errors below 0.005 are left out.
    torch.testing.assert_close(
        lovasz_softmax(logits, labels), torch.tensor(expected), rtol=0, atol=0.005
    )


def test_lovasz_softmax_has_a_finite_gradient_everywhere() -> None:
    logits = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0], [0.0, 0.0, 0.0]])
    logits.requires_grad_(True)
    losses = lovasz_softmax(logits, torch.tensor([0, 0, 0]))
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert torch.isfinite(gradient).all()
    assert gradient[2, 0] < 0 < gradient[2, 1]
    assert lovasz_softmax(logits[:0], torch.tensor([], dtype=torch.int64)).shape == (0,)


@pytest.mark.parametrize('temperature', [1.0, 4.0])
def test_distillation_against_the_sum_over_classes(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64)
    teacher = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64)
    p, q = (teacher / temperature).softmax(1), (student / temperature).softmax(1)
    expected = temperature**2 * (p * (p / q).log()).sum(1)
    found = distillation(student, teacher, temperature)
    torch.testing.assert_close(found, expected)
    assert (found >= 0).all()
    flat = distillation(
        student.movedim(1, -1).reshape(-1, 5), teacher.movedim(1, -1).reshape(-1, 5), temperature
    )
    torch.testing.assert_close(flat, expected.flatten())


def test_the_temperature_does_not_change_the_size_of_small_gradients() -> None:
    """Hinton, Vinyals & Dean 2015, section 2.1: hence the square of the temperature."""
    generator = torch.Generator().manual_seed(0)
    teacher = 1e-3 * torch.randn(20, 5, generator=generator, dtype=torch.float64)
    student = torch.zeros(20, 5, dtype=torch.float64, requires_grad=True)
    gradients = [
        torch.autograd.grad(distillation(student, teacher, temperature).sum(), student)[0]
        for temperature in (1.0, 10.0)
    ]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-2, atol=1e-6)


def test_none_of_is_minus_the_logarithm_of_the_rest() -> None:
    logits, _ = random_pixels((40,), 5)
    excluded = torch.tensor([False, True, False, True, False])
    expected = -(1 - logits.softmax(1)[:, excluded].sum(1)).log()
    torch.testing.assert_close(none_of(logits, excluded), expected, rtol=1e-4, atol=1e-5)
    certain = torch.tensor([[0.0, 500.0, 0.0, 0.0, 0.0]])
    assert none_of(certain, excluded).item() == pytest.approx(500 - math.log(3))


# The logits of a batch

NODES = Hierarchy(
    {
        'format': 1,
        'name': 'test',
        'nodes': [{'id': i, 'name': f'n{i}', 'color': [i, i, i]} for i in range(5)],
    }
)
SIZE = (12, 20)


def dense_logits(logits: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(logits, SIZE, mode='bilinear', align_corners=False)


def make_logits() -> tuple[BatchLogits, torch.Tensor, torch.Tensor]:
    """Return them for nodes 0, 2, 3 and "unlabelled", the leaf, and a dense reference."""
    leaf = torch.randn(2, 6, 3, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    reference = dense_logits(leaf)[:, [0, 2, 3, 5]]
    return BatchLogits(Logits({'root': leaf}.__getitem__, Grid(*SIZE, 4, 4))), leaf, reference


@pytest.mark.parametrize('labelled', [1, 30, 119, 120, 121, 240])
def test_few_or_many_labelled_pixels_give_the_same(labelled: int) -> None:
    """From half of the pixels on, all are computed: the loss and its gradient do not change."""
    (target,) = build_targets(NODES, ['n0', 'n2', 'n3'])
    logits, leaf, reference = make_logits()
    labels = torch.full((SIZE[0] * SIZE[1],), IGNORED)
    chosen = torch.randperm(len(labels), generator=torch.Generator().manual_seed(2))[:labelled]
    labels[chosen] = chosen % 3
    labels = labels.reshape(SIZE)
    (samples,) = logits.samples(target, 1, labels)
    loss = cross_entropy(samples.logits, samples.labels).sum()
    (gradient,) = torch.autograd.grad(loss, leaf)
    expected = functional.cross_entropy(
        reference[1:], labels[None], ignore_index=IGNORED, reduction='sum'
    )
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, leaf)[0])
    assert (gradient[:, [1, 4]] == 0).all(), 'not supervised'
    assert (samples.logits.ndim == 4) == (labelled >= 120)


def test_no_labelled_pixel_gives_no_samples() -> None:
    (target,) = build_targets(NODES, ['n0', 'n2', 'n3'])
    logits, _, _ = make_logits()
    assert list(logits.samples(target, 0, torch.full(SIZE, IGNORED))) == []


@pytest.mark.parametrize('count', [1, 50, 240])
def test_decisions_are_the_largest_dense_logits(count: int) -> None:
    (target,) = build_targets(NODES, ['n0', 'n2', 'n3'])
    logits, _, reference = make_logits()
    pixels = torch.randperm(240, generator=torch.Generator().manual_seed(0))[:count]
    expected = reference[0].argmax(0).flatten()[pixels]
    assert torch.equal(logits.decisions(target, 0, pixels), expected)


def test_region_means_are_those_of_the_dense_logits() -> None:
    (target,) = build_targets(NODES, ['n0', 'n2', 'n3'])
    logits, _, reference = make_logits()
    regions = torch.zeros(2, *SIZE, dtype=torch.bool)
    regions[0, 2:7, 3:9] = True
    regions[1, 5] = True
    found = logits.region_means(target, 1, regions)
    expected = torch.stack([reference[1][:, region].mean(1) for region in regions])
    torch.testing.assert_close(found, expected)
