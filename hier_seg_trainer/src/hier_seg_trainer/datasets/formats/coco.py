# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One's own images with boxes or masks in COCO's JSON format, and a mapping file.

::

    annotations/train.json    or annotations/instances_train.json or train.json,
                              or train/_annotations.coco.json, as Roboflow writes it
    images/train/001.jpg      or train/images/, images/, train/ or the root

The names of the categories are those of the mapping file; a category that no annotation has and
that others name as their ``supercategory`` need not be there. An image without annotations has
nothing of them.

As ``boxes_coco`` the ``bbox`` of an annotation (left, top, width, height in pixels) is its box. A
crowd (``iscrowd: 1``) is no object with an outline: its box is left out. Where the mapping file
says ``complete_boxes: true`` its image is left out with it, since there the pixels that have no box
train "none of these". Boxes without an area are left out, too.

As ``masks_coco`` its ``segmentation`` labels pixels: polygons, or run lengths, compressed or not. A
later annotation covers an earlier one, and what none covers is unlabelled.

>>> dataset = CocoBoxes(data, 'train', tree, mapping)
>>> len(dataset), dataset[0].image.size
(3, (96, 64))
>>> box = dataset.boxes(0)[0]
>>> tree.node_by_id(box.node_id).readable_name, box.left, box.right
('Car', 10.0, 40.0)
>>> dataset = CocoMasks(data, 'train', tree, mapping)
>>> tree.node_by_id(dataset[0].labels[20, 20]).readable_name, int(dataset[0].labels[0, 0])
('Car', 255)

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import read_json
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_trainer.datasets.faults import EntryError, Fault, noted
from hier_seg_trainer.datasets.readers.annotations import corners, mappings, shown, whole_number
from hier_seg_trainer.datasets.readers.boxed_images import BoxedFile, BoxedImages
from hier_seg_trainer.datasets.readers.image_pairs import is_file
from hier_seg_trainer.datasets.readers.labelled_images import LabelledFile, LabelledImages
from hier_seg_trainer.datasets.readers.regions import MAXIMUM_PIXELS, Drawing, Polygon, Region, Runs
from hier_seg_trainer.datasets.readers.run_lengths import read_runs
from hier_seg_trainer.datasets.readers.tables import checked_edges
from hier_seg_trainer.datasets.samples import Box

_FILES = (
    'annotations/{}.json',
    'annotations/instances_{}.json',
    '{}.json',
    '{}/_annotations.coco.json',
)
_IMAGE_FOLDERS = ('images/{}/', '{}/images/', 'images/', '{}/', './')
_NEEDED = 'needs an id, a file_name, whole width and height; correct it'


@dataclass(frozen=True)
class CocoAnnotation:
    """An annotation: its place in the file in words, its category's name, what it holds."""

    where: str
    label: str
    content: Mapping[str, Any]


@dataclass(frozen=True)
class CocoImage:
    """An image of a COCO file: its file, its (width, height) if they are given, its annotations."""

    path: Path
    size: tuple[int, int] | None
    annotations: list[CocoAnnotation] = field(default_factory=list)


class CocoBoxes(BoxedImages):
    """One's own images with the boxes of a COCO file."""

    name = 'boxes_coco'
    labelled_by_value = False
    # COCO itself has some: they are no reason to refuse it.
    tolerated = ('empty_box',)

    def list_files(self, root: Path, split: str, faults: list[Fault]) -> Iterable[BoxedFile]:
        """Return the images of a split with their boxes."""
        source, images = read_coco(root, split, self.mapping, faults)
        classes = self.mapping.by_name()
        for image in images:
            boxes = []
            crowded = False
            for annotation in image.annotations:
                entry = classes.get(annotation.label)
                if entry is None:
                    continue
                with noted(faults, source, annotation.where):
                    edges = _edges(annotation.content.get('bbox'))
                    if annotation.content.get('iscrowd'):
                        crowded = True
                    else:
                        edges = checked_edges('the box', edges)
                        boxes.append(Box(*edges, entry.node.id, entry.outline))
            if not (crowded and self.mapping.complete_boxes):
                yield BoxedFile(image.path, tuple(boxes), image.size)


@dataclass(frozen=True, kw_only=True)
class _DrawnFile(LabelledFile):
    drawing: Drawing


class CocoMasks(LabelledImages):
    """One's own images with the masks of a COCO file."""

    name = 'masks_coco'
    labelled_by_value = False

    def list_files(self, root: Path, split: str, faults: list[Fault]) -> Iterable[LabelledFile]:
        """Return the images of a split with their masks."""
        source, images = read_coco(root, split, self.mapping, faults)
        for image in images:
            if image.size is None or image.size[0] * image.size[1] > MAXIMUM_PIXELS:
                reason = f'{source.name} must give its width and height, which its masks have'
                faults.append(Fault('bad_row', image.path, reason))
                continue
            regions: list[Region] = []
            for annotation in image.annotations:
                with noted(faults, source, annotation.where):
                    segmentation = annotation.content.get('segmentation')
                    regions += _regions(annotation.label, segmentation, image.size)
            yield _DrawnFile(image.path, source, drawing=Drawing(*image.size, tuple(regions)))

    def label_path(self, index: int) -> None:
        """Return None: the masks of all images stand in one file."""
        return

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Return an image's labels; see ``LabelledImages.labels``."""
        file = self._files[index]
        assert isinstance(file, _DrawnFile)
        return file.drawing.node_ids(self.mapping, file.labels)


def read_coco(
    root: Path, split: str, mapping: LabelMapping, faults: list[Fault]
) -> tuple[Path, list[CocoImage]]:
    """Return the JSON file of a split, and its images that are there.

    Parameters
    ----------
    root, split
        As for a reader.
    mapping
        It knows the categories.
    faults
        Images and annotations that cannot be used are added here.

    Raises
    ------
    HierSegError
        The file cannot be read, is none of COCO's, or has no image that is there.

    """
    places = [root / place.format(split) for place in _FILES]
    path = next((place for place in places if place.is_file()), places[0])
    content = read_json(path, 'it holds the annotations')
    sections = [mappings(content, key) for key in ('categories', 'images', 'annotations')]
    if any(section is None for section in sections):
        raise HierSegError(
            f'{path}: is no COCO file with images, categories and annotations; correct it'
        )
    categories, entries, annotations = (section or [] for section in sections)
    names = _names(categories, annotations, path)
    if unknown := mapping.unknown(names.values()):
        faults.append(Fault('unknown_class', path, unknown))
    if not entries:
        raise HierSegError(f'{path}: lists no image; a data set needs at least one')
    images = _images(entries, path, root, split, faults)
    listed = {_key(entry.get('id')) for entry in entries}
    known = set(mapping.names)
    for number, annotation in enumerate(annotations):
        where = f'annotation {shown(annotation.get("id", number))}'
        image_id, category = (_key(annotation.get(key)) for key in ('image_id', 'category_id'))
        with noted(faults, path, where):
            if image_id not in listed or category not in names:
                wanted = f'no image {shown(image_id)} or no category {shown(category)}'
                raise EntryError('bad_row', f'there is {wanted}; correct it')
            if image_id in images and names[category] in known:
                found = CocoAnnotation(where, names[category], annotation)
                images[image_id].annotations.append(found)
    return path, list(images.values())


def _key(value: object) -> int | float | str | None:
    """Return an id; None for what is none."""
    return value if isinstance(value, int | float | str) else None


def _names(
    categories: list[Mapping[str, Any]], annotations: list[Mapping[str, Any]], path: Path
) -> dict[object, str]:
    """Return the names of the categories by their id, without those that only head others."""
    used = {_key(annotation.get('category_id')) for annotation in annotations}
    heads = {
        above
        for category in categories
        if isinstance(above := category.get('supercategory'), str) and above != category.get('name')
    }
    names: dict[object, str] = {}
    for category in categories:
        category_id, name = _key(category.get('id')), category.get('name')
        if category_id is None or not isinstance(name, str):
            raise HierSegError(
                f'{path}: is no COCO file: the category {shown(category)} has no id or no name; '
                f'correct it'
            )
        if category_id in used or name not in heads:
            names[category_id] = name
    return names


def _images(
    entries: list[Mapping[str, Any]], path: Path, root: Path, split: str, faults: list[Fault]
) -> dict[object, CocoImage]:
    """Return the images by their ids."""
    entries = [{**entry, 'file_name': _file_name(entry.get('file_name'))} for entry in entries]
    names = [n for entry in entries if isinstance(n := entry.get('file_name'), str)]
    folder = _folder(root, split, names, path)
    images: dict[object, CocoImage] = {}
    used: set[str] = set()
    for number, entry in enumerate(entries):
        image_id, name = _key(entry.get('id')), entry.get('file_name')
        with noted(faults, path, f'image {shown(number if image_id is None else image_id)}'):
            if image_id is None or not isinstance(name, str) or not name.isprintable():
                raise EntryError('bad_row', _NEEDED)
            image = CocoImage(folder / name, _size(entry))
            if image_id in images or name in used:
                raise EntryError('repeated', 'lists an image or its id twice; remove one')
            if is_file(image.path):
                images[image_id] = image
                used.add(name)
            else:
                reason = f'is missing; {path.name} lists it, so restore it'
                faults.append(Fault('missing_image', image.path, reason))
    return images


def _file_name(name: object) -> object:
    """Return a name with the separator of all systems but Windows."""
    return name.replace('\\', '/') if isinstance(name, str) else name


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return an image's (width, height), if they are given."""
    if None in (entry.get('width'), entry.get('height')):
        return None
    width, height = (whole_number(entry[key]) for key in ('width', 'height'))
    if width is None or height is None:
        raise EntryError('bad_row', _NEEDED)
    return width, height


def _folder(root: Path, split: str, names: list[str], path: Path) -> Path:
    """Return the folder that the images are in: the first one that has any of them."""
    folders = [place.format(split) for place in _IMAGE_FOLDERS]
    for folder in folders:
        if (root / folder).is_dir() and any(is_file(root / folder / name) for name in names):
            return root / folder
    if not names:
        return root
    raise HierSegError(
        f'{root / folders[0] / names[0]}: is missing, and no image of {path.name} is there or in '
        f'{", ".join(folders[1:])} of {root}; put them into one of these'
    )


def _edges(extent: object) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a ``bbox``."""
    found = corners(extent)
    if found is None or len(found) != 2 or found[1].min() < 0:
        reason = f'the box {shown(extent)} is not left, top, width, height; correct it'
        raise EntryError('bad_row', reason)
    (left, top), (width, height) = found.tolist()
    return left, top, left + width, top + height


def _regions(label: str, segmentation: object, size: tuple[int, int]) -> list[Region]:
    """Return what a ``segmentation`` outlines in an image of `size` (width, height)."""
    if isinstance(segmentation, Mapping):
        lengths = read_runs(segmentation.get('counts'), size[0] * size[1])
        if lengths is not None and segmentation.get('size') == [size[1], size[0]]:
            return [Runs(label, lengths)]
    elif isinstance(segmentation, list):
        outlines = [found for found in map(corners, segmentation) if found is not None]
        if len(outlines) == len(segmentation) and all(len(outline) >= 3 for outline in outlines):
            return [Polygon(label, outline) for outline in outlines]
    raise EntryError(
        'bad_row', 'its segmentation is neither polygons nor run lengths of its image; correct it'
    )
