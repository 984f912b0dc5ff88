# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flat baselines: trees of one level, and that the loss trains them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import ROOT, UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.interpolation import Grid, upsample
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_trainer.batches.batch import Batch
from hier_seg_trainer.datasets.flat import flat_hierarchy
from hier_seg_trainer.loss.hierarchical import HierarchicalLoss
from hier_seg_trainer.loss.loss_options import LossOptions
from hier_seg_trainer.loss.targets import build_targets, supervised_nodes


def sign_names(tree: Hierarchy) -> list[str]:
    return [node.name for node in tree.nodes if node.traffic_sign_id is not None]


def test_a_flat_tree_has_exactly_the_named_nodes_in_one_classifier(tree: Hierarchy) -> None:
    # A superclass, a class that is also a parent, and two of the latter's children.
    named = ['stop', 'Traffic Sign (Front)', 'Driveable', 'Sky', 'give way']
    flat = flat_hierarchy(tree, named)
    assert flat.name == 'street_108_flat'
    assert flat.depth == 1
    (classifier,) = flat.classifiers
    assert classifier.name == ROOT
    assert [node.readable_name for node in classifier.nodes] == [
        node.readable_name for node in tree.nodes if {node.name, node.readable_name} & set(named)
    ]
    assert len(flat.nodes) == len(named)
    assert flat.classes == flat.nodes, 'a superclass that is named is a class'
    for node in flat.nodes:
        origin = tree.node(node.name)
        for attribute in ('id', 'readable_name', 'color', 'category', 'traffic_sign_id'):
            assert getattr(node, attribute) == getattr(origin, attribute)
    assert flat.categories == tree.categories


def test_all_nodes_together_are_one_softmax(tree: Hierarchy) -> None:
    flat = flat_hierarchy(tree, {node.name for node in tree.nodes})
    (classifier,) = flat.classifiers
    assert [node.id for node in classifier.nodes] == [node.id for node in tree.nodes]


def test_a_flat_tree_is_flat_already(tree: Hierarchy) -> None:
    flat = flat_hierarchy(tree, ['stop', 'give way'])
    again = flat_hierarchy(flat, ['stop', 'give way'])
    assert again.nodes == flat.nodes


def test_a_flat_tree_can_be_saved_and_loaded(tree: Hierarchy, tmp_path: Path) -> None:
    flat = flat_hierarchy(tree, ['Driveable', 'stop'])
    flat.save(tmp_path / 'hierarchy.yaml')
    assert Hierarchy.load(tmp_path / 'hierarchy.yaml') == flat


def test_wrong_names_are_refused(tree: Hierarchy) -> None:
    with pytest.raises(HierSegError, match="no class 'stopp'; did you mean 'stop'"):
        flat_hierarchy(tree, ['stop', 'stopp'])
    with pytest.raises(HierSegError, match='the flat baseline has no class; name at least one'):
        flat_hierarchy(tree, [])


SIZE = (8, 12)


def batch_of_boxes(tree: Hierarchy) -> Batch:
    """Return two images with boxes: two signs in the first, none in the second."""
    shape = (2, *SIZE)
    box_labels = torch.full(shape, UNLABELLED, dtype=torch.uint8)
    box_shapes = torch.zeros(shape, dtype=torch.bool)
    far = torch.ones(shape, dtype=torch.bool)
    for name, left in (('stop', 1), ('give way', 7)):
        box_labels[0, 2:6, left : left + 4] = tree.node(name).id
        box_shapes[0, 3:5, left : left + 4] = True
        far[0, 1:7, left - 1 : left + 5] = False
    nothing = torch.full(shape, UNLABELLED, dtype=torch.uint8)
    given = {
        'box_labels': box_labels,
        'box_shapes': box_shapes,
        'far_from_boxes': far,
        'has_boxes': torch.ones(2, dtype=torch.bool),
        'mix': torch.ones(2),
    }
    return Batch(**{field.name: given.get(field.name, nothing) for field in fields(Batch)})


def flat_loss(flat: Hierarchy, named: list[str], options: LossOptions) -> HierarchicalLoss:
    targets = build_targets(flat, supervised_nodes(flat, named))
    return HierarchicalLoss(targets, {flat.node(name).id for name in named}, options, image_ids=())


def test_the_flat_baseline_of_signs_is_one_cross_entropy_with_an_unlabelled_class(
    tree: Hierarchy,
) -> None:
    names = sign_names(tree)
    flat = flat_hierarchy(tree, names)
    options = LossOptions(box_pixels='shape', unlabelled_outside_boxes=True)
    logits = torch.randn(2, 44, 4, 6, generator=torch.Generator().manual_seed(0))
    batch = batch_of_boxes(tree)
    grid = Grid(*SIZE, 2, 2)
    losses = flat_loss(flat, names, options)(Logits({ROOT: logits}.__getitem__, grid), batch)

    labels = torch.full((2, *SIZE), -100)
    for index, name in enumerate(names):
        labels[(batch.box_labels == tree.node(name).id) & batch.box_shapes] = index
    labels[batch.far_from_boxes] = 43
    expected = torch.nn.functional.cross_entropy(upsample(logits, grid), labels)
    assert set(losses) == {ROOT}
    torch.testing.assert_close(losses[ROOT], expected)


def test_under_the_papers_rule_a_box_of_a_flat_tree_trains_with_all_its_pixels(
    tree: Hierarchy,
) -> None:
    """No parent decides in a flat tree, so that 'parent' means what 'box' does."""
    names = sign_names(tree)
    flat = flat_hierarchy(tree, names)
    logits = torch.randn(2, 44, 4, 6, generator=torch.Generator().manual_seed(0))
    batch, grid = batch_of_boxes(tree), Grid(*SIZE, 2, 2)
    values = {
        rule: flat_loss(flat, names, LossOptions(box_pixels=rule))(
            Logits({ROOT: logits}.__getitem__, grid), batch
        )[ROOT].item()
        for rule in ('parent', 'box', 'shape')
    }
    assert values['parent'] == values['box'] != values['shape']


def test_a_joint_flat_baseline_learns_from_pixels_and_boxes_in_one_softmax(
    tree: Hierarchy,
) -> None:
    """One data set says "traffic sign", the other "stop": two logits of the same classifier."""
    names = ['Sky', 'Traffic Sign (Front)', 'stop', 'give way']
    flat = flat_hierarchy(tree, names)
    batch = batch_of_boxes(tree)
    labels = np.full((2, *SIZE), UNLABELLED, np.uint8)
    labels[1, :4] = tree.node('Sky').id
    labels[1, 4:] = tree.node('Traffic Sign (Front)').id
    given = {field.name: getattr(batch, field.name) for field in fields(Batch)}
    batch = Batch(**{**given, 'labels': torch.from_numpy(labels)})
    logits = torch.zeros(2, 5, 8, 12, requires_grad=True)
    losses = flat_loss(flat, names, LossOptions(box_pixels='shape'))(
        Logits({ROOT: logits}.__getitem__, Grid(*SIZE, 1, 1)), batch
    )
    # Two means of -log(1 / 5): of the pixel labels and of the boxes.
    assert losses[ROOT].item() == pytest.approx(2 * np.log(5))
    losses[ROOT].backward()
    assert logits.grad is not None
    position = {node.readable_name: i for i, node in enumerate(flat.nodes)}
    sky, front = (position[name] for name in ('Sky', 'Traffic Sign (Front)'))
    wanted = logits.grad.argmin(1)
    assert (wanted[1, :4] == sky).all()
    assert (wanted[1, 4:] == front).all()
    assert (wanted[0, 3:5, 1:5] == position['stop']).all()
