# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The segmenter's promises: sizes, levels, options, batches, devices."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hier_seg_ros import DecisionOptions, HierSegError, Segmenter
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.images.image_files import decode_image, read_image, write_png
from hier_seg_ros.segmenter.model_folder import read_model_folder
from hier_seg_ros.segmenter.pictures import drawing
from hier_seg_ros.segmenter.pictures.drawing import color_image, overlay
from hier_seg_ros.segmenter.segmenter import SegmentationResult, scaled_size


@pytest.fixture(scope='module')
def segmenter(untrained_model: Path) -> Segmenter:
    return Segmenter.load(untrained_model, 'cpu')


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return coarse random colours, so that the network sees areas and not noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC))


@pytest.mark.parametrize('size', [(64, 96), (33, 77), (1, 1), (300, 20), (401, 611)])
def test_every_map_has_the_image_s_size(segmenter: Segmenter, size: tuple[int, int]) -> None:
    (result,) = segmenter.segment([picture(*size)])
    maps = [result.level(1), result.level(2), result.level(3), result.traffic_signs,
            result.categories, result.confidence, result.finest]  # fmt: skip
    assert all(m.shape == size and m.dtype == np.uint8 for m in maps)


def test_levels_are_ancestors_of_the_finest(segmenter: Segmenter) -> None:
    tree = segmenter.hierarchy
    (result,) = segmenter.segment([picture(96, 128)])
    for finest in np.unique(result.finest):
        where = result.finest == finest
        for level in (1, 2, 3):
            values = np.unique(result.level(level)[where])
            assert len(values) == 1
            if finest != UNLABELLED:
                path = tree.path(tree.node_by_id(finest))
                assert values[0] == path[min(level, len(path)) - 1].id
            else:
                assert values[0] == UNLABELLED
    assert np.array_equal(result.level(3), result.finest)
    assert np.array_equal(result.level(9), result.finest)
    assert result.categories.max() < len(tree.categories)
    with pytest.raises(HierSegError, match='levels begin at 1'):
        result.level(0)


def test_max_level_stops_there(segmenter: Segmenter) -> None:
    image = picture(96, 128)
    (whole,) = segmenter.segment([image])
    (coarse,) = segmenter.segment([image], max_level=1)
    assert np.array_equal(coarse.finest, whole.level(1))


def test_several_images_give_what_each_gives_alone(
    segmenter: Segmenter,
) -> None:
    images = [picture(64, 96, 1), picture(40, 50, 2), picture(64, 96, 3), picture(40, 50, 4)]
    together = segmenter.segment(images)
    for image, result in zip(images, together, strict=True):
        (alone,) = segmenter.segment([image])
        assert (alone.finest != result.finest).mean() <= 0.001
    assert segmenter.segment([]) == []


def test_views_and_strides_are_read_as_they_look(segmenter: Segmenter) -> None:
    image = picture(64, 96)
    bgr_view = np.ascontiguousarray(image[..., ::-1])[..., ::-1]
    (plain,), (view,) = segmenter.segment([image]), segmenter.segment([bgr_view])
    assert np.array_equal(plain.finest, view.finest)
    frozen = image.copy()
    frozen.flags.writeable = False
    segmenter.segment([frozen])


@pytest.mark.parametrize(
    ('image', 'words'),
    [
        (np.zeros((4, 4), np.uint8), r'has shape \(4, 4\)'),
        (np.zeros((4, 4, 4), np.uint8), 'height x width x 3'),
        (np.zeros((0, 4, 3), np.uint8), 'has shape'),
        (np.zeros((4, 4, 3), np.float32), 'is float32; give an uint8'),
        ([[1]], 'is list'),
    ],
)
def test_what_is_no_image_is_refused(segmenter: Segmenter, image: object, words: str) -> None:
    with pytest.raises(HierSegError, match=words):
        segmenter.segment([image])  # type: ignore[list-item]


def test_confidence_is_only_there_when_asked_for(segmenter: Segmenter) -> None:
    (result,) = segmenter.segment([picture(32, 32)], confidence=False)
    with pytest.raises(HierSegError, match='was not computed'):
        _ = result.confidence
    (result,) = segmenter.segment([picture(32, 32)])
    assert ((result.confidence == 0) | (result.finest != UNLABELLED)).all()


def test_options_change_at_run_time_or_not_at_all(untrained_model: Path) -> None:
    segmenter = Segmenter.load(untrained_model, 'cpu')
    image = picture(96, 128)
    (before,) = segmenter.segment([image])
    seen = segmenter.hierarchy.node_by_id(np.bincount(before.level(1).ravel())[:255].argmax())
    segmenter.set_decision_options(DecisionOptions(forbidden_classes=(seen.name,)))
    (after,) = segmenter.segment([image])
    assert not (after.level(1) == seen.id).any()
    assert (after.finest[before.level(1) == seen.id] == UNLABELLED).all()
    with pytest.raises(HierSegError):
        segmenter.set_decision_options(DecisionOptions(min_confidence=2.0))
    assert segmenter.decision_options.forbidden_classes == (seen.name,)


def test_min_confidence_bounds_the_confidence_of_what_is_left(untrained_model: Path) -> None:
    segmenter = Segmenter.load(untrained_model, 'cpu')
    image = picture(96, 128)
    (free,) = segmenter.segment([image])
    surest = int(free.confidence.max())
    # Between two grey values, so that rounding cannot decide.
    segmenter.set_decision_options(DecisionOptions(min_confidence=(surest - 0.5) / 255))
    (result,) = segmenter.segment([image])
    labelled = result.finest != UNLABELLED
    assert surest > 0 and labelled.any()
    assert not labelled.all()
    assert (result.confidence[labelled] >= surest).all()


def as_one_batch(segmenter: Segmenter, images: list[np.ndarray]) -> list[SegmentationResult]:
    """Segment images of one size as a GPU does; on a CPU, ``segment`` takes one at a time."""
    with torch.inference_mode():
        return segmenter._segment_batch(
            segmenter.decision_rule, images, True, segmenter.hierarchy.depth
        )


def test_a_batch_gives_what_its_images_give_alone(segmenter: Segmenter) -> None:
    images = [picture(64, 96, seed) for seed in range(3)]
    together = as_one_batch(segmenter, images)
    for image, result in zip(images, together, strict=True):
        (alone,) = segmenter.segment([image])
        assert (alone.finest == result.finest).mean() > 0.999
        assert np.abs(alone.confidence.astype(int) - result.confidence).max() <= 1


class Poisoned:
    """A segmenter whose network gives logits of which some are not finite."""

    def __init__(self, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.segmenter = Segmenter.load(model, 'cpu', engine='torch')
        self.classifier = 'root'
        self.image = 0
        self.value = math.nan
        # Of the grid of 16 x 16 logits for an image of 64 x 64 pixels, 4 pixels apart.
        self.rows, self.columns = slice(4, 5), slice(8, 9)
        self.channel = 0
        network = self.segmenter._network
        original = network.logits

        def logits(features: list[torch.Tensor], classifier: str) -> torch.Tensor:
            values = original(features, classifier).clone()
            if classifier == self.classifier:
                values[self.image, self.channel, self.rows, self.columns] = self.value
            return values

        monkeypatch.setattr(network, 'logits', logits)


@pytest.fixture
def poisoned(untrained_model: Path, monkeypatch: pytest.MonkeyPatch) -> Poisoned:
    return Poisoned(untrained_model, monkeypatch)


@pytest.mark.parametrize('value', [math.nan, math.inf])
@pytest.mark.parametrize('confidence', [True, False])
@pytest.mark.parametrize(
    'options', [DecisionOptions(), DecisionOptions('replace'), DecisionOptions(min_confidence=0.01)]
)
def test_pixels_whose_logits_are_not_finite_are_unlabelled(
    segmenter: Segmenter,
    poisoned: Poisoned,
    value: float,
    confidence: bool,
    options: DecisionOptions,
) -> None:
    poisoned.value = value
    poisoned.segmenter.set_decision_options(options)
    image = picture(64, 64)
    (result,) = poisoned.segmenter.segment([image], confidence=confidence)
    assert not result.finite
    # The bad logit lies in the middle of these pixels, and its neighbours 4 pixels from it.
    centre = (slice(16, 20), slice(32, 36))
    assert (result.finest[centre] == UNLABELLED).all()
    far = np.ones((64, 64), bool)
    far[12:24, 28:40] = False
    plain = Segmenter.load(segmenter.model_folder, 'cpu', options, engine='torch')
    (healthy,) = plain.segment([image])
    assert healthy.finite
    assert np.array_equal(result.finest[far], healthy.finest[far])
    assert (healthy.finest[centre] != UNLABELLED).any()
    if confidence:
        assert (result.confidence[centre] == 0).all()
        assert np.array_equal(result.confidence[far], healthy.confidence[far])


def test_only_the_image_of_a_batch_whose_logits_are_not_finite_is_flagged(
    segmenter: Segmenter, poisoned: Poisoned
) -> None:
    images = [picture(64, 64, seed) for seed in range(3)] + [picture(32, 96, 3)]
    poisoned.image = 1
    poisoned.rows = poisoned.columns = slice(None)
    results = as_one_batch(poisoned.segmenter, images[:3])
    assert [result.finite for result in results] == [True, False, True]
    assert (results[1].finest == UNLABELLED).all()
    assert (results[1].confidence == 0).all()
    healthy = segmenter.segment(images[:3])
    for index in (0, 2):
        assert np.array_equal(results[index].finest, healthy[index].finest)
        assert np.array_equal(results[index].confidence, healthy[index].confidence)
    # Two sizes, so that each image is a batch of its own.
    poisoned.image = 0
    mixed = poisoned.segmenter.segment([images[0], images[3]])
    assert [result.finite for result in mixed] == [False, False]


def test_only_the_classifiers_that_are_asked_can_be_not_finite(
    segmenter: Segmenter, poisoned: Poisoned
) -> None:
    image = picture(64, 64)
    (healthy,) = segmenter.segment([image])
    tree = segmenter.hierarchy
    child = next(
        classifier
        for classifier in tree.classifiers
        if classifier.parent is not None and (healthy.level(1) == classifier.parent.id).any()
    )
    assert child.parent is not None and child.depth == 2
    poisoned.classifier = child.name
    poisoned.rows = poisoned.columns = slice(None)
    (coarse,) = poisoned.segmenter.segment([image], max_level=1)
    assert coarse.finite
    (result,) = poisoned.segmenter.segment([image])
    assert not result.finite
    # What was decided above stands, with the confidence that it had there.
    below = healthy.level(1) == child.parent.id
    assert (result.finest[below] == child.parent.id).all()
    assert np.array_equal(result.confidence[below], coarse.confidence[below])
    assert np.array_equal(result.finest[~below], healthy.finest[~below])


def test_minus_infinity_is_noticed_too(poisoned: Poisoned) -> None:
    poisoned.value = -math.inf
    (result,) = poisoned.segmenter.segment([picture(64, 64)])
    assert not result.finite


def test_large_logits_are_finite(poisoned: Poisoned) -> None:
    poisoned.value = 1e30
    poisoned.rows = poisoned.columns = slice(None)
    (result,) = poisoned.segmenter.segment([picture(64, 64)])
    assert result.finite
    assert (result.finest != UNLABELLED).all()


def test_long_images_are_scaled_down_for_the_network(untrained_model: Path) -> None:
    segmenter = Segmenter.load(untrained_model, 'cpu', input_long_side=64)
    (result,) = segmenter.segment([picture(300, 500)])
    assert result.finest.shape == (300, 500)
    assert scaled_size(300, 500, 64) == (38, 64)
    assert scaled_size(30, 50, 64) == (30, 50)
    assert scaled_size(1, 5000, 64) == (1, 64)
    with pytest.raises(HierSegError, match='input_long_side: 8 is too small'):
        Segmenter.load(untrained_model, 'cpu', input_long_side=8)


def test_small_images_are_scaled_up_as_the_model_says(untrained_model: Path) -> None:
    assert scaled_size(30, 50, 640, 100) == (60, 100)
    assert scaled_size(60, 100, 640, 100) == (60, 100)
    assert scaled_size(30, 50, 80, 100) == (48, 80)
    image = picture(60, 80)
    plain = Segmenter.load(untrained_model, 'cpu', engine='torch')
    root = plain.hierarchy.classifiers[0].name

    def enlarging(input_long_side: int | None = None) -> Segmenter:
        description, hierarchy, network = read_model_folder(untrained_model)
        options = replace(description.input, minimum_long_side=160)
        return Segmenter(
            replace(description, input=options),
            hierarchy,
            network,
            device='cpu',
            input_long_side=input_long_side,
        )

    logits = enlarging().logits(image)
    wanted = plain.logits(image, scale=2.0)
    assert logits.grid == wanted.grid
    assert torch.equal(logits[root], wanted[root])
    (result,) = enlarging().segment([image])
    assert result.finest.shape == (60, 80)
    # Who sets a limit below it has the last word.
    logits = enlarging(80).logits(image)
    wanted = plain.logits(image)
    assert logits.grid == wanted.grid
    assert torch.equal(logits[root], wanted[root])


@pytest.mark.parametrize('device', ['tpu', 'cuda:x', 'cpu:0', 'cuda:99'])
def test_a_device_that_is_not_there_is_refused(device: str, untrained_model: Path) -> None:
    with pytest.raises(HierSegError, match=f'device {device!r}'):
        Segmenter.load(untrained_model, device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='this machine has no CUDA device')
def test_cuda_and_cpu_agree(untrained_model: Path) -> None:
    image = picture(480, 640)
    (on_cpu,) = Segmenter.load(untrained_model, 'cpu', precision='float32').segment([image])
    (on_cuda,) = Segmenter.load(untrained_model, 'cuda', precision='float32').segment([image])
    assert (on_cpu.finest != on_cuda.finest).mean() <= 0.001


@pytest.mark.parametrize('alpha', [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize('size', [(1, 1), (7, 40000), (300, 217)])
def test_pictures_are_the_same_in_blocks_as_pixel_by_pixel(
    street_tree: Hierarchy, alpha: float, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(7)
    image = random.integers(0, 256, (*size, 3), np.uint8)
    labels = random.integers(0, 256, (size[1], size[0]), np.uint8).T
    colors = street_tree.colors[labels]
    weight = round(256 * alpha)
    expected = (image.astype(int) * (256 - weight) + colors.astype(int) * weight) >> 8
    expected[labels == 255] = image[labels == 255]
    np.testing.assert_array_equal(overlay(image, labels, street_tree, alpha), expected)
    mirrored = overlay(image[..., ::-1], labels, street_tree, alpha)
    swapped = overlay(np.ascontiguousarray(image[..., ::-1]), labels, street_tree, alpha)
    np.testing.assert_array_equal(mirrored, swapped)
    np.testing.assert_array_equal(color_image(labels, street_tree), colors)
    monkeypatch.setattr(drawing, 'opencv_fault', lambda: 'not installed')
    np.testing.assert_array_equal(color_image(labels, street_tree), colors)


def test_drawing(street_tree: Hierarchy) -> None:
    labels = np.array([[13, 255], [30, 110]], np.uint8)
    image = np.full((2, 2, 3), 100, np.uint8)
    colors = color_image(labels, street_tree)
    assert colors[0, 0].tolist() == [128, 64, 128]
    assert colors[0, 1].tolist() == [0, 0, 0]
    blended = overlay(image, labels, street_tree, 0.5)
    assert blended[0, 0].tolist() == [114, 82, 114]
    assert blended[0, 1].tolist() == [100, 100, 100], 'unlabelled keeps the photograph'
    assert np.array_equal(overlay(image, labels, street_tree, 0.0), image)
    full = overlay(image, labels, street_tree, 1.0)
    assert full[1, 0].tolist() == [107, 142, 35]
    with pytest.raises(HierSegError, match=r'alpha is 1\.5'):
        overlay(image, labels, street_tree, 1.5)
    with pytest.raises(HierSegError, match='the image is 2x2, the labels 2x1'):
        overlay(image, labels[:1], street_tree, 0.5)


def test_image_files(tmp_path: Path) -> None:
    image = picture(20, 30)
    write_png(tmp_path / 'a.png', image)
    assert np.array_equal(read_image(tmp_path / 'a.png'), image)
    write_png(tmp_path / 'labels.png', image[..., 0])
    assert np.asarray(Image.open(tmp_path / 'labels.png')).shape == (20, 30)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.png', 'labels.png']
    data = (tmp_path / 'a.png').read_bytes()
    unknown, cut = (
        'neither JPEG nor PNG nor TIFF; correct its publisher',
        'no image that can be read',
    )
    for broken, words in ((b'', unknown), (b'no image', unknown), (data[: len(data) // 2], cut)):
        with pytest.raises(HierSegError, match=rf'x\.png: is {words}'):
            decode_image(broken, 'x.png')
    with pytest.raises(HierSegError, match=r'absent\.png: cannot be read'):
        read_image(tmp_path / 'absent.png')
