# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One's own images with boxes, listed in a CSV or a COCO JSON file, and a mapping file."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.formats.boxed_images import BoxedFile, BoxedImages
from hier_seg_trainer.datasets.image_pairs import (
    find_images,
    image_key,
    images_of_split,
    require_mapping,
)
from hier_seg_trainer.datasets.mapping import LabelMapping, MappedClass
from hier_seg_trainer.datasets.samples import Box

COLUMNS = ('image', 'left', 'top', 'right', 'bottom', 'class')


class BoxTable(BoxedImages):
    """Images and ``<root>/<split>.csv`` with the header ``image,left,top,right,bottom,class``.

    A row is one box in pixels: left and top inside, right and bottom just outside, so that its
    width is right - left; fractions are allowed. ``class`` is a name of the mapping file. ``image``
    is a path, with or without suffix, below the folder of the split's images: ``images/<split>/``,
    ``<split>/images/`` or ``images/``. Images without a row have no box; with ``images/`` alone,
    those of the split are the ones in ``<split>.txt`` (see ``LabelFolder``) or, without it, the
    ones in the CSV file, where a row with an image and nothing else is an image without a box.
    """

    name = 'boxes_csv'
    licence = 'as its owner says'

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
    ) -> None:
        """Read the list; HierSegError names the line that is wrong or the image that is missing."""
        self.title = root.resolve().name
        label_mapping = LabelMapping.load(require_mapping(self.name, mapping), hierarchy)
        table = root / f'{split}.csv'
        rows, faults = _read_table(table)
        split_is_given = any(
            path.exists()
            for path in (root / 'images' / split, root / split / 'images', root / f'{split}.txt')
        )
        if split_is_given or not (root / 'images').is_dir():
            images = images_of_split(root, split, faults)
        else:
            listed = {image_key(row['image']) for _, row in rows}
            images = {
                key: path
                for key, path in find_images(root / 'images', faults).items()
                if key in listed
            }
        classes = {entry.name: None for entry in label_mapping.ignored} | label_mapping.by_name()
        boxes: dict[str, list[Box]] = {key: [] for key in images}
        for number, row in rows:
            key = image_key(row['image'])
            if key not in boxes:
                reason = (
                    f'line {number}: there is no image {row["image"]!r} in the {split} split; '
                    f'correct the name or restore the image'
                )
                faults.append(Fault('missing_image', table, reason))
            elif row['class'] and row['class'] not in classes:
                reason = f'line {number}: {label_mapping.unknown([row["class"]])}'
                faults.append(Fault('unknown_class', table, reason))
            elif any(row[column] for column in COLUMNS[1:]):
                box = _table_box(row, classes, table, number)
                if isinstance(box, Fault):
                    faults.append(box)
                elif box is not None:
                    boxes[key].append(box)
        if not images and not faults:
            raise HierSegError(f'{table}: lists no image; name at least one')
        files = [BoxedFile(path, tuple(boxes[key])) for key, path in images.items()]
        super().__init__(label_mapping, files, faults, strict)


class CocoBoxes(BoxedImages):
    """Images and boxes in COCO's JSON format.

    The JSON file is ``<root>/annotations/<split>.json``, ``.../instances_<split>.json`` or
    ``<root>/<split>.json``; its ``file_name`` are below ``images/<split>/``, ``<split>/images/``,
    ``images/``, ``<split>/`` or the root. ``bbox`` is left, top, width, height in pixels; the names
    of the categories are those of the mapping file; an image without annotations has no box.

    A crowd (``iscrowd: 1``) is no object with an outline: its box is left out. Where the mapping
    file says ``complete_boxes: true`` its image is left out with it, since there the pixels that
    have no box train "none of these". Boxes without an area are left out, too. Lin et al.,
    "Microsoft COCO: Common Objects in Context", ECCV 2014.
    """

    name = 'boxes_coco'
    licence = 'as its owner says'

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
    ) -> None:
        """Read the JSON file; HierSegError names what is wrong in it or the missing image."""
        self.title = root.resolve().name
        label_mapping = LabelMapping.load(require_mapping(self.name, mapping), hierarchy)
        candidates = [
            root / 'annotations' / f'{split}.json',
            root / 'annotations' / f'instances_{split}.json',
            root / f'{split}.json',
        ]
        path = next((path for path in candidates if path.is_file()), candidates[0])
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
        except (OSError, ValueError) as error:
            raise HierSegError(f'{path}: cannot be read ({error}); it holds the boxes') from error
        try:
            files, faults = _read_coco(content, path, root, split, label_mapping, strict)
        except (AttributeError, KeyError, TypeError) as error:
            raise HierSegError(
                f'{path}: is no COCO file with images, categories and annotations ({error!r}); '
                f'correct it'
            ) from error
        super().__init__(label_mapping, files, faults, strict)


def _read_table(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[Fault]]:
    """Return the rows of a CSV file with the numbers of their lines, and the faulty lines."""
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            reader = csv.DictReader(file)
            header = tuple((name or '').strip() for name in reader.fieldnames or ())
            if header != COLUMNS:
                raise HierSegError(
                    f'{path}: its header is {",".join(header)!r}; it must be {",".join(COLUMNS)}'
                )
            reader.fieldnames = list(header)
            rows, faults = [], []
            for row in reader:
                stripped = {column: (row[column] or '').strip() for column in COLUMNS}
                if stripped['image'] and None not in row:
                    rows.append((reader.line_num, stripped))
                else:
                    reason = (
                        f'line {reader.line_num}: must have the {len(COLUMNS)} fields '
                        f'{",".join(COLUMNS)}; correct it'
                    )
                    faults.append(Fault('bad_row', path, reason))
            return rows, faults
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise HierSegError(f'{path}: cannot be read ({error}); it holds the boxes') from error


def _table_box(
    row: dict[str, str], classes: Mapping[str, MappedClass | None], table: Path, number: int
) -> Box | Fault | None:
    """Return a row's box, None for one of an ignored class, or why it cannot be used."""
    where = f'line {number}:'
    try:
        left, top, right, bottom = (float(row[column]) for column in COLUMNS[1:5])
    except ValueError as error:
        reason = f'{where} {error}; left, top, right, bottom are numbers'
        return Fault('bad_row', table, reason)
    if not row['class']:
        reason = f'{where} has no class; name one, or leave all but the image empty'
        return Fault('bad_row', table, reason)
    if not (left < right < math.inf and top < bottom < math.inf and min(left, top) > -math.inf):
        reason = (
            f'{where} the box {left:g}, {top:g}, {right:g}, {bottom:g} is empty; right and bottom '
            f'lie beyond left and top'
        )
        return Fault('empty_box', table, reason)
    entry = classes[row['class']]
    return Box(left, top, right, bottom, entry.node.id, entry.outline) if entry else None


def _read_coco(
    content: Any, path: Path, root: Path, split: str, mapping: LabelMapping, strict: bool
) -> tuple[list[BoxedFile], list[Fault]]:
    """Return the images of a COCO file, and what is wrong with others or with annotations.

    Raises AttributeError, KeyError or TypeError if it is no COCO file.
    """
    faults: list[Fault] = []
    names = {entry['id']: entry['name'] for entry in content['categories']}
    if unknown := mapping.unknown(names.values()):
        faults.append(Fault('unknown_class', path, unknown))
    images = _coco_images(content['images'], path, root, split, faults)
    listed = {entry.get('id') for entry in content['images']}
    boxes: dict[Any, list[Box]] = {image_id: [] for image_id in images}
    classes = mapping.by_name()
    crowded = set()
    for number, annotation in enumerate(content['annotations']):
        where = f'annotation {annotation.get("id", number)}:'
        image_id, category = annotation.get('image_id'), annotation.get('category_id')
        if image_id not in listed or category not in names:
            reason = (
                f'{where} there is no image {image_id!r} or no category {category!r}; correct it'
            )
            faults.append(Fault('bad_row', path, reason))
            continue
        entry = classes.get(names[category])
        if entry is None or image_id not in images:
            continue
        extent = annotation.get('bbox')
        try:
            left, top, width, height = (float(value) for value in extent)
        except (TypeError, ValueError):
            left = top = width = height = math.nan
        if not (0 <= width < math.inf and 0 <= height < math.inf and math.isfinite(left + top)):
            reason = f'{where} the box {extent} is not left, top, width, height; correct it'
            faults.append(Fault('bad_row', path, reason))
        elif annotation.get('iscrowd'):
            crowded.add(image_id)
        elif width > 0 and height > 0:
            box = Box(left, top, left + width, top + height, entry.node.id, entry.outline)
            boxes[image_id].append(box)
        elif not strict:  # COCO itself has some: they are no reason to refuse it
            reason = f'{where} the box {extent} is empty; correct or remove it'
            faults.append(Fault('empty_box', path, reason))
    left_out = crowded if mapping.complete_boxes else set()
    files = [
        BoxedFile(image_path, tuple(boxes[image_id]), size)
        for image_id, (image_path, size) in images.items()
        if image_id not in left_out
    ]
    return files, faults


def _coco_images(
    entries: list[dict[str, Any]], path: Path, root: Path, split: str, faults: list[Fault]
) -> dict[Any, tuple[Path, tuple[int, int] | None]]:
    """Return the images' files and sizes (width, height) by their ids."""
    if not entries:
        raise HierSegError(f'{path}: lists no image; a data set needs at least one')
    names = [entry['file_name'] for entry in entries if isinstance(entry.get('file_name'), str)]
    folder = _coco_folder(root, split, names, path)
    images: dict[Any, tuple[Path, tuple[int, int] | None]] = {}
    used: set[str] = set()
    for number, entry in enumerate(entries):
        image_id, name = entry.get('id'), entry.get('file_name')
        try:
            size = (int(entry['width']), int(entry['height'])) if _has_size(entry) else None
        except (TypeError, ValueError):
            name = None
        if image_id is None or not isinstance(name, str):
            where = f'image {number if image_id is None else image_id}:'
            reason = f'{where} needs an id, a file_name, whole width and height; correct it'
            faults.append(Fault('bad_row', path, reason))
        elif image_id in images or name in used:
            reason = f'lists an image or its id twice: {image_id}, {name}; remove one'
            faults.append(Fault('repeated', path, reason))
        elif not (folder / name).is_file():
            reason = f'is missing; {path.name} lists it, so restore it'
            faults.append(Fault('missing_image', folder / name, reason))
        else:
            images[image_id] = folder / name, size
            used.add(name)
    return images


def _has_size(image: dict[str, Any]) -> bool:
    return image.get('width') is not None and image.get('height') is not None


def _coco_folder(root: Path, split: str, names: list[str], path: Path) -> Path:
    """Return the folder that the images are in: the first one that has any of them."""
    candidates = [
        root / 'images' / split,
        root / split / 'images',
        root / 'images',
        root / split,
        root,
    ]
    for folder in candidates:
        if folder.is_dir() and any((folder / name).is_file() for name in names):
            return folder
    if not names:
        return root
    raise HierSegError(
        f'{candidates[0] / names[0]}: is missing, and no image of {path.name} is there or in '
        f'{", ".join(str(folder.relative_to(root)) + "/" for folder in candidates[1:])} of {root}; '
        f'put them into one of these'
    )
