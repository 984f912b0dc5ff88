# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which pixels are embedded: about equally many of each class, from as many images as can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.datasets.samples import StreetDataset, StreetSample, node_sets_of
from hier_seg_trainer.datasets.shapes import draw_outline


@dataclass(frozen=True)
class PixelSample:
    """Some pixels of one image.

    Attributes
    ----------
    dataset
        The place of the image's data set among all.
    index
        The image's place in the data set.
    x, y
        (P,), columns and rows.
    node_ids
        (P,) uint8, what the labels say.

    """

    dataset: int
    index: int
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    node_ids: NDArray[np.uint8]


def choose_pixels(
    datasets: Sequence[StreetDataset], points: int, seed: int, progress: bool = False
) -> list[PixelSample]:
    """Return about equally many pixels of every class.

    A class's pixels are spread over as many images as can be. Inside boxes, the outlines count.
    Pixels that may show one of several nodes do not.

    Parameters
    ----------
    datasets
        The images.
    points
        How many pixels in all, if there are so many.
    seed
        Of the choice.
    progress
        Whether to show a bar.

    Raises
    ------
    HierSegError
        No pixel has a label.

    """
    images = [(number, i) for number, dataset in enumerate(datasets) for i in range(len(dataset))]
    counts = np.zeros((len(images), 256), np.int64)
    sets = [[one.id for one in node_sets_of(dataset)] for dataset in datasets]
    bar = tqdm(images, 'counting pixels', unit='image', disable=not progress)
    for row, (number, index) in enumerate(bar):
        counts[row] = np.bincount(labelled_pixels(datasets[number][index]).ravel(), minlength=256)
        counts[row, sets[number]] = 0
    counts[:, UNLABELLED] = 0
    if not counts.any():
        raise HierSegError('embed: no pixel of the data has a label; choose another split')
    rng = np.random.default_rng(seed)
    wanted = np.zeros_like(counts)
    for node_id, share in enumerate(spread(points, counts.sum(0), rng)):
        wanted[:, node_id] = spread(int(share), counts[:, node_id], rng)
    samples = []
    for row in np.flatnonzero(wanted.any(1)).tolist():
        number, index = images[row]
        labels = labelled_pixels(datasets[number][index])
        chosen = np.concatenate(
            [
                rng.choice(np.flatnonzero(labels == node_id), wanted[row, node_id], replace=False)
                for node_id in np.flatnonzero(wanted[row])
            ]
        )
        y, x = np.divmod(chosen, labels.shape[1])
        samples.append(PixelSample(number, index, x, y, labels[y, x]))
    return samples


def spread(total: int, available: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return how many to take of each so that they add up to a total, as evenly as possible.

    Parameters
    ----------
    total
        How many in all; no more than there are.
    available
        (N,), how many there are of each.
    rng
        It draws to whom goes what cannot be divided evenly.

    """
    total = min(total, int(available.sum()))
    low, high = 0, total
    while low < high:
        level = (low + high + 1) // 2
        if np.minimum(available, level).sum() <= total:
            low = level
        else:
            high = level - 1
    taken = np.minimum(available, low)
    more = rng.permutation(np.flatnonzero(available > low))
    taken[more[: total - int(taken.sum())]] += 1
    return taken


def labelled_pixels(sample: StreetSample) -> NDArray[np.uint8]:
    """Return node ids (H, W) of what is known of an image; of boxes, inside their outlines."""
    if sample.labels is not None:
        return sample.labels
    size = sample.image.size
    if sample.image_label is not None:
        return np.full((size[1], size[0]), sample.image_label, np.uint8)
    mask = Image.new('L', size, UNLABELLED)
    for box in sample.boxes or ():
        draw_outline(mask, box, box.node_id)
    return np.array(mask)
