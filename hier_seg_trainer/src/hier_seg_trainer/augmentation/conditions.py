# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a camera meets and data sets hardly show: night, glare, rain, fog, a car's own bonnet.

Each is a function of the image, a strength in 0-1 and a generator, so that training draws them at
random and an evaluation repeats them. Sizes are relative to the image's width. They are drawn, not
measured: an image of one is like a camera's in what it hides, not in every detail.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.augmentation.augmentation_options import AugmentationOptions
from hier_seg_trainer.augmentation.crops import Crop, Region, hide

Condition = Callable[[Image.Image, float, np.random.Generator], Image.Image]

_GAMMA = 2.2  # from a display's values to light
_LEAST_STRENGTH = 0.2  # of what training draws


def darkness(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Take light away, down to a thirtieth, and add what a sensor then adds: noise."""
    light = (_pixels(image) / 255) ** _GAMMA * np.exp(-3.4 * strength)
    noise = rng.normal(0, 1 + 7 * strength, (*light.shape[:2], 1))
    return _image(255 * light ** (1 / _GAMMA) + noise)


def glare(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Put a low sun into the upper part, whose light lies over everything."""
    rows, columns = _places(image)
    top, left = rng.uniform(0.05, 0.5), rng.uniform(0.1, 0.9)
    across = (columns - left) ** 2 + ((rows - top) * image.height / image.width) ** 2
    glow = np.exp(-across / (2 * (0.08 + 0.14 * strength) ** 2))
    veil = 0.15 + 0.35 * np.exp(-across / (2 * 0.45**2))
    added = 255 * strength * (0.95 * glow + 0.5 * veil)
    return _image(_pixels(image) + added[..., None] * np.array([1.0, 0.97, 0.88]))


def rain_drops(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Put drops on the lens: each shows a blurred image upside down, with a bright rim."""
    width, height = image.size
    blurred = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    blurred = blurred.filter(ImageFilter.GaussianBlur(0.012 * width))
    drops, rims = Image.new('L', image.size), Image.new('L', image.size)
    for _ in range(round(8 + 52 * strength)):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        radius = width * rng.uniform(0.006, 0.012 + 0.02 * strength)
        box = (x - radius, y - 1.2 * radius, x + radius, y + 1.2 * radius)
        ImageDraw.Draw(drops).ellipse(box, fill=170)
        ImageDraw.Draw(rims).arc(box, 200, 340, fill=120, width=max(1, round(radius / 5)))
    soft = ImageFilter.GaussianBlur(0.003 * width)
    wet = Image.composite(blurred, image, drops.filter(soft))
    return _image(_pixels(wet) + _pixels(rims.filter(soft))[..., None])


def noise(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Add normal noise, of a standard deviation of up to 45 of 255, to every channel."""
    return _image(_pixels(image) + rng.normal(0, 5 + 40 * strength, (*image.size[::-1], 3)))


def blur(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Put the image out of focus, by a standard deviation of up to 0.6 % of the width."""
    return image.filter(ImageFilter.GaussianBlur((0.001 + 0.005 * strength) * image.width))


def jpeg(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Compress the image, at the strength 1 with the quality 5."""
    file = io.BytesIO()
    image.save(file, format='jpeg', quality=round(40 - 35 * strength))
    with Image.open(file, formats=('JPEG',)) as compressed:
        return compressed.convert('RGB')


def fog(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Let a bright haze cover what is far: the middle of the image and all above it."""
    rows, _ = _places(image)
    horizon = rng.uniform(0.4, 0.55)
    # On flat ground the distance falls with the row's distance from the horizon.
    far = np.where(rows <= horizon, 1.0, 0.12 / (0.12 + rows - horizon))
    seen = np.exp(-2.6 * strength * far)[..., None]
    return _image(_pixels(image) * seen + rng.uniform(190, 235) * (1 - seen))


# All but the bonnet, which hides pixels for good.
CONDITIONS: Mapping[str, Condition] = {
    'darkness': darkness,
    'glare': glare,
    'rain_drops': rain_drops,
    'noise': noise,
    'defocus': blur,
    'jpeg': jpeg,
    'fog': fog,
}


def bonnet(
    image: Image.Image, strength: float, rng: np.random.Generator
) -> tuple[Image.Image, NDArray[np.bool_]]:
    """Put the own car's bonnet into the lower edge.

    Parameters
    ----------
    image
        RGB.
    strength
        0-1: from a tenth to three tenths of the height, in the middle.
    rng
        Its colour and shape.

    Returns
    -------
    image
        With the bonnet, in which the scene is reflected.
    covered
        (H, W) bool, where it is.

    """
    rows, columns = _places(image)
    height = 0.1 + 0.2 * strength
    roundness, middle = rng.uniform(0.3, 0.9), rng.uniform(0.4, 0.6)
    edge = 1 - height * (1 - roundness * (2 * np.abs(columns - middle)) ** 2)
    covered = rows >= edge
    paint = rng.uniform(15, 230) + rng.uniform(-20, 20, 3)
    shade = 1.15 - 0.5 * (rows - edge) / height
    mirrored = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    reflection = _pixels(mirrored.filter(ImageFilter.GaussianBlur(0.01 * image.width)))
    car = 0.75 * paint * shade[..., None] + 0.25 * reflection
    return _image(np.where(covered[..., None], car, _pixels(image))), covered


def random_conditions(
    image: Image.Image, options: AugmentationOptions, rng: np.random.Generator
) -> Image.Image:
    """Change an image by each of `CONDITIONS`, as often as `options` say; no pixel moves."""
    for name, condition in CONDITIONS.items():
        probability = getattr(options, name)
        # What is off draws no number: batches stay as they are without it.
        if probability > 0 and rng.random() < probability:
            image = condition(image, rng.uniform(_LEAST_STRENGTH, 1.0), rng)
    return image


def random_bonnet(crop: Crop, probability: float, rng: np.random.Generator) -> Crop:
    """Put a bonnet into a crop's lower edge as often as `probability`, 0-1, says.

    It shows nothing of the crop's image, so its pixels teach nothing.
    """
    if probability == 0 or rng.random() >= probability:
        return crop
    image, covered = bonnet(crop.image, rng.uniform(_LEAST_STRENGTH, 1.0), rng)
    height, width = crop.size
    top = int(np.argmax(covered.any(1))) if covered.any() else height
    labels = crop.labels
    if labels is not None:
        labels = np.where(covered, np.uint8(UNLABELLED), labels)
    hidden = hide(crop, Region(0, top, width, height))
    return replace(hidden, image=image, blank=crop.blank | covered, labels=labels)


def _pixels(image: Image.Image) -> NDArray[np.float32]:
    return np.asarray(image, np.float32)


def _image(pixels: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def _places(image: Image.Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return row and column of each pixel as shares of height and width, (H, W) each."""
    width, height = image.size
    rows, columns = np.mgrid[0:height, 0:width]
    return (rows + 0.5) / height, (columns + 0.5) / width
