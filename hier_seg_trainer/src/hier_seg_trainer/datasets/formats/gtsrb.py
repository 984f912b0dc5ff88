# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""German Traffic Sign Recognition Benchmark: crops of single signs, to learn from or to paste."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.faults import Fault, check_faults
from hier_seg_trainer.datasets.formats.labelled_images import require_split
from hier_seg_trainer.datasets.mapping import LabelMapping, bundled_mapping
from hier_seg_trainer.datasets.samples import StreetSample, Supervision, open_image

# Below the data set's root: a folder a class, and the list beside the crops of the test set.
TRAINING_FOLDER = Path('Final_Training') / 'Images'
TEST_LIST = Path('Final_Test') / 'Images' / 'GT-final_test.csv'

# Of the tracks of a class, in the order of their numbers, one in so many is for validation.
TRACKS_PER_VALIDATION_TRACK = 5


@dataclass(frozen=True)
class SignCrop:
    """One crop: its file, the sign inside it (left, top, right, bottom), its node and outline."""

    path: Path
    region: tuple[int, int, int, int]
    node_id: int
    shape: str


class Gtsrb:
    """``<root>/Final_Training/Images/<class>/GT-<class>.csv`` and the images that it lists.

    A track (the first number of a file name) is one sign as the car came near it, so frames are
    never split: ``val`` is every fifth track of a class, ``train`` the others. Two tracks can
    show the same physical sign, which their names do not tell (of class 9, 00039 in ``val`` and
    00040 in ``train``): scores on ``val`` may be a little too good. ``test`` is
    ``<root>/Final_Test/Images`` with its ``GT-final_test.csv``. Stallkamp et al., "Man vs.
    computer: Benchmarking machine learning algorithms for traffic sign recognition", Neural
    Networks 2012.
    """

    name = 'gtsrb'
    title = 'GTSRB'
    licence = 'research use; cite Stallkamp et al., Neural Networks 2012'
    supervision: Supervision = 'image'
    complete_boxes = False

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
    ) -> None:
        """Read the lists; HierSegError if there are none or, if `strict`, anything is wrong."""
        require_split(self.name, split, ('train', 'val', 'test'))
        self.mapping = LabelMapping.load(mapping or bundled_mapping('gtsdb'), hierarchy)
        self.mapping.require_values()
        self.node_names = self.mapping.node_names
        self.mirror_of_id = self.mapping.mirror_of_id
        faults: list[Fault] = []
        if split == 'test':
            listed = _read_list(root / TEST_LIST, self.mapping, faults)
        else:
            folder = root / TRAINING_FOLDER
            lists = sorted(folder.glob('*/GT-*.csv'))
            if not lists:
                raise HierSegError(f'{folder}: holds no GT-*.csv; give the root of the GTSRB')
            listed = [
                crop
                for path in lists
                for crop in _of_split(_read_list(path, self.mapping, faults), split)
            ]
        self._crops = []
        for crop in listed:
            if crop.path.is_file():
                self._crops.append(crop)
            else:
                reason = 'is missing; the list beside it names it, so restore it'
                faults.append(Fault('missing_image', crop.path, reason))
        self.faults = check_faults(faults, strict or not self._crops)
        if not self._crops:
            raise HierSegError(
                f'{root}: has no crop of the {split} split; a class needs '
                f'{TRACKS_PER_VALIDATION_TRACK} tracks for one in val'
            )
        by_node: dict[int, list[SignCrop]] = defaultdict(list)
        for crop in self._crops:
            by_node[crop.node_id].append(crop)
        self._by_node = list(by_node.values())

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self._crops)

    def image_path(self, index: int) -> Path:
        """Return the crop's file."""
        return self._crops[index].path

    def label_path(self, index: int) -> None:
        """Return None: the label stands in a list."""
        return

    def __getitem__(self, index: int) -> StreetSample:
        """Read one crop, with its border, and the sign that it shows."""
        crop = self._crops[index]
        return StreetSample(open_image(crop.path), None, None, crop.node_id)

    def random_crop(self, rng: np.random.Generator) -> tuple[Image.Image, SignCrop]:
        """Return a sign without its border, each class being as likely as any other."""
        crops = self._by_node[rng.integers(len(self._by_node))]
        crop = crops[rng.integers(len(crops))]
        return open_image(crop.path).crop(crop.region), crop


def _read_list(path: Path, mapping: LabelMapping, faults: list[Fault]) -> list[SignCrop]:
    """Return the crops that a list names, in its order; rows that cannot be used go to `faults`."""
    classes = mapping.by_value()
    crops = []
    for number, row in _rows(path, faults):
        try:
            value = int(row['ClassId'])
            x1, y1, x2, y2 = (int(row[f'Roi.{edge}']) for edge in ('X1', 'Y1', 'X2', 'Y2'))
            image = path.parent / row['Filename']
        except (KeyError, ValueError, TypeError) as error:
            reason = f'line {number}: the row {row} cannot be used ({error!r}); correct it'
            faults.append(Fault('bad_row', path, reason))
            continue
        if value not in classes:
            reason = f'line {number}: {mapping.path.name} has no class {value}; correct one of them'
            faults.append(Fault('unknown_class', path, reason))
        elif x2 < x1 or y2 < y1:
            reason = f'line {number}: the region {x1}, {y1}, {x2}, {y2} is empty; correct it'
            faults.append(Fault('empty_box', path, reason))
        else:
            region = (x1, y1, x2 + 1, y2 + 1)
            entry = classes[value]
            crops.append(SignCrop(image, region, entry.node.id, entry.outline))
    return crops


def _of_split(crops: list[SignCrop], split: str) -> list[SignCrop]:
    """Return the crops of one class that belong to ``train`` or ``val``."""
    tracks = sorted({_track(crop) for crop in crops})
    validation = set(tracks[TRACKS_PER_VALIDATION_TRACK - 1 :: TRACKS_PER_VALIDATION_TRACK])
    return [crop for crop in crops if (_track(crop) in validation) == (split == 'val')]


def _track(crop: SignCrop) -> str:
    return crop.path.stem.partition('_')[0]


def _rows(path: Path, faults: list[Fault]) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a list with the numbers of their lines."""
    try:
        with path.open(encoding='utf-8', newline='') as file:
            reader = csv.DictReader(file, delimiter=';')
            return [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        faults.append(Fault('unreadable', path, f'cannot be read ({error}); restore it'))
        return []
