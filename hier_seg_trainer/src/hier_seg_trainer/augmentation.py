# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a data set's sample to a training crop, by random numbers that the caller seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.datasets.gtsrb import Gtsrb
from hier_seg_trainer.datasets.samples import Box, StreetSample
from hier_seg_trainer.shapes import draw_outline, outline_mask

# What surrounds an image that is smaller than the crop.
_PADDING_COLOR = (127, 127, 127)


@dataclass(frozen=True)
class CropOptions:
    """How a crop is cut.

    Attributes
    ----------
    size : (height, width) of the crop, in pixels
    scale : the image is resized by a factor from this range, evenly in its logarithm
    flip : mirror half of the crops
    focus_on_boxes : share of the crops that are cut around one of the image's boxes
    """

    size: tuple[int, int]
    scale: tuple[float, float]
    flip: bool
    focus_on_boxes: float


@dataclass(frozen=True)
class ColorOptions:
    """How strongly colours change: factors lie in 1 +- the value; ``blur`` is in pixels."""

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.05
    blur: float = 1.0


@dataclass(frozen=True)
class PasteOptions:
    """Signs pasted from crops: at most ``count``, the long edge in ``size`` pixels."""

    count: int = 0
    size: tuple[int, int] = (14, 80)


def random_crop(
    sample: StreetSample,
    options: CropOptions,
    box_weights: NDArray[np.float64] | None,
    rng: np.random.Generator,
) -> StreetSample:
    """Cut and resize image, labels and boxes together.

    `box_weights` (one a box) say how likely each box is to be the focus. The crop keeps the boxes
    whose centre it holds.
    """
    height, width = options.size
    low, high = np.log(options.scale)
    scale = float(np.exp(rng.uniform(low, high)))
    window = (width / scale, height / scale)
    image_size = (sample.image.width, sample.image.height)
    centre: tuple[float, float] | tuple[None, None] = (None, None)
    if sample.boxes and rng.random() < options.focus_on_boxes:
        weights = np.ones(len(sample.boxes)) if box_weights is None else box_weights
        focus = sample.boxes[rng.choice(len(sample.boxes), p=weights / weights.sum())]
        centre = ((focus.left + focus.right) / 2, (focus.top + focus.bottom) / 2)
    left = _random_start(image_size[0], window[0], centre[0], rng)
    top = _random_start(image_size[1], window[1], centre[1], rng)
    # The part of the window that the image covers; the rest is padding.
    source = (
        max(left, 0.0),
        max(top, 0.0),
        min(left + window[0], image_size[0]),
        min(top + window[1], image_size[1]),
    )
    target_size = (
        min(width, max(1, round((source[2] - source[0]) * scale))),
        min(height, max(1, round((source[3] - source[1]) * scale))),
    )
    corner = (
        min(round((source[0] - left) * scale), width - target_size[0]),
        min(round((source[1] - top) * scale), height - target_size[1]),
    )
    image = Image.new('RGB', (width, height), _PADDING_COLOR)
    image.paste(sample.image.resize(target_size, Image.Resampling.BILINEAR, box=source), corner)
    labels = None
    if sample.labels is not None:
        nearest = Image.Resampling.NEAREST
        scaled = Image.fromarray(sample.labels).resize(target_size, nearest, box=source)
        labels = np.full((height, width), UNLABELLED, np.uint8)
        rows = slice(corner[1], corner[1] + target_size[1])
        labels[rows, corner[0] : corner[0] + target_size[0]] = np.asarray(scaled)
    boxes = None
    if sample.boxes is not None:
        moved = (_move(box, left, top, scale) for box in sample.boxes)
        boxes = tuple(box for box in moved if _holds_centre(box, width, height))
    if options.flip and rng.random() < 0.5:
        image = ImageOps.mirror(image)
        labels = None if labels is None else labels[:, ::-1]
        if boxes is not None:
            boxes = tuple(replace(b, left=width - b.right, right=width - b.left) for b in boxes)
    return StreetSample(image, labels, boxes)


def paste_signs(
    sample: StreetSample, signs: Gtsrb, options: PasteOptions, rng: np.random.Generator
) -> StreetSample:
    """Paste up to ``options.count`` signs where they overlap no box and add their boxes."""
    image = sample.image.copy()
    boxes = list(sample.boxes or ())
    low, high = np.log(options.size)
    for _ in range(rng.integers(options.count + 1)):
        picture, crop = signs.random_crop(rng)
        edge = float(np.exp(rng.uniform(low, high)))
        factor = edge / max(picture.size)
        width = max(4, round(picture.width * factor))
        height = max(4, round(picture.height * factor))
        if width >= image.width or height >= image.height:
            continue
        left = int(rng.integers(image.width - width))
        top = int(rng.integers(image.height - height))
        box = Box(left, top, left + width, top + height, crop.node_id, crop.shape)
        if any(_overlap(box, other) for other in boxes):
            continue
        mask = Image.fromarray(outline_mask(crop.shape, width, height))
        image.paste(picture.resize((width, height), Image.Resampling.BILINEAR), (left, top), mask)
        boxes.append(box)
    return StreetSample(image, sample.labels, tuple(boxes))


def random_colors(
    image: Image.Image, options: ColorOptions, rng: np.random.Generator
) -> Image.Image:
    """Change brightness, contrast, saturation, hue and sharpness."""
    for enhance, strength in (
        (ImageEnhance.Brightness, options.brightness),
        (ImageEnhance.Contrast, options.contrast),
        (ImageEnhance.Color, options.saturation),
    ):
        image = enhance(image).enhance(rng.uniform(1 - strength, 1 + strength))
    if options.hue > 0:
        hue, saturation, value = image.convert('HSV').split()
        shift = round(rng.uniform(-options.hue, options.hue) * 255) % 256
        shifted = Image.fromarray(np.asarray(hue) + np.uint8(shift))
        image = Image.merge('HSV', (shifted, saturation, value)).convert('RGB')
    if options.blur > 0 and rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, options.blur)))
    return image


def draw_boxes(
    boxes: tuple[Box, ...], height: int, width: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Draw boxes into maps (height, width).

    Returns the boxes' node ids (255 outside; a later box wins), whether a pixel lies inside the
    outline of the box that it got its id from, and whether it lies far from all boxes: outside
    each of them grown by half of its long edge on every side.
    """
    labels = np.full((height, width), UNLABELLED, np.uint8)
    shapes = np.zeros((height, width), bool)
    far = np.ones((height, width), bool)
    for box in boxes:
        inside = _slices(box, 0.0)
        outline = Image.new('L', (width, height), 0)
        draw_outline(outline, box, 1)
        labels[inside] = box.node_id
        shapes[inside] = np.asarray(outline)[inside]
        far[_slices(box, box.long_edge / 2)] = False
    return labels, shapes, far


def _slices(box: Box, margin: float) -> tuple[slice, slice]:
    top, bottom = round(box.top - margin), round(box.bottom + margin)
    left, right = round(box.left - margin), round(box.right + margin)
    return slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right))


def _random_start(
    size: int, window: float, centre: float | None, rng: np.random.Generator
) -> float:
    """Return where the window begins along one axis; the window may be larger than the image."""
    if window >= size:
        return float(rng.uniform(size - window, 0.0))
    if centre is None:
        return float(rng.uniform(0.0, size - window))
    # The focus may lie anywhere in the middle 80 % of the crop.
    start = centre - window * rng.uniform(0.1, 0.9)
    return float(np.clip(start, 0.0, size - window))


def _move(box: Box, left: float, top: float, scale: float) -> Box:
    return replace(
        box,
        left=(box.left - left) * scale,
        top=(box.top - top) * scale,
        right=(box.right - left) * scale,
        bottom=(box.bottom - top) * scale,
    )


def _holds_centre(box: Box, width: int, height: int) -> bool:
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    return 0 <= x < width and 0 <= y < height


def _overlap(a: Box, b: Box) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom
