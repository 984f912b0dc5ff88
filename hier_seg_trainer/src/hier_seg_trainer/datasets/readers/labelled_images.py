# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images whose pixels are labelled: what the readers of such data sets have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.readers.reader import Reader
from hier_seg_trainer.datasets.samples import StreetSample, Supervision
from hier_seg_trainer.datasets.stored_pixels import (
    misfit,
    open_colors,
    open_image,
    open_instances,
    open_labels,
)


@dataclass(frozen=True)
class LabelledFile:
    """The files of one image.

    Attributes
    ----------
    image
        The photograph.
    labels
        What its pixels show: a label image, or a file of polygons or masks.
    instances
        The objects in it; None where the data set has none.

    """

    image: Path
    labels: Path
    instances: Path | None = None


class LabelledImages(Reader[LabelledFile]):
    """Images with label images, whose values or colours a mapping knows.

    A format overrides ``check_labels`` or ``decode_instances`` where its files need more than a
    mapping, and ``labels`` where they are no images.
    """

    supervision: Supervision = 'pixels'

    def is_whole(self, file: LabelledFile, faults: list[Fault]) -> bool:
        """Return whether the labels are there; the image of missing ones goes to `faults`."""
        if file.labels.is_file():
            return True
        reason = f'its labels {file.labels} are missing; restore them or remove the image'
        faults.append(Fault('missing_label', file.image, reason))
        return False

    def label_path(self, index: int) -> Path | None:
        """Return the file of the image's labels; None if it is not one of the data set's."""
        return self._files[index].labels

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Return an image's labels without reading the image.

        Returns
        -------
        NDArray[np.uint8]
            (H, W) node ids, 255 where nothing is known.

        Raises
        ------
        HierSegError
            The label file cannot be used.

        """
        path = self._files[index].labels
        if self.mapping.by_color:
            return self.mapping.colors_to_node_ids(open_colors(path), path)
        values = open_labels(path)
        self.check_labels(values, path)
        return self.mapping.to_node_ids(values, path)

    def instances(self, index: int) -> NDArray[np.int32] | None:
        """Return the objects of an image; the labels say which class each has.

        Returns
        -------
        NDArray[np.int32] | None
            (H, W), a positive number for each object and 0 elsewhere; None if the image has no
            instance file.

        """
        path = self._files[index].instances
        return None if path is None else self.decode_instances(open_instances(path))

    def __getitem__(self, index: int) -> StreetSample:
        """Read one image and its labels.

        Raises
        ------
        HierSegError
            A file cannot be used, or their sizes differ.

        """
        file = self._files[index]
        image, labels = open_image(file.image), self.labels(index)
        if labels.shape != (image.height, image.width):
            height, width = labels.shape
            raise HierSegError(
                f'{file.labels}: is {width}x{height}, its image {image.width}x{image.height}; '
                f'{misfit(file.image, image, (width, height))} ({file.image})'
            )
        return StreetSample(image, labels, None)

    def check_labels(self, values: NDArray[np.uint8], path: Path) -> None:
        """Raise HierSegError if the values (H, W) of a label file are of another kind."""

    def decode_instances(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the objects (H, W) that the values (H, W) of an instance file stand for."""
        return values
