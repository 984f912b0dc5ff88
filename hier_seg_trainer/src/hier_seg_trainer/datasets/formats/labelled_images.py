# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images whose pixels are labelled: what the readers of such data sets have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.datasets.faults import Fault, check_faults
from hier_seg_trainer.datasets.mapping import LabelMapping
from hier_seg_trainer.datasets.samples import (
    StreetSample,
    Supervision,
    open_image,
    open_instances,
    open_labels,
)


@dataclass(frozen=True)
class LabelledFile:
    """The files of one image; ``instances`` is None where the data set has none."""

    image: Path
    labels: Path
    instances: Path | None = None


class LabelledImages:
    """A list of images and label images, and the mapping of their values.

    A format subclasses it to find the files, and overrides ``check_labels`` or
    ``decode_instances`` where its files need more than a mapping.
    """

    name: str
    title: str
    licence: str
    supervision: Supervision = 'pixels'
    complete_boxes = False

    def __init__(
        self,
        mapping: LabelMapping,
        files: Iterable[LabelledFile],
        faults: Iterable[Fault] = (),
        strict: bool = True,
    ) -> None:
        """Take the files, and what was wrong with others; images without labels are left out.

        Raises HierSegError if the mapping has no value for a class, and if anything is wrong while
        `strict` or nothing is left.
        """
        self.mapping = mapping.require_values()
        self.node_names = mapping.node_names
        self.mirror_of_id = mapping.mirror_of_id
        found, self._files = list(faults), list[LabelledFile]()
        for file in files:
            if file.labels.is_file():
                self._files.append(file)
            else:
                reason = f'its labels {file.labels} are missing; restore them or remove the image'
                found.append(Fault('missing_label', file.image, reason))
        self.faults = check_faults(found, strict or not self._files)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._files)

    def image_path(self, index: int) -> Path:
        """Return the image's file."""
        return self._files[index].image

    def label_path(self, index: int) -> Path | None:
        """Return the file of the image's labels; None if it is not one of the data set's."""
        return self._files[index].labels

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Return an image's labels (H, W) uint8, node ids and 255, without reading the image."""
        path = self._files[index].labels
        values = open_labels(path)
        self.check_labels(values, path)
        return self.mapping.to_node_ids(values, path)

    def instances(self, index: int) -> NDArray[np.int32] | None:
        """Return (H, W) int32, a positive number for each object of the image and 0 elsewhere.

        None if the image has no instance file. Which class an object has is said by the labels.
        """
        path = self._files[index].instances
        return None if path is None else self.decode_instances(open_instances(path))

    def __getitem__(self, index: int) -> StreetSample:
        """Read one image and its labels; HierSegError if their sizes differ."""
        image = open_image(self._files[index].image)
        labels = self.labels(index)
        if labels.shape != (image.height, image.width):
            raise HierSegError(
                f'{self._files[index].labels}: is {labels.shape[1]}x{labels.shape[0]}, its image '
                f'{image.width}x{image.height}; the sizes must agree'
            )
        return StreetSample(image, labels, None)

    def check_labels(self, values: NDArray[np.uint8], path: Path) -> None:
        """Raise HierSegError if the values (H, W) of a label file are of another kind."""

    def decode_instances(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the objects (H, W) that the values (H, W) of an instance file stand for."""
        return values


def require_folder(folder: Path, advice: str) -> None:
    """Raise HierSegError if a folder is missing."""
    if not folder.is_dir():
        raise HierSegError(f'{folder}: does not exist; {advice}')


def require_split(name: str, split: str, splits: tuple[str, ...]) -> None:
    """Raise HierSegError if a data set `name` has no such split."""
    if split not in splits:
        raise HierSegError(f'{name}: has no split {split!r}; choose among {", ".join(splits)}')
