# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loss against a slow one that goes pixel by pixel along the path in the tree."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Classifier, Hierarchy, Node
from hier_seg_ros.segmenter import logits as lazy
from hier_seg_ros.segmenter.interpolation import Grid
from hier_seg_trainer.batches.batch import Batch
from hier_seg_trainer.loss import hierarchical
from hier_seg_trainer.loss.hierarchical import HierarchicalLoss
from hier_seg_trainer.loss.loss_options import BOX_PIXELS, IMAGE_LABELS, PIXEL_LOSSES, LossOptions
from hier_seg_trainer.loss.targets import IGNORED, build_targets, class_weights, supervised_nodes

Logits = dict[str, NDArray[np.float64]]


def make_tree(parents: dict[str, str | None]) -> Hierarchy:
    """Return a tree; ids run backwards from 40 in steps of 3, so that no index passes for one."""
    nodes = [
        {'id': 40 - 3 * i, 'name': name, 'color': [i, i, i], 'parent': parent, 'category': 'all'}
        for i, (name, parent) in enumerate(parents.items())
    ]
    return Hierarchy({'format': 1, 'name': 'test', 'nodes': nodes})


FLAT = make_tree({'sky': None, 'road': None, 'sign': None, 'car': None})
DEEP = make_tree(
    {
        'sky': None,
        'sign': None,
        'road': None,
        'back': 'sign',
        'front': 'sign',
        'lane': 'road',
        'kerb': 'road',
        'round': 'front',
        'angular': 'front',
        'stop': 'angular',
        'yield': 'angular',
    }
)
# Nodes that pixels are labelled with, that boxes show.
CASES = {
    'depth 1': (FLAT, ('sky', 'road', 'sign'), ('sign',)),
    'depth 4': (DEEP, ('sky', 'road', 'front', 'lane'), ('stop', 'yield', 'round')),
    'depth 4, all': (
        DEEP,
        ('sky', 'lane', 'kerb', 'back', 'front', 'road', 'stop'),
        ('yield', 'stop', 'round', 'front', 'lane'),
    ),
}


# The slow loss


def bilinear(logits: NDArray[np.float64], row: int, column: int, stride: int) -> NDArray:
    """Return the logits (C, h, w) at one pixel, whose centre lies at row + 0.5, column + 0.5."""
    _, height, width = logits.shape
    y = max(0.0, (row + 0.5) / stride - 0.5)
    x = max(0.0, (column + 0.5) / stride - 0.5)
    top, left = min(int(y), height - 1), min(int(x), width - 1)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    wy, wx = y - top, x - left
    return (
        (1 - wy) * (1 - wx) * logits[:, top, left]
        + (1 - wy) * wx * logits[:, top, right]
        + wy * (1 - wx) * logits[:, bottom, left]
        + wy * wx * logits[:, bottom, right]
    )


@dataclass(frozen=True)
class Labelled:
    """A pixel, or the mean of the logits over several, and its class; None is "unlabelled"."""

    image: int
    pixels: list[tuple[int, int]]
    right: Node | None
    share: float = 1.0


class SlowLoss:
    """The loss as the method describes it, without tables, masks or batches."""

    def __init__(
        self,
        tree: Hierarchy,
        supervised: tuple[str, ...],
        options: LossOptions,
        box_nodes: tuple[str, ...],
        weight_of_node: dict[str, float],
        least_negatives: int,
    ) -> None:
        self.tree, self.supervised, self.options = tree, supervised, options
        self.box_nodes, self.weight_of_node = box_nodes, weight_of_node
        self.least_negatives = least_negatives

    def candidates(self, classifier: Classifier) -> list[Node]:
        return [node for node in classifier.nodes if node.name in self.supervised]

    def step(self, classifier: Classifier, node: Node) -> Node | None:
        """Return the class of `classifier` on the way to `node`."""
        for step in self.tree.path(node):
            if step in classifier.nodes and step.name in self.supervised:
                return step
        return None

    def probabilities(
        self,
        classifier: Classifier,
        logits: Logits,
        image: int,
        pixels: list[tuple[int, int]],
        stride: int,
    ) -> dict[str, float]:
        """Return the softmax of the logits' mean over `pixels`."""
        logit_map = logits[classifier.name][image]
        values = sum(bilinear(logit_map, row, column, stride) for row, column in pixels)
        values = values / len(pixels)
        chosen = [
            (node.name, values[classifier.nodes.index(node)])
            for node in self.candidates(classifier)
        ]
        chosen.append(('unlabelled', values[len(classifier.nodes)]))
        total = sum(math.exp(value) for _, value in chosen)
        return {name: math.exp(value) / total for name, value in chosen}

    def mean(
        self, classifier: Classifier, logits: Logits, samples: list[Labelled], stride: int
    ) -> float:
        options = self.options
        found = []
        for sample in samples:
            at = self.probabilities(classifier, logits, sample.image, sample.pixels, stride)
            right = 'unlabelled' if sample.right is None else sample.right.name
            classes = [name for name in at if name != 'unlabelled']
            loss = (1 - options.label_smoothing) * -math.log(at[right])
            for name in classes:
                loss -= options.label_smoothing / len(classes) * math.log(at[name])
            if options.pixel_loss == 'focal':
                loss *= (1 - at[right]) ** options.focal_gamma
            found.append((loss, sample.share * self.weight_of_node.get(right, 1.0)))
        if options.pixel_loss == 'ohem':
            found.sort(reverse=True)
            least = math.ceil(Fraction(str(options.ohem_share)) * len(found))
            found = [
                (loss, weight)
                for rank, (loss, weight) in enumerate(found)
                if rank < least or math.exp(-loss) < options.ohem_threshold
            ]
        total = sum(weight for _, weight in found)
        return sum(loss * weight for loss, weight in found) / total if total else 0.0

    def labelled(
        self, classifier: Classifier, labels: NDArray, shares: NDArray | None = None
    ) -> list[Labelled]:
        samples = []
        for image, row, column in np.ndindex(*labels.shape):
            if labels[image, row, column] != UNLABELLED:
                node = self.tree.node_by_id(labels[image, row, column])
                right = self.step(classifier, node)
                if right is not None:
                    share = 1.0 if shares is None else float(shares[image])
                    samples.append(Labelled(image, [(row, column)], right, share))
        return samples

    def parents_decide(
        self, node: Node, logits: Logits, image: int, pixel: tuple[int, int], stride: int
    ) -> bool:
        for step in self.tree.path(node)[:-1]:
            above = next(c for c in self.tree.classifiers if step in c.nodes)
            at = self.probabilities(above, logits, image, [pixel], stride)
            if max(at, key=lambda name: at[name]) != step.name:
                return False
        return True

    def boxed(
        self, classifier: Classifier, logits: Logits, batch: dict[str, NDArray], stride: int
    ) -> list[Labelled]:
        options = self.options
        samples = []
        for sample in self.labelled(classifier, batch['box_labels']):
            image, ((row, column),) = sample.image, sample.pixels
            node = self.tree.node_by_id(batch['box_labels'][image, row, column])
            in_shape = batch['box_shapes'][image, row, column]
            decided = self.parents_decide(node, logits, image, (row, column), stride)
            if sample.right != node:
                use = options.boxes_teach_ancestors and in_shape
            else:
                use = {
                    'box': True,
                    'shape': in_shape,
                    'parent': decided,
                    'parent_or_shape': in_shape or decided,
                }[options.box_pixels]
            if use:
                samples.append(sample)
        if options.unlabelled_outside_boxes and classifier.parent is None:
            for image, row, column in np.argwhere(batch['far_from_boxes']):
                samples.append(Labelled(image, [(row, column)], None))
        return samples

    def image_labelled(
        self, classifier: Classifier, logits: Logits, labels: NDArray, stride: int
    ) -> list[Labelled]:
        samples = []
        regions: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for sample in self.labelled(classifier, labels):
            image, (pixel,) = sample.image, sample.pixels
            node = self.tree.node_by_id(labels[image, pixel[0], pixel[1]])
            if sample.right != node:
                if self.options.image_labels_teach_ancestors:
                    regions.setdefault((image, node.name), []).append(pixel)
            elif self.options.image_labels == 'pooled':
                regions.setdefault((image, node.name), []).append(pixel)
            elif self.parents_decide(node, logits, image, pixel, stride):
                samples.append(sample)
        for (image, name), pixels in regions.items():
            right = self.step(classifier, self.tree.node(name))
            samples.append(Labelled(image, pixels, right))
        return samples

    def negatives(self, logits: Logits, batch: dict[str, NDArray], stride: int) -> float:
        root = self.tree.classifiers[0]
        never = {self.tree.path(self.tree.node(name))[0].name for name in self.box_nodes}
        values = []
        for image, row, column in np.argwhere(batch['far_from_boxes']):
            at = self.probabilities(root, logits, image, [(row, column)], stride)
            values.append(-math.log(1 - sum(at[name] for name in never)))
        wanted = max(
            self.least_negatives,
            round(self.options.negatives_per_positive * batch['box_shapes'].sum()),
        )
        hardest = sorted(values, reverse=True)[:wanted]
        return sum(hardest) / len(hardest) if hardest else 0.0

    def lovasz(
        self, classifier: Classifier, logits: Logits, samples: list[Labelled], stride: int
    ) -> float:
        """Return the mean over the classes of how 1 - IoU grows, the largest errors first."""
        found = [
            (self.probabilities(classifier, logits, sample.image, sample.pixels, stride), sample)
            for sample in samples
        ]
        losses = []
        for node in {sample.right for sample in samples}:
            assert node is not None
            errors = []
            for at, sample in found:
                error = 1 - at[node.name] if sample.right == node else at[node.name]
                if error > 0.005:
                    errors.append((error, sample.right == node))
            truth = sum(sample.right == node for sample in samples)
            missed = wrong = 0
            loss = before = 0.0
            for error, is_right in sorted(errors, reverse=True):
                missed, wrong = missed + is_right, wrong + (not is_right)
                now = 1 - (truth - missed) / (truth + wrong)
                loss, before = loss + error * (now - before), now
            losses.append(loss)
        return sum(losses) / len(losses) if losses else 0.0

    def __call__(
        self, logits: Logits, batch: dict[str, NDArray], stride: int, pseudo: NDArray | None
    ) -> dict[str, float]:
        losses = {}
        options = self.options
        weights = options.level_weights
        root = self.tree.classifiers[0]
        if options.negatives_per_positive > 0:
            losses['far_from_boxes'] = weights[0] * self.negatives(logits, batch, stride)
        if pseudo is not None:
            losses['self_training'] = options.self_training_weight * self.mean(
                root, logits, self.labelled(root, pseudo), stride
            )
        for classifier in self.tree.classifiers:
            if not self.candidates(classifier):
                continue
            weight = weights[min(classifier.depth, len(weights)) - 1]
            pixels = self.labelled(classifier, batch['labels'], batch['mix'])
            pixels += self.labelled(classifier, batch['second_labels'], 1 - batch['mix'])
            boxed = self.boxed(classifier, logits, batch, stride)
            losses[classifier.name] = weight * (
                self.mean(classifier, logits, pixels, stride)
                + self.mean(classifier, logits, boxed, stride)
            )
            if options.lovasz_weight > 0:
                losses[f'lovasz/{classifier.name}'] = (
                    weight * options.lovasz_weight * self.lovasz(classifier, logits, pixels, stride)
                )
            if options.image_label_weight > 0:
                shown = self.image_labelled(classifier, logits, batch['image_labels'], stride)
                losses[f'image_labels/{classifier.name}'] = (
                    weight * options.image_label_weight
                ) * self.mean(classifier, logits, shown, stride)
        return losses


# Random batches

SIZE, STRIDE = (8, 12), 4


def random_logits(tree: Hierarchy, images: int, rng: np.random.Generator) -> Logits:
    height, width = SIZE[0] // STRIDE, SIZE[1] // STRIDE
    return {
        c.name: rng.normal(0, 2, (images, len(c.nodes) + 1, height, width))
        for c in tree.classifiers
    }


def empty_batch(images: int = 5) -> dict[str, NDArray]:
    """Return the maps of a batch that nothing is known of."""
    shape = (images, *SIZE)
    return {
        'labels': np.full(shape, UNLABELLED, np.uint8),
        'second_labels': np.full(shape, UNLABELLED, np.uint8),
        'mix': np.ones(images, np.float32),
        'box_labels': np.full(shape, UNLABELLED, np.uint8),
        'box_shapes': np.zeros(shape, bool),
        'far_from_boxes': np.zeros(shape, bool),
        'has_boxes': np.zeros(images, bool),
        'image_labels': np.full(shape, UNLABELLED, np.uint8),
    }


def random_batch(
    tree: Hierarchy, pixel_nodes: tuple[str, ...], box_nodes: tuple[str, ...], seed: int
) -> dict[str, NDArray]:
    """Return image 0 with pixel labels, 1 and 2 with boxes, 3 with boxes of which it has none.

    Image 4 has image labels, of the nodes that boxes show.
    """
    rng = np.random.default_rng(seed)
    maps = empty_batch()
    ids = [tree.node(name).id for name in pixel_nodes] + [UNLABELLED]
    maps['labels'][0] = rng.choice(ids, SIZE)
    maps['has_boxes'][1:4] = True
    maps['far_from_boxes'][1:4] = True
    for image in (1, 2):
        for _ in range(2):
            top, left = rng.integers(0, 5), rng.integers(0, 8)
            region = (image, slice(top, top + 4), slice(left, left + 5))
            maps['box_labels'][region] = tree.node(rng.choice(box_nodes)).id
            inside = rng.random((min(4, SIZE[0] - top), min(5, SIZE[1] - left))) < 0.6
            maps['box_shapes'][region] = inside
        maps['far_from_boxes'][image] &= maps['box_labels'][image] == UNLABELLED
    for left in (0, 5, 9):
        maps['image_labels'][4, 1:, left : left + 4] = tree.node(rng.choice(box_nodes)).id
    return maps


def as_batch(arrays: dict[str, NDArray]) -> Batch:
    images = torch.zeros((len(arrays['labels']), 3, *SIZE), dtype=torch.uint8)
    tensors: dict[str, Any] = {k: torch.from_numpy(v) for k, v in arrays.items()}
    tensors.update(images=images, plain_images=images)
    return Batch(**{field.name: tensors[field.name] for field in fields(Batch)})


def fast_loss(
    tree: Hierarchy,
    supervised: tuple[str, ...],
    options: LossOptions,
    box_nodes: tuple[str, ...],
    weight_of_id: torch.Tensor | None = None,
    **arguments: Any,
) -> HierarchicalLoss:
    targets = build_targets(tree, supervised, weight_of_id)
    box_ids = {tree.node(name).id for name in box_nodes}
    return HierarchicalLoss(targets, box_ids, options, **arguments)


def run(
    loss: HierarchicalLoss,
    logits: Logits,
    arrays: dict[str, NDArray],
    pseudo: NDArray | None = None,
    teacher: Logits | None = None,
    stride: int = STRIDE,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the losses and the logits as leaves that gradients can be asked of."""
    leaves = {
        k: torch.tensor(v, dtype=torch.float32, requires_grad=True) for k, v in logits.items()
    }
    losses = loss(
        lazy.Logits(leaves.__getitem__, Grid(*SIZE, stride, stride)),
        as_batch(arrays),
        None if pseudo is None else torch.from_numpy(pseudo),
        None if teacher is None else given(teacher),
    )
    return losses, leaves


def given(logits: Logits) -> lazy.Logits:
    """Return logits that are there already; their grid is of no account."""
    return lazy.Logits(lambda name: torch.from_numpy(logits[name]), Grid(*SIZE, STRIDE, STRIDE))


def total_of(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack(list(losses.values())).sum()


def compare(
    case: str,
    options: LossOptions,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
    weight_of_node: dict[str, float] | None = None,
    least_negatives: int = 4,
    mix: float = 1.0,
) -> dict[str, float]:
    """Check the loss of a random batch against the slow one and return it."""
    tree, pixel_nodes, box_nodes = CASES[case]
    monkeypatch.setattr(hierarchical, '_MINIMUM_NEGATIVES', least_negatives)
    supervised = supervised_nodes(tree, {*pixel_nodes, *box_nodes})
    arrays = random_batch(tree, pixel_nodes, box_nodes, seed)
    if mix < 1:
        arrays['mix'][0] = mix
        arrays['second_labels'][0] = np.flip(arrays['labels'][0])
    logits = random_logits(tree, 5, np.random.default_rng(seed + 100))
    # Parents shall decide for the boxes here and there.
    for step in {step for name in box_nodes for step in tree.path(tree.node(name))}:
        above = next(c for c in tree.classifiers if step in c.nodes)
        logits[above.name][:, above.nodes.index(step)] += 1.0
    pseudo = None
    if options.self_training_weight > 0:
        pseudo = np.full((5, *SIZE), UNLABELLED, np.uint8)
        pseudo[1:, ::2] = tree.node(tree.classifiers[0].nodes[0].name).id
    weight_of_id = None
    if weight_of_node is not None:
        weight_of_id = torch.zeros(256)
        for name, weight in weight_of_node.items():
            weight_of_id[tree.node(name).id] = weight
    slow = SlowLoss(tree, supervised, options, box_nodes, weight_of_node or {}, least_negatives)
    expected = slow(logits, arrays, STRIDE, pseudo)
    fast = fast_loss(tree, supervised, options, box_nodes, weight_of_id)
    found = {k: v.item() for k, v in run(fast, logits, arrays, pseudo)[0].items()}
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)
    return found


@pytest.mark.parametrize('ancestors', [False, True])
@pytest.mark.parametrize('box_pixels', BOX_PIXELS)
@pytest.mark.parametrize('case', CASES)
def test_pixels_and_boxes_against_the_slow_loss(
    case: str, box_pixels: str, ancestors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = LossOptions((1.0, 0.3, 0.2), box_pixels, ancestors)
    found = [compare(case, options, seed, monkeypatch) for seed in range(3)]
    # Every classifier had its turn.
    names = [classifier.name for classifier in CASES[case][0].classifiers]
    assert all(any(losses[name] > 0 for losses in found) for name in names)


PIXEL_OPTIONS = {
    'smoothed': {'label_smoothing': 0.2},
    'focal': {'pixel_loss': 'focal', 'focal_gamma': 1.5},
    'focal, smoothed': {'pixel_loss': 'focal', 'focal_gamma': 2.0, 'label_smoothing': 0.1},
    'ohem': {'pixel_loss': 'ohem', 'ohem_share': 0.3},
    'ohem, threshold': {'pixel_loss': 'ohem', 'ohem_share': 0.05, 'ohem_threshold': 0.4},
    'ohem, smoothed': {'pixel_loss': 'ohem', 'ohem_share': 0.5, 'label_smoothing': 0.1},
}


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('kind', PIXEL_OPTIONS)
@pytest.mark.parametrize('case', CASES)
def test_pixel_losses_against_the_slow_loss(
    case: str, kind: str, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = LossOptions((1.0,), 'parent_or_shape', True, self_training_weight=0.4)
    options = replace(plain, **PIXEL_OPTIONS[kind])
    weights = {'sky': 0.5, 'sign': 3.0, 'front': 2.0, 'stop': 0.1} if weighted else None
    if case == 'depth 1' and weights is not None:
        weights = {'sky': 0.5, 'sign': 3.0}
    found = compare(case, options, 0, monkeypatch, weights)
    assert found['root'] != pytest.approx(compare(case, plain, 0, monkeypatch, weights)['root'])


@pytest.mark.parametrize('pixel_loss', PIXEL_LOSSES)
@pytest.mark.parametrize('case', CASES)
def test_the_lovasz_softmax_against_the_slow_loss(
    case: str, pixel_loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = LossOptions((1.0, 0.3), pixel_loss=pixel_loss, lovasz_weight=0.7)
    found = [compare(case, options, seed, monkeypatch) for seed in range(3)]
    tree, pixel_nodes, _ = CASES[case]
    shown = {step for name in pixel_nodes for step in tree.path(tree.node(name))}
    for classifier in tree.classifiers:
        losses = [losses[f'lovasz/{classifier.name}'] for losses in found]
        assert all(losses) == any(losses) == bool(shown & set(classifier.nodes))


@pytest.mark.parametrize('ancestors', [False, True])
@pytest.mark.parametrize('image_labels', IMAGE_LABELS)
@pytest.mark.parametrize('case', CASES)
def test_image_labels_against_the_slow_loss(
    case: str, image_labels: str, ancestors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = LossOptions(
        (1.0, 0.3),
        image_labels=image_labels,
        image_label_weight=0.6,
        image_labels_teach_ancestors=ancestors,
    )
    found = [compare(case, options, seed, monkeypatch) for seed in range(6)]
    tree, _, box_nodes = CASES[case]
    shown = {tree.node(name) for name in box_nodes}
    if ancestors:
        shown = {step for node in shown for step in tree.path(node)}
    taught = {c.name for c in tree.classifiers if shown & set(c.nodes)}
    for classifier in tree.classifiers:
        losses = [losses[f'image_labels/{classifier.name}'] for losses in found]
        assert any(losses) == (classifier.name in taught), classifier.name


def test_only_classifiers_that_image_labels_can_teach_have_such_a_loss() -> None:
    supervised = supervised_nodes(DEEP, [node.name for node in DEEP.nodes])
    ids = {DEEP.node('stop').id, DEEP.node('yield').id}

    def names(options: LossOptions) -> list[str]:
        loss = fast_loss(DEEP, supervised, options, (), image_ids=ids)
        logits = random_logits(DEEP, 5, np.random.default_rng(0))
        losses, _ = run(loss, logits, empty_batch())
        return [name for name in losses if '/' in name]

    assert names(LossOptions()) == ['image_labels/angular']
    assert names(LossOptions(image_label_weight=0.0)) == []
    assert names(LossOptions(image_labels_teach_ancestors=True)) == [
        'image_labels/root',
        'image_labels/sign',
        'image_labels/front',
        'image_labels/angular',
    ]


@pytest.mark.parametrize('kind', ['cross-entropy', *PIXEL_OPTIONS])
@pytest.mark.parametrize('case', CASES)
def test_mixed_images_against_the_slow_loss(
    case: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(LossOptions(), **PIXEL_OPTIONS.get(kind, {}))
    # At the image's edge pixels share their logits: which of them are kept shall not matter.
    mix = 0.5 if options.pixel_loss == 'ohem' else 0.7
    mixed = compare(case, options, 3, monkeypatch, mix=mix)
    assert mixed['root'] != pytest.approx(compare(case, options, 3, monkeypatch)['root'])


def test_a_mixed_image_has_the_loss_of_each_part_by_its_share() -> None:
    tree, pixel_nodes, _ = CASES['depth 1']
    logits = random_logits(tree, 5, np.random.default_rng(0))
    loss = fast_loss(tree, supervised_nodes(tree, pixel_nodes), LossOptions(), ())

    def root_loss(first: str, second: str | None, mix: float) -> float:
        maps = empty_batch()
        maps['labels'][0] = tree.node(first).id
        maps['mix'][0] = mix
        if second is not None:
            maps['second_labels'][0] = tree.node(second).id
        return run(loss, logits, maps)[0]['root'].item()

    expected = 0.3 * root_loss('sky', None, 1.0) + 0.7 * root_loss('road', None, 1.0)
    assert root_loss('sky', 'road', 0.3) == pytest.approx(expected)


@pytest.mark.parametrize('kind', ['cross-entropy', *PIXEL_OPTIONS])
@pytest.mark.parametrize('case', CASES)
def test_unlabelled_outside_boxes_against_the_slow_loss(
    case: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = LossOptions(box_pixels='shape', **PIXEL_OPTIONS.get(kind, {}))
    options = replace(plain, unlabelled_outside_boxes=True)
    found = compare(case, options, 3, monkeypatch)
    expected = compare(case, plain, 3, monkeypatch)
    assert found['root'] != pytest.approx(expected['root'])
    del found['root'], expected['root']
    assert found == expected, 'it is a matter of the root alone'


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('negatives', [0.1, 1.5])
def test_far_pixels_against_the_slow_loss(
    case: str, negatives: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = LossOptions((0.7,), 'shape', negatives_per_positive=negatives)
    for seed in range(2):
        assert compare(case, options, seed, monkeypatch)['far_from_boxes'] > 0


def test_a_batch_without_signs_still_takes_some_negatives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hierarchical, '_MINIMUM_NEGATIVES', 5)
    tree, pixel_nodes, box_nodes = CASES['depth 1']
    arrays = random_batch(tree, pixel_nodes, box_nodes, 0)
    arrays['box_labels'][:] = UNLABELLED
    arrays['box_shapes'][:] = False
    options = LossOptions(negatives_per_positive=3.0)
    logits = random_logits(tree, 5, np.random.default_rng(0))
    slow = SlowLoss(tree, ('sky', 'road', 'sign'), options, box_nodes, {}, 5)
    fast = fast_loss(tree, ('sky', 'road', 'sign'), options, box_nodes)
    found, leaves = run(fast, logits, arrays)
    assert found['far_from_boxes'].item() == pytest.approx(slow.negatives(logits, arrays, STRIDE))
    found['far_from_boxes'].backward()
    gradient = leaves['root'].grad
    assert gradient is not None
    # Less of "sign" is asked for, and of nothing that has no boxes.
    assert (gradient[:, 2] >= 0).all()
    assert gradient[:, 2].sum() > 0
    assert (gradient[0] == 0).all(), 'an image with pixel labels has no far pixels'


@pytest.mark.parametrize('case', CASES)
def test_a_teacher_against_the_slow_loss(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = LossOptions((1.0, 0.3), self_training_weight=0.4)
    assert compare(case, options, 1, monkeypatch)['self_training'] > 0


@pytest.mark.parametrize('case', CASES)
def test_class_weights_against_the_slow_loss(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = LossOptions(self_training_weight=0.4, box_pixels='shape', boxes_teach_ancestors=True)
    weights = {'sky': 0.5, 'road': 3.0}
    for seed in range(4):
        weighted = compare(case, options, seed, monkeypatch, weight_of_node=weights)
        assert weighted['root'] != pytest.approx(compare(case, options, seed, monkeypatch)['root'])


def test_every_class_is_weighed_among_its_siblings() -> None:
    counts = np.zeros(256, np.int64)
    pixels = {'sky': 100, 'road': 10, 'lane': 30, 'kerb': 10, 'front': 5, 'round': 20}
    for name, count in pixels.items():
        counts[DEEP.node(name).id] = count
    counts[UNLABELLED] = 10**6
    weights = class_weights(counts, 0.5, DEEP)
    # sky 100, sign 25 (all from below), road 10 + 30 + 10; median 50
    expected = {'sky': 0.5**0.5, 'sign': 2.0**0.5, 'road': 1.0}
    # front 25, back never; round 20, angular never; lane 30, kerb 10: median 20
    expected |= {'front': 1.0, 'round': 1.0, 'lane': (20 / 30) ** 0.5, 'kerb': 2.0**0.5}
    found = {node.name: weights[node.id].item() for node in DEEP.nodes if weights[node.id] > 0}
    assert found == pytest.approx(expected)
    assert torch.count_nonzero(weights) == len(expected)

    targets = {t.name: t for t in build_targets(DEEP, [n.name for n in DEEP.nodes], weights)}
    # What was never seen counts as the class in the middle does, and so does "unlabelled".
    assert targets['root'].class_weights.tolist() == pytest.approx([0.5**0.5, 2**0.5, 1, 1])
    assert targets['sign'].class_weights.tolist() == [1, 1, 1]
    assert targets['road'].class_weights.tolist() == pytest.approx([(2 / 3) ** 0.5, 2**0.5, 1])


def test_no_pixels_or_no_power_weigh_all_alike() -> None:
    assert not class_weights(np.zeros(256, np.int64), 1.0, DEEP).any()
    counts = np.arange(256)
    weights = class_weights(counts, 0.0, DEEP)
    assert {weights[node.id].item() for node in DEEP.nodes} == {1.0}


def test_level_weights_scale_their_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = compare('depth 4', LossOptions((1.0,), 'shape', True), 0, monkeypatch)
    options = LossOptions((2.0, 0.5, 0.25), 'shape', True)
    weighted = compare('depth 4', options, 0, monkeypatch)
    factors = {'root': 2.0, 'sign': 0.5, 'road': 0.5, 'front': 0.25, 'angular': 0.25}
    for name, value in plain.items():
        assert weighted[name] == pytest.approx(factors[name.split('/')[-1]] * value), name


def test_only_pixels_whose_parents_decide_get_a_gradient() -> None:
    """Half of a box is decided for "sign", half of that for "front": only there it trains."""
    arrays = random_batch(DEEP, ('sky',), ('round',), 0)
    arrays['labels'][:] = UNLABELLED
    arrays['box_labels'][:] = UNLABELLED
    arrays['box_labels'][1] = DEEP.node('round').id
    logits = {c.name: np.zeros((5, len(c.nodes) + 1, *SIZE)) for c in DEEP.classifiers}
    logits['root'][:, 0] = 5.0
    logits['root'][1, 1, :, 4:] = 9.0
    logits['sign'][:, 0] = 5.0
    logits['sign'][1, 1, 3:] = 9.0
    loss = fast_loss(
        DEEP, supervised_nodes(DEEP, {'sky', 'back', 'round', 'angular'}), LossOptions(), ('round',)
    )
    leaves = {
        k: torch.tensor(v, dtype=torch.float32, requires_grad=True) for k, v in logits.items()
    }
    losses = loss(lazy.Logits(leaves.__getitem__, Grid(*SIZE, 1, 1)), as_batch(arrays))
    total_of(losses).backward()
    gradient = leaves['front'].grad
    assert gradient is not None
    trained = np.zeros((5, *SIZE), bool)
    trained[1, 3:, 4:] = True
    assert torch.equal((gradient != 0).any(1), torch.from_numpy(trained))
    # The parents themselves learn nothing from boxes under the paper's rule.
    for name in ('root', 'sign'):
        above = leaves[name].grad
        assert above is None or (above == 0).all()


def test_what_nothing_supervised_gets_no_gradient_and_unlabelled_does() -> None:
    tree, pixel_nodes, box_nodes = CASES['depth 4']
    supervised = supervised_nodes(tree, {*pixel_nodes, *box_nodes})
    assert 'back' not in supervised
    assert 'kerb' not in supervised
    options = LossOptions((1.0,), 'shape', True, negatives_per_positive=1.0)
    arrays = random_batch(tree, pixel_nodes, box_nodes, 3)
    logits = random_logits(tree, 5, np.random.default_rng(3))
    losses, leaves = run(fast_loss(tree, supervised, options, box_nodes), logits, arrays)
    total_of(losses).backward()
    for classifier in tree.classifiers:
        gradient = leaves[classifier.name].grad
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        for position, node in enumerate(classifier.nodes):
            assert bool((gradient[:, position] != 0).any()) == (node.name in supervised), node.name
        assert (gradient[:, len(classifier.nodes)] != 0).any(), 'unlabelled is in the softmax'


EVERYTHING = LossOptions(
    (1.0,),
    boxes_teach_ancestors=True,
    negatives_per_positive=3.0,
    self_training_weight=0.5,
    unlabelled_outside_boxes=True,
    image_labels_teach_ancestors=True,
)


@pytest.mark.parametrize('kind', ['cross-entropy', *PIXEL_OPTIONS])
@pytest.mark.parametrize('box_pixels', BOX_PIXELS)
@pytest.mark.parametrize('case', CASES)
def test_a_batch_with_nothing_gives_exactly_zero(case: str, box_pixels: str, kind: str) -> None:
    tree, pixel_nodes, box_nodes = CASES[case]
    options = replace(
        EVERYTHING,
        box_pixels=box_pixels,
        image_labels='pooled' if box_pixels == 'shape' else 'parent',
        **PIXEL_OPTIONS.get(kind, {}),
    )
    supervised = supervised_nodes(tree, {*pixel_nodes, *box_nodes})
    loss = fast_loss(tree, supervised, options, box_nodes)
    maps = empty_batch()
    logits = random_logits(tree, 5, np.random.default_rng(0))
    losses, leaves = run(loss, logits, maps, maps['labels'])
    assert {value.item() for value in losses.values()} == {0.0}
    # Zeros among other losses do no harm to the gradients.
    total = total_of(losses) + leaves['root'].square().sum()
    total.backward()
    assert all(leaf.grad is None or torch.isfinite(leaf.grad).all() for leaf in leaves.values())


@pytest.mark.parametrize('size', [1e-3, 1.0, 200.0])
@pytest.mark.parametrize('kind', ['cross-entropy', *PIXEL_OPTIONS])
@pytest.mark.parametrize('case', CASES)
def test_gradients_are_finite_however_sure_the_network_is(
    case: str, kind: str, size: float
) -> None:
    tree, pixel_nodes, box_nodes = CASES[case]
    options = replace(
        EVERYTHING,
        distillation_weight=1.0,
        image_labels='pooled',
        **{**PIXEL_OPTIONS.get(kind, {}), 'focal_gamma': 0.5},
    )
    supervised = supervised_nodes(tree, {*pixel_nodes, *box_nodes})
    loss = fast_loss(tree, supervised, options, box_nodes)
    arrays = random_batch(tree, pixel_nodes, box_nodes, 1)
    rng = np.random.default_rng(2)
    logits = {name: size * values for name, values in random_logits(tree, 5, rng).items()}
    teacher = {name: size * values for name, values in random_logits(tree, 5, rng).items()}
    losses, leaves = run(loss, logits, arrays, arrays['labels'], teacher)
    assert all(torch.isfinite(value) and value >= 0 for value in losses.values())
    total_of(losses).backward()
    for leaf in leaves.values():
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()


def test_the_names_of_the_losses_do_not_depend_on_the_batch() -> None:
    tree, pixel_nodes, box_nodes = CASES['depth 4']
    options = replace(EVERYTHING, distillation_weight=1.0)
    supervised = supervised_nodes(tree, {*pixel_nodes, *box_nodes})
    loss = fast_loss(tree, supervised, options, box_nodes)
    logits = random_logits(tree, 5, np.random.default_rng(0))
    full = random_batch(tree, pixel_nodes, box_nodes, 0)
    nothing = empty_batch()
    with_something, _ = run(loss, logits, full, full['labels'], logits)
    with_nothing, _ = run(loss, logits, nothing, nothing['labels'], logits)
    assert list(with_something) == list(with_nothing)
    assert {'self_training', 'far_from_boxes', 'distillation/root'} < set(with_nothing)


def test_a_branch_without_pixels_is_not_run() -> None:
    tree, pixel_nodes, box_nodes = CASES['depth 4']
    loss = fast_loss(tree, supervised_nodes(tree, {*pixel_nodes, *box_nodes}), LossOptions(), ())
    maps = empty_batch()
    maps['labels'][0] = tree.node('back').id
    logits = random_logits(tree, 5, np.random.default_rng(0))
    asked = []

    def logits_of(name: str) -> torch.Tensor:
        asked.append(name)
        return torch.from_numpy(logits[name])

    loss(lazy.Logits(logits_of, Grid(*SIZE, STRIDE, STRIDE)), as_batch(maps))
    assert set(asked) == {'root'}, 'nothing supervises "back"'


# Distillation


def slow_distillation(
    student: Logits,
    teacher: Logits,
    tree: Hierarchy,
    shared: tuple[str, ...],
    taught: tuple[str, ...],
    temperature: float,
) -> dict[str, float]:
    """Return for each classifier the mean of T² KL(teacher || student), position by position."""

    def softmax(values: NDArray) -> NDArray:
        exponentials = np.exp(values / temperature)
        return exponentials / exponentials.sum()

    losses = {}
    for classifier in tree.classifiers:
        chosen = [i for i, node in enumerate(classifier.nodes) if node.name in shared]
        if not chosen:
            continue
        chosen.append(len(classifier.nodes))
        values = []
        images, _, height, width = student[classifier.name].shape
        for image, row, column in np.ndindex(images, height, width):
            reached = True
            path = [] if classifier.parent is None else tree.path(classifier.parent)
            for step in path:
                above = next(c for c in tree.classifiers if step in c.nodes)
                names = [*(node.name for node in above.nodes), 'unlabelled']
                at = teacher[above.name][image, :, row, column]
                known = [i for i, name in enumerate(names) if name in (*taught, 'unlabelled')]
                reached &= names[max(known, key=lambda i: at[i])] == step.name
            if reached:
                p = softmax(teacher[classifier.name][image, chosen, row, column])
                q = softmax(student[classifier.name][image, chosen, row, column])
                values.append(temperature**2 * float((p * np.log(p / q)).sum()))
        losses[f'distillation/{classifier.name}'] = sum(values) / len(values) if values else 0.0
    return losses


@pytest.mark.parametrize('temperature', [1.0, 3.0])
def test_distillation_against_the_slow_one(temperature: float) -> None:
    known = supervised_nodes(DEEP, ['sky', 'front', 'lane', 'kerb', 'round', 'stop', 'yield'])
    taught = supervised_nodes(DEEP, ['sky', 'back', 'kerb', 'round', 'angular'])
    options = LossOptions((1.0, 0.5), distillation_weight=0.4, distillation_temperature=temperature)
    targets = build_targets(DEEP, taught)
    loss = fast_loss(DEEP, known, options, (), teacher_targets=targets)
    rng = np.random.default_rng(1)
    student, teacher = random_logits(DEEP, 5, rng), random_logits(DEEP, 5, rng)
    # The teacher shall get down to every classifier here and there.
    teacher['root'][:, 1] += 2.0
    teacher['sign'][:, 1] += 2.0
    shared = tuple(name for name in known if name in taught)
    expected = slow_distillation(student, teacher, DEEP, shared, taught, temperature)
    assert 'distillation/angular' not in expected, 'the teacher cannot tell stop from yield'
    assert all(expected.values())
    weights = {'root': 0.4, 'sign': 0.2, 'road': 0.2, 'front': 0.2}
    losses, leaves = run(loss, student, empty_batch(), teacher=teacher)
    found = {name: losses[name].item() for name in losses if name.startswith('distillation')}
    assert found == pytest.approx(
        {name: weights[name.split('/')[1]] * value for name, value in expected.items()}, rel=1e-4
    )
    total_of(losses).backward()
    gradient = leaves['road'].grad
    assert gradient is not None
    lane, kerb, unlabelled = gradient.abs().sum((0, 2, 3))
    assert lane == 0, 'the teacher does not know it'
    assert kerb > 0
    assert unlabelled > 0


def test_a_student_that_agrees_with_its_teacher_has_nothing_to_learn() -> None:
    supervised = supervised_nodes(DEEP, [node.name for node in DEEP.nodes])
    loss = fast_loss(DEEP, supervised, LossOptions(distillation_weight=1.0), ())
    logits = random_logits(DEEP, 5, np.random.default_rng(0))
    # A constant on top of all logits changes no softmax.
    teacher = {name: values + 3.0 for name, values in logits.items()}
    losses, _ = run(loss, logits, empty_batch(), teacher=teacher)
    found = [value.item() for name, value in losses.items() if name.startswith('distillation')]
    assert len(found) == len(DEEP.classifiers)
    assert found == pytest.approx([0.0] * len(found), abs=1e-5)
    without, _ = run(loss, logits, empty_batch())
    assert not any(name.startswith('distillation') for name in without)


def test_a_teacher_of_another_resolution_is_resized() -> None:
    supervised = supervised_nodes(FLAT, [node.name for node in FLAT.nodes])
    loss = fast_loss(FLAT, supervised, LossOptions(distillation_weight=1.0), ())
    logits = random_logits(FLAT, 5, np.random.default_rng(0))
    coarse = {'root': np.random.default_rng(1).normal(0, 2, (5, 5, 1, 1))}
    fine = {'root': np.broadcast_to(coarse['root'], logits['root'].shape).copy()}
    values = [
        run(loss, logits, empty_batch(), teacher=teacher)[0]['distillation/root'].item()
        for teacher in (coarse, fine)
    ]
    assert values[0] == pytest.approx(values[1])
    assert values[0] > 0


def test_a_classifier_that_a_batch_lacks_gives_zero_and_others_do_not() -> None:
    tree, pixel_nodes, box_nodes = CASES['depth 4']
    arrays = random_batch(tree, ('sky', 'front'), box_nodes, 0)
    arrays['box_labels'][:] = UNLABELLED
    supervised = supervised_nodes(tree, {*pixel_nodes, *box_nodes})
    logits = random_logits(tree, 5, np.random.default_rng(0))
    losses, _ = run(fast_loss(tree, supervised, LossOptions(), box_nodes), logits, arrays)
    assert losses['root'].item() > 0
    assert losses['sign'].item() > 0
    assert {losses[name].item() for name in ('road', 'front', 'angular')} == {0.0}


def test_supervised_nodes_hold_their_ancestors_in_the_order_of_the_tree() -> None:
    assert supervised_nodes(DEEP, ['stop', 'sky']) == ('sky', 'sign', 'front', 'angular', 'stop')


def test_a_classifier_without_supervision_is_left_out() -> None:
    targets = build_targets(DEEP, supervised_nodes(DEEP, ['sky', 'round']))
    assert [target.classifier.name for target in targets] == ['root', 'sign', 'front']
    root, sign, front = targets
    assert root.logit_indices.tolist() == [0, 1, 3]
    assert sign.logit_indices.tolist() == [1, 2]
    assert front.logit_indices.tolist() == [0, 2]
    known = {name: int(root.index_of_id[DEEP.node(name).id]) for name in ('sky', 'stop', 'road')}
    assert known == {'sky': 0, 'stop': 1, 'road': IGNORED}
    assert int(root.index_of_id[UNLABELLED]) == IGNORED


def test_losses_are_named_after_their_classifiers(tree: Hierarchy) -> None:
    names = {'Sky', 'Driveable', 'Traffic Sign (Front)', 'Rider', 'stop', 'speed limit 50'}
    targets = build_targets(tree, supervised_nodes(tree, names))
    assert [target.classifier.name for target in targets] == [
        'root',
        'object--traffic-sign',
        'object--traffic-sign--front',
    ]


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('pixel_loss', 'dice'),
        ('box_pixels', 'boxes'),
        ('image_labels', 'mean'),
        ('level_weights', ()),
        ('level_weights', (1.0, -0.1)),
        ('negatives_per_positive', -1.0),
        ('self_training_weight', math.nan),
        ('focal_gamma', -0.5),
        ('ohem_share', 0.0),
        ('ohem_share', 1.5),
        ('ohem_threshold', 1.0),
        ('label_smoothing', 1.0),
        ('lovasz_weight', -1.0),
        ('image_label_weight', math.inf),
        ('distillation_weight', -1.0),
        ('distillation_temperature', 0.0),
    ],
)
def test_an_impossible_option_is_named(name: str, value: Any) -> None:
    with pytest.raises(HierSegError, match=rf'^loss\.{name}: ') as caught:
        LossOptions(**{name: value})
    assert '\n' not in str(caught.value)
