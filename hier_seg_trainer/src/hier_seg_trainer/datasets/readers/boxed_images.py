# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images with a box around each object: what the readers of such data sets have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.datasets.readers.reader import Reader
from hier_seg_trainer.datasets.samples import Box, StreetSample, Supervision
from hier_seg_trainer.datasets.stored_pixels import is_stored_size, misfit, open_image


@dataclass(frozen=True)
class BoxedFile:
    """An image and its boxes.

    Attributes
    ----------
    image
        The photograph.
    boxes
        Its boxes.
    size
        The (width, height) in pixels that the data set says it has; None if it does not say.

    """

    image: Path
    boxes: tuple[Box, ...]
    size: tuple[int, int] | None = None


class BoxedImages(Reader[BoxedFile]):
    """Images with boxes."""

    supervision: Supervision = 'boxes'

    def boxes(self, index: int) -> tuple[Box, ...]:
        """Return an image's boxes without reading the image."""
        return self._files[index].boxes

    def __getitem__(self, index: int) -> StreetSample:
        """Read one image with its boxes.

        Raises
        ------
        HierSegError
            The image cannot be read, or its boxes are those of another size.

        """
        file = self._files[index]
        image = open_image(file.image)
        if file.size is not None and file.size != image.size:
            raise HierSegError(
                f'{file.image}: is {image.width}x{image.height}, its boxes are for an image of '
                f'{file.size[0]}x{file.size[1]}; {misfit(file.image, image, file.size)}'
            )
        for box in file.boxes:
            outside = box.left >= image.width or box.top >= image.height
            if outside or min(box.right, box.bottom) <= 0:
                raise HierSegError(
                    f'{file.image}: the box {box.left:g}, {box.top:g}, {box.right:g}, '
                    f'{box.bottom:g} lies outside its {image.width}x{image.height} pixels; '
                    f'{_advice(file, image)}'
                )
        return StreetSample(image, None, file.boxes)


def _advice(file: BoxedFile, image: Image.Image) -> str:
    """Return what to do about a box outside of its image."""
    width, height = image.height, image.width
    fits_stored = all(box.right <= width and box.bottom <= height for box in file.boxes)
    if fits_stored and is_stored_size(file.image, image, (width, height)):
        return misfit(file.image, image, (width, height))
    return 'correct the box or the image size'
