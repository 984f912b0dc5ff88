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
from hier_seg_trainer.augmentation.crops import PADDING_COLOR, Crop, split_boxes
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

    `rotation` is the largest angle in degrees; a window is cut that is large enough to fill the
    crop when it is turned. `box_weights` (one a box) say how likely each box is to be the focus.
    The crop keeps the boxes whose centre it shows. Labels are resized to the nearest; where the
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
    return rotate(
        _cut(sample, replace(options, size=larger), box_weights, rng), angle, (height, width)
    )


def scale_range(image: Image.Image, options: CropOptions) -> tuple[float, float]:
    """Return the range of factors by which `image` is resized."""
    if not options.scale_to_crop:
        return options.scale
    height, width = options.size
    covering = max(height / image.height, width / image.width)
    return options.scale[0] * covering, options.scale[1] * covering


def rotate(crop: Crop, angle: float, size: tuple[int, int]) -> Crop:
    """Turn a crop by `angle` degrees, counterclockwise, and cut (height, width) from its middle.

    Labels become those of the nearest pixel; corners that the crop does not fill are blank. A box
    becomes the box around its turned outline, not around its turned corners: a disc's stays as
    large as it was. Small angles are meant: what an object is called does not turn with it.
    """
    height, width = size
    radians = math.radians(angle)
    cosine, sine = math.cos(radians), math.sin(radians)
    centre = (crop.image.width / 2, crop.image.height / 2)
    matrix = (
        cosine,
        -sine,
        centre[0] - (cosine * width - sine * height) / 2,
        sine,
        cosine,
        centre[1] - (sine * width + cosine * height) / 2,
    )

    def turn(image: Image.Image, resampling: Image.Resampling, fill: int | tuple) -> Image.Image:
        return image.transform(
            (width, height), Image.Transform.AFFINE, matrix, resampling, fillcolor=fill
        )

    nearest = Image.Resampling.NEAREST
    image = turn(crop.image, Image.Resampling.BILINEAR, PADDING_COLOR)
    blank = np.asarray(turn(Image.fromarray(crop.blank.astype(np.uint8)), nearest, 1)).astype(bool)
    labels = crop.labels
    if labels is not None:
        labels = np.array(turn(Image.fromarray(labels), nearest, UNLABELLED))

    def turned(box: Box) -> Box:
        return _rotated_box(box, cosine, sine, centre, (width / 2, height / 2))

    kept, lost = split_boxes(map(turned, crop.boxes or ()), height, width)
    return Crop(
        image=image,
        blank=blank,
        labels=labels,
        boxes=None if crop.boxes is None else kept,
        cut_boxes=lost + tuple(map(turned, crop.cut_boxes)),
        pictures=None if crop.pictures is None else tuple(map(turned, crop.pictures)),
    )


def random_flip(crop: Crop, mirror_of_id: NDArray[np.int16], rng: np.random.Generator) -> Crop:
    """Mirror half of the crops, left to right.

    `mirror_of_id` (256,) gives for each node id the one that it becomes: "bend left" becomes
    "bend right". A crop that shows a node with -1 there is left as it is: a mirrored speed limit
    is none.
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
                box,
                left=width - box.right,
                right=width - box.left,
                node_id=int(mirror_of_id[box.node_id]),
            )
            for box in boxes
        )

    labels = crop.labels
    if labels is not None:
        # An entry of -1 is not looked up: no pixel has that label.
        table = mirror_of_id.astype(np.uint8)
        table[UNLABELLED] = UNLABELLED
        labels = table[labels[:, ::-1]]
    return Crop(
        image=ImageOps.mirror(crop.image),
        blank=crop.blank[:, ::-1],
        labels=labels,
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
    covered = (
        slice(corner[1], corner[1] + target_size[1]),
        slice(corner[0], corner[0] + target_size[0]),
    )
    image = sample.image.resize(target_size, Image.Resampling.BILINEAR, box=source)
    blank = np.zeros((height, width), bool)
    if target_size != (width, height):
        whole = Image.new('RGB', (width, height), PADDING_COLOR)
        whole.paste(image, corner)
        image = whole
        blank[:] = True
        blank[covered] = False
    labels = None
    if sample.labels is not None:
        nearest = Image.Resampling.NEAREST
        scaled = Image.fromarray(sample.labels).resize(target_size, nearest, box=source)
        labels = np.full((height, width), UNLABELLED, np.uint8)
        labels[covered] = np.asarray(scaled)
    kept, lost = split_boxes(
        (_move(box, left, top, scale) for box in sample.boxes or ()), height, width
    )
    return Crop(
        image=image,
        blank=blank,
        labels=labels,
        boxes=None if sample.boxes is None else kept,
        cut_boxes=lost,
    )


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
        return replace(box, left=x - across, top=y - down, right=x + across, bottom=y + down)
    points = [turned(box.left + x * width, box.top + y * height) for x, y in corners]
    xs, ys = zip(*points, strict=True)
    return replace(box, left=min(xs), top=min(ys), right=max(xs), bottom=max(ys))
