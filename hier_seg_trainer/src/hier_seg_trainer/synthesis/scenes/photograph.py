# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From what is drawn to what a camera gives: surfaces, light, lens and sensor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from hier_seg_trainer.synthesis.drawing.canvas import SUPERSAMPLING, Canvas
from hier_seg_trainer.synthesis.scenes.styles import Style

# How many blotches of coarse noise are side by side in an image.
_BLOTCHES = 48
# Shares of red, green and blue in brightness (ITU-R BT.601).
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
# The width that lengths in styles.yaml refer to.
_REFERENCE_WIDTH = 1000


def photograph(canvas: Canvas, style: Style, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the picture (height, width, 3) uint8 that the canvas shows, with a camera's faults."""
    width, height = canvas.camera.width, canvas.camera.height
    image = np.asarray(canvas.colors.reduce(SUPERSAMPLING), np.float32)
    noise = _surface_noise(canvas, rng)[..., None]
    image = image + noise * (np.float32(0.35) + image / np.float32(200))

    gray = (image @ _LUMINANCE)[..., None]
    image = np.float32(rng.uniform(*style.saturation)) * (image - gray) + gray
    image = _developed(image, rng.uniform(*style.gamma), rng.uniform(*style.exposure))
    image = image * _vignette(width, height, rng.uniform(*style.vignette))[..., None]

    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    scale = width / _REFERENCE_WIDTH
    picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(*style.blur) * scale))
    image = _smear(np.asarray(picture, np.float32), round(rng.uniform(*style.motion) * scale))
    grains = rng.standard_normal(image.shape, np.float32)
    image = image + grains * np.float32(rng.uniform(*style.noise))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _developed(image: NDArray[np.float32], gamma: float, exposure: float) -> NDArray[np.float32]:
    """Return 255 * exposure * (image / 255) ** gamma, from a table: it is faster."""
    table = 255 * exposure * (np.arange(1024, dtype=np.float32) / 1023) ** np.float32(gamma)
    developed: NDArray[np.float32] = table[np.clip(image * (1023 / 255), 0, 1023).astype(np.int32)]
    return developed.astype(np.float32)


def _surface_noise(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return (height, width): how much lighter or darker each surface is at each pixel."""
    indices = canvas.index_map()
    height, width = indices.shape
    fine = np.array([0, *(shape.texture.fine for shape in canvas.shapes)], np.float32)
    coarse = np.array([0, *(shape.texture.coarse for shape in canvas.shapes)], np.float32)
    grains = rng.standard_normal((height, width), np.float32)
    rows = max(2, _BLOTCHES * height // width)
    spots = Image.fromarray(rng.standard_normal((rows, _BLOTCHES), np.float32))
    blotches = np.asarray(spots.resize((width, height), Image.Resampling.BICUBIC))
    noise: NDArray[np.float32] = fine[indices] * grains + coarse[indices] * blotches
    return noise


def _vignette(width: int, height: int, strength: float) -> NDArray[np.float32]:
    x = np.linspace(-1, 1, width, dtype=np.float32) ** 2
    y = np.linspace(-1, 1, height, dtype=np.float32) ** 2
    shape: NDArray[np.float32] = 1 - np.float32(strength / 2) * (y[:, None] + x[None, :])
    return shape


def _smear(image: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Return the image averaged over `length` pixels to the right."""
    if length < 2:
        return image.copy()
    shifted = [np.roll(image, shift, axis=1) for shift in range(length)]
    return np.mean(shifted, axis=0, dtype=np.float32)
