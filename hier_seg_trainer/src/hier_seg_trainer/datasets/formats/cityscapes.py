# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cityscapes, fine and coarse, and MiniCity: street images of 2048x1024, every pixel labelled.

All three have label ids (0-33). The train ids (0-18, 255) that many programs make of them know
fewer classes, so such files are refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.formats.labelled_images import (
    LabelledFile,
    LabelledImages,
    require_folder,
    require_split,
)
from hier_seg_trainer.datasets.mapping import LabelMapping, bundled_mapping

IMAGE_ENDING = '_leftImg8bit.png'
# Train ids are 0-18 with 255 for void, or 19 in the challenge that made MiniCity. Label ids are
# 0-33, and those up to 6 are void.
TRAIN_ID_VOID = 255
LAST_TRAIN_ID = 19
LAST_VOID_LABEL_ID = 6
# So many different values up to 19 and none above: as label ids that would be a street with bridges
# or tunnels, but without vegetation, sky, signs, people and vehicles.
MANY_VALUES = 10
# An instance is label id * 1000 + its number; a smaller value is a label id, of stuff or a group.
INSTANCE_FACTOR = 1000


class _CityscapesImages(LabelledImages):
    """Images with ``labelIds`` and, where they are there, ``instanceIds`` files."""

    # A coarse annotation leaves much of an image at the void value 0, a fine one hardly anything.
    coarse = False

    def check_labels(self, values: NDArray[np.uint8], path: Path) -> None:
        """Raise HierSegError if the values (H, W) are train ids."""
        check_label_ids(values, path, self.coarse)

    def decode_instances(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return label id * 1000 + number where an object has one of its own, 0 elsewhere."""
        return np.where(values >= INSTANCE_FACTOR, values, 0)


class Cityscapes(_CityscapesImages):
    """The fine annotation.

    ``<root>/leftImg8bit/<split>/<city>/*_leftImg8bit.png`` and
    ``<root>/gtFine/<split>/<city>/*_gtFine_{labelIds,instanceIds}.png``, split train or val. Cordts
    et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016.
    """

    name = 'cityscapes'
    title = 'Cityscapes'
    licence = 'Cityscapes terms of use (non-commercial); cite Cordts et al., CVPR 2016'

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
    ) -> None:
        """List the files; HierSegError if a folder or the labels of an image are missing."""
        if split == 'test':
            _refuse_test('cityscapes')
        if split == 'train_extra':
            raise HierSegError(
                'cityscapes: train_extra has coarse labels only; use the format cityscapes_coarse'
            )
        require_split(self.name, split, ('train', 'val'))
        faults: list[Fault] = []
        files = _city_files(root, split, 'gtFine', faults)
        label_mapping = LabelMapping.load(mapping or bundled_mapping('cityscapes'), hierarchy)
        super().__init__(label_mapping, files, faults, strict)


class CityscapesCoarse(_CityscapesImages):
    """The coarse annotation, as ``Cityscapes`` but with gtCoarse for gtFine.

    Its splits are train, val and train_extra.
    """

    name = 'cityscapes_coarse'
    title = 'Cityscapes (coarse)'
    licence = Cityscapes.licence
    coarse = True

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
    ) -> None:
        """List the files; HierSegError if a folder or the labels of an image are missing."""
        if split == 'test':
            _refuse_test('cityscapes_coarse')
        require_split(self.name, split, ('train', 'train_extra', 'val'))
        faults: list[Fault] = []
        files = _city_files(root, split, 'gtCoarse', faults)
        label_mapping = LabelMapping.load(mapping or bundled_mapping('cityscapes'), hierarchy)
        super().__init__(label_mapping, files, faults, strict)


class MiniCity(_CityscapesImages):
    """300 images of Cityscapes, without city folders: the VIPriors 2020 segmentation challenge.

    ``<root>/leftImg8bit/<split>/*_leftImg8bit.png`` and
    ``<root>/gtFine/<split>/*_gtFine_{labelIds,instanceIds}.png``, split train (200) or val (100).
    Its evaluation knows the 19 classes that have train ids; its mapping ignores the others.
    """

    name = 'minicity'
    title = 'MiniCity'
    licence = Cityscapes.licence

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
    ) -> None:
        """List the files; HierSegError if a folder or the labels of an image are missing."""
        if split == 'test':
            raise HierSegError(
                'minicity: the test split has no labels; use train or val, or have hier-seg '
                'evaluate write --predictions for the challenge to score'
            )
        require_split(self.name, split, ('train', 'val'))
        images, labels = root / 'leftImg8bit' / split, root / 'gtFine' / split
        for folder in (images, labels):
            require_folder(folder, f'MiniCity has leftImg8bit/{split}/ and gtFine/{split}/')
        faults: list[Fault] = []
        paths = sorted(images.glob(f'*{IMAGE_ENDING}'))
        files = _label_files(paths, images, labels, 'gtFine', faults)
        label_mapping = LabelMapping.load(mapping or bundled_mapping(self.name), hierarchy)
        super().__init__(label_mapping, files, faults, strict)


def check_label_ids(values: NDArray[np.uint8], path: Path, coarse: bool = False) -> None:
    """Raise HierSegError if the values (H, W) of a label file are train ids, not label ids.

    Only train ids have 255. Without it they give themselves away by having nothing above 19, and
    yet most pixels in several of the values 0-6, or many different values. In a `coarse`
    annotation 0 says nothing: there it is void more often than not.
    """
    counts = np.bincount(values.ravel(), minlength=256)
    advice = 'give the *_labelIds.png files, which know more classes'
    if counts[TRAIN_ID_VOID]:
        raise HierSegError(
            f'{path}: holds train ids, not label ids ({counts[TRAIN_ID_VOID]} pixels have 255, '
            f'which label ids have not); {advice}'
        )
    if counts[LAST_TRAIN_ID + 1 :].any():
        return
    low = counts[: LAST_VOID_LABEL_ID + 1]
    classes = counts[LAST_VOID_LABEL_ID + 1 :]
    void_pixels = low[1:].sum() if coarse else low.sum()
    # Without any class the image is void throughout, which is no sign of train ids.
    mostly_void = void_pixels > classes.sum() > 0 and np.count_nonzero(low) >= 3
    if mostly_void or np.count_nonzero(counts) >= MANY_VALUES:
        raise HierSegError(
            f'{path}: holds train ids, not label ids (no pixel is above {LAST_TRAIN_ID}, and '
            f'{void_pixels / values.size:.0%} have values that as label ids are void); {advice}'
        )


def _refuse_test(name: str) -> None:
    raise HierSegError(
        f'{name}: the labels of the test split are dummies (they know only the ego vehicle and '
        f'the border); use train or val, or have hier-seg evaluate --format cityscapes write '
        f'--predictions for the benchmark to score'
    )


def _city_files(root: Path, split: str, kind: str, faults: list[Fault]) -> list[LabelledFile]:
    """Return the files of a split; `kind` is gtFine or gtCoarse. What is wrong goes to `faults`."""
    images, labels = root / 'leftImg8bit' / split, root / kind / split
    for folder in (images, labels):
        require_folder(
            folder, f'Cityscapes has leftImg8bit/{split}/<city>/ and {kind}/{split}/<city>/'
        )
    first: dict[str, Path] = {}
    for path in sorted(images.glob(f'*/*{IMAGE_ENDING}')):
        if path.name in first:
            reason = f'is there as {first[path.name]} too; each image must be there once'
            faults.append(Fault('repeated', path, reason))
        else:
            first[path.name] = path
    return _label_files(first.values(), images, labels, kind, faults)


def _label_files(
    paths: Iterable[Path], images: Path, labels: Path, kind: str, faults: list[Fault]
) -> list[LabelledFile]:
    """Return the images with their labels, which lie in the same sub-folders as they."""
    files = []
    for path in paths:
        stem = path.name.removesuffix(IMAGE_ENDING)
        folder = labels / path.parent.relative_to(images)
        label_path = folder / f'{stem}_{kind}_labelIds.png'
        train_ids = folder / f'{stem}_{kind}_labelTrainIds.png'
        if not label_path.is_file() and train_ids.is_file():
            reason = (
                f'its labels {label_path} are missing, only {train_ids.name} is there; train ids '
                f'know fewer classes than the data set, so give the labelIds files'
            )
            faults.append(Fault('missing_label', path, reason))
            continue
        instances = folder / f'{stem}_{kind}_instanceIds.png'
        files.append(LabelledFile(path, label_path, instances if instances.is_file() else None))
    if not files and not faults:
        raise HierSegError(f'{images}: holds no *{IMAGE_ENDING}; check the data folder')
    return files
