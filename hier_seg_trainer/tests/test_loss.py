# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loss against a slow one that goes pixel by pixel along the path in the tree."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED, Classifier, Hierarchy, Node
from hier_seg_ros.segmenter.interpolation import Grid
from hier_seg_trainer import loss as loss_module
from hier_seg_trainer.batches import Batch
from hier_seg_trainer.loss import (
    BOX_PIXELS,
    HierarchicalLoss,
    LossOptions,
    build_targets,
    supervised_nodes,
)

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


class SlowLoss:
    """The loss as the method describes it, without tables, masks or batches."""

    def __init__(
        self,
        tree: Hierarchy,
        supervised: tuple[str, ...],
        options: LossOptions,
        box_nodes: tuple[str, ...],
        root_weights: dict[str, float],
        least_negatives: int,
    ) -> None:
        self.tree, self.supervised, self.options = tree, supervised, options
        self.box_nodes, self.root_weights = box_nodes, root_weights
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
        self, classifier: Classifier, logits: Logits, image: int, row: int, column: int, stride: int
    ) -> dict[str, float]:
        values = bilinear(logits[classifier.name][image], row, column, stride)
        chosen = [
            (node.name, values[classifier.nodes.index(node)])
            for node in self.candidates(classifier)
        ]
        chosen.append(('unlabelled', values[len(classifier.nodes)]))
        total = sum(math.exp(value) for _, value in chosen)
        return {name: math.exp(value) / total for name, value in chosen}

    def weight_of_class(self, classifier: Classifier, node: Node) -> float:
        return self.root_weights.get(node.name, 1.0) if classifier.parent is None else 1.0

    def mean(
        self,
        classifier: Classifier,
        logits: Logits,
        pixels: list[tuple[int, int, int, Node]],
        stride: int,
    ) -> float:
        if not pixels:
            return 0.0
        total = weights = 0.0
        for image, row, column, right in pixels:
            at = self.probabilities(classifier, logits, image, row, column, stride)
            weight = self.weight_of_class(classifier, right)
            total += -weight * math.log(at[right.name])
            weights += weight
        return total / weights

    def labelled(self, classifier: Classifier, labels: NDArray) -> list[tuple[int, int, int, Node]]:
        pixels = []
        for image, row, column in np.ndindex(*labels.shape):
            if labels[image, row, column] != UNLABELLED:
                node = self.tree.node_by_id(labels[image, row, column])
                right = self.step(classifier, node)
                if right is not None:
                    pixels.append((image, row, column, right))
        return pixels

    def parents_decide(
        self, node: Node, logits: Logits, image: int, row: int, column: int, stride: int
    ) -> bool:
        for step in self.tree.path(node)[:-1]:
            above = next(c for c in self.tree.classifiers if step in c.nodes)
            at = self.probabilities(above, logits, image, row, column, stride)
            if max(at, key=lambda name: at[name]) != step.name:
                return False
        return True

    def boxed(
        self, classifier: Classifier, logits: Logits, batch: dict[str, NDArray], stride: int
    ) -> list[tuple[int, int, int, Node]]:
        pixels = []
        for image, row, column, right in self.labelled(classifier, batch['box_labels']):
            node = self.tree.node_by_id(batch['box_labels'][image, row, column])
            in_shape = batch['box_shapes'][image, row, column]
            if right != node:
                use = self.options.boxes_teach_ancestors and in_shape
            else:
                by_shape = self.options.box_pixels != 'parent' and in_shape
                by_parent = self.options.box_pixels != 'shape' and self.parents_decide(
                    node, logits, image, row, column, stride
                )
                use = by_shape or by_parent
            if use:
                pixels.append((image, row, column, right))
        return pixels

    def negatives(self, logits: Logits, batch: dict[str, NDArray], stride: int) -> float:
        root = self.tree.classifiers[0]
        never = {self.tree.path(self.tree.node(name))[0].name for name in self.box_nodes}
        values = []
        for image, row, column in np.argwhere(batch['far_from_boxes']):
            at = self.probabilities(root, logits, image, row, column, stride)
            values.append(-math.log(1 - sum(at[name] for name in never)))
        wanted = max(
            self.least_negatives,
            round(self.options.negatives_per_positive * batch['box_shapes'].sum()),
        )
        hardest = sorted(values, reverse=True)[:wanted]
        return sum(hardest) / len(hardest) if hardest else 0.0

    def __call__(
        self, logits: Logits, batch: dict[str, NDArray], stride: int, pseudo: NDArray | None
    ) -> dict[str, float]:
        losses = {}
        weights = self.options.level_weights
        root = self.tree.classifiers[0]
        if self.options.negatives_per_positive > 0:
            losses['far_from_boxes'] = weights[0] * self.negatives(logits, batch, stride)
        if pseudo is not None:
            losses['self_training'] = self.options.self_training_weight * self.mean(
                root, logits, self.labelled(root, pseudo), stride
            )
        for classifier in self.tree.classifiers:
            if not self.candidates(classifier):
                continue
            weight = weights[min(classifier.depth, len(weights)) - 1]
            pixels = self.labelled(classifier, batch['labels'])
            boxed = self.boxed(classifier, logits, batch, stride)
            losses[classifier.name] = weight * (
                self.mean(classifier, logits, pixels, stride)
                + self.mean(classifier, logits, boxed, stride)
            )
        return losses


# Random batches

SIZE, STRIDE = (8, 12), 4


def random_logits(tree: Hierarchy, images: int, rng: np.random.Generator) -> Logits:
    height, width = SIZE[0] // STRIDE, SIZE[1] // STRIDE
    return {
        c.name: rng.normal(0, 2, (images, len(c.nodes) + 1, height, width))
        for c in tree.classifiers
    }


def random_batch(
    tree: Hierarchy, pixel_nodes: tuple[str, ...], box_nodes: tuple[str, ...], seed: int
) -> dict[str, NDArray]:
    """Return image 0 with pixel labels, 1 and 2 with boxes, 3 with boxes of which it has none."""
    rng = np.random.default_rng(seed)
    shape = (4, *SIZE)
    labels = np.full(shape, UNLABELLED, np.uint8)
    ids = [tree.node(name).id for name in pixel_nodes] + [UNLABELLED]
    labels[0] = rng.choice(ids, SIZE)
    box_labels = np.full(shape, UNLABELLED, np.uint8)
    box_shapes = np.zeros(shape, bool)
    far = np.zeros(shape, bool)
    far[1:] = True
    for image in (1, 2):
        for _ in range(2):
            top, left = rng.integers(0, 5), rng.integers(0, 8)
            region = (image, slice(top, top + 4), slice(left, left + 5))
            box_labels[region] = tree.node(rng.choice(box_nodes)).id
            box_shapes[region] = rng.random((min(4, SIZE[0] - top), min(5, SIZE[1] - left))) < 0.6
        far[image] &= box_labels[image] == UNLABELLED
    return {
        'labels': labels,
        'box_labels': box_labels,
        'box_shapes': box_shapes,
        'far_from_boxes': far,
        'has_boxes': np.array([False, True, True, True]),
    }


def as_batch(arrays: dict[str, NDArray]) -> Batch:
    images = torch.zeros((len(arrays['labels']), 3, *SIZE), dtype=torch.uint8)
    tensors: dict[str, Any] = {k: torch.from_numpy(v) for k, v in arrays.items()}
    return Batch(images=images, plain_images=images, **tensors)


def fast_loss(
    tree: Hierarchy,
    supervised: tuple[str, ...],
    options: LossOptions,
    box_nodes: tuple[str, ...],
    weight_of_id: torch.Tensor | None = None,
) -> HierarchicalLoss:
    targets = build_targets(tree, supervised, weight_of_id)
    return HierarchicalLoss(targets, {tree.node(name).id for name in box_nodes}, options)


def run(
    loss: HierarchicalLoss,
    logits: Logits,
    arrays: dict[str, NDArray],
    pseudo: NDArray | None = None,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the losses and the logits as leaves that gradients can be asked of."""
    leaves = {
        k: torch.tensor(v, dtype=torch.float32, requires_grad=True) for k, v in logits.items()
    }
    losses = loss(
        leaves.__getitem__,
        as_batch(arrays),
        Grid(*SIZE, STRIDE, STRIDE),
        None if pseudo is None else torch.from_numpy(pseudo),
    )
    return losses, leaves


def compare(
    case: str,
    options: LossOptions,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
    root_weights: dict[str, float] | None = None,
    least_negatives: int = 4,
) -> dict[str, float]:
    tree, pixel_nodes, box_nodes = CASES[case]
    monkeypatch.setattr(loss_module, '_MINIMUM_NEGATIVES', least_negatives)
    supervised = supervised_nodes(tree, {*pixel_nodes, *box_nodes})
    arrays = random_batch(tree, pixel_nodes, box_nodes, seed)
    logits = random_logits(tree, 4, np.random.default_rng(seed + 100))
    # Parents shall decide for the boxes here and there.
    for step in (step for name in box_nodes for step in tree.path(tree.node(name))):
        above = next(c for c in tree.classifiers if step in c.nodes)
        logits[above.name][:, above.nodes.index(step)] += 1.0
    pseudo = None
    if options.self_training_weight > 0:
        pseudo = np.full((4, *SIZE), UNLABELLED, np.uint8)
        pseudo[1:, ::2] = tree.node(tree.classifiers[0].nodes[0].name).id
    weight_of_id = None
    if root_weights is not None:
        weight_of_id = torch.zeros(256)
        for name, weight in root_weights.items():
            weight_of_id[tree.node(name).id] = weight
    slow = SlowLoss(tree, supervised, options, box_nodes, root_weights or {}, least_negatives)
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
    assert all(any(losses[name] > 0 for losses in found) for name in found[0])


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('negatives', [0.1, 1.5])
def test_far_pixels_against_the_slow_loss(
    case: str, negatives: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = LossOptions((0.7,), 'shape', negatives_per_positive=negatives)
    for seed in range(2):
        assert compare(case, options, seed, monkeypatch)['far_from_boxes'] > 0


def test_a_batch_without_signs_still_takes_some_negatives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_module, '_MINIMUM_NEGATIVES', 5)
    tree, pixel_nodes, box_nodes = CASES['depth 1']
    arrays = random_batch(tree, pixel_nodes, box_nodes, 0)
    arrays['box_labels'][:] = UNLABELLED
    arrays['box_shapes'][:] = False
    options = LossOptions(negatives_per_positive=3.0)
    logits = random_logits(tree, 4, np.random.default_rng(0))
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
        weighted = compare(case, options, seed, monkeypatch, root_weights=weights)
        assert weighted['root'] != pytest.approx(compare(case, options, seed, monkeypatch)['root'])


def test_a_superclass_has_the_least_weight_below_it() -> None:
    weight_of_id = torch.zeros(256)
    weight_of_id[DEEP.node('lane').id] = 4.0
    weight_of_id[DEEP.node('kerb').id] = 2.0
    weight_of_id[DEEP.node('sky').id] = 0.5
    root, *others = build_targets(DEEP, ('sky', 'sign', 'road', 'lane', 'kerb'), weight_of_id)
    # sky, sign (never seen), road, unlabelled
    assert root.class_weights.tolist() == [0.5, 1.0, 2.0, 1.0]
    assert all((target.class_weights == 1).all() for target in others)


def test_level_weights_scale_their_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = compare('depth 4', LossOptions((1.0,), 'shape', True), 0, monkeypatch)
    options = LossOptions((2.0, 0.5, 0.25), 'shape', True)
    weighted = compare('depth 4', options, 0, monkeypatch)
    factors = {'root': 2.0, 'sign': 0.5, 'road': 0.5, 'front': 0.25, 'angular': 0.25}
    assert weighted == pytest.approx({name: factors[name] * plain[name] for name in plain})


def test_only_pixels_whose_parents_decide_get_a_gradient() -> None:
    """Half of a box is decided for "sign", half of that for "front": only there it trains."""
    arrays = random_batch(DEEP, ('sky',), ('round',), 0)
    arrays['labels'][:] = UNLABELLED
    arrays['box_labels'][:] = UNLABELLED
    arrays['box_labels'][1] = DEEP.node('round').id
    logits = {c.name: np.zeros((4, len(c.nodes) + 1, *SIZE)) for c in DEEP.classifiers}
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
    losses = loss(leaves.__getitem__, as_batch(arrays), Grid(*SIZE, 1, 1))
    torch.stack(list(losses.values())).sum().backward()
    gradient = leaves['front'].grad
    assert gradient is not None
    trained = np.zeros((4, *SIZE), bool)
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
    logits = random_logits(tree, 4, np.random.default_rng(3))
    losses, leaves = run(fast_loss(tree, supervised, options, box_nodes), logits, arrays)
    torch.stack(list(losses.values())).sum().backward()
    for classifier in tree.classifiers:
        gradient = leaves[classifier.name].grad
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        for position, node in enumerate(classifier.nodes):
            assert bool((gradient[:, position] != 0).any()) == (node.name in supervised), node.name
        assert (gradient[:, len(classifier.nodes)] != 0).any(), 'unlabelled is in the softmax'


@pytest.mark.parametrize('box_pixels', BOX_PIXELS)
@pytest.mark.parametrize('case', CASES)
def test_a_batch_with_nothing_gives_exactly_zero(case: str, box_pixels: str) -> None:
    tree, pixel_nodes, box_nodes = CASES[case]
    arrays = random_batch(tree, pixel_nodes, box_nodes, 0)
    for name in ('labels', 'box_labels'):
        arrays[name][:] = UNLABELLED
    for name in ('box_shapes', 'far_from_boxes'):
        arrays[name][:] = False
    options = LossOptions((1.0,), box_pixels, True, 3.0, 0.5)
    supervised = supervised_nodes(tree, {*pixel_nodes, *box_nodes})
    loss = fast_loss(tree, supervised, options, box_nodes)
    nothing = np.full((4, *SIZE), UNLABELLED, np.uint8)
    losses, leaves = run(loss, random_logits(tree, 4, np.random.default_rng(0)), arrays, nothing)
    assert {value.item() for value in losses.values()} == {0.0}
    # Zeros among other losses do no harm to the gradients.
    total = torch.stack(list(losses.values())).sum() + leaves['root'].square().sum()
    total.backward()
    assert all(leaf.grad is None or torch.isfinite(leaf.grad).all() for leaf in leaves.values())


def test_a_classifier_that_a_batch_lacks_gives_zero_and_others_do_not() -> None:
    tree, pixel_nodes, box_nodes = CASES['depth 4']
    arrays = random_batch(tree, ('sky', 'front'), box_nodes, 0)
    arrays['box_labels'][:] = UNLABELLED
    supervised = supervised_nodes(tree, {*pixel_nodes, *box_nodes})
    logits = random_logits(tree, 4, np.random.default_rng(0))
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
    assert known == {'sky': 0, 'stop': 1, 'road': loss_module.IGNORED}
    assert int(root.index_of_id[UNLABELLED]) == loss_module.IGNORED


def test_losses_are_named_after_their_classifiers(tree: Hierarchy) -> None:
    names = {'Sky', 'Driveable', 'Traffic Sign (Front)', 'Rider', 'stop', 'speed limit 50'}
    targets = build_targets(tree, supervised_nodes(tree, names))
    assert [target.classifier.name for target in targets] == [
        'root',
        'object--traffic-sign',
        'object--traffic-sign--front',
    ]
