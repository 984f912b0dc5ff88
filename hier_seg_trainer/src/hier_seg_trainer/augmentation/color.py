# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Colours: brightness to blur, principal components, AutoAugment and RandAugment."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torchvision.transforms import AutoAugment, AutoAugmentPolicy

from hier_seg_trainer.augmentation.augmentation_options import (
    LARGEST_MAGNITUDE,
    AugmentationOptions,
)

# ITU-R BT.601, as Pillow's grey images have it.
_LUMA = np.array([0.299, 0.587, 0.114])

# Eigenvalues, and eigenvectors as columns, of the colours (RGB in 0–1) of a random subset of the
# ImageNet training images, as Facebook published them with its ResNets (fb.resnet.torch, 2016).
_EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
_EIGENVECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)

_BLURRED_SHARE = 0.3

_ENHANCERS = {
    'Brightness': ImageEnhance.Brightness,
    'Color': ImageEnhance.Color,
    'Contrast': ImageEnhance.Contrast,
    'Sharpness': ImageEnhance.Sharpness,
}
# Those of RandAugment's operations that move no pixel.
_RAND_AUGMENT = ('Identity', *_ENHANCERS, 'AutoContrast', 'Equalize', 'Posterize', 'Solarize')
# AutoAugment counts its strengths from 0 to this.
_AUTO_AUGMENT_MAGNITUDE = 9


def random_colors(
    image: Image.Image, options: AugmentationOptions, rng: np.random.Generator
) -> Image.Image:
    """Change the colours of an RGB image and blur it, as `options` say; no pixel moves."""
    image = _linear(image, options, rng)
    if options.hue > 0:
        image = _turn_hue(image, rng.uniform(-options.hue, options.hue))
    if options.auto_augment == 'auto':
        image = auto_augment(image, rng)
    elif options.auto_augment == 'rand':
        image = rand_augment(image, options.rand_augment_count, options.rand_augment_magnitude, rng)
    if options.blur > 0 and rng.random() < _BLURRED_SHARE:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, options.blur)))
    return image


def pca_shift(deviation: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random shift of colours along their principal components.

    Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", NeurIPS
    2012, section 4.1.

    Parameters
    ----------
    deviation
        Each component is shifted by its eigenvalue times a normal number of this standard
        deviation; 0.1 in the source.
    rng
        Where the randomness comes from.

    Returns
    -------
    NDArray[np.float64]
        (3,) RGB, in the unit of 0–255.

    """
    return 255 * _EIGENVECTORS @ (_EIGENVALUES * rng.normal(0.0, deviation, 3))


def auto_augment(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Apply one of the 25 policies that AutoAugment found on ImageNet, without what moves pixels.

    Rotations and shears are left out: the labels stay where they are. Cubuk et al., "AutoAugment:
    learning augmentation policies from data", CVPR 2019; the policies are torchvision's.
    """
    policies = _policies()
    for name, probability, magnitude in policies[rng.integers(len(policies))]:
        apply = rng.random() < probability
        sign = 1 if rng.random() < 0.5 else -1
        if apply:
            image = photometric(image, name, (magnitude or 0) / _AUTO_AUGMENT_MAGNITUDE, sign)
    return image


def rand_augment(
    image: Image.Image, count: int, magnitude: int, rng: np.random.Generator
) -> Image.Image:
    """Apply random operations of those that move no pixel.

    Cubuk et al., "RandAugment: practical automated data augmentation with a reduced search
    space", CVPR Workshops 2020.

    Parameters
    ----------
    image
        RGB.
    count
        How many.
    magnitude
        Their strength, 0–30.
    rng
        Where the randomness comes from.

    """
    for _ in range(count):
        name = _RAND_AUGMENT[rng.integers(len(_RAND_AUGMENT))]
        sign = 1 if rng.random() < 0.5 else -1
        image = photometric(image, name, magnitude / LARGEST_MAGNITUDE, sign)
    return image


def photometric(image: Image.Image, name: str, strength: float, sign: int) -> Image.Image:
    """Apply an operation of AutoAugment.

    The largest strengths are the papers': factors of 1 ± 0.9, 4 bits left, all solarised.

    Parameters
    ----------
    image
        RGB.
    name
        The operation's name there.
    strength
        0–1.
    sign
        1 or -1: whether a factor is above 1 or below.

    """
    if name in _ENHANCERS:
        return _ENHANCERS[name](image).enhance(1 + sign * 0.9 * strength)
    if name == 'Posterize':
        return ImageOps.posterize(image, 8 - round(4 * strength))
    if name == 'Solarize':
        return ImageOps.solarize(image, round(255 * (1 - strength)))
    if name == 'AutoContrast':
        return ImageOps.autocontrast(image)
    if name == 'Equalize':
        return ImageOps.equalize(image)
    if name == 'Invert':
        return ImageOps.invert(image)
    if name != 'Identity':
        raise ValueError(f'{name!r} is no photometric operation')
    return image


def _linear(
    image: Image.Image, options: AugmentationOptions, rng: np.random.Generator
) -> Image.Image:
    """Change brightness, contrast and saturation, and shift by ``pca_shift``, in one pass."""
    brightness, contrast, saturation = (
        rng.uniform(1 - strength, 1 + strength)
        for strength in (options.brightness, options.contrast, options.saturation)
    )
    # Contrast keeps the mean luminance, saturation each pixel's own.
    mean = np.asarray(image.resize((1, 1), Image.Resampling.BOX))[0, 0] @ _LUMA
    factor = brightness * contrast
    matrix = np.empty((3, 4))
    matrix[:, :3] = factor * (saturation * np.eye(3) + (1 - saturation) * _LUMA)
    matrix[:, 3] = (1 - contrast) * brightness * mean
    if options.pca_color > 0:
        matrix[:, 3] += pca_shift(options.pca_color, rng)
    return image.convert('RGB', tuple(matrix.ravel().tolist()))


def _turn_hue(image: Image.Image, turn: float) -> Image.Image:
    """Turn the hue by a share of the circle; Pillow counts 256 steps a turn."""
    hue, saturation, value = image.convert('HSV').split()
    step = round(turn * 255) % 256
    turned = hue.point([(old + step) % 256 for old in range(256)])
    return Image.merge('HSV', (turned, saturation, value)).convert('RGB')


@functools.cache
def _policies() -> tuple[tuple[tuple[str, float, int | None], ...], ...]:
    known = (*_RAND_AUGMENT, 'Invert')
    return tuple(
        tuple(step for step in policy if step[0] in known)
        for policy in AutoAugment(AutoAugmentPolicy.IMAGENET).policies
    )
