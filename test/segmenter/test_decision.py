# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decision against a pixel-by-pixel reference that is written for clarity."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_ros.segmenter import decision
from hier_seg_ros.segmenter.decision import DecisionRule
from hier_seg_ros.segmenter.decision_options import DecisionOptions
from hier_seg_ros.segmenter.interpolation import Grid, upsample, upsample_at, upsample_rows
from hier_seg_ros.segmenter.logits import Logits

GRID = Grid(height=23, width=31, scale_y=4 * 23 / 20, scale_x=4 * 31 / 27)


def three_levels() -> Hierarchy:
    """Return a tree of three levels with siblings at each."""
    entries: list[tuple[int, str, str | None]] = [
        (10, 'ground', None), (20, 'thing', None), (30, 'sky', None),
        (11, 'road', 'ground'), (12, 'path', 'ground'),
        (21, 'sign', 'thing'), (22, 'pole', 'thing'), (23, 'car', 'thing'),
        (1, 'stop', 'sign'), (2, 'yield', 'sign'),
    ]  # fmt: skip
    nodes = [{'id': i, 'name': n, 'color': [i, i, i], 'parent': p} for i, n, p in entries]
    return Hierarchy({'format': 1, 'name': 'three_levels', 'nodes': nodes})


def random_logits(hierarchy: Hierarchy, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        c.name: 2 * torch.randn(len(c.nodes) + 1, 6, 8, generator=generator)
        for c in hierarchy.classifiers
    }


def logits_at(logits: torch.Tensor, row: int, column: int) -> list[float]:
    """Return the bilinear interpolation of `logits` (C, h, w) at one pixel of the image."""
    y = max(0.0, (row + 0.5) / GRID.scale_y - 0.5)
    x = max(0.0, (column + 0.5) / GRID.scale_x - 0.5)
    height, width = logits.shape[1:]
    top, left = min(math.floor(y), height - 1), min(math.floor(x), width - 1)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    weight_y, weight_x = y - top, x - left
    values = []
    for plane in logits.tolist():
        upper = plane[top][left] * (1 - weight_x) + plane[top][right] * weight_x
        lower = plane[bottom][left] * (1 - weight_x) + plane[bottom][right] * weight_x
        values.append(upper * (1 - weight_y) + lower * weight_y)
    return values


def may_be_reported(node: Node, hierarchy: Hierarchy, options: DecisionOptions) -> bool:
    path = {step.name for step in hierarchy.path(node)}
    if path & set(options.forbidden_classes):
        return False
    if not options.allowed_classes or path & set(options.allowed_classes):
        return True
    below = {other.name for other in hierarchy.subtree(node)}
    return bool(below & set(options.allowed_classes))


def decide_pixel(
    hierarchy: Hierarchy,
    supervised: set[str],
    options: DecisionOptions,
    logits: dict[str, torch.Tensor],
    row: int,
    column: int,
    max_level: int,
) -> tuple[int, float]:
    """Return node id and confidence of one pixel, going down the tree one classifier at a time."""
    node: Node | None = None
    confidence = 1.0
    for level in range(1, max_level + 1):
        classifier = next(
            (c for c in hierarchy.classifiers if c.parent == node and c.depth == level), None
        )
        if classifier is None:
            break
        values = logits_at(logits[classifier.name], row, column)
        candidates = {n.name: values[i] for i, n in enumerate(classifier.nodes)}
        candidates = {name: value for name, value in candidates.items() if name in supervised}
        if not candidates:
            break
        candidates['unlabelled'] = values[-1]
        total = sum(math.exp(value) for value in candidates.values())
        ranked = sorted(candidates, key=lambda name: candidates[name], reverse=True)
        winner = ranked[0]
        if winner == 'unlabelled' and options.void_decisions == 'replace':
            winner = ranked[1]
        if winner == 'unlabelled':
            break
        decided = hierarchy.node(winner)
        softmax = math.exp(candidates[winner]) / total
        if confidence * softmax < options.min_confidence:
            break
        if not may_be_reported(decided, hierarchy, options):
            break
        node = decided
        confidence *= softmax
    if node is None:
        return UNLABELLED, 0.0
    return node.id, confidence


ALL = {node.name for node in three_levels().nodes}
OPTIONS = [
    DecisionOptions(),
    DecisionOptions(void_decisions='replace'),
    DecisionOptions(min_confidence=0.4),
    DecisionOptions(min_confidence=0.2, void_decisions='replace'),
    DecisionOptions(forbidden_classes=('thing',)),
    DecisionOptions(forbidden_classes=('sign', 'road')),
    DecisionOptions(allowed_classes=('stop', 'ground')),
    DecisionOptions(allowed_classes=('thing',), forbidden_classes=('car',), min_confidence=0.1),
]


@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize(
    'supervised',
    [ALL, ALL - {'road', 'path'}, ALL - {'sky', 'pole', 'yield'}],
    ids=['all', 'no ground classifier', 'some classes'],
)
@pytest.mark.parametrize('block', [1 << 18, 64], ids=['one block', 'many blocks'])
def test_decision_equals_the_reference(
    options: DecisionOptions, supervised: set[str], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision, '_CPU_BLOCK_VALUES', block)
    hierarchy = three_levels()
    logits = random_logits(hierarchy, seed=3)
    rule = DecisionRule(hierarchy, supervised, options)
    for max_level in (1, 2, 3):
        ids, confidence = rule.decide(
            Logits(logits.__getitem__, GRID), confidence=True, max_level=max_level
        )
        assert confidence is not None
        for row, column in itertools.product(range(GRID.height), range(GRID.width)):
            expected_id, expected_confidence = decide_pixel(
                hierarchy, supervised, options, logits, row, column, max_level
            )
            assert int(ids[row, column]) == expected_id, (row, column, max_level)
            assert float(confidence[row, column]) == pytest.approx(expected_confidence, abs=1e-5)


def test_the_seeded_logits_reach_every_node() -> None:
    """The comparison above would say little if some classifier were never asked."""
    hierarchy = three_levels()
    rule = DecisionRule(hierarchy, ALL, DecisionOptions())
    ids, _ = rule.decide(
        Logits(random_logits(hierarchy, 3).__getitem__, GRID), confidence=False, max_level=3
    )
    assert set(np.unique(ids.numpy())) >= {10, 11, 12, 20, 22, 23, 30, 1, 2, UNLABELLED}


@pytest.mark.parametrize('confidence', [False, True])
def test_of_equal_logits_the_first_class_wins(confidence: bool) -> None:
    hierarchy = three_levels()
    rule = DecisionRule(hierarchy, ALL, DecisionOptions())
    logits = {c.name: torch.zeros(len(c.nodes) + 1, 6, 8) for c in hierarchy.classifiers}
    ids, _ = rule.decide(Logits(logits.__getitem__, GRID), confidence=confidence, max_level=3)
    assert np.unique(ids.numpy()).tolist() == [hierarchy.node('road').id]


def test_a_classifier_whose_parent_never_fired_is_not_computed() -> None:
    hierarchy = three_levels()
    logits = random_logits(hierarchy, 3)
    logits['root'][0] += 100
    asked = []

    def logits_of(name: str) -> torch.Tensor:
        asked.append(name)
        return logits[name]

    rule = DecisionRule(hierarchy, ALL, DecisionOptions())
    rule.decide(Logits(logits_of, GRID), confidence=False, max_level=3)
    assert asked == ['root', 'ground']


def test_confidence_does_not_change_the_decision() -> None:
    hierarchy = three_levels()
    logits = random_logits(hierarchy, 5)
    rule = DecisionRule(hierarchy, ALL, DecisionOptions())
    with_it, _ = rule.decide(Logits(logits.__getitem__, GRID), confidence=True, max_level=3)
    without, nothing = rule.decide(Logits(logits.__getitem__, GRID), confidence=False, max_level=3)
    assert nothing is None
    assert torch.equal(with_it, without)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (DecisionOptions(void_decisions='drop'), "void_decisions: 'drop' is not one of keep"),
        (DecisionOptions(min_confidence=1.5), 'min_confidence: 1.5 is outside 0-1'),
        (DecisionOptions(min_confidence=float('nan')), 'min_confidence: nan is outside 0-1'),
        (DecisionOptions(allowed_classes=('raod',)), "allowed_classes: .*did you mean 'road'"),
        (DecisionOptions(forbidden_classes=('x',)), 'forbidden_classes: .*no class'),
    ],
)
def test_wrong_options_are_refused_by_name(options: DecisionOptions, words: str) -> None:
    with pytest.raises(HierSegError, match=words):
        DecisionRule(three_levels(), ALL, options)


def test_a_model_without_a_supervised_root_class_is_refused() -> None:
    with pytest.raises(HierSegError, match='no class of the root'):
        DecisionRule(three_levels(), {'stop'}, DecisionOptions())


def test_the_three_forms_of_upsampling_agree() -> None:
    logits = torch.randn(5, 6, 8, generator=torch.Generator().manual_seed(0))
    everywhere = upsample(logits[None], GRID)[0]
    for row, column in [(0, 0), (22, 30), (11, 17), (1, 29)]:
        torch.testing.assert_close(
            everywhere[:, row, column], torch.tensor(logits_at(logits, row, column))
        )
    pixels = torch.arange(0, GRID.height * GRID.width, 7)
    torch.testing.assert_close(
        upsample_at(logits, pixels, GRID), everywhere.flatten(1)[:, pixels].T
    )
    rows = torch.cat(
        [upsample_rows(logits, GRID, 0, 9), upsample_rows(logits, GRID, 9, GRID.height)], 1
    )
    torch.testing.assert_close(rows, everywhere)


def test_an_exact_multiple_equals_pytorch_s_interpolation() -> None:
    logits = torch.randn(1, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(
        logits, (24, 32), mode='bilinear', align_corners=False
    )
    torch.testing.assert_close(upsample(logits, Grid(24, 32, 4, 4)), expected)


@pytest.mark.parametrize('size', [(6, 8), (6, 5), (3, 8)])
def test_as_many_pixels_as_positions_are_still_interpolated_by_the_scale(
    size: tuple[int, int],
) -> None:
    """Padding can make the grid as large as an image that does not lie on it one by one."""
    logits = torch.randn(5, 6, 8, generator=torch.Generator().manual_seed(0))
    grid = Grid(*size, 0.9, 0.7)
    pixels = torch.arange(grid.height * grid.width)
    expected = upsample_at(logits, pixels, grid).T.reshape(5, *size)
    torch.testing.assert_close(upsample(logits[None], grid)[0], expected)
    torch.testing.assert_close(upsample_rows(logits, grid, 0, grid.height), expected)
    torch.testing.assert_close(upsample_rows(logits, grid, 1, 2), expected[:, 1:2])
