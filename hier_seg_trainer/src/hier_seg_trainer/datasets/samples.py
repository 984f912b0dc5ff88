# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every data set gives: an image with labelled pixels, with boxes or with one label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.label_spaces.node_sets import NodeSet
from hier_seg_trainer.datasets.faults import Fault

Supervision = Literal['pixels', 'boxes', 'image']


@dataclass(frozen=True)
class Box:
    """A labelled rectangle.

    Attributes
    ----------
    left, top, right, bottom
        Its edges in pixels: left and top are inside, right and bottom just outside.
    node_id
        The node of the tree that it shows.
    shape
        The outline that fills it: a key of ``shapes.OUTLINES``.

    """

    left: float
    top: float
    right: float
    bottom: float
    node_id: int
    shape: str

    @property
    def long_edge(self) -> float:
        """The longer of width and height, in pixels."""
        return max(self.right - self.left, self.bottom - self.top)

    @property
    def centre(self) -> tuple[float, float]:
        """The (x, y) of its centre, in pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def at(self, left: float, top: float, right: float, bottom: float) -> Box:
        """Return the box with other edges."""
        return replace(self, left=left, top=top, right=right, bottom=bottom)

    def seen_from(self, left: float, top: float, scale: float = 1.0) -> Box:
        """Return the box in a piece of the image, which begins at (left, top) and is resized."""
        return self.at(
            (self.left - left) * scale,
            (self.top - top) * scale,
            (self.right - left) * scale,
            (self.bottom - top) * scale,
        )


@dataclass(frozen=True)
class StreetSample:
    """An image and what is known of it: exactly one of the other three is not None.

    Attributes
    ----------
    image
        RGB, H×W pixels.
    labels
        (H, W) uint8 ids of nodes and of sets of nodes, 255 where nothing is known.
    boxes
        The objects; empty for an image that shows none.
    image_label
        The id of the node that the whole image shows.

    """

    image: Image.Image
    labels: NDArray[np.uint8] | None
    boxes: tuple[Box, ...] | None
    image_label: int | None = None


class StreetDataset(Protocol):
    """A data set, as the batches and the evaluation see it.

    Data sets with boxes also have ``boxes(index) -> tuple[Box, ...]``, which reads no image; those
    with labelled pixels ``instances(index) -> (H, W) int32 | None``, see ``LabelledImages``, and
    ``node_sets`` where classes may be one of several nodes, see ``node_sets_of``.

    Attributes
    ----------
    name, title, licence
        As the log, the model card and the licence list give them.
    node_names
        Names of the nodes that its classes fall on.
    supervision
        Which of the three kinds of labels its samples have.
    mirror_of_id
        (256,) int16, by the id of a node or a set: the id that a mirrored image shows in its place,
        -1 where an image that shows it must not be mirrored; 255 stays 255.
    complete_boxes
        Whether every object of its classes has its box, so that pixels far from all boxes show
        none of them.
    faults
        Files and entries that were left out; none of a data set that was opened strictly.

    """

    name: str
    title: str
    licence: str
    node_names: frozenset[str]
    supervision: Supervision
    mirror_of_id: NDArray[np.int16]
    complete_boxes: bool
    faults: tuple[Fault, ...]

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: int) -> StreetSample:
        """Read one image and what is known of it."""

    def image_path(self, index: int) -> Path:
        """Return the image's file."""

    def label_path(self, index: int) -> Path | None:
        """Return the file that holds the image's labels; None if it has none of its own."""


def node_sets_of(dataset: StreetDataset) -> tuple[NodeSet, ...]:
    """Return the sets of nodes that classes of a data set fall on, beside its ``node_names``."""
    return getattr(dataset, 'node_sets', ())
