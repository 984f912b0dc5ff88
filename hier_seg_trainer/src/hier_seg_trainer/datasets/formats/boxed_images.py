# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images with a box around each object: what the readers of such data sets have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.datasets.faults import Fault, check_faults
from hier_seg_trainer.datasets.mapping import LabelMapping
from hier_seg_trainer.datasets.samples import Box, StreetSample, Supervision, open_image


@dataclass(frozen=True)
class BoxedFile:
    """An image and its boxes; ``size`` (width, height) if the data set says what it must be."""

    image: Path
    boxes: tuple[Box, ...]
    size: tuple[int, int] | None = None


class BoxedImages:
    """A list of images with boxes, and the mapping of their classes."""

    name: str
    title: str
    licence: str
    supervision: Supervision = 'boxes'

    def __init__(
        self,
        mapping: LabelMapping,
        files: Iterable[BoxedFile],
        faults: Iterable[Fault] = (),
        strict: bool = True,
    ) -> None:
        """Take the images, and what was wrong with others or with rows of their list.

        Raises HierSegError if anything is wrong while `strict` or nothing is left.
        """
        self.mapping = mapping
        self.node_names = mapping.node_names
        self.mirror_of_id = mapping.mirror_of_id
        self.complete_boxes = mapping.complete_boxes
        self._files = tuple(files)
        self.faults = check_faults(list(faults), strict or not self._files)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._files)

    def image_path(self, index: int) -> Path:
        """Return the image's file."""
        return self._files[index].image

    def label_path(self, index: int) -> None:
        """Return None: the boxes of all images stand in one file."""
        return

    def boxes(self, index: int) -> tuple[Box, ...]:
        """Return an image's boxes without reading the image."""
        return self._files[index].boxes

    def __getitem__(self, index: int) -> StreetSample:
        """Read one image with its boxes; HierSegError if they are those of another size."""
        file = self._files[index]
        image = open_image(file.image)
        if file.size is not None and file.size != image.size:
            raise HierSegError(
                f'{file.image}: is {image.width}x{image.height}, its boxes are for an image of '
                f'{file.size[0]}x{file.size[1]}; the sizes must agree'
            )
        for box in file.boxes:
            if (
                box.left >= image.width
                or box.top >= image.height
                or min(box.right, box.bottom) <= 0
            ):
                raise HierSegError(
                    f'{file.image}: the box {box.left:g}, {box.top:g}, {box.right:g}, '
                    f'{box.bottom:g} lies outside its {image.width}x{image.height} pixels; correct '
                    f'the box or the image size'
                )
        return StreetSample(image, None, file.boxes)
