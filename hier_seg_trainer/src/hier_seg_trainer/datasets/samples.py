# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every data set gives: an image, with labels a pixel or with boxes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError


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
    """An image and what is known of it.

    ``labels`` (H, W) uint8 are node ids, 255 where nothing is known; None for an image that has
    boxes only. ``boxes`` are the boxes; None for an image whose pixels are labelled.
    """

    image: Image.Image
    labels: NDArray[np.uint8] | None
    boxes: tuple[Box, ...] | None


class StreetDataset(Protocol):
    """A data set, as the batches and the evaluation see it."""

    name: str
    title: str
    licence: str
    may_flip: bool
    node_names: frozenset[str]

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: int) -> StreetSample:
        """Read one image with its labels or boxes."""

    def image_path(self, index: int) -> Path:
        """Return the image's file."""


def open_image(path: Path) -> Image.Image:
    """Return an image file as RGB; HierSegError if it is missing, broken or no image."""
    return _open(path, 'RGB')


def open_labels(path: Path) -> NDArray[np.uint8]:
    """Return a label image (H, W) uint8, palette indices as they are stored.

    Raises HierSegError if it is missing, broken or not of one 8-bit channel.
    """
    image = _open(path, None)
    if image.mode not in ('L', 'P'):
        raise HierSegError(
            f'{path}: is no label image (its mode is {image.mode}); it must have one 8-bit channel'
        )
    return np.array(image)


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
