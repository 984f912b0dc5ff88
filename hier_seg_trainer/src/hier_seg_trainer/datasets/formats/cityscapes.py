# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cityscapes, fine and coarse, and MiniCity: street images of 2048x1024, every pixel labelled.

::

    leftImg8bit/train/ulm/ulm_000012_000019_leftImg8bit.png
    gtFine/train/ulm/ulm_000012_000019_gtFine_labelIds.png          0-33
    gtFine/train/ulm/ulm_000012_000019_gtFine_instanceIds.png       label id * 1000 + number
    leftImg8bit/val/, gtFine/val/
    leftImg8bit/train_extra/, gtCoarse/train/, gtCoarse/train_extra/, gtCoarse/val/

MiniCity has no folders for cities. All have label ids; the train ids (0-18, 255) that many programs
make of them know fewer classes, so such files are refused.

>>> dataset = Cityscapes(data, 'train', tree)
>>> len(dataset), dataset[0].image.size, dataset[0].labels.shape
(3, (96, 64), (64, 96))
>>> tree.node_by_id(dataset[0].labels[0, 0]).readable_name
'Sky'

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.readers.image_pairs import add_once, require_folders
from hier_seg_trainer.datasets.readers.labelled_images import LabelledFile, LabelledImages

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
_DUMMIES = (
    'the labels of the test split are dummies (they know only the ego vehicle and the border); use '
    'train or val, or have hier-seg evaluate --format cityscapes write --predictions for the '
    'benchmark to score'
)


class Cityscapes(LabelledImages):
    """The fine annotation: 2975 images for training, 500 for validation."""

    name = bundled = 'cityscapes'
    title = 'Cityscapes'
    licence = 'Cityscapes terms of use (non-commercial); cite Cordts et al., CVPR 2016'
    splits: tuple[str, ...] = ('train', 'val')
    refused_splits: Mapping[str, str] = {
        'test': _DUMMIES,
        'train_extra': 'train_extra has coarse labels only; use the format cityscapes_coarse',
    }
    kind = 'gtFine'
    # Below the folder of a split.
    city = '<city>/'

    def list_files(self, root: Path, split: str, faults: list[Fault]) -> Iterable[LabelledFile]:
        """Return the images of a split with their labels, which lie in the same sub-folders."""
        images, labels = root / 'leftImg8bit' / split, root / self.kind / split
        require_folders(
            [images, labels],
            f'{self.title} has leftImg8bit/{split}/{self.city} and {self.kind}/{split}/{self.city}',
        )
        paths: dict[str, Path] = {}
        for path in sorted(images.glob(f'{"*/" if self.city else ""}*{IMAGE_ENDING}')):
            add_once(paths, path.name, path, faults)
        if not paths:
            raise HierSegError(f'{images}: holds no *{IMAGE_ENDING}; check the data folder')
        for path in paths.values():
            stem = path.name.removesuffix(IMAGE_ENDING)
            start = labels / path.parent.relative_to(images) / f'{stem}_{self.kind}'
            instances = Path(f'{start}_instanceIds.png')
            yield LabelledFile(
                path, Path(f'{start}_labelIds.png'), instances if instances.is_file() else None
            )

    def is_whole(self, file: LabelledFile, faults: list[Fault]) -> bool:
        """Return whether the labels are there, and not only as train ids."""
        train_ids = Path(str(file.labels).replace('_labelIds.png', '_labelTrainIds.png'))
        if file.labels.is_file() or not train_ids.is_file():
            return super().is_whole(file, faults)
        reason = (
            f'its labels {file.labels} are missing, only {train_ids.name} is there; train ids '
            f'know fewer classes than the data set, so give the labelIds files'
        )
        faults.append(Fault('missing_label', file.image, reason))
        return False

    def check_labels(self, values: NDArray[np.uint8], path: Path) -> None:
        """Raise HierSegError if the values (H, W) are train ids."""
        check_label_ids(values, path, self.kind == 'gtCoarse')

    def decode_instances(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return label id * 1000 + number where an object has one of its own, 0 elsewhere."""
        return np.where(values >= INSTANCE_FACTOR, values, 0)


class CityscapesCoarse(Cityscapes):
    """The coarse annotation: polygons of some of the pixels, and 19998 images more."""

    name = 'cityscapes_coarse'
    title = 'Cityscapes (coarse)'
    splits = ('train', 'train_extra', 'val')
    refused_splits: Mapping[str, str] = {'test': _DUMMIES}
    kind = 'gtCoarse'


class MiniCity(Cityscapes):
    """300 images of Cityscapes: the VIPriors 2020 segmentation challenge.

    Train has 200 and val 100. Its evaluation knows the 19 classes that have train ids; its mapping
    ignores the others.
    """

    name = bundled = 'minicity'
    title = 'MiniCity'
    refused_splits: Mapping[str, str] = {
        'test': (
            'the test split has no labels; use train or val, or have hier-seg evaluate write '
            '--predictions for the challenge to score'
        )
    }
    city = ''


def check_label_ids(values: NDArray[np.uint8], path: Path, coarse: bool = False) -> None:
    """Check that a label file holds label ids, not train ids.

    Only train ids have 255. Without it they give themselves away by having nothing above 19, and
    yet most pixels in several of the values 0-6, or many different values.

    Parameters
    ----------
    values
        (H, W) values of the file.
    path
        The file, for errors.
    coarse
        The annotation is coarse: 0 says nothing, since there it is void more often than not.

    Raises
    ------
    HierSegError
        They are train ids.

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
