# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several looks at an image, averaged, and the rule of the runner-up."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter.decision import DecisionRule
from hier_seg_ros.segmenter.decision_options import DecisionOptions
from hier_seg_ros.segmenter.interpolation import Grid
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_ros.segmenter.model_folder import InputOptions, ModelDescription
from hier_seg_ros.segmenter.network import NetworkOptions, build_network
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.datasets.formats.camvid import CamVid
from hier_seg_trainer.evaluation import evaluate_dataset, summary
from hier_seg_trainer.evaluation.deciding.decider import Decider
from hier_seg_trainer.evaluation.deciding.looks import averaged_logits, window_corners
from hier_seg_trainer.evaluation.deciding.mirroring import join_mirrors
from hier_seg_trainer.evaluation.evaluation_options import EvaluationOptions

Picture = NDArray[np.uint8]

IDENTITY = np.arange(256, dtype=np.int16)


@pytest.fixture
def segmenter(tree: Hierarchy, tiny_network: NetworkOptions) -> Segmenter:
    """Return a tiny network of random weights; only what leads to classifiers is supervised."""
    torch.manual_seed(3)
    parents = {node.parent for node in tree.nodes}
    roots = {node.name for node in tree.nodes if node.name in parents and node.parent is None}
    supervised = [node.name for node in tree.nodes if tree.path(node)[0].name in roots]
    description = ModelDescription(
        'tiny', tiny_network, InputOptions(96, (0.5,) * 3, (0.25,) * 3), tuple(supervised)
    )
    network = build_network(tiny_network, tree).train()
    # Its normalisation gets to know such images, so that it decides for more than one class.
    inputs = torch.from_numpy(picture(64, 96)).permute(2, 0, 1)[None].float() / 64.0 - 2.0
    with torch.no_grad():
        for _ in range(30):
            network(torch.cat([inputs, inputs.flip(-1)]))
    return Segmenter(description, tree, network, device='cpu')


def picture(height: int, width: int) -> Picture:
    coarse = np.random.default_rng(1).integers(0, 256, (4, 6, 3))
    return np.kron(coarse, np.ones((height // 4, width // 6, 1))).astype(np.uint8)


class Painted:
    """A segmenter of two levels that reads its logits off the colours of each pixel.

    Red and green are the logits of the root's two classes. ``child`` gives those of the child of
    the first class for an image (H, W, 3).
    """

    def __init__(self, tree: Hierarchy, child: Callable[[Tensor], Tensor] | None = None) -> None:
        self.hierarchy = tree
        self.name = 'painted'
        names = [node.name for node in tree.nodes]
        self.decision_rule = DecisionRule(tree, names, DecisionOptions())
        self._child = child
        self.scales: list[float] = []

    def logits(self, image: Picture, *, scale: float) -> Logits:
        self.scales.append(scale)
        colors = torch.from_numpy(image).permute(2, 0, 1).float() / 32.0
        child = torch.zeros(3, *image.shape[:2]) if self._child is None else self._child(colors)

        def logits_of(classifier: str) -> Tensor:
            # The third logit is "unlabelled".
            return colors if classifier == 'root' else child

        return Logits(logits_of, Grid(*image.shape[:2], 1.0, 1.0))


def small_tree(first: str = 'left arrow', second: str = 'right arrow') -> Hierarchy:
    nodes = [
        {'id': 3, 'name': 'sign', 'color': [1, 0, 0], 'parent': None},
        {'id': 7, 'name': 'sky', 'color': [2, 0, 0], 'parent': None},
        {'id': 5, 'name': first, 'color': [3, 0, 0], 'parent': 'sign'},
        {'id': 9, 'name': second, 'color': [4, 0, 0], 'parent': 'sign'},
    ]
    return Hierarchy({'format': 1, 'name': 'small', 'nodes': nodes})


def decide(
    segmenter: Any,
    image: Picture,
    mirror: NDArray[np.int16] = IDENTITY,
    tree: Hierarchy | None = None,
    **options: Any,
) -> Picture:
    tree = segmenter.hierarchy if tree is None else tree
    return Decider(segmenter, tree, EvaluationOptions(**options), mirror)(image)


# The average


def test_the_average_is_that_of_the_softmax_values_at_full_size(segmenter: Segmenter) -> None:
    image = picture(80, 120)
    options = EvaluationOptions(scales=(0.5, 1.0, 1.5), flip=True)
    logits = averaged_logits(segmenter, image, options, IDENTITY)
    assert logits.grid == Grid(80, 120, 1.0, 1.0)
    for choice in segmenter.decision_rule.choices:
        expected = []
        for scale in options.scales:
            for mirrored in (False, True):
                seen = np.ascontiguousarray(image[:, ::-1]) if mirrored else image
                look = segmenter.logits(seen, scale=scale)
                own = look.grid
                coarse = choice.select(look[choice.name])
                # The longer side, 120, is scaled to 96 x scale, and the logits have stride 4.
                assert own.scale_x == pytest.approx(4 * 120 / round(96 * scale))
                full = functional.interpolate(
                    coarse[None],
                    scale_factor=(own.scale_y, own.scale_x),
                    mode='bilinear',
                    align_corners=False,
                    recompute_scale_factor=False,
                )[0, :, :80, :120]
                values = full.softmax(0)
                expected.append(values.flip(-1) if mirrored else values)
        averaged = torch.stack(expected).mean(0)
        result = logits[choice.name]
        assert result.shape == (len(look[choice.name]), 80, 120)
        torch.testing.assert_close(result.exp(), averaged, atol=1e-5, rtol=1e-4)


def test_one_look_decides_as_the_segmenter_does(segmenter: Segmenter) -> None:
    image = picture(80, 120)
    (plain,) = segmenter.segment([image])
    same = decide(segmenter, image, window=(500, 500))
    assert len(np.unique(plain.finest)) > 3
    assert (plain.finest != plain.level(1)).any()
    assert (same != plain.finest).mean() <= 0.001
    assert np.array_equal(decide(segmenter, image), plain.finest)


def test_every_scale_is_looked_at_in_every_window() -> None:
    painted = Painted(small_tree())
    decide(painted, picture(40, 60), window=(40, 30), overlap=0.0, scales=(0.5, 2.2), flip=True)
    assert painted.scales == [0.5, 2.2] * 4


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize(('window', 'overlap'), [((16, 24), 0.5), ((13, 17), 0.3), ((40, 9), 0.0)])
def test_windows_fit_together(window: tuple[int, int], overlap: float, flip: bool) -> None:
    """Where a pixel's logits depend on nothing around it, windows change nothing."""
    painted = Painted(small_tree())
    image = picture(40, 60)
    options = EvaluationOptions(window=window, overlap=overlap, flip=flip)
    logits = averaged_logits(painted, image, options, IDENTITY)  # type: ignore[arg-type]
    colors = torch.from_numpy(image).permute(2, 0, 1).float() / 32.0
    torch.testing.assert_close(logits['root'], colors.log_softmax(0))


@pytest.mark.parametrize(
    ('size', 'window', 'overlap'),
    [((100, 200), (30, 50), 0.5), ((31, 50), (30, 50), 0.0), ((7, 7), (3, 3), 0.9)],
)
def test_windows_cover_the_image_and_overlap(
    size: tuple[int, int], window: tuple[int, int], overlap: float
) -> None:
    corners = window_corners(size, window, overlap)
    covered = np.zeros(size, int)
    for top, left in corners:
        assert 0 <= top <= size[0] - window[0] and 0 <= left <= size[1] - window[1]
        covered[top : top + window[0], left : left + window[1]] += 1
    assert covered.min() >= 1
    for axis in (0, 1):
        starts = sorted({corner[axis] for corner in corners})
        assert all(b - a <= window[axis] * (1 - overlap) or b - a == 1
                   for a, b in pairwise(starts))  # fmt: skip


def test_a_class_that_is_impossible_does_not_poison_the_others() -> None:
    """Softmax values of exactly 0 have no logarithm."""
    painted = Painted(small_tree(), lambda colors: torch.tensor([500.0, -500.0, -500.0])
                      .reshape(3, 1, 1).expand(3, *colors.shape[1:]))  # fmt: skip
    image = np.zeros((4, 6, 3), np.uint8)
    image[..., 0] = 200
    assert (decide(painted, image, flip=True) == 5).all()


# Mirror images


def edges(colors: Tensor) -> Tensor:
    """Return the logits of left arrow, right arrow and unlabelled: where blue rises."""
    blue = functional.pad(colors[2][None], (1, 1), mode='replicate')[0]
    slope = blue[:, 2:] - blue[:, :-2]
    return torch.stack([-slope, slope, torch.full_like(slope, -9.0)])


def arrow_image() -> Picture:
    image = np.zeros((8, 30, 3), np.uint8)
    image[..., 0] = 255
    image[..., 2] = np.linspace(0, 255, 30).astype(np.uint8)
    return image


def test_arrows_change_places_in_the_mirror() -> None:
    painted = Painted(small_tree(), edges)
    mirror = IDENTITY.copy()
    mirror[[5, 9]] = 9, 5
    image = arrow_image()
    assert (decide(painted, image, mirror, flip=True) == 9).all()
    options = EvaluationOptions(flip=True)
    both = averaged_logits(painted, image, options, mirror)  # type: ignore[arg-type]
    once = painted.logits(image, scale=1.0)
    # What the mirrored look says is the same, so the average is, too.
    torch.testing.assert_close(both['sign'], once['sign'].log_softmax(0))
    # Taken as they are, left and right would have cancelled each other out.
    wrong = averaged_logits(painted, image, options, IDENTITY)  # type: ignore[arg-type]
    assert torch.allclose(wrong['sign'][0], wrong['sign'][1], atol=1e-4)


@pytest.mark.parametrize('images', [(9, -1), (-1, -1), (7, 5)])
def test_a_classifier_with_a_class_without_mirror_image_is_not_flipped(
    images: tuple[int, int],
) -> None:
    painted = Painted(small_tree(), edges)
    mirror = IDENTITY.copy()
    mirror[[5, 9]] = images
    options = EvaluationOptions(flip=True)
    image = arrow_image()
    both = averaged_logits(painted, image, options, mirror)  # type: ignore[arg-type]
    once = painted.logits(image, scale=1.0)
    torch.testing.assert_close(both['sign'], once['sign'].log_softmax(0))


def test_mirror_tables_are_joined() -> None:
    tree = small_tree()

    def table(**entries: int) -> tuple[frozenset[str], NDArray[np.int16]]:
        names = {name.replace('_', ' '): mirror for name, mirror in entries.items()}
        values = np.full(256, -1, np.int16)
        for name, mirror in names.items():
            values[tree.node(name).id] = mirror
        return frozenset(names), values

    arrows = table(left_arrow=9, right_arrow=5)
    joined = join_mirrors(tree, [arrows, table(sky=7)])
    # No table speaks of the sign itself; what is below it stays below it.
    assert joined[[3, 5, 7, 9]].tolist() == [3, 9, 7, 5]
    assert joined[[0, UNLABELLED]].tolist() == [-1, UNLABELLED]
    assert join_mirrors(tree, [arrows])[7] == -1, 'nobody knows of the sky'
    assert join_mirrors(tree, [table(sky=7), table(sky=-1)])[7] == -1, 'they disagree'
    assert join_mirrors(tree, [table(left_arrow=-1, right_arrow=-1)])[3] == -1


# The runner-up


class FlatPainted:
    """A flat segmenter whose logits at each pixel are given."""

    def __init__(self, flat: Hierarchy, logits: Tensor, options: DecisionOptions) -> None:
        self.hierarchy = flat
        self.name = 'flat'
        self.decision_rule = DecisionRule(flat, [node.name for node in flat.nodes], options)
        self._logits = logits

    def logits(self, image: Picture) -> Logits:
        return Logits(lambda classifier: self._logits, Grid(*image.shape[:2], 1.0, 1.0))


def flat_tree() -> Hierarchy:
    content = small_tree().as_dict()
    nodes = [{**node, 'parent': None} for node in content['nodes']]
    return Hierarchy({**content, 'nodes': nodes})


def test_a_pixel_is_right_when_the_paper_says_so() -> None:
    """Its class wins, or an ancestor of its class wins and its class is the runner-up."""
    tree, flat = small_tree(), flat_tree()
    ids = np.array([node.id for node in flat.nodes] + [UNLABELLED])
    logits = torch.from_numpy(np.random.default_rng(2).normal(size=(5, 70, 80))).float()
    segmenter = FlatPainted(flat, logits, DecisionOptions())
    image = np.zeros((70, 80, 3), np.uint8)
    decided = decide(segmenter, image, tree=tree, runner_up=True)
    order = np.argsort(-logits.numpy(), axis=0)
    winner, second = ids[order[0]], ids[order[1]]
    for truth, ancestor in ((5, 3), (9, 3), (7, None)):
        right = (winner == truth) | ((winner == ancestor) & (second == truth))
        assert np.array_equal(decided == truth, right)
    assert ((decided == 5) & (winner == 3)).any()
    # What wins is otherwise left alone.
    assert np.array_equal(decided == UNLABELLED, winner == UNLABELLED)


@pytest.mark.parametrize(
    ('logits', 'options', 'expected'),
    [
        # sign, sky, left arrow, right arrow, unlabelled
        ([3, 1, 2, 0, 0], DecisionOptions(), 5),
        ([3, 2, 1, 0, 0], DecisionOptions(), 3),
        ([3, 0, 1, 0, 2], DecisionOptions(), 3),
        ([3, 0, 1, 0, 2], DecisionOptions(void_decisions='replace'), 5),
        ([2, 0, 1, 0, 3], DecisionOptions(void_decisions='replace'), 5),
        ([2, 0, 1, 0, 3], DecisionOptions(), UNLABELLED),
        ([3, 0, 2, 0, 1], DecisionOptions(forbidden_classes=('left arrow',)), 3),
        ([1, 0, 3, 2, 0], DecisionOptions(), 5),
    ],
)
def test_runner_up_and_options(logits: list[int], options: DecisionOptions, expected: int) -> None:
    painted = FlatPainted(flat_tree(), torch.tensor(logits).float().reshape(5, 1, 1), options)
    image = np.zeros((1, 1, 3), np.uint8)
    assert decide(painted, image, tree=small_tree(), runner_up=True).tolist() == [[expected]]


def test_a_tree_has_no_runner_up(segmenter: Segmenter) -> None:
    with pytest.raises(HierSegError, match='runner_up: the model tiny decides level by level'):
        decide(segmenter, picture(8, 12), runner_up=True)


# Real images


def test_more_looks_at_real_images(real_data: Path, tree: Hierarchy) -> None:
    """The model that comes with the package, on two images of CamVid."""
    model = Segmenter.load(find_model('street_lite0'), 'cpu', engine='torch', precision='float32')
    camvid = CamVid(real_data / 'camvid', 'val', model.hierarchy)
    once, more = (
        summary(evaluate_dataset(model, camvid, options=options))
        for options in (
            EvaluationOptions(limit=2),
            EvaluationOptions(limit=2, scales=(0.75, 1.25), flip=True),
        )
    )
    assert once['level_1/mean_iou_cityscapes'] > 0.4
    assert more['level_1/mean_iou_cityscapes'] > once['level_1/mean_iou_cityscapes'] - 0.05
    assert more != once
