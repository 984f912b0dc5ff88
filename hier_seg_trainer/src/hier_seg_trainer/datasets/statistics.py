# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How often each class occurs in a data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hier_seg_trainer.datasets.readers.labelled_images import LabelledImages
from hier_seg_trainer.datasets.samples import StreetDataset


def count_pixels(dataset: StreetDataset, progress: bool = False) -> NDArray[np.int64]:
    """Return (256,) int64: the number of pixels by node id; [255] is that of the unlabelled ones.

    A data set without labelled pixels has none: all zeros. The images themselves are not read
    where the data set keeps its labels in files of their own. `progress` shows a bar. Raises
    HierSegError for a file that cannot be used.
    """
    counts = np.zeros(256, np.int64)
    if dataset.supervision != 'pixels':
        return counts
    images = range(len(dataset))
    for index in tqdm(images, f'{dataset.name}: pixels', unit='image', disable=not progress):
        if isinstance(dataset, LabelledImages):
            labels = dataset.labels(index)
        else:
            sample_labels = dataset[index].labels
            assert sample_labels is not None
            labels = sample_labels
        counts += np.bincount(labels.ravel(), minlength=256)
    return counts
