# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from encoded_street import encoded_street
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.augmentation.augmentation_options import AugmentationOptions
from hier_seg_trainer.augmentation.conditions import (
    CONDITIONS,
    bonnet,
    random_bonnet,
    random_conditions,
)
from hier_seg_trainer.augmentation.crops import Crop, draw
from hier_seg_trainer.datasets.samples import Box

NAMES = (*CONDITIONS, 'bonnet')


def scene(width: int = 160, height: int = 96) -> Image.Image:
    """Return a smooth picture with an edge, a texture and no colour at the ends of the scale."""
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([60 + 90 * rows / height, 80 + 70 * columns / width, 120 + 0 * rows], -1)
    pixels[height // 2 :, :: width // 8] += 60
    pixels[:, width // 2 :] -= 30
    return Image.fromarray(pixels.astype(np.uint8))


def apply(name: str, image: Image.Image, strength: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if name == 'bonnet':
        return np.asarray(bonnet(image, strength, rng)[0]).astype(float)
    return np.asarray(CONDITIONS[name](image, strength, rng)).astype(float)


@pytest.mark.parametrize('name', NAMES)
def test_a_stronger_condition_changes_more_and_by_its_seed_alone(name: str) -> None:
    image = scene()
    before = image.tobytes()
    plain = np.asarray(image).astype(float)
    for seed in range(5):
        changes = [np.abs(apply(name, image, s, seed) - plain).mean() for s in (1 / 3, 2 / 3, 1)]
        assert 0 < changes[0] < changes[1] < changes[2]
        again = apply(name, image, 2 / 3, seed)
        assert np.array_equal(again, apply(name, image, 2 / 3, seed))
    assert image.tobytes() == before
    if name not in ('defocus', 'jpeg'):
        assert not np.array_equal(apply(name, image, 1.0, 1), apply(name, image, 1.0, 2))


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('size', [(1, 1), (7, 300), (300, 5), (64, 64)])
def test_images_of_any_size_keep_it(name: str, size: tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    image = Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), np.uint8))
    for strength in (0.0, 1.0):
        assert apply(name, image, strength).shape == (size[1], size[0], 3)


def test_what_each_condition_does() -> None:
    image = scene()
    plain = np.asarray(image).astype(float)

    def texture(pixels: np.ndarray) -> float:
        return float(np.abs(np.diff(pixels, axis=1)).mean())

    dark = apply('darkness', image, 1.0)
    assert dark.mean() < 0.3 * plain.mean()
    sun = apply('glare', image, 1.0)
    assert (sun >= plain).all() and (sun == 255).all(-1).mean() > 0.02
    sharp, soft = texture(plain), texture(apply('defocus', image, 1.0))
    assert soft < 0.7 * sharp
    noisy = apply('noise', image, 1.0) - plain
    assert 35 < noisy.std() < 50 and abs(noisy.mean()) < 2
    fog = apply('fog', image, 1.0)
    contrast = [fog[rows].std((0, 1)).mean() / plain[rows].std((0, 1)).mean() for rows in (
        slice(0, 30), slice(80, 96)
    )]  # fmt: skip
    assert contrast[0] < 0.2 and contrast[1] > 1.5 * contrast[0]
    drops = np.abs(apply('rain_drops', image, 1.0) - plain).max(-1) > 8
    assert 0.02 < drops.mean() < 0.8
    blocks = apply('jpeg', image, 1.0)
    assert np.abs(blocks - plain).mean() > 2 * np.abs(apply('jpeg', image, 0.2) - plain).mean()


def test_a_bonnet_covers_the_lower_edge_and_nothing_else() -> None:
    image = scene()
    for seed in range(10):
        changed, covered = bonnet(image, 1.0, np.random.default_rng(seed))
        assert covered[-1].mean() > 0.3 and not covered[: covered.shape[0] // 2].any()
        # From each column's first covered pixel on, all are.
        assert (np.diff(covered.astype(int), axis=0) >= 0).all()
        assert np.array_equal(np.asarray(changed)[~covered], np.asarray(image)[~covered])


def test_what_a_bonnet_covers_teaches_nothing() -> None:
    image = scene()
    height, width = image.height, image.width
    low = Box(70, height - 8, 90, height - 1, 7, 'rectangle')
    high = Box(10, 10, 40, 40, 7, 'rectangle')
    crop = Crop(
        image=image,
        blank=np.zeros((height, width), bool),
        labels=np.full((height, width), 3, np.uint8),
        boxes=(low, high),
    )
    changed = random_bonnet(crop, 1.0, np.random.default_rng(1))
    assert changed.boxes == (high,) and changed.cut_boxes == (low,)
    assert changed.labels is not None and crop.labels is not None
    assert np.array_equal(changed.labels == UNLABELLED, changed.blank) and changed.blank.any()
    assert (crop.labels == 3).all() and not crop.blank.any()
    example = draw(replace(changed, labels=None), True)
    assert not example.far_from_boxes[changed.blank].any()
    assert random_bonnet(crop, 0.0, np.random.default_rng(1)) is crop


def test_off_is_the_default_and_draws_no_random_number() -> None:
    image = encoded_street().image
    rng = np.random.default_rng(4)
    state = rng.bit_generator.state
    assert random_conditions(image, AugmentationOptions(), rng) is image
    assert rng.bit_generator.state == state
    assert AugmentationOptions().bonnet == 0


@pytest.mark.parametrize('name', CONDITIONS)
def test_an_option_is_the_probability_of_its_condition(name: str) -> None:
    image = scene(40, 24)
    options = AugmentationOptions(**{name: 0.3})  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    changed = [random_conditions(image, options, rng) is not image for _ in range(300)]
    assert 60 < sum(changed) < 120
    with pytest.raises(HierSegError, match=rf'augmentation\.{name}: is 1.5; it must be'):
        AugmentationOptions(**{name: 1.5})  # type: ignore[arg-type]
