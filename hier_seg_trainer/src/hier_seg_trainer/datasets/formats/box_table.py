# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One's own images with boxes that a CSV file lists, and a mapping file.

::

    train.csv                image,left,top,right,bottom,class
    images/train/001.jpg     or train/images/ or images/, with train.txt or without

A row is one box in pixels: left and top inside, right and bottom just outside, so that its width is
right - left; fractions are allowed. ``class`` is a name of the mapping file. ``image`` is a path,
with or without suffix, below the folder of the split's images. Images without a row have no box.
With ``images/`` alone, those of the split are the ones in ``train.txt`` (see ``image_pairs``) or,
without it, the ones in the CSV file, where a row with an image and nothing else is an image without
a box.

>>> dataset = BoxTable(data, 'train', tree, mapping)
>>> len(dataset), dataset[0].image.size
(3, (96, 64))
>>> box = dataset.boxes(0)[0]
>>> tree.node_by_id(box.node_id).readable_name, box.left, box.right, box.shape
('Car', 10.0, 40.0, 'rectangle')
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.label_spaces.mapping import MappedClass
from hier_seg_trainer.datasets.faults import EntryError, Fault, noted
from hier_seg_trainer.datasets.readers.boxed_images import BoxedFile, BoxedImages
from hier_seg_trainer.datasets.readers.image_pairs import (
    find_images,
    folder_of_split,
    image_key,
    images_of_split,
)
from hier_seg_trainer.datasets.readers.tables import checked_edges, read_table
from hier_seg_trainer.datasets.samples import Box

COLUMNS = ('image', 'left', 'top', 'right', 'bottom', 'class')

# By name; None for those that the mapping ignores.
Classes = Mapping[str, MappedClass | None]


class BoxTable(BoxedImages):
    """One's own images with the boxes of a CSV file."""

    name = 'boxes_csv'
    labelled_by_value = False

    def list_files(self, root: Path, split: str, faults: list[Fault]) -> Iterable[BoxedFile]:
        """Return the images of a split with their boxes."""
        table = root / f'{split}.csv'
        rows = list(_read_rows(table, faults))
        if (
            folder_of_split(root, 'images', split) == root / 'images'
            and not (root / f'{split}.txt').is_file()
        ):
            listed = {image_key(row['image']) for _, row in rows}
            found = find_images(root / 'images', faults)
            images = {key: path for key, path in found.items() if key in listed}
        else:
            images = images_of_split(root, split, faults)
        classes: Classes = dict.fromkeys(self.mapping.names) | self.mapping.by_name()
        boxes: dict[str, list[Box]] = {key: [] for key in images}
        for line, row in rows:
            with noted(faults, table, line):
                key = image_key(row['image'])
                if key not in boxes:
                    raise EntryError(
                        'missing_image',
                        f'there is no image {row["image"]!r} in the {split} split; correct the '
                        f'name or restore the image',
                    )
                if row['class'] and row['class'] not in classes:
                    raise EntryError('unknown_class', self.mapping.unknown([row['class']]))
                if box := _box(row, classes):
                    boxes[key].append(box)
        if not images and not faults:
            raise HierSegError(f'{table}: lists no image; name at least one')
        return [BoxedFile(path, tuple(boxes[key])) for key, path in images.items()]


def _box(row: dict[str, str], classes: Classes) -> Box | None:
    """Return a row's box; None if it has none, or one of a class that is ignored."""
    name, numbers = row['class'], [row[column] for column in COLUMNS[1:5]]
    if not name and not any(numbers):
        return None
    try:
        left, top, right, bottom = map(float, numbers)
    except ValueError as error:
        reason = f'{str(error)[:200]}; left, top, right, bottom are numbers'
        raise EntryError('bad_row', reason) from error
    if not name:
        raise EntryError('bad_row', 'has no class; name one, or leave all but the image empty')
    edges, entry = checked_edges('the box', (left, top, right, bottom)), classes[name]
    return Box(*edges, entry.node.id, entry.outline) if entry else None


def _read_rows(path: Path, faults: list[Fault]) -> Iterable[tuple[str, dict[str, str]]]:
    """Yield the rows of a table, each with its line in words; faulty lines go to `faults`."""
    header, rows = read_table(path, 'it holds the boxes')
    if header != COLUMNS:
        raise HierSegError(
            f'{path}: its header is {",".join(header)!r}; it must be {",".join(COLUMNS)}'
        )
    for number, row in rows:
        stripped = {column: (row[column] or '').strip() for column in COLUMNS}
        with noted(faults, path, f'line {number}'):
            if not stripped['image'] or None in row:
                reason = f'must have the {len(COLUMNS)} fields {",".join(COLUMNS)}; correct it'
                raise EntryError('bad_row', reason)
            yield f'line {number}', stripped
