# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults that show when the files of a data set are held beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

from hier_seg_trainer.datasets.readers.image_pairs import IMAGE_SUFFIXES
from hier_seg_trainer.inspection.checks.file_checks import size_text
from hier_seg_trainer.inspection.checks.problems import Problem

USUAL_SHARE = 0.9  # of the images must share a size for the other sizes to be unusual


def unusual_sizes(sizes: Iterable[tuple[Path, tuple[int, int]]]) -> Iterator[Problem]:
    """Yield the images whose (width, height) nearly all others do not share."""
    sizes = list(sizes)
    counts = Counter(size for _, size in sizes)
    if not counts:
        return
    usual, count = counts.most_common(1)[0]
    if count < USUAL_SHARE * len(sizes):
        return
    for path, size in sizes:
        if size != usual:
            detail = f'{size_text(size)}; {count} are {size_text(usual)}'
            yield Problem('unusual_size', path, detail)


def unpaired_files(pairs: Iterable[tuple[Path, Path]]) -> Iterator[Problem]:
    """Yield files beside those of `pairs` (image, label) that have no partner on the disk.

    Names tell who belongs together: what is left of an image's and its label's name after the
    part that they share is the same for the whole data set ('``leftImg8bit``' and
    '``gtFine_labelIds.png``', say). Where images and labels lie in one folder, it tells nothing.
    """
    pairs = list(pairs)
    image_folders = {image.parent for image, _ in pairs}
    label_folders = {label.parent for _, label in pairs}
    tails = Counter(_tails(image, label) for image, label in pairs)
    if not tails or image_folders & label_folders:
        return
    (image_tail, label_tail), count = tails.most_common(1)[0]
    # Names without a common part, or parts that differ from file to file, tell nothing.
    if count < USUAL_SHARE * len(pairs):
        return
    images = {
        path.stem.removesuffix(image_tail): path
        for path in _files(image_folders)
        if path.suffix.lower() in IMAGE_SUFFIXES and path.stem.endswith(image_tail)
    }
    labels = {
        path.name.removesuffix(label_tail): path
        for path in _files(label_folders)
        if path.name.endswith(label_tail)
    }
    # A listed image without its labels, or the other way round, is reported by its reader.
    listed = {path for pair in pairs for path in pair}
    for key in sorted(labels.keys() - images.keys()):
        if labels[key] not in listed:
            yield Problem('label_without_image', labels[key], f'no image {key}{image_tail}')
    for key in sorted(images.keys() - labels.keys()):
        if images[key] not in listed:
            yield Problem('image_without_label', images[key], f'no {key}{label_tail}')


def _tails(image: Path, label: Path) -> tuple[str, str]:
    """Return what follows the part that the two names share: of the image, without its suffix."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(image.stem, label.stem, strict=False))
    shared = len(list(same))
    return image.stem[shared:], label.name[shared:]


def _files(folders: Iterable[Path]) -> list[Path]:
    return [
        path for folder in sorted(folders) if folder.is_dir() for path in sorted(folder.iterdir())
    ]
