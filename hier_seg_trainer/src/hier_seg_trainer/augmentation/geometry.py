# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scale, crop, rotation and flip: image, labels and boxes move together."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.augmentation.augmentation_options import CropOptions
from hier_seg_trainer.augmentation.crops import PADDING_COLOR, Crop, moved_boxes
from hier_seg_trainer.datasets.samples import Box, StreetSample
from hier_seg_trainer.datasets.shapes import OUTLINES


def random_crop(
    sample: StreetSample,
    options: CropOptions,
    rotation: float,
    box_weights: NDArray[np.float64] | None,
    rng: np.random.Generator,
) -> Crop:
    """Resize, rotate and cut image, labels and boxes together.

    Parameters
    ----------
    sample
        What is cut.
    options
        The size of the crop, the range of scales, and how often a box is the focus.
    rotation
        The largest angle either way, in degrees. A window is cut that is large enough to fill the
        crop when it is turned.
    box_weights
        (number of boxes,) how likely each box is to be the focus; None: all alike.
    rng
        Where the randomness comes from.

    Returns
    -------
    Crop
        It has the boxes whose centre it shows. Labels are those of the nearest pixel; where the
        image does not reach they are 255 and the crop is blank.

    """
    options = replace(options, scale=scale_range(sample.image, options), scale_to_crop=False)
    if rotation == 0:
        return _cut(sample, options, box_weights, rng)
    angle = float(rng.uniform(-rotation, rotation))
    height, width = options.size
    cosine, sine = math.cos(math.radians(angle)), abs(math.sin(math.radians(angle)))
    larger = (
        math.ceil(height * cosine + width * sine),
        math.ceil(width * cosine + height * sine),
    )
    window = _cut(sample, replace(options, size=larger), box_weights, rng)
    return rotate(window, angle, (height, width))


def scale_range(image: Image.Image, options: CropOptions) -> tuple[float, float]:
    """Return the range of factors by which `image` is resized."""
    if not options.scale_to_crop:
        return options.scale
    height, width = options.size
    covering = max(height / image.height, width / image.width)
    return options.scale[0] * covering, options.scale[1] * covering


def rotate(crop: Crop, angle: float, size: tuple[int, int]) -> Crop:
    """Turn a crop and cut a smaller one from its middle.

    Labels become those of the nearest pixel; corners that the crop does not fill are blank. A box
    becomes the box around its turned outline, not around its turned corners: a disc's stays as
    large as it was. Small angles are meant: what an object is called does not turn with it.

    Parameters
    ----------
    crop
        What is turned.
    angle
        In degrees, counterclockwise.
    size
        (height, width) of what is cut, in pixels.

    """
    height, width = size
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    centre = (crop.image.width / 2, crop.image.height / 2)
    matrix = (
        cosine,
        -sine,
        centre[0] - (cosine * width - sine * height) / 2,
        sine,
        cosine,
        centre[1] - (sine * width + cosine * height) / 2,
    )

    def turn(image: Image.Image, fill: int | tuple) -> Image.Image:
        nearest, bilinear = Image.Resampling.NEAREST, Image.Resampling.BILINEAR
        resampling = bilinear if image.mode == 'RGB' else nearest
        return image.transform(
            (width, height), Image.Transform.AFFINE, matrix, resampling, fillcolor=fill
        )

    def turned(box: Box) -> Box:
        return _rotated_box(box, cosine, sine, centre, (width / 2, height / 2))

    boxes, cut_boxes = moved_boxes(crop.boxes, crop.cut_boxes, turned, size)
    blank = turn(Image.fromarray(crop.blank.astype(np.uint8)), 1)
    return Crop(
        image=turn(crop.image, PADDING_COLOR),
        blank=np.asarray(blank).astype(bool),
        labels=None
        if crop.labels is None
        else np.array(turn(Image.fromarray(crop.labels), UNLABELLED)),
        boxes=boxes,
        cut_boxes=cut_boxes,
        pictures=None if crop.pictures is None else tuple(map(turned, crop.pictures)),
    )


def random_flip(crop: Crop, mirror_of_id: NDArray[np.int16], rng: np.random.Generator) -> Crop:
    """Mirror half of the crops, left to right.

    Parameters
    ----------
    crop
        It is left as it is if it shows a node that has no mirror image: a mirrored speed limit is
        none.
    mirror_of_id
        (256,) by node id: the node that it becomes, -1 if it has no mirror image. "bend left"
        becomes "bend right".
    rng
        Where the randomness comes from.

    """
    if rng.random() >= 0.5:
        return crop
    shown = {box.node_id for box in (*(crop.boxes or ()), *(crop.pictures or ()))}
    if crop.labels is not None:
        shown |= set(np.flatnonzero(np.bincount(crop.labels.ravel(), minlength=256)).tolist())
    if any(mirror_of_id[node_id] < 0 for node_id in shown - {UNLABELLED}):
        return crop
    width = crop.image.width

    def mirrored(boxes: tuple[Box, ...]) -> tuple[Box, ...]:
        return tuple(
            replace(
                box.at(width - box.right, box.top, width - box.left, box.bottom),
                node_id=int(mirror_of_id[box.node_id]),
            )
            for box in boxes
        )

    # An entry of -1 is not looked up: no pixel has that label.
    table = mirror_of_id.astype(np.uint8)
    table[UNLABELLED] = UNLABELLED
    return Crop(
        image=ImageOps.mirror(crop.image),
        blank=crop.blank[:, ::-1],
        labels=None if crop.labels is None else table[crop.labels[:, ::-1]],
        boxes=None if crop.boxes is None else mirrored(crop.boxes),
        cut_boxes=mirrored(crop.cut_boxes),
        pictures=None if crop.pictures is None else mirrored(crop.pictures),
    )


def _cut(
    sample: StreetSample,
    options: CropOptions,
    box_weights: NDArray[np.float64] | None,
    rng: np.random.Generator,
) -> Crop:
    """Cut a random window of the sample and resize it to the size of the crop."""
    height, width = options.size
    low, high = np.log(options.scale)
    scale = float(np.exp(rng.uniform(low, high)))
    window = (width / scale, height / scale)
    image_width, image_height = sample.image.size
    x, y = _focus(sample, options, box_weights, rng)
    left = _random_start(image_width, window[0], x, rng)
    top = _random_start(image_height, window[1], y, rng)
    # The part of the window that the image covers; the rest is padding.
    source = (
        max(left, 0.0),
        max(top, 0.0),
        min(left + window[0], image_width),
        min(top + window[1], image_height),
    )
    covered = (
        min(width, max(1, round((source[2] - source[0]) * scale))),
        min(height, max(1, round((source[3] - source[1]) * scale))),
    )
    corner = (
        min(round((source[0] - left) * scale), width - covered[0]),
        min(round((source[1] - top) * scale), height - covered[1]),
    )

    def fill(image: Image.Image, resampling: Image.Resampling, padding: object) -> Image.Image:
        resized = image.resize(covered, resampling, box=source)
        whole = Image.new(image.mode, (width, height), padding)  # type: ignore[arg-type]
        whole.paste(resized, corner)
        return whole

    boxes, cut_boxes = moved_boxes(
        sample.boxes, (), lambda box: box.seen_from(left, top, scale), (height, width)
    )
    labels = None
    if sample.labels is not None:
        nearest = Image.Resampling.NEAREST
        labels = np.array(fill(Image.fromarray(sample.labels), nearest, UNLABELLED))
    blank = np.ones((height, width), bool)
    blank[corner[1] : corner[1] + covered[1], corner[0] : corner[0] + covered[0]] = False
    return Crop(
        image=fill(sample.image, Image.Resampling.BILINEAR, PADDING_COLOR),
        blank=blank,
        labels=labels,
        boxes=boxes,
        cut_boxes=cut_boxes,
    )


def _focus(
    sample: StreetSample,
    options: CropOptions,
    box_weights: NDArray[np.float64] | None,
    rng: np.random.Generator,
) -> tuple[float, float] | tuple[None, None]:
    """Return the centre (x, y) of the box that the crop is to show, or that it may show any."""
    if not sample.boxes or rng.random() >= options.focus_on_boxes:
        return None, None
    weights = np.ones(len(sample.boxes)) if box_weights is None else box_weights
    return sample.boxes[rng.choice(len(sample.boxes), p=weights / weights.sum())].centre


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


def _rotated_box(
    box: Box,
    cosine: float,
    sine: float,
    centre: tuple[float, float],
    new_centre: tuple[float, float],
) -> Box:
    """Return the box around the outline of `box`, turned about `centre`, now at `new_centre`."""

    def turned(x: float, y: float) -> tuple[float, float]:
        x, y = x - centre[0], y - centre[1]
        return new_centre[0] + cosine * x + sine * y, new_centre[1] - sine * x + cosine * y

    width, height = box.right - box.left, box.bottom - box.top
    corners = OUTLINES[box.shape]
    if corners is None:
        x, y = turned(box.left + width / 2, box.top + height / 2)
        across = math.hypot(width * cosine, height * sine) / 2
        down = math.hypot(width * sine, height * cosine) / 2
        return box.at(x - across, y - down, x + across, y + down)
    points = [turned(box.left + x * width, box.top + y * height) for x, y in corners]
    xs, ys = zip(*points, strict=True)
    return box.at(min(xs), min(ys), max(xs), max(ys))
