# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a data set with its labels drawn over, small enough to be part of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.hierarchy import Hierarchy, Node
from hier_seg_ros.label_spaces.node_sets import shown_as
from hier_seg_ros.segmenter.pictures.drawing import overlay
from hier_seg_trainer.datasets.samples import Box, StreetDataset, StreetSample, node_sets_of
from hier_seg_trainer.datasets.stored_pixels import open_image
from hier_seg_trainer.inspection.checks.file_checks import attempt
from hier_seg_trainer.inspection.measure import ImageMeasures
from hier_seg_trainer.inspection.survey import Survey
from hier_seg_trainer.pages.page_pictures import Region, close_up, data_uri, scaled_to_width

SHEET_WIDTH = 460  # pixels of a picture of the contact sheet
EXAMPLE_EDGE = 84  # pixels of a close-up
THUMBNAIL_WIDTH = 150  # pixels of an image in a list
OVERLAY_ALPHA = 0.5
LETTER_WIDTH, LINE_HEIGHT = 6.5, 12.0  # of the names on pictures, in their pixels
CONTEXT = 1.4  # edge of a close-up in long edges of its box
EXAMPLES = 4  # close-ups of each class
QUALITY = 80  # of the JPEG pictures


@dataclass(frozen=True)
class Mark:
    """A box on a picture, all in pixels of the picture.

    Attributes
    ----------
    left, top, width, height
        Where it is.
    name, color
        Its class and the class's colour (CSS).
    text_x, text_y
        Where the name begins, and the line that it stands on.

    """

    left: float
    top: float
    width: float
    height: float
    name: str
    color: str
    text_x: float
    text_y: float


@dataclass(frozen=True)
class Picture:
    """A picture that is part of the page.

    Attributes
    ----------
    uri
        It, as an address.
    width, height
        In pixels.
    caption
        What stands below it.
    marks
        The boxes on it.

    """

    uri: str
    width: int
    height: int
    caption: str = ''
    marks: tuple[Mark, ...] = ()


@dataclass
class Gallery:
    """What the page shows of a split.

    Attributes
    ----------
    sheet
        Images with their labels.
    labelled
        The nodes that the labels name.
    examples
        Close-ups of objects of each class.

    """

    sheet: list[Picture] = field(default_factory=list)
    labelled: list[Node] = field(default_factory=list)
    examples: dict[Node, list[Picture]] = field(default_factory=dict)


def draw_gallery(survey: Survey, hierarchy: Hierarchy, images: int, seed: int) -> Gallery:
    """Draw `images` images of a split, and a few objects of each class where it has objects."""
    gallery = Gallery()
    dataset = survey.dataset
    usable = [image for image in survey.images if image.usable]
    if dataset is None or not usable:
        return gallery
    seen = {node_id for image in usable for node_id in image.node_ids.tolist()}
    gallery.labelled = [node for node in hierarchy.nodes if node.id in seen]
    rng = np.random.default_rng(seed)
    if dataset.supervision != 'image':
        for image in choose_images(usable, images, rng):
            gallery.sheet.append(_draw(dataset, image.index, survey, hierarchy))
    if dataset.supervision != 'pixels':
        gallery.examples = _draw_examples(dataset, usable, hierarchy, rng)
    return gallery


def choose_images(
    images: Sequence[ImageMeasures], count: int, rng: np.random.Generator
) -> list[ImageMeasures]:
    """Return images that together show as many classes as they can, in their order.

    The rarest class comes first, with a random one of its images; random images fill up.

    Parameters
    ----------
    images
        Those to choose among.
    count
        How many.
    rng
        What draws them.

    """
    order = rng.permutation(len(images)).tolist()
    frequency = np.zeros(256, np.int64)
    for image in images:
        frequency[image.node_ids] += 1
    chosen: list[int] = []
    shown: set[int] = set()
    for node_id in np.argsort(frequency, kind='stable').tolist():
        if frequency[node_id] and node_id not in shown and len(chosen) < count:
            place = next(place for place in order if node_id in images[place].node_ids)
            chosen.append(place)
            shown.update(images[place].node_ids.tolist())
    chosen += [place for place in order if place not in chosen][: max(0, count - len(chosen))]
    return [images[place] for place in sorted(chosen)]


def thumbnail(path: Path) -> Picture | None:
    """Return a small picture of an image file; None if it cannot be read."""
    image, _ = attempt(lambda: open_image(path))
    return None if image is None else _picture(_shrunk(image, THUMBNAIL_WIDTH), path.name)


def _draw(dataset: StreetDataset, index: int, survey: Survey, hierarchy: Hierarchy) -> Picture:
    sample = dataset[index]
    image = _shrunk(sample.image, SHEET_WIDTH)
    caption = survey.source.name_of(dataset.image_path(index))
    if sample.labels is None:
        scale = image.width / sample.image.width
        return _picture(image, caption, _marks(sample.boxes or (), scale, image.width, hierarchy))
    labels = shown_as(node_sets_of(dataset))[_nearest(sample.labels, image.size)]
    pixels = overlay(np.asarray(image), labels, hierarchy, OVERLAY_ALPHA)
    instances_of = getattr(dataset, 'instances', None)
    instances = None if instances_of is None else instances_of(index)
    if instances is not None:
        pixels[_borders(_nearest(instances, image.size))] = 255
    return _picture(Image.fromarray(pixels), caption)


def _draw_examples(
    dataset: StreetDataset,
    images: Sequence[ImageMeasures],
    hierarchy: Hierarchy,
    rng: np.random.Generator,
) -> dict[Node, list[Picture]]:
    """Return close-ups of a few objects of each class, by the tree's order of classes."""
    places: dict[int, list[tuple[int, Box | None]]] = {}
    for image in images:
        if image.boxes is None:
            for node_id in image.node_ids.tolist():
                places.setdefault(node_id, []).append((image.index, None))
        for box in image.boxes or ():
            if box.right > box.left and box.bottom > box.top:
                places.setdefault(box.node_id, []).append((image.index, box))
    examples: dict[Node, list[Picture]] = {}
    for node in hierarchy.nodes:
        found = places.get(node.id, [])
        chosen = rng.permutation(len(found))[:EXAMPLES].tolist()
        pictures = [_close_up(dataset[found[place][0]], found[place][1]) for place in chosen]
        if pictures:
            examples[node] = pictures
    return examples


def _close_up(sample: StreetSample, box: Box | None) -> Picture:
    """Return the square around a box, or the whole image."""
    region: Region = (0, 0, *sample.image.size)
    if box is not None:
        region = (box.left, box.top, box.right, box.bottom)
    context = 1.0 if box is None else CONTEXT
    return _picture(close_up(sample.image, region, context, EXAMPLE_EDGE))


def _marks(
    boxes: Sequence[Box], scale: float, width: int, hierarchy: Hierarchy
) -> tuple[Mark, ...]:
    """Return the boxes on a picture `width` pixels wide, `scale` times as large as the image.

    Each name stands above its box, or as near to it as other names leave room.
    """
    marks: list[Mark] = []
    for box in boxes:
        node = hierarchy.node_by_id(box.node_id)
        left, top = box.left * scale, box.top * scale
        bottom = max(top, box.bottom * scale)
        x = max(0.0, min(left, width - LETTER_WIDTH * len(node.readable_name)))
        above = [top - 4 - step * LINE_HEIGHT for step in range(len(boxes))]
        below = [bottom + (step + 1) * LINE_HEIGHT for step in range(len(boxes))]
        free = (
            line
            for pair in zip(above, below, strict=True)
            for line in pair
            if line >= LINE_HEIGHT
            and not any(_overlap(x, line, node.readable_name, mark) for mark in marks)
        )
        y = next(free, below[0])
        color = 'rgb({} {} {})'.format(*node.color)
        extent = max(0.0, (box.right - box.left) * scale), bottom - top
        marks.append(Mark(left, top, *extent, node.readable_name, color, x, y))
    return tuple(marks)


def _overlap(x: float, y: float, name: str, mark: Mark) -> bool:
    """Whether a name at (x, y) would cover that of a mark."""
    end, other_end = (
        start + LETTER_WIDTH * len(text) for start, text in ((x, name), (mark.text_x, mark.name))
    )
    return abs(y - mark.text_y) < LINE_HEIGHT and x < other_end and mark.text_x < end


def _borders(instances: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return (H, W): the pixels of an instance whose right or lower neighbour is not of it."""
    border = np.zeros(instances.shape, bool)
    border[:, :-1] |= instances[:, :-1] != instances[:, 1:]
    border[:-1] |= instances[:-1] != instances[1:]
    return border


def _nearest(values: NDArray, size: tuple[int, int]) -> NDArray:
    """Return `values` (H, W) at another size (width, height), by nearest neighbour."""
    rows = ((np.arange(size[1]) + 0.5) * values.shape[0] / size[1]).astype(np.intp)
    columns = ((np.arange(size[0]) + 0.5) * values.shape[1] / size[0]).astype(np.intp)
    return values[rows[:, None], columns[None, :]]


def _shrunk(image: Image.Image, width: int) -> Image.Image:
    return scaled_to_width(image, width) if image.width > width else image


def _picture(image: Image.Image, caption: str = '', marks: tuple[Mark, ...] = ()) -> Picture:
    return Picture(data_uri(image, QUALITY), *image.size, caption, marks)
