# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How often each class occurs in a data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hier_seg_trainer.datasets.readers.labelled_images import LabelledImages
from hier_seg_trainer.datasets.samples import StreetDataset
from hier_seg_trainer.datasets.unreadable import UnreadableImageError, UnreadableImages


def count_pixels(dataset: StreetDataset, progress: bool = False) -> NDArray[np.int64]:
    """Count the labelled pixels of a data set, but for a few images that cannot be read.

    The images themselves are not read where the data set keeps its labels in files of their own.

    Parameters
    ----------
    dataset
        The data set.
    progress
        Show a bar.

    Returns
    -------
    NDArray[np.int64]
        (256,) pixels by node id, [255] those without a label; all zeros for a data set without
        labelled pixels.

    Raises
    ------
    HierSegError
        A file cannot be used.

    """
    counts = np.zeros(256, np.int64)
    if dataset.supervision != 'pixels':
        return counts
    unreadable = UnreadableImages(dataset.title, len(dataset))
    images = range(len(dataset))
    for index in tqdm(images, f'{dataset.name}: pixels', unit='image', disable=not progress):
        labels: NDArray[np.uint8] | None
        try:
            if isinstance(dataset, LabelledImages):
                labels = dataset.labels(index)
            else:
                labels = dataset[index].labels
        except UnreadableImageError as error:
            unreadable.leave_out(error)
            continue
        assert labels is not None
        counts += np.bincount(labels.ravel(), minlength=256)
    return counts
