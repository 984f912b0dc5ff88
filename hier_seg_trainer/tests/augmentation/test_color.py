# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
from encoded_street import encoded_street
from PIL import Image, ImageEnhance, ImageOps

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.augmentation.augmentation_options import AugmentationOptions, PasteOptions
from hier_seg_trainer.augmentation.color import (
    auto_augment,
    pca_shift,
    photometric,
    rand_augment,
    random_colors,
)

NONE = {'brightness': 0.0, 'contrast': 0.0, 'saturation': 0.0, 'hue': 0.0, 'blur': 0.0}
LUMA = np.array([0.299, 0.587, 0.114])


def only(**options: float | str) -> AugmentationOptions:
    return AugmentationOptions(**{**NONE, **options})  # type: ignore[arg-type]


def muted(seed: int = 0) -> Image.Image:
    """Return a noisy image whose colours no change drives beyond 0 or 255."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(90, 150, (24, 32, 3), np.uint8))


def changed(image: Image.Image, options: AugmentationOptions, seed: int) -> np.ndarray:
    return np.asarray(random_colors(image, options, np.random.default_rng(seed))).astype(float)


def test_colours_change_and_sizes_do_not() -> None:
    image = encoded_street().image
    before = image.tobytes()
    for seed in range(20):
        found = random_colors(image, AugmentationOptions(), np.random.default_rng(seed))
        assert (found.mode, found.size) == ('RGB', image.size)
        assert found.tobytes() != before
        again = random_colors(image, AugmentationOptions(), np.random.default_rng(seed))
        assert again.tobytes() == found.tobytes()
    assert image.tobytes() == before


def test_no_strength_leaves_the_image_as_it_is() -> None:
    image = encoded_street().image
    for seed in range(5):
        assert np.array_equal(changed(image, only(), seed), np.asarray(image))


def test_brightness_scales_all_colours_alike() -> None:
    image = muted()
    pixels = np.asarray(image).astype(float)
    factors = []
    for seed in range(40):
        found = changed(image, only(brightness=0.4), seed)
        factors.append(found.sum() / pixels.sum())
        assert np.abs(found - factors[-1] * pixels).max() <= 1.0
    assert 0.59 < min(factors) < 0.75
    assert 1.25 < max(factors) < 1.41


def test_contrast_keeps_the_mean_luminance() -> None:
    image = muted()
    pixels = np.asarray(image).astype(float)
    factors = []
    for seed in range(40):
        found = changed(image, only(contrast=0.4), seed)
        assert abs((found @ LUMA).mean() - (pixels @ LUMA).mean()) <= 1.0
        factors.append(found.std() / pixels.std())
        expected = ImageEnhance.Contrast(image).enhance(factors[-1])
        assert np.abs(found - np.asarray(expected)).max() <= 2.0
    assert 0.58 < min(factors) < 0.75
    assert 1.25 < max(factors) < 1.42


def test_saturation_keeps_every_luminance() -> None:
    image = muted()
    pixels = np.asarray(image).astype(float)
    factors = []
    for seed in range(40):
        found = changed(image, only(saturation=0.4), seed)
        assert np.abs(found @ LUMA - pixels @ LUMA).max() <= 1.0
        factors.append(np.ptp(found, axis=2).sum() / np.ptp(pixels, axis=2).sum())
    assert 0.58 < min(factors) < 0.75
    assert 1.25 < max(factors) < 1.42


def test_only_the_hue_turns() -> None:
    image = Image.new('RGB', (8, 8), (200, 40, 40))
    found = set()
    for seed in range(30):
        turned = random_colors(image, only(hue=0.1), np.random.default_rng(seed))
        hue, saturation, value = np.asarray(turned.convert('HSV'))[0, 0].astype(int)
        assert abs(saturation - 204) <= 3
        assert abs(value - 200) <= 3
        assert min(hue, 256 - hue) <= 0.1 * 255 + 2
        found.add(bool(hue < 128))
    assert found == {True, False}, 'the hue turns one way only'


def test_some_crops_are_blurred() -> None:
    image = Image.fromarray(np.kron(np.eye(16, dtype=np.uint8) * 255, np.ones((4, 4), np.uint8)))
    image = image.convert('RGB')
    blurred = sum(
        not np.array_equal(changed(image, only(blur=2.0), seed), np.asarray(image))
        for seed in range(200)
    )
    assert 35 < blurred < 85


def test_the_shift_of_colours_follows_the_principal_components() -> None:
    rng = np.random.default_rng(0)
    shifts = np.array([pca_shift(0.1, rng) for _ in range(20_000)])
    assert np.abs(shifts.mean(0)).max() < 0.15
    values, vectors = np.linalg.eigh(np.cov(shifts.T))
    # 255 × 0.1 × the published values, the smallest first.
    assert np.sqrt(values) == pytest.approx([0.115, 0.479, 5.546], rel=0.03)
    # Nearly grey: what varies most in photographs is how light they are.
    assert abs(vectors[:, 2] @ np.ones(3) / np.sqrt(3)) > 0.999
    image = muted()
    differences = changed(image, only(pca_color=0.5), 1) - np.asarray(image)
    assert np.ptp(differences, axis=(0, 1)).max() <= 1
    assert np.abs(differences).max() > 1


@pytest.mark.parametrize(
    ('name', 'strength', 'sign', 'expected'),
    [
        ('Identity', 1.0, 1, lambda image: image),
        ('Brightness', 1.0, -1, lambda image: ImageEnhance.Brightness(image).enhance(0.1)),
        ('Color', 0.5, 1, lambda image: ImageEnhance.Color(image).enhance(1.45)),
        ('Contrast', 0.0, 1, lambda image: image),
        ('Sharpness', 1.0, 1, lambda image: ImageEnhance.Sharpness(image).enhance(1.9)),
        ('Posterize', 1.0, 1, lambda image: ImageOps.posterize(image, 4)),
        ('Posterize', 0.0, 1, lambda image: image),
        ('Solarize', 1.0, 1, ImageOps.invert),
        ('Solarize', 0.6, 1, lambda image: ImageOps.solarize(image, 102)),
        ('AutoContrast', 0.0, 1, ImageOps.autocontrast),
        ('Equalize', 0.0, 1, ImageOps.equalize),
        ('Invert', 0.0, 1, ImageOps.invert),
    ],
)
def test_photometric_operations(name: str, strength: float, sign: int, expected) -> None:
    image = encoded_street().image
    found = photometric(image, name, strength, sign)
    assert found.tobytes() == expected(image).tobytes()


def test_geometric_operations_are_no_photometric_ones() -> None:
    with pytest.raises(ValueError, match='ShearX'):
        photometric(muted(), 'ShearX', 0.5, 1)


@pytest.mark.parametrize('method', ['auto', 'rand'])
def test_learned_policies_move_no_pixel(method: str) -> None:
    pixels = np.empty((40, 60, 3), np.uint8)
    pixels[:, :23] = (60, 90, 130)
    pixels[:, 23:] = (150, 120, 40)
    image = Image.fromarray(pixels)
    results = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = auto_augment(image, rng) if method == 'auto' else rand_augment(image, 2, 15, rng)
        values = np.asarray(found)
        # Sharpness looks at the next pixels; nothing looks farther, once for each step.
        assert (values[:, :21] == values[20, 10]).all()
        assert (values[:, 25:] == values[20, 40]).all()
        results.add(values.tobytes())
        options = only(auto_augment=method)
        assert np.array_equal(changed(image, options, seed), changed(image, options, seed))
    assert len(results) > 10
    assert image.tobytes() == pixels.tobytes()


def test_rand_augment_applies_as_many_operations_as_it_is_told() -> None:
    image = encoded_street().image
    assert rand_augment(image, 0, 9, np.random.default_rng(0)) is image
    once = sum(
        rand_augment(image, 1, 9, np.random.default_rng(seed)).tobytes() != image.tobytes()
        for seed in range(60)
    )
    often = sum(
        rand_augment(image, 4, 9, np.random.default_rng(seed)).tobytes() != image.tobytes()
        for seed in range(60)
    )
    # One in nine is the identity, and equalising may change nothing.
    assert 40 < once < 60
    assert often > once


@pytest.mark.parametrize(
    ('options', 'word'),
    [
        ({'cutmix': 1.5}, 'cutmix'),
        ({'mixup': -0.1}, 'mixup'),
        ({'rotation': 90.0}, 'rotation'),
        ({'rand_augment_magnitude': 31}, 'rand_augment_magnitude'),
        ({'copy_blob': -1}, 'copy_blob'),
        ({'auto_augment': 'best'}, 'auto_augment'),
        ({'hue': 0.7}, 'hue'),
        ({'cutout': float('nan')}, 'cutout'),
    ],
)
def test_impossible_options_are_refused_by_name(options: dict, word: str) -> None:
    with pytest.raises(HierSegError, match=word) as caught:
        AugmentationOptions(**options)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('options', [{'count': -1}, {'size': (20, 10)}, {'replace': 2.0}])
def test_impossible_pasting_is_refused(options: dict) -> None:
    with pytest.raises(HierSegError, match=f'paste.{next(iter(options))}'):
        PasteOptions(**options)
