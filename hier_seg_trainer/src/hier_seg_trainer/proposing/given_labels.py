# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels that were begun elsewhere: which of them answer a proposal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_ros.signs.sign_areas import SignArea
from hier_seg_trainer.proposing.object_regions import child_of_id
from hier_seg_trainer.proposing.sources import DatasetImages

# A region has the class of more than this share of its pixels that are given one,
MAJORITY = 0.5
# if that covers this share of the region: what a model finds around a small sign reaches beyond it.
LEAST_COVERED = 0.25


class GivenLabels:
    """The labels of a data set, for images of the same names.

    Attributes
    ----------
    used
        How many of its images have been asked for.

    """

    def __init__(self, images: DatasetImages) -> None:
        """Take the images of the data set.

        Raises
        ------
        HierSegError
            Two of them have the same name.

        """
        self._images = images
        self._place_of: dict[str, int] = {}
        self.used = 0
        for place, name in enumerate(images.names()):
            if self._place_of.setdefault(Path(name).stem, place) != place:
                raise HierSegError(
                    f'--labels: two images are called {name}; labels are found by the name of the '
                    f'image, so give one --split, or other names'
                )

    def of(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
        """Return the labels of an image, H×W node ids; None if it has none.

        Parameters
        ----------
        name
            The name of the image's file.
        shape
            Its height and width.

        Raises
        ------
        HierSegError
            They are those of another size.

        """
        place = self._place_of.get(Path(name).stem)
        if place is None:
            return None
        self.used += 1
        (picture,) = self._images.pictures([place])
        assert picture.labels is not None
        if picture.labels.shape != shape[:2]:
            raise HierSegError(
                f'{name}: has {shape[1]}x{shape[0]} pixels, its labels '
                f'{picture.labels.shape[1]}x{picture.labels.shape[0]}; give the labels of this '
                f'image'
            )
        return picture.labels


def laid_over(labels: NDArray[np.uint8] | None, given: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what is given, H×W node ids, and where nothing is, `labels` (None: nothing)."""
    return given if labels is None else np.where(given == UNLABELLED, labels, given)


def answer(given: NDArray[np.uint8], area: SignArea, tree: Hierarchy, parent: Node) -> Node | None:
    """Return the class below `parent` that a region is given; None without any.

    That is the class of more than half of its pixels with one, and of a quarter of all.

    Parameters
    ----------
    given
        H×W node ids of the whole image, 255 where nothing is given.
    area
        The region.
    tree
        Whose ids they are.
    parent
        The class of the region: to know no more than that is no answer.

    """
    values = area.within(given)
    below = child_of_id(tree, parent)
    counts = np.bincount(values, minlength=256)
    counts[(below == UNLABELLED) | (below == parent.id)] = 0
    most = counts.max()
    if most <= MAJORITY * counts.sum() or most < LEAST_COVERED * values.size:
        return None
    return tree.node_by_id(int(counts.argmax()))
