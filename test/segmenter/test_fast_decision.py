# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decision's short cuts against the plain way: everything computed and interpolated."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image
from random_trees import random_tree, smooth_logits

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter import DecisionOptions, Segmenter
from hier_seg_ros.segmenter.decision import DecisionRule
from hier_seg_ros.segmenter.interpolation import Grid, Part, upsample, upsample_at
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_ros.segmenter.model_folder import InputOptions, ModelDescription
from hier_seg_ros.segmenter.network import LIGHT_DETAILED, NetworkOptions, build_network

REPOSITORY = Path(__file__).resolve().parents[2]
OPTIONS = [
    DecisionOptions(),
    DecisionOptions(void_decisions='replace'),
    DecisionOptions(min_confidence=0.4),
    DecisionOptions(forbidden_classes=('node 1',)),
]


def decided_plainly(
    rule: DecisionRule, hierarchy: Hierarchy, logits: dict[str, torch.Tensor], grid: Grid
) -> torch.Tensor:
    """Return the node ids, every logit interpolated at every pixel."""
    return all_decided_plainly(rule, hierarchy, logits, grid)[0]


def all_decided_plainly(
    rule: DecisionRule, hierarchy: Hierarchy, logits: dict[str, torch.Tensor], grid: Grid
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the node ids and the confidence, every logit interpolated at every pixel."""
    dense = {name: upsample(values[None], grid)[0] for name, values in logits.items()}
    same = Grid(grid.height, grid.width, 1.0, 1.0)
    with mock.patch.object(DecisionRule, '_decide_root_sparsely', return_value=None):
        ids, confidence = rule.decide(
            Logits(dense.__getitem__, same), confidence=True, max_level=hierarchy.depth
        )
    assert confidence is not None
    return ids, confidence


@pytest.mark.parametrize('seed', range(24))
def test_any_tree_size_and_option_is_decided_as_the_plain_way_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    hierarchy = random_tree(random, int(random.integers(2, 40)))
    rule = DecisionRule(
        hierarchy,
        [node.name for node in hierarchy.nodes if node.id < 2 or random.random() < 0.8],
        OPTIONS[seed % len(OPTIONS)],
    )
    height, width = (int(size) for size in random.integers(1, 40, 2))
    logits = smooth_logits(random, hierarchy, height, width)
    scale_y, scale_x = random.uniform(0.7, 9.0, 2)
    # The grid may reach beyond the image.
    grid = Grid(
        max(1, int(height * scale_y * random.uniform(0.8, 1.0))),
        max(1, int(width * scale_x * random.uniform(0.8, 1.0))),
        scale_y,
        scale_x,
    )
    ids, _ = rule.decide(
        Logits(logits.__getitem__, grid), confidence=False, max_level=hierarchy.depth
    )
    plain, plain_confidence = all_decided_plainly(rule, hierarchy, logits, grid)
    # Rounding decides where two logits are equal but for it.
    assert (ids != plain).float().mean() <= 1e-4 + 1.5 / ids.numel() * (seed % 3 == 0)
    ids, confidence = rule.decide(
        Logits(logits.__getitem__, grid), confidence=True, max_level=hierarchy.depth
    )
    assert confidence is not None
    same = ids == plain
    assert (~same).float().mean() <= 1e-4 + 1.5 / ids.numel() * (seed % 3 == 0)
    torch.testing.assert_close(confidence[same], plain_confidence[same], rtol=0.0, atol=1e-5)


@pytest.mark.parametrize('classes', [253, 254, 255])
def test_as_many_classes_as_there_are_ids_are_decided_as_the_plain_way_does(classes: int) -> None:
    random = np.random.default_rng(classes)
    hierarchy = Hierarchy(
        {
            'format': 1,
            'name': 'wide',
            'nodes': [
                {'id': number, 'name': f'node {number}', 'color': [number, 0, 0]}
                for number in range(classes)
            ],
        }
    )
    rule = DecisionRule(hierarchy, [node.name for node in hierarchy.nodes], DecisionOptions())
    logits = smooth_logits(random, hierarchy, 9, 12)
    # So that the last ones win somewhere.
    logits['root'][-3:] += 2.0
    grid = Grid(36, 48, 4.0, 4.0)
    ids, _ = rule.decide(Logits(logits.__getitem__, grid), confidence=False, max_level=1)
    plain = decided_plainly(rule, hierarchy, logits, grid)
    assert torch.equal(ids, plain)
    assert {classes - 1, UNLABELLED} <= set(ids.unique().tolist())


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('void_decisions', ['keep', 'replace'])
def test_logits_that_are_not_finite_take_no_short_cut(value: float, void_decisions: str) -> None:
    random = np.random.default_rng(4)
    hierarchy = random_tree(random, 9)
    rule = DecisionRule(
        hierarchy, [node.name for node in hierarchy.nodes], DecisionOptions(void_decisions)
    )
    grid = Grid(40, 60, 4.0, 4.0)
    for position in range(len(hierarchy.classifiers[0].nodes) + 1):
        logits = smooth_logits(random, hierarchy, 10, 15)
        logits['root'][position, 4:6, 3:9] = value
        some = Logits(logits.__getitem__, grid)
        without, _ = rule.decide(some, confidence=False, max_level=9)
        with_it, _ = rule.decide(some, confidence=True, max_level=9)
        assert torch.equal(without, with_it)


@pytest.mark.parametrize('seed', range(12))
def test_clusters_hold_each_pixel_once_and_lie_apart(seed: int) -> None:
    random = np.random.default_rng(seed)
    grid = Grid(300, 500, 2.0, 2.0)
    mask = np.zeros((300, 500), bool)
    for _ in range(seed % 8 + 1):
        top, left = random.integers(0, 280), random.integers(0, 480)
        mask[top : top + random.integers(1, 30), left : left + random.integers(1, 30)] = True
    pixels = torch.from_numpy(np.flatnonzero(mask))
    clusters = grid.clusters(pixels)
    assert torch.equal(torch.cat(clusters).sort().values, pixels)
    parts = [grid.part_around(cluster, (150, 250)) for cluster in clusters]
    for number, one in enumerate(parts):
        for other in parts[:number]:
            apart_y = one.top >= other.bottom + 10 or other.top >= one.bottom + 10
            apart_x = one.left >= other.right + 10 or other.left >= one.right + 10
            assert apart_y or apart_x


def test_far_pixels_are_clusters_and_many_are_one() -> None:
    grid = Grid(300, 500, 2.0, 2.0)
    corners = torch.tensor([0, 499, 299 * 500, 299 * 500 + 499])
    assert [len(cluster) for cluster in grid.clusters(corners)] == [1, 1, 1, 1]
    scattered = torch.arange(0, 300 * 500, 40)
    assert [len(cluster) for cluster in grid.clusters(scattered)] == [len(scattered)]


def test_a_part_of_the_grid_gives_the_same_values() -> None:
    random = np.random.default_rng(2)
    logits = torch.from_numpy(random.normal(size=(3, 20, 30)).astype(np.float32))
    for scale in (0.6, 2.0, 4.3):
        grid = Grid(int(20 * scale), int(30 * scale), scale, scale)
        for _ in range(20):
            pixels = torch.from_numpy(random.integers(0, grid.height * grid.width, 5))
            part = grid.part_around(pixels, (20, 30))
            assert isinstance(part, Part)
            cut = logits[:, part.top : part.bottom, part.left : part.right]
            assert torch.equal(
                upsample_at(cut, pixels, grid, (part.top, part.left)),
                upsample_at(logits, pixels, grid),
            )


@pytest.mark.parametrize('details', [0, 4])
@pytest.mark.parametrize('upsampling', [True, False])
@pytest.mark.parametrize('block', [4, 0])
def test_a_branch_gives_the_same_logits_for_a_part_of_the_features(
    details: int, upsampling: bool, block: int
) -> None:
    if details and not upsampling:
        pytest.skip('details need learned upsampling')
    options = NetworkOptions(
        backbone='test_efficientnet',
        backbone_options={},
        fused_strides=(8, 16),
        shared_channels=8,
        branch_channels=block,
        image_pooling=True,
        learned_upsampling=upsampling,
        detail_channels=details,
    )
    tree = random_tree(np.random.default_rng(1), 12)
    torch.manual_seed(3)
    network = build_network(options, tree).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    random = np.random.default_rng(5)
    with torch.inference_mode():
        features = network.features(torch.rand(2, 3, 160, 224))
        for classifier in network.classifiers:
            full = network.logits(features, classifier)
            height, width = full.shape[-2:]
            for _ in range(12):
                top, left = random.integers(0, height), random.integers(0, width)
                bottom, right = random.integers(top, height) + 1, random.integers(left, width) + 1
                part = Part(int(top), int(bottom), int(left), int(right))
                got = network.logits_within(features.of_image(1), classifier, part)
                wanted = full[1, :, part.top : part.bottom, part.left : part.right]
                torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_logits_that_are_cut_away_leave_the_others_as_they_were() -> None:
    tree = random_tree(np.random.default_rng(1), 12)
    torch.manual_seed(3)
    network = build_network(LIGHT_DETAILED, tree).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    with torch.inference_mode():
        features = network.features(torch.rand(1, 3, 64, 96))
        full = network.logits(features, 'root')
        kept = [full.shape[1] - 1, 0]
        network.keep_logits('root', kept)
        torch.testing.assert_close(network.logits(features, 'root'), full[:, kept])
    assert not [name for name, p in network.named_parameters() if not p.requires_grad]


@pytest.mark.parametrize('size', [(1360, 800), (704, 512), (333, 217)])
def test_photographs_are_segmented_as_the_plain_way_does(
    shared_data: Path, size: tuple[int, int]
) -> None:
    """On at least 99.99 % of the pixels, as it must be."""
    segmenter = Segmenter.load(REPOSITORY / 'models' / 'street_lite0', 'cpu', engine='torch')
    depth = segmenter.hierarchy.depth
    different = pixels = 0
    for name in ('00502', '00543', '00571'):
        with Image.open(shared_data / 'gtsdb' / f'{name}.jpg', formats=['JPEG']) as image:
            rgb = np.asarray(image.convert('RGB').resize(size))
        (result,) = segmenter.segment([rgb], confidence=False)
        logits = segmenter.logits(rgb)
        whole = Logits(logits.__getitem__, logits.grid)
        with torch.inference_mode():
            plain, _ = segmenter.decision_rule.decide(whole, confidence=True, max_level=depth)
        different += int((plain.numpy() != result.finest).sum())
        pixels += result.finest.size
        assert (result.finest != UNLABELLED).any()
    assert different <= 1e-4 * pixels


def test_a_network_that_looks_at_the_whole_is_not_computed_in_parts(
    untrained_model: Path, street_tree: Hierarchy, tiny_network_options: NetworkOptions
) -> None:
    from dataclasses import replace

    options = replace(tiny_network_options, normalization='instance')
    network = build_network(options, street_tree)
    assert not network.works_in_parts
    names = tuple(node.name for node in street_tree.nodes)
    description = ModelDescription(
        'instance', options, InputOptions(256, (0.5,) * 3, (0.5,) * 3), names
    )
    segmenter = Segmenter(description, street_tree, network, device='cpu')
    logits = segmenter.logits(np.zeros((64, 64, 3), np.uint8))
    whole = logits['root']
    assert torch.equal(logits.within('root', Part(0, 2, 0, 3)), whole[:, :2, :3])
