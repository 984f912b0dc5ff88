# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels that are sets of nodes: the loss against -log of a sum along the tree, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from training_runs import make_batch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_ros.label_spaces.node_sets import NodeSet, node_or_set
from hier_seg_ros.segmenter.interpolation import Grid
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_trainer.loss.batch_logits import BatchLogits
from hier_seg_trainer.loss.hierarchical import HierarchicalLoss
from hier_seg_trainer.loss.loss_options import LossOptions
from hier_seg_trainer.loss.node_sets import add_sets, log_probabilities
from hier_seg_trainer.loss.targets import build_targets, supervised_nodes

SIZE, STRIDE = (8, 12), 4
PARENTS = {
    'sky': None, 'sign': None, 'road': None, 'car': None,
    'back': 'sign', 'front': 'sign', 'lane': 'road', 'kerb': 'road', 'hole': 'road',
    'round': 'front', 'angular': 'front', 'stop': 'angular', 'yield': 'angular',
}  # fmt: skip
TREE = Hierarchy(
    {
        'format': 1,
        'name': 'test',
        'nodes': [
            {'id': 60 - 3 * i, 'name': name, 'color': [i, i, i], 'parent': parent}
            for i, (name, parent) in enumerate(PARENTS.items())
        ],
    }
)
ALL = tuple(PARENTS)
SETS = {
    'siblings at the root': ('sky', 'car'),
    'siblings below': ('lane', 'kerb'),
    'siblings at depth 4': ('stop', 'round'),
    'across levels': ('sky', 'lane'),
    'across classifiers': ('lane', 'back'),
    'three classifiers': ('kerb', 'stop', 'car'),
    'a child and its cousin below': ('back', 'stop'),
    'nested': ('front', 'stop', 'sky'),
    'all but one': ('sky', 'sign', 'road'),
    'everything': ('sky', 'sign', 'road', 'car'),
    'parts of everything': ('sky', 'stop', 'back', 'lane', 'hole'),
}


def make_set(names: Sequence[str], known: Sequence[NodeSet] = ()) -> NodeSet:
    found = node_or_set(' or '.join(names), [TREE.node(name) for name in names], TREE, known)
    assert isinstance(found, NodeSet)
    return found


def random_logits(seed: int) -> dict[str, Tensor]:
    random = np.random.default_rng(seed)
    size = (SIZE[0] // STRIDE, SIZE[1] // STRIDE)
    return {
        c.name: torch.tensor(random.normal(0, 2, (2, len(c.nodes) + 1, *size)), requires_grad=True)
        for c in TREE.classifiers
    }


def losses_of(
    logits: dict[str, Tensor],
    supervised: Sequence[str],
    sets: Sequence[NodeSet],
    labels: Tensor,
    options: LossOptions | None = None,
    weight_of_id: Tensor | None = None,
    **parts: Tensor,
) -> dict[str, Tensor]:
    targets = add_sets(build_targets(TREE, supervised, weight_of_id), TREE, sets)
    loss = HierarchicalLoss(targets, (), options or LossOptions((1.0,)))
    batch = make_batch(torch.zeros((2, 3, *SIZE), dtype=torch.uint8), labels=labels, **parts)
    return loss(Logits(logits.__getitem__, Grid(*SIZE, STRIDE, STRIDE)), batch)


def labelled(places: dict[tuple[int, int, int], int]) -> Tensor:
    labels = torch.full((2, *SIZE), UNLABELLED, dtype=torch.uint8)
    for place, label in places.items():
        labels[place] = label
    return labels


def stands_for(node: Node, supervised: Sequence[str]) -> Node | None:
    """Return the node itself, or the nearest one above that training supervises."""
    return next((n for n in reversed(TREE.path(node)) if n.name in supervised), None)


def slow_loss(
    logits: dict[str, Tensor],
    supervised: Sequence[str],
    names: Sequence[str],
    place: tuple[int, int, int],
) -> Tensor:
    """Return -log of the summed probability of nodes at one pixel, a product for each node."""
    image, row, column = place
    named = [TREE.node(name) for name in names]
    top = [n for n in named if not any(above in named for above in TREE.path(n)[:-1])]
    counted = {stands_for(node, supervised) for node in top} - {None}
    top = [n for n in counted if not any(above in counted for above in TREE.path(n)[:-1])]
    total = torch.zeros((), dtype=torch.float64)
    for node in top:
        probability = torch.ones((), dtype=torch.float64)
        for step in TREE.path(node):
            classifier = next(c for c in TREE.classifiers if step in c.nodes)
            wide = functional.interpolate(
                logits[classifier.name], SIZE, mode='bilinear', align_corners=False
            )[image, :, row, column]
            candidates = [i for i, n in enumerate(classifier.nodes) if n.name in supervised]
            values = wide[[*candidates, len(classifier.nodes)]]
            position = candidates.index(classifier.nodes.index(step))
            probability = probability * values.softmax(0)[position]
        total = total + probability
    return -total.log()


@pytest.mark.parametrize(
    'supervised',
    [
        ALL,
        supervised_nodes(TREE, ['sky', 'road', 'car', 'back']),
        supervised_nodes(TREE, ['sky', 'lane', 'kerb', 'stop', 'yield']),
    ],
    ids=['all', 'few', 'deep'],
)
@pytest.mark.parametrize('case', SETS)
def test_a_pixel_against_the_sum_along_the_tree(case: str, supervised: tuple[str, ...]) -> None:
    node_set = make_set(SETS[case])
    for seed, place in enumerate([(0, 0, 0), (1, 3, 5), (0, 7, 11)]):
        logits = random_logits(seed)
        losses = losses_of(logits, supervised, [node_set], labelled({place: node_set.id}))
        found = torch.stack(list(losses.values())).sum()
        expected = slow_loss(logits, supervised, SETS[case], place)
        assert found.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
        names = [name for name in logits if any(n.name in supervised for n in nodes_of(name))]
        leaves = [logits[name] for name in names]
        gradients = torch.autograd.grad(found, leaves, allow_unused=True)
        wanted = torch.autograd.grad(expected, leaves, allow_unused=True)
        for name, ours, theirs in zip(names, gradients, wanted, strict=True):
            zero = torch.zeros_like(logits[name])
            ours, theirs = (zero if each is None else each for each in (ours, theirs))
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6, msg=name)


def nodes_of(classifier: str) -> tuple[Node, ...]:
    return next(c.nodes for c in TREE.classifiers if c.name == classifier)


@pytest.mark.parametrize('case', SETS)
def test_gradients_against_finite_differences(case: str) -> None:
    sets = add_sets(build_targets(TREE, ALL), TREE, [make_set(SETS[case])])
    terms = [term for terms in sets.terms.values() for term in terms.values()]
    assert len(terms) == 1
    random = torch.Generator().manual_seed(5)
    names = [classifier.name for classifier in TREE.classifiers]
    leaves = [
        torch.randn(3, len(c.nodes) + 1, generator=random, dtype=torch.float64, requires_grad=True)
        for c in TREE.classifiers
    ]

    def total(*values: Tensor) -> Tensor:
        by_name = dict(zip(names, values, strict=True))
        logits = SimpleNamespace(at_any=lambda target, image, pixels: by_name[target.name][pixels])
        return log_probabilities(cast(BatchLogits, logits), terms[0], 0, torch.arange(3))[0].sum()

    assert torch.autograd.gradcheck(total, leaves, eps=1e-6, atol=1e-7)


def test_means_are_over_labels_of_both_kinds() -> None:
    # The loss of a classifier is the mean over all pixels that it learns from.
    root, below = make_set(('sky', 'lane')), make_set(('lane', 'kerb'), [make_set(('sky', 'lane'))])
    places = {
        (0, 1, 1): root.id,
        (0, 2, 2): below.id,
        (1, 3, 3): TREE.node('sky').id,
        (1, 4, 4): TREE.node('hole').id,
        (1, 5, 5): root.id,
    }
    logits = random_logits(1)
    alone = {
        place: losses_of(logits, ALL, [root, below], labelled({place: label}))
        for place, label in places.items()
    }
    together = losses_of(logits, ALL, [root, below], labelled(places))
    assert together['root'].item() == pytest.approx(
        np.mean([one['root'].item() for one in alone.values()]), rel=1e-5
    )
    at_road = [alone[0, 2, 2]['road'].item(), alone[1, 4, 4]['road'].item()]
    assert together['road'].item() == pytest.approx(np.mean(at_road), rel=1e-5)


def test_whole_images_and_single_pixels_agree() -> None:
    # The two ways to upsample, chosen by the number of pixels.
    node_set = make_set(('sky', 'lane', 'back'))
    logits = random_logits(2)
    labels = torch.full((2, *SIZE), node_set.id, dtype=torch.uint8)
    whole = losses_of(logits, ALL, [node_set], labels)['root'].item()
    every = [
        losses_of(logits, ALL, [node_set], labelled({(i, r, c): node_set.id}))['root'].item()
        for i in range(2)
        for r in range(SIZE[0])
        for c in range(SIZE[1])
    ]
    assert whole == pytest.approx(np.mean(every), rel=1e-5)


def test_sets_change_nothing_for_other_labels() -> None:
    random = np.random.default_rng(7)
    ids = [node.id for node in TREE.nodes] + [UNLABELLED]
    labels = torch.from_numpy(random.choice(ids, (2, *SIZE)).astype(np.uint8))
    logits = random_logits(3)
    plain = HierarchicalLoss(build_targets(TREE, ALL), (), LossOptions((1.0,)))
    batch = make_batch(torch.zeros((2, 3, *SIZE), dtype=torch.uint8), labels=labels)
    without = plain(Logits(logits.__getitem__, Grid(*SIZE, STRIDE, STRIDE)), batch)
    with_sets = losses_of(logits, ALL, [make_set(('sky', 'lane'))], labels)
    assert {k: v.item() for k, v in with_sets.items()} == {k: v.item() for k, v in without.items()}


@pytest.mark.parametrize(
    ('options', 'of_loss'),
    [
        ({'pixel_loss': 'focal', 'focal_gamma': 2.0}, lambda x, _: (1 - np.exp(-x)) ** 2 * x),
        ({'pixel_loss': 'ohem', 'ohem_share': 0.5}, lambda x, _: x),
        ({'label_smoothing': 0.2}, lambda x, spread: 0.8 * x + 0.2 * spread),
        ({'lovasz_weight': 1.0}, lambda x, _: x),
    ],
    ids=['focal', 'ohem', 'smoothed', 'lovasz'],
)
def test_pixel_losses_of_sets(options: dict[str, Any], of_loss: Any) -> None:
    node_set, place = make_set(('sky', 'car')), (0, 2, 3)
    logits = random_logits(4)
    losses = losses_of(
        logits, ALL, [node_set], labelled({place: node_set.id}), LossOptions((1.0,), **options)
    )
    plain = slow_loss(logits, ALL, ('sky', 'car'), place).item()
    wide = functional.interpolate(logits['root'], SIZE, mode='bilinear', align_corners=False)
    spread = -wide[0, :, 2, 3].log_softmax(0)[:-1].mean().item()
    assert losses['root'].item() == pytest.approx(of_loss(plain, spread), rel=1e-4)
    assert losses.get('lovasz/root', torch.zeros(())).item() == 0


def test_a_set_counts_as_its_most_frequent_class() -> None:
    weights = torch.zeros(256)
    for name, weight in (('sky', 0.5), ('car', 4.0), ('road', 2.0)):
        weights[TREE.node(name).id] = weight
    node_set = make_set(('sky', 'car'))
    places = {(0, 1, 1): node_set.id, (1, 2, 2): TREE.node('road').id}
    logits = random_logits(5)
    found = losses_of(logits, ALL, [node_set], labelled(places), None, weights)['root'].item()
    of_set = slow_loss(logits, ALL, ('sky', 'car'), (0, 1, 1)).item()
    of_road = slow_loss(logits, ALL, ('road',), (1, 2, 2)).item()
    assert found == pytest.approx((0.5 * of_set + 2.0 * of_road) / 2.5, rel=1e-5)


def test_mixed_images_weigh_their_sets_by_their_shares() -> None:
    one = make_set(('sky', 'car'))
    other = make_set(('lane', 'back'), [one])
    place = (0, 2, 3)
    logits = random_logits(6)
    found = losses_of(
        logits,
        ALL,
        [one, other],
        labelled({place: one.id}),
        second_labels=labelled({place: other.id}),
        mix=torch.tensor([0.7, 1.0]),
    )['root'].item()
    first = slow_loss(logits, ALL, ('sky', 'car'), place).item()
    second = slow_loss(logits, ALL, ('lane', 'back'), place).item()
    assert found == pytest.approx(0.7 * first + 0.3 * second, rel=1e-5)


def test_a_set_of_which_nothing_is_supervised_is_refused() -> None:
    targets = build_targets(TREE, supervised_nodes(TREE, ['road']))
    with pytest.raises(HierSegError, match=r"'sky or car': may be sky, car, and no data set"):
        add_sets(targets, TREE, [make_set(('sky', 'car'))])
    with pytest.raises(HierSegError, match='no data set'):
        add_sets((), TREE, [make_set(('sky', 'car'))])
