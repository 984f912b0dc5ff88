# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Near-duplicate images, by their thumbnails, and frames of one recording, by their names.

The thumbnails' correlation, rather than the bits of a perceptual hash: it tells a copy from another
street, which also has its road below and its sky above, by a wider margin, and images with little
structure do not become alike. Comparing all images with all is a product of matrices.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

THUMBNAIL_EDGE = 16
PLAIN = 1.5  # grey values of standard deviation, below which a thumbnail shows nothing
# Measured on GTSDB's and CamVid's images: a copy as JPEG of quality 40, smaller by 0.9, correlates
# with its original by 0.9998 and more; frames of a slow car by 0.99 to 0.999; two streets by 0.984
# at most. Of GTSRB's tracks, two exceed 0.985: those do show the same sign. Its crops are small,
# and so rough a copy of one may go unseen.
MIN_CORRELATION = 0.993
BLOCK = 512  # images that are compared with all others at a time

Fingerprint = NDArray[np.float32]


def fingerprint(image: Image.Image) -> Fingerprint:
    """Return (257,) float32 of length 1; the product of two is the images' correlation.

    That is the correlation of their grey values in 16x16 cells. Plain images correlate fully with
    each other, whatever their colour, and not at all with others.
    """
    size = (THUMBNAIL_EDGE, THUMBNAIL_EDGE)
    # A box filter: each value is the mean of its part of the image.
    grey = image.convert('L').resize(size, Image.Resampling.BOX)
    values = np.append(np.asarray(grey, np.float32), np.float32(0))
    values[:-1] -= values[:-1].mean()
    if values[:-1].std() < PLAIN:
        values[:-1], values[-1] = 0, 1
    return values / np.linalg.norm(values)


def duplicate_groups(fingerprints: Sequence[Fingerprint]) -> list[list[int]]:
    """Return groups of near-duplicates: each image is close to another one of its group."""
    count = len(fingerprints)
    if not count:
        return []
    stacked = np.stack(fingerprints)
    # SciPy before 1.12 fails on a graph with 64-bit indices, and only prints that it did.
    group = np.arange(count, dtype=np.int32)
    for start in range(0, count, BLOCK):
        # Those before `start` have been compared with all that follow them.
        correlation = stacked[start : start + BLOCK] @ stacked[start:].T
        row, column = np.nonzero(correlation >= MIN_CORRELATION)
        edges = np.ones(len(row), bool), (group[row + start], group[column + start])
        _, merged = connected_components(coo_array(edges, (count, count)), directed=False)
        group = merged[group]
    members: dict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(group.tolist()):
        members[label].append(index)
    return [indices for indices in members.values() if len(indices) > 1]


def nearest_duplicates(
    queries: Sequence[Fingerprint], references: Sequence[Fingerprint]
) -> list[tuple[int, int, float]]:
    """Return (query, nearest reference, correlation) of the queries that have a near-duplicate."""
    if not queries or not references:
        return []
    asked, known = np.stack(queries), np.stack(references)
    found = []
    for start in range(0, len(asked), BLOCK):
        correlation = asked[start : start + BLOCK] @ known.T
        nearest = correlation.argmax(1)
        best = correlation[np.arange(len(nearest)), nearest]
        for row in np.flatnonzero(best >= MIN_CORRELATION).tolist():
            found.append((start + row, int(nearest[row]), float(best[row])))
    return found


@dataclass(frozen=True)
class SharedSequence:
    """A recording with frames in two splits.

    Attributes
    ----------
    name
        What the files' names have in common.
    references, queries
        How many frames each of the two splits has.
    gap
        How many frames lie between the two that are closest in time.
    reference, query
        These two.

    """

    name: str
    references: int
    queries: int
    gap: int
    reference: Path
    query: Path


def shared_sequences(
    references: Iterable[Path], queries: Iterable[Path], splits: Iterable[str]
) -> list[SharedSequence]:
    """Return the recordings that have frames among both, judging by the files' names.

    Parameters
    ----------
    references, queries
        The images of the two splits.
    splits
        Names of folders that do not tell recordings apart, such as 'train'.

    """
    splits = frozenset(splits)
    before, after = (_by_sequence(paths, splits) for paths in (references, queries))
    shared = []
    for key in sorted(before.keys() & after.keys()):
        frames = sorted(before[key])
        gap, reference, query = min(
            (abs(frame - number), reference, query)
            for number, query in after[key]
            for frame, reference in _neighbours(frames, number)
        )
        counts = len(before[key]), len(after[key])
        shared.append(SharedSequence(key[-1], *counts, gap, reference, query))
    return shared


# "0016E5_08001", "aachen_000000_000019_leftImg8bit", "00007_00029": a recording whose name has a
# digit, the number of the frame, perhaps the kind of the file.
_FRAME = re.compile(r'(?P<sequence>.*\d.*)[_-](?P<frame>\d+)(?:[_-][A-Za-z]\w*)?')


def _by_sequence(
    paths: Iterable[Path], splits: frozenset[str]
) -> dict[tuple[str, ...], list[tuple[int, Path]]]:
    frames: dict[tuple[str, ...], list[tuple[int, Path]]] = defaultdict(list)
    for path in paths:
        match = _FRAME.fullmatch(path.stem)
        if match is not None:
            folders = tuple(part for part in path.parent.parts if part not in splits)
            frames[(*folders, match['sequence'])].append((int(match['frame']), path))
    return frames


def _neighbours(frames: list[tuple[int, Path]], number: int) -> list[tuple[int, Path]]:
    """Return the frames right before and right after `number` in a sorted list."""
    place = bisect_left(frames, number, key=lambda frame: frame[0])
    return frames[max(0, place - 1) : place + 1]
