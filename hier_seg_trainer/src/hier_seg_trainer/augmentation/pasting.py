# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objects from elsewhere: crops of single signs, and blobs of rare classes (CopyBlob)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.augmentation.augmentation_options import PasteOptions
from hier_seg_trainer.augmentation.crops import Crop
from hier_seg_trainer.datasets.formats.gtsrb import Gtsrb
from hier_seg_trainer.datasets.samples import Box, StreetSample
from hier_seg_trainer.datasets.shapes import outline_mask

# A sign that is smaller than this, in pixels, shows nothing that tells it from another.
_SMALLEST_SIGN = 8
# A place that is longer than this many times its width is a sign seen from its side, or several.
_LARGEST_ASPECT = 2.0
# A blob of fewer pixels is mostly border.
_SMALLEST_BLOB = 64
# A blob must leave the crop what it shows: its largest edge as a share of the crop's.
_LARGEST_BLOB = 0.5


def paste_signs(crop: Crop, signs: Gtsrb, options: PasteOptions, rng: np.random.Generator) -> Crop:
    """Paste up to ``options.count`` signs where they overlap no box, and add their boxes."""
    canvas = _Canvas(crop)
    boxes = list(crop.boxes or ())
    low, high = np.log(options.size)
    for _ in range(rng.integers(options.count + 1)):
        picture, sign = signs.random_crop(rng)
        factor = float(np.exp(rng.uniform(low, high))) / max(picture.size)
        width, height = (max(4, round(edge * factor)) for edge in picture.size)
        if width >= crop.image.width or height >= crop.image.height:
            continue
        left = int(rng.integers(crop.image.width - width))
        top = int(rng.integers(crop.image.height - height))
        box = Box(left, top, left + width, top + height, sign.node_id, sign.shape)
        if not any(_overlap(box, other) for other in (*boxes, *crop.cut_boxes)):
            canvas.paste(picture, outline_mask(sign.shape, width, height), left, top)
            boxes.append(box)
    return canvas.crop(boxes=tuple(boxes))


def replace_signs(
    crop: Crop, signs: Gtsrb, share: float, places: Collection[int], rng: np.random.Generator
) -> Crop:
    """Paste other signs over some of the signs of a crop, as large as they were.

    In an image with boxes every box of a sign is a place: it takes the new sign's node and outline.
    Where the old outline is another, the new sign comes with the background in its own rectangle,
    so that nothing of the old one is left. In an image with pixel labels every connected group of
    pixels with such a label is one: pixels inside the new outline take the sign's node, what is
    left of the old sign keeps its label.

    Parameters
    ----------
    crop
        What they are pasted onto.
    signs
        Where they come from.
    share
        The probability of each place to get another sign, 0-1.
    places
        The node ids of signs; see `sign_places`.
    rng
        Where the randomness comes from.

    """
    canvas = _Canvas(crop)
    if crop.boxes is not None:
        boxes = []
        for box in crop.boxes:
            left, top, right, bottom = map(round, (box.left, box.top, box.right, box.bottom))
            width, height = right - left, bottom - top
            readable = box.node_id in places and min(width, height) >= _SMALLEST_SIGN
            if readable and rng.random() < share:
                picture, sign = signs.random_crop(rng)
                outline = sign.shape if sign.shape == box.shape else 'rectangle'
                canvas.paste(picture, outline_mask(outline, width, height), left, top)
                box = Box(left, top, right, bottom, sign.node_id, sign.shape)
            boxes.append(box)
        return canvas.crop(boxes=tuple(boxes))
    if crop.labels is not None and places:
        for rows, columns in _places(crop.labels, places):
            if rng.random() < share:
                picture, sign = signs.random_crop(rng)
                width, height = columns.stop - columns.start, rows.stop - rows.start
                mask = outline_mask(sign.shape, width, height)
                canvas.paste(picture, mask, columns.start, rows.start, sign.node_id)
    return canvas.crop()


def sign_places(hierarchy: Hierarchy, node_names: Collection[str]) -> frozenset[int]:
    """Return the ids of the nodes `node_names` (those of the signs) and of all above them."""
    return frozenset(
        node.id for name in node_names for node in hierarchy.path(hierarchy.node(name))
    )


def rare_nodes(pixel_counts: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the ids of the nodes with fewer pixels than the median one, the rarest first.

    Parameters
    ----------
    pixel_counts
        (256,) by node id. What the data set never shows is left out, as is 255.

    """
    counts = np.array(pixel_counts[:UNLABELLED])
    shown = np.flatnonzero(counts)
    if len(shown) == 0:
        return ()
    rare = shown[counts[shown] < np.median(counts[shown])]
    return tuple(rare[np.argsort(counts[rare], kind='stable')].tolist())


def copy_blobs(
    crop: Crop,
    source: StreetSample,
    rare: Sequence[int],
    count: int,
    scale: tuple[float, float],
    rng: np.random.Generator,
) -> Crop:
    """Copy blobs of rare classes, with their labels, from another image.

    A blob is a connected group of pixels of one label. It is put where the label is the one that it
    stood on in its own image, or anywhere if there is none. CopyBlob: H. Lee's tutorial on
    MiniCity, "Semantic segmentation tutorial using PyTorch" (VIPriors challenge, 2020), which
    copies all pixels of a class onto a chosen other class.

    Parameters
    ----------
    crop
        What they are pasted onto.
    source
        The other image.
    rare
        Node ids, the rarest first (see `rare_nodes`); those that `source` shows take turns.
    count
        At most so many blobs.
    scale
        The range of factors by which a blob is resized.
    rng
        Where the randomness comes from.

    """
    if crop.labels is None or source.labels is None:
        return crop
    canvas = _Canvas(crop)
    shown = np.bincount(source.labels.ravel(), minlength=256)
    candidates = [
        (node_id, found)
        for node_id in [node for node in rare if shown[node] >= _SMALLEST_BLOB][:count]
        if (found := _blobs(source.labels == node_id))
    ]
    low, high = np.log(scale)
    for turn in range(count if candidates else 0):
        node_id, found = candidates[turn % len(candidates)]
        (rows, columns), mask = found[rng.integers(len(found))]
        factor = min(
            float(np.exp(rng.uniform(low, high))),
            _LARGEST_BLOB * crop.image.height / mask.shape[0],
            _LARGEST_BLOB * crop.image.width / mask.shape[1],
        )
        height, width = (max(1, round(edge * factor)) for edge in mask.shape)
        foot_y, foot_x = _foot(crop.labels, _ground(source.labels, rows, columns, mask), rng)
        left, top = foot_x - width // 2, foot_y - height + 1
        box = (columns.start, rows.start, columns.stop, rows.stop)
        picture = source.image.resize((width, height), Image.Resampling.BILINEAR, box=box)
        blob = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
        scaled = np.asarray(blob.resize((width, height), Image.Resampling.NEAREST))
        canvas.paste(picture, scaled, left, top, node_id)
    return canvas.crop()


class _Canvas:
    """A copy of a crop that things are pasted onto."""

    def __init__(self, crop: Crop) -> None:
        self._crop = crop
        self._image = crop.image.copy()
        self._blank = crop.blank.copy()
        self._labels = None if crop.labels is None else crop.labels.copy()

    def paste(
        self,
        picture: Image.Image,
        mask: NDArray[np.uint8],
        left: int,
        top: int,
        node_id: int | None = None,
    ) -> None:
        """Paste a picture, resized to the size of its mask; part of it may lie outside.

        Parameters
        ----------
        picture
            RGB.
        mask
            (h, w), how opaque the picture is, 255 being wholly. Pixels that show more of it than of
            what was there are no longer blank.
        left, top
            Where the first pixel goes.
        node_id
            The label that those pixels get, if any.

        """
        opaque, corner = Image.fromarray(mask), (left, top)
        picture = picture.resize(opaque.size, Image.Resampling.BILINEAR)
        self._image.paste(picture, corner, opaque)
        whole = Image.new('L', self._image.size, 0)
        whole.paste(opaque, corner)
        shown = np.asarray(whole) >= 128
        self._blank[shown] = False
        if node_id is not None and self._labels is not None:
            self._labels[shown] = node_id

    def crop(self, boxes: tuple[Box, ...] | None = None) -> Crop:
        """Return the crop with all that was pasted."""
        return replace(
            self._crop, image=self._image, blank=self._blank, labels=self._labels, boxes=boxes
        )


def _places(labels: NDArray[np.uint8], places: Collection[int]) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns of each group of pixels that is large and square enough."""
    table = np.zeros(256, bool)
    table[list(places)] = True
    is_place = table[labels]
    if not is_place.any():
        return
    groups, _ = ndimage.label(is_place)
    for rows, columns in ndimage.find_objects(groups):
        edges = (rows.stop - rows.start, columns.stop - columns.start)
        if min(edges) >= _SMALLEST_SIGN and max(edges) <= _LARGEST_ASPECT * min(edges):
            yield rows, columns


def _blobs(
    is_node: NDArray[np.bool_],
) -> list[tuple[tuple[slice, slice], NDArray[np.bool_]]]:
    """Return rows and columns and the mask inside them of each group that is large enough."""
    groups, _ = ndimage.label(is_node)
    sizes = np.bincount(groups.ravel())
    return [
        (region, groups[region] == number)
        for number, region in enumerate(ndimage.find_objects(groups), start=1)
        if sizes[number] >= _SMALLEST_BLOB
    ]


def _ground(labels: NDArray[np.uint8], rows: slice, columns: slice, mask: NDArray[np.bool_]) -> int:
    """Return the most common label below a blob; 255 if it ends with its image."""
    if rows.stop == labels.shape[0]:
        return UNLABELLED
    below = labels[rows.stop, columns][mask[-1]]
    return int(np.bincount(below).argmax())


def _foot(labels: NDArray[np.uint8], ground: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return row and column of a random pixel with the label `ground`; of any if there is none."""
    found = np.flatnonzero(labels == ground) if ground != UNLABELLED else np.empty(0, np.int64)
    chosen = found[rng.integers(len(found))] if len(found) else rng.integers(labels.size)
    row, column = divmod(int(chosen), labels.shape[1])
    return row, column


def _overlap(a: Box, b: Box) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom
