# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""German Traffic Sign Recognition Benchmark: crops of single signs, to learn from or to paste.

::

    Final_Training/Images/00001/00000_00029.ppm    <class>/<track>_<frame>
    Final_Training/Images/00001/GT-00001.csv       Filename;Width;Height;Roi.X1;…;Roi.Y2;ClassId
    Final_Test/Images/00000.ppm
    Final_Test/Images/GT-final_test.csv

``Roi`` is the sign, its edges inclusive; around it is a border of a tenth of its size. A track is
one sign as the car came near it, so frames are never split: ``val`` is every fifth track of a
class, ``train`` the others. Two tracks can show the same physical sign, which their names do not
tell (of class 9, 00039 in ``val`` and 00040 in ``train``): scores on ``val`` may be a little too
good.

>>> dataset = Gtsrb(data, 'train', tree)
>>> len(dataset), dataset[0].image.size
(3, (40, 40))
>>> tree.node_by_id(dataset[0].image_label).readable_name
'speed limit 30'

Stallkamp et al., "Man vs. computer: Benchmarking machine learning algorithms for traffic sign
recognition", Neural Networks 2012.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_trainer.datasets.faults import EntryError, Fault, noted
from hier_seg_trainer.datasets.readers.annotations import shown
from hier_seg_trainer.datasets.readers.image_pairs import is_file
from hier_seg_trainer.datasets.readers.reader import Reader
from hier_seg_trainer.datasets.readers.tables import checked_edges, read_table
from hier_seg_trainer.datasets.samples import Box, StreetSample, Supervision
from hier_seg_trainer.datasets.stored_pixels import open_image

# Below the data set's root: a folder for each class, and the list beside the crops of the test set.
TRAINING_FOLDER = Path('Final_Training') / 'Images'
TEST_LIST = Path('Final_Test') / 'Images' / 'GT-final_test.csv'

# Of the tracks of a class, in the order of their numbers, one in so many is for validation.
TRACKS_PER_VALIDATION_TRACK = 5


@dataclass(frozen=True)
class SignCrop:
    """One crop.

    Attributes
    ----------
    image
        Its file.
    region
        The sign inside it: left, top, right and bottom in pixels; right and bottom are outside.
    node_id
        The node that it shows.
    shape
        The sign's outline: a key of ``shapes.OUTLINES``.

    """

    image: Path
    region: tuple[float, float, float, float]
    node_id: int
    shape: str


class Gtsrb(Reader[SignCrop]):
    """Crops with one label each."""

    name = 'gtsrb'
    bundled = 'gtsdb'
    title = 'GTSRB'
    licence = 'research use; cite Stallkamp et al., Neural Networks 2012'
    splits = ('train', 'val', 'test')
    supervision: Supervision = 'image'

    def list_files(self, root: Path, split: str, faults: list[Fault]) -> Iterable[SignCrop]:
        """Return the crops of a split."""
        if split == 'test':
            return _read_list(root / TEST_LIST, self.mapping, faults)
        folder = root / TRAINING_FOLDER
        lists = sorted(folder.glob('*/GT-*.csv'))
        if not lists:
            raise HierSegError(f'{folder}: holds no GT-*.csv; give the root of the GTSRB')
        crops = [
            crop
            for path in lists
            for crop in _of_split(_read_list(path, self.mapping, faults), split)
        ]
        if not crops and not faults:
            raise HierSegError(
                f'{root}: has no crop of the {split} split; a class needs '
                f'{TRACKS_PER_VALIDATION_TRACK} tracks for one in val'
            )
        return crops

    def is_whole(self, file: SignCrop, faults: list[Fault]) -> bool:
        """Return whether the crop is there; a missing one goes to `faults`."""
        if is_file(file.image):
            return True
        reason = 'is missing; the list beside it names it, so restore it'
        faults.append(Fault('missing_image', file.image, reason))
        return False

    def __getitem__(self, index: int) -> StreetSample:
        """Read one crop, with its border, and the sign that it shows."""
        crop = self._files[index]
        return StreetSample(open_image(crop.image), None, None, crop.node_id)

    def region(self, index: int) -> Box:
        """Return where the sign is in a crop, and what it shows, without reading the image."""
        crop = self._files[index]
        return Box(*crop.region, crop.node_id, crop.shape)

    def random_crop(self, rng: np.random.Generator) -> tuple[Image.Image, SignCrop]:
        """Return a sign without its border, each class being as likely as any other.

        Raises
        ------
        HierSegError
            The crop cannot be read, or is smaller than its list says.

        """
        crops = self._by_node[rng.integers(len(self._by_node))]
        crop = crops[rng.integers(len(crops))]
        image = open_image(crop.image)
        left, top, right, bottom = crop.region
        if left < 0 or top < 0 or right > image.width or bottom > image.height:
            raise HierSegError(
                f'{crop.image}: has {image.width}x{image.height} pixels, its sign reaches from '
                f'{left:g}, {top:g} to {right:g}, {bottom:g}; correct the list beside it'
            )
        return image.crop(crop.region), crop

    @cached_property
    def _by_node(self) -> list[list[SignCrop]]:
        by_node: dict[int, list[SignCrop]] = {}
        for crop in self._files:
            by_node.setdefault(crop.node_id, []).append(crop)
        return list(by_node.values())


def _read_list(path: Path, mapping: LabelMapping, faults: list[Fault]) -> Iterator[SignCrop]:
    """Yield the crops that a list names, in its order; rows that cannot be used go to `faults`."""
    classes = mapping.by_value()
    try:
        _, rows = read_table(path, 'restore it', ';')
    except HierSegError as error:
        faults.append(Fault('unreadable', path, str(error).removeprefix(f'{path}: ')))
        return
    for number, row in rows:
        with noted(faults, path, f'line {number}'):
            try:
                value = int(row['ClassId'])
                x1, y1, x2, y2 = (int(row[f'Roi.{edge}']) for edge in ('X1', 'Y1', 'X2', 'Y2'))
                name = row['Filename'] or ''
                if not name.isprintable():
                    raise ValueError('no name of a file')
            except (KeyError, ValueError, TypeError) as error:
                reason = f'the row {shown(row)} cannot be used ({error!r}); correct it'
                raise EntryError('bad_row', reason) from error
            if value not in classes:
                reason = f'{mapping.path.name} has no class {value}; correct one of them'
                raise EntryError('unknown_class', reason)
            region = checked_edges('the region', (x1, y1, x2, y2), inclusive=True)
            yield SignCrop(
                path.parent / name, region, classes[value].node.id, classes[value].outline
            )


def _of_split(crops: Iterable[SignCrop], split: str) -> list[SignCrop]:
    """Return the crops of one class that belong to ``train`` or ``val``."""
    crops = list(crops)
    tracks = sorted({_track(crop) for crop in crops})
    validation = set(tracks[TRACKS_PER_VALIDATION_TRACK - 1 :: TRACKS_PER_VALIDATION_TRACK])
    return [crop for crop in crops if (_track(crop) in validation) == (split == 'val')]


def _track(crop: SignCrop) -> str:
    return crop.image.stem.partition('_')[0]
