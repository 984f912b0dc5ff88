# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The labelled objects of data sets, as a model or other labels see them.

An object with a box is looked at in the ellipse that fills it, whatever its label says of its
outline: so a wrong label does not change what is compared with it. Crops of single signs are laid
side by side on a canvas, as training lays them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_ros.signs.sign_areas import SignArea
from hier_seg_trainer.datasets.formats.gtsrb import Gtsrb
from hier_seg_trainer.datasets.readers.boxed_images import BoxedImages
from hier_seg_trainer.datasets.samples import Box, StreetDataset, StreetSample
from hier_seg_trainer.datasets.shapes import draw_outline
from hier_seg_trainer.disagreement.suspicion import LabelledSign
from hier_seg_trainer.proposing.given_labels import GivenLabels
from hier_seg_trainer.proposing.guesses import (
    Probabilities,
    choice_of,
    of_labels,
    of_model,
    pixels_of,
)
from hier_seg_trainer.proposing.object_regions import child_of_id, find_regions

_ELLIPSE = 'circle'
# Of crops on a canvas, in pixels: signs as large as a camera sees them from near.
_CELL, _SIGN = 96, 56
_COLUMNS, _ROWS = 10, 6
_BACKGROUND = (110, 110, 110)


@dataclass(frozen=True)
class Judge:
    """Looks at the labelled objects of data sets.

    Attributes
    ----------
    tree
        The label tree.
    parents
        The classes whose children are told apart.
    min_pixels
        Objects of fewer pixels are left out.
    segmenter
        The model; None where labels are compared with labels.
    other
        The other labels; None where there is a model.

    """

    tree: Hierarchy
    parents: tuple[Node, ...]
    min_pixels: int
    segmenter: Segmenter | None
    other: GivenLabels | None

    def __post_init__(self) -> None:
        """Check that the model tells the classes apart."""
        if self.segmenter is None:
            return
        for parent in self.parents:
            if choice_of(self.segmenter, parent) is None:
                raise HierSegError(
                    f'{self.segmenter.name}: was not trained to tell the classes of '
                    f'{parent.readable_name!r} apart; give another model or other --classes'
                )

    def signs(
        self, datasets: Sequence[StreetDataset], *, progress: bool = False
    ) -> Iterator[LabelledSign]:
        """Yield the labelled objects of data sets; a bar is shown with `progress`.

        Raises
        ------
        HierSegError
            A file cannot be read.

        """
        first = 0
        for dataset in datasets:
            bar = tqdm(total=len(dataset), desc=dataset.name, unit='image', disable=not progress)
            with bar, torch.inference_mode():
                if isinstance(dataset, Gtsrb):
                    yield from self._of_crops(dataset, first, bar)
                else:
                    for index in range(len(dataset)):
                        yield from self._of_image(dataset, index, first + index)
                        bar.update()
            first += len(dataset)

    def _of_image(self, dataset: StreetDataset, index: int, place: int) -> Iterator[LabelledSign]:
        # Most images of some data sets have no box, and need not be read.
        if isinstance(dataset, BoxedImages) and not dataset.boxes(index):
            return
        sample, name = dataset[index], dataset.image_path(index).name
        rgb = np.asarray(sample.image)
        areas = list(self._areas(sample, rgb.shape))
        if not areas:
            return
        if self.segmenter is not None:
            logits = self._logits(self.segmenter, rgb)
            for parent, area, given in areas:
                pixels = pixels_of(area, rgb.shape[1])
                found = self._of_model(self.segmenter, logits, parent, pixels)
                yield LabelledSign(place, name, area, parent, given, found)
            return
        assert self.other is not None
        labels = self.other.of(name, rgb.shape)
        if labels is None:
            return
        for parent, area, given in areas:
            found = self._of_other_labels(area.within(labels), parent)
            yield LabelledSign(place, name, area, parent, given, found)

    def _logits(self, segmenter: Segmenter, rgb: NDArray[np.uint8]) -> Logits:
        logits = segmenter.logits(rgb)
        # Asked for first: the size of the grid is known by it.
        logits[segmenter.decision_rule.choices[0].name]
        return logits

    def _of_model(
        self, segmenter: Segmenter, logits: Logits, parent: Node, pixels: torch.Tensor
    ) -> Probabilities:
        choice = choice_of(segmenter, parent)
        assert choice is not None
        return of_model(logits, choice, pixels, self.tree)

    def _of_other_labels(self, values: NDArray[np.uint8], parent: Node) -> Probabilities:
        """Return the shares of other labels; pixels of none of the classes count for ''."""
        found = of_labels(values, self.tree, parent)
        outside = child_of_id(self.tree, parent)[values] == UNLABELLED
        return {**found, '': float(outside.mean())} if outside.any() else found

    def _areas(
        self, sample: StreetSample, shape: tuple[int, ...]
    ) -> Iterator[tuple[Node, SignArea, Node]]:
        """Yield the labelled objects of an image: class, place, label."""
        if sample.boxes is not None:
            for box in sample.boxes:
                parent = self._parent_of(box.node_id)
                area = None if parent is None else ellipse(box, shape)
                if parent is not None and area is not None and area.pixels >= self.min_pixels:
                    yield parent, area, self.tree.node_by_id(box.node_id)
            return
        assert sample.labels is not None
        for parent in self.parents:
            children = child_of_id(self.tree, parent)
            for area in find_regions(sample.labels, self.tree, parent, self.min_pixels):
                counts = np.bincount(area.within(sample.labels), minlength=256)
                counts[(children == parent.id) | (children == UNLABELLED)] = 0
                if counts.any():
                    yield parent, area, self.tree.node_by_id(int(counts.argmax()))

    def _parent_of(self, node_id: int) -> Node | None:
        """Return the class that a label divides; None for a label of none of them."""
        path = self.tree.path(self.tree.node_by_id(node_id))[:-1]
        return next((node for node in reversed(path) if node in self.parents), None)

    def _of_crops(self, dataset: Gtsrb, first: int, bar: tqdm) -> Iterator[LabelledSign]:
        if self.segmenter is None:
            raise HierSegError(
                f'{dataset.name}: its crops can be compared with a model, not with other labels; '
                f'give --model'
            )
        cells = _COLUMNS * _ROWS
        for start in range(0, len(dataset), cells):
            places = range(start, min(start + cells, len(dataset)))
            canvas = Image.new('RGB', (_COLUMNS * _CELL, _ROWS * _CELL), _BACKGROUND)
            boxes = [
                _paste(canvas, dataset[index].image, dataset.region(index), cell)
                for cell, index in enumerate(places)
            ]
            logits = self._logits(self.segmenter, np.asarray(canvas))
            for index, box in zip(places, boxes, strict=True):
                bar.update()
                own = dataset.region(index)
                parent = self._parent_of(own.node_id)
                area = ellipse(box, (canvas.height, canvas.width))
                in_image = ellipse(own, (2**14, 2**14))
                if parent is None or area is None or in_image is None:
                    continue
                pixels = pixels_of(area, canvas.width)
                found = self._of_model(self.segmenter, logits, parent, pixels)
                name = '_'.join(dataset.image_path(index).parts[-2:])
                given = self.tree.node_by_id(own.node_id)
                yield LabelledSign(first + index, name, in_image, parent, given, found)


def ellipse(box: Box, shape: tuple[int, ...]) -> SignArea | None:
    """Return the ellipse that fills a box, within an image of `shape`; None outside of it."""
    left, top = int(np.floor(box.left)), int(np.floor(box.top))
    right, bottom = int(np.ceil(box.right)), int(np.ceil(box.bottom))
    mask = Image.new('L', (right - left, bottom - top), 0)
    draw_outline(mask, Box(0, 0, right - left, bottom - top, box.node_id, _ELLIPSE), 1)
    inside = np.asarray(mask, bool)
    rows = slice(max(0, -top), max(0, shape[0] - top))
    columns = slice(max(0, -left), max(0, shape[1] - left))
    inside = inside[rows, columns]
    if not inside.any():
        return None
    left, top = max(0, left), max(0, top)
    edges = (left, top, left + inside.shape[1], top + inside.shape[0])
    return SignArea(box.node_id, int(inside.sum()), edges, inside)


def _paste(canvas: Image.Image, crop: Image.Image, sign: Box, cell: int) -> Box:
    """Lay a crop on a cell of a canvas, so that its sign has the usual size; return the sign."""
    factor = min(_SIGN / max(1.0, sign.long_edge), _CELL / max(crop.size))
    width, height = (max(1, round(edge * factor)) for edge in crop.size)
    left = cell % _COLUMNS * _CELL + (_CELL - width) // 2
    top = cell // _COLUMNS * _CELL + (_CELL - height) // 2
    canvas.paste(crop.resize((width, height), Image.Resampling.BICUBIC), (left, top))
    return sign.seen_from(-left / factor, -top / factor, factor)
