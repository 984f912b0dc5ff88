# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every data set gives: an image with labelled pixels, with boxes or with one label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.datasets.faults import Fault

Supervision = Literal['pixels', 'boxes', 'image']


@dataclass(frozen=True)
class Box:
    """A labelled rectangle: left and top inside, right and bottom just outside, in pixels.

    ``node_id`` is the node of the tree that it shows, ``shape`` the outline that fills it (a key
    of ``shapes.OUTLINES``).
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


@dataclass(frozen=True)
class StreetSample:
    """An image and what is known of it: exactly one of the other three is not None.

    ``labels`` (H, W) uint8 are node ids, 255 where nothing is known. ``boxes`` are the objects;
    none for an image that shows no object. ``image_label`` is the id of the node that the whole
    image shows.
    """

    image: Image.Image
    labels: NDArray[np.uint8] | None
    boxes: tuple[Box, ...] | None
    image_label: int | None = None


class StreetDataset(Protocol):
    """A data set, as the batches and the evaluation see it.

    Attributes
    ----------
    name, title, licence : as the log, the model card and the licence list give them
    node_names : names of the nodes that its classes fall on
    supervision : which of the three kinds of labels its samples have
    mirror_of_id : (256,) int16, by node id: the node id that a mirrored image shows in its place,
        -1 where an image that shows the node must not be mirrored; 255 stays 255
    complete_boxes : whether every object of its classes has its box, so that pixels far from all
        boxes show none of them
    faults : files and rows that were left out; none of a data set that was opened strictly

    Data sets with boxes also have ``boxes(index) -> tuple[Box, ...]``, which reads no image; those
    with labelled pixels ``instances(index) -> (H, W) int32 | None``, see ``LabelledImages``.
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


def open_image(path: Path) -> Image.Image:
    """Return an image file as RGB; HierSegError if it is missing, broken or no image."""
    return _open(path, 'RGB')


def open_labels(path: Path) -> NDArray[np.uint8]:
    """Return a label image (H, W) uint8: its values or palette indices as they are stored.

    Raises HierSegError if it is missing, broken or not of one channel of at most 8 bits.
    """
    image = _open(path, None)
    if image.mode not in ('1', 'L', 'P'):
        # OpenCV's imread applies a palette; written again, the file has colours for indices.
        raise HierSegError(
            f'{path}: is no label image (its mode is {image.mode}); it must have one 8-bit channel '
            f'of label values, so restore the original if a program has turned its palette into '
            f'colours'
        )
    values = np.array(image)
    if image.mode == '1':
        return values.astype(np.uint8)
    # Programs that shrink PNG store few values in few bits, and Pillow stretches grey ones.
    return values if image.mode == 'P' else values // (255 // (2 ** _grey_bits(path) - 1))


def open_instances(path: Path) -> NDArray[np.int32]:
    """Return an instance image (H, W) int32, its 16-bit values as they are stored.

    Raises HierSegError if it is missing, broken or not of one channel of whole numbers.
    """
    image = _open(path, None)
    if image.mode not in ('I', 'I;16', 'I;16B', 'L'):
        raise HierSegError(
            f'{path}: is no instance image (its mode is {image.mode}); it must have one 16-bit '
            f'channel'
        )
    return np.array(image).astype(np.int32)


def _open(path: Path, mode: str | None) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image if mode is None else image.convert(mode)
    # Pillow raises SyntaxError, ValueError or OSError, depending on how a file is broken.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise HierSegError(
            f'{path}: cannot be read as an image ({error}); restore it or remove it'
        ) from error


def _grey_bits(path: Path) -> int:
    """Return the bits of a value in a grey PNG file; 8 for any other file."""
    with path.open('rb') as file:
        header = file.read(26)
    # The header chunk, which comes first, holds the bit depth and the colour type, 0 for grey
    # (W3C, "Portable Network Graphics", 11.2.1).
    is_grey_png = header[:8] == b'\x89PNG\r\n\x1a\n' and header[25] == 0
    return min(header[24], 8) if is_grey_png else 8
