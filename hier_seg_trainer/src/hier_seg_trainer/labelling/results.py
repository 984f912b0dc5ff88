# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The results of labelling, as data sets that the trainer and other programs read.

::

    labels/cityscapes_extended/leftImg8bit/train/CITY/NAME_leftImg8bit.png
                               gtFine/train/CITY/NAME_gtFine_labelIds.png
    labels/generic/images/train/NAME.EXT, labels/train/NAME.png, mapping.yaml
    labels/labelme/images/train/NAME.EXT, NAME.json, mapping.yaml
    labels/coco/images/train/NAME.EXT, annotations/train.json, mapping.yaml
"""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.suggestions import did_you_mean
from hier_seg_ros.files.writing import written_folder
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_ros.images.compression import encode_png
from hier_seg_ros.images.image_files import read_image, write_png
from hier_seg_ros.label_spaces.bundled import bundled_mapping
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_trainer.datasets.formats.cityscapes_extended import FIRST_SIGN, UNKNOWN_SIGN
from hier_seg_trainer.labelling.folder import LabellingFolder
from hier_seg_trainer.labelling.image_labels import ImageLabels, labelled_images, labels_of_image
from hier_seg_trainer.labelling.node_mapping import nodes_shown, write_node_mapping
from hier_seg_trainer.labelling.proposals import runs_of_mask
from hier_seg_trainer.labelling.state import State

RESULTS = 'labels'
SPLIT = 'train'
# Cityscapes begins the name of an image with its city.
_CITY_NAME = re.compile(r'([A-Za-z-]+)_\d{6}_\d{6}')
_OTHER_CITY = 'labelled'
_IMAGE_ENDING = '_leftImg8bit'

# From a folder, the labels of its images and the place for them to what is written there.
Write = Callable[[LabellingFolder, Iterable[ImageLabels], Path], None]


def write_results(
    folder: LabellingFolder,
    state: State,
    formats: Sequence[str] = (),
    out: Path | None = None,
) -> list[str]:
    """Write the labels of all images that somebody has labelled, whole or not at all.

    Parameters
    ----------
    folder
        The labelling folder.
    state
        What its log adds up to, or a part of it.
    formats
        Keys of `FORMATS`; none given: all that can hold the classes of the tree.
    out
        The folder to write, or to replace; None: ``labels`` in the labelling folder.

    Returns
    -------
    list[str]
        The formats that were written.

    Raises
    ------
    HierSegError
        Nothing is labelled, a format is not known or cannot hold the classes, or the folder cannot
        be written.

    """
    for name in formats:
        if name not in FORMATS:
            hint = did_you_mean(name, FORMATS, f'choose among {", ".join(FORMATS)}')
            raise HierSegError(f'format of labels {name!r}: is not known; {hint}')
    chosen = list(formats) or [
        name for name in FORMATS if name != 'cityscapes_extended' or _has_cityscapes(folder.tree)
    ]
    names = labelled_images(folder, state)
    if not names:
        raise HierSegError(f'{folder.path}: nothing is labelled; label something first')
    with written_folder(out or folder.path / RESULTS) as partial:
        for name in chosen:
            place = partial / name
            place.mkdir()
            FORMATS[name](folder, (labels_of_image(folder, state, image) for image in names), place)
    return chosen


def _write_cityscapes(folder: LabellingFolder, images: Iterable[ImageLabels], place: Path) -> None:
    values = cityscapes_values(folder.tree)
    for image in images:
        stem = Path(image.name).stem.removesuffix(_IMAGE_ENDING)
        match = _CITY_NAME.match(stem)
        city = match[1] if match else _OTHER_CITY
        for kind in ('leftImg8bit', 'gtFine'):
            (place / kind / SPLIT / city).mkdir(parents=True, exist_ok=True)
        photograph = read_image(folder.image_path(image.name))
        write_png(place / 'leftImg8bit' / SPLIT / city / f'{stem}{_IMAGE_ENDING}.png', photograph)
        labels = values[image.labels]
        labels[image.unknown] = UNKNOWN_SIGN
        path = place / 'gtFine' / SPLIT / city / f'{stem}_gtFine_labelIds.png'
        Image.fromarray(labels).save(path)


def cityscapes_values(tree: Hierarchy) -> NDArray[np.uint16]:
    """Return the value of each node in Cityscapes Extended.

    Returns
    -------
    NDArray[np.uint16]
        (256,) by node id: 2000 and the traffic-sign id of a sign; else the label id of the class of
        Cityscapes that the node, or the nearest above it, is; 0 where there is none.

    Raises
    ------
    HierSegError
        The tree has not the classes of Cityscapes.

    """
    mapping = LabelMapping.load(bundled_mapping('cityscapes'), tree)
    by_node: dict[str, int] = {}
    by_name: dict[str, int] = {}
    for entry in mapping.classes:
        assert entry.value is not None
        # Road and parking fall on one node: the first of them is what is more likely.
        by_node.setdefault(entry.node.name, entry.value)
        by_name[entry.name] = entry.value
    table = np.zeros(256, np.uint16)
    for node in tree.nodes:
        if node.traffic_sign_id is not None:
            table[node.id] = FIRST_SIGN + node.traffic_sign_id
            continue
        for above in reversed(tree.path(node)):
            value = by_name.get(above.readable_name.lower(), by_node.get(above.name))
            if value is not None:
                table[node.id] = value
                break
    return table


def _has_cityscapes(tree: Hierarchy) -> bool:
    try:
        cityscapes_values(tree)
    except HierSegError:
        return False
    return True


def _write_generic(folder: LabellingFolder, images: Iterable[ImageLabels], place: Path) -> None:
    shown: set[int] = set()
    (place / 'labels' / SPLIT).mkdir(parents=True)
    for image in images:
        shown |= _ids(image)
        _copy_image(folder, image, place)
        path = place / 'labels' / SPLIT / f'{Path(image.name).stem}.png'
        path.write_bytes(encode_png(image.labels))
    write_node_mapping(place / 'mapping.yaml', folder.tree, shown)


def _write_labelme(folder: LabellingFolder, images: Iterable[ImageLabels], place: Path) -> None:
    shown: set[int] = set()
    for image in images:
        shown |= _ids(image)
        _copy_image(folder, image, place)
        shapes: list[Mapping[str, Any]] = []
        for node, mask, unknown in _layers(image, folder.tree):
            left, top, right, bottom = _box(mask)
            buffer = io.BytesIO()
            Image.fromarray(mask[top:bottom, left:right]).save(buffer, 'PNG')
            shapes.append(
                {
                    'label': node.name,
                    'points': [[left, top], [right - 1, bottom - 1]],
                    'group_id': None,
                    'description': 'none of its classes' if unknown else '',
                    'shape_type': 'mask',
                    'flags': {},
                    'mask': base64.b64encode(buffer.getvalue()).decode('ascii'),
                }
            )
        content = {
            'version': '5.4.1',
            'flags': {},
            'shapes': shapes,
            'imagePath': image.name,
            'imageData': None,
            'imageHeight': image.labels.shape[0],
            'imageWidth': image.labels.shape[1],
        }
        path = place / 'images' / SPLIT / f'{Path(image.name).stem}.json'
        path.write_text(json.dumps(content), encoding='utf-8')
    write_node_mapping(place / 'mapping.yaml', folder.tree, shown)


def _write_coco(folder: LabellingFolder, images: Iterable[ImageLabels], place: Path) -> None:
    shown: set[int] = set()
    entries: list[Mapping[str, Any]] = []
    annotations: list[Mapping[str, Any]] = []
    for number, image in enumerate(images, start=1):
        shown |= _ids(image)
        _copy_image(folder, image, place)
        height, width = image.labels.shape
        entries.append({'id': number, 'file_name': image.name, 'width': width, 'height': height})
        objects = {id(item.mask) for item in image.objects}
        for node, mask, _ in _layers(image, folder.tree):
            left, top, right, bottom = _box(mask)
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': number,
                    'category_id': node.id,
                    'bbox': [left, top, right - left, bottom - top],
                    'area': int(mask.sum()),
                    'segmentation': {
                        'size': [height, width],
                        'counts': list(runs_of_mask(mask.T)),
                    },
                    # What is no single object, such as the sky, is what COCO calls a crowd.
                    'iscrowd': 0 if id(mask) in objects else 1,
                }
            )
    categories = [
        {'id': node.id, 'name': node.name, 'supercategory': node.parent or node.name}
        for node in nodes_shown(folder.tree, shown)
    ]
    (place / 'annotations').mkdir()
    content = {'images': entries, 'annotations': annotations, 'categories': categories}
    path = place / 'annotations' / f'{SPLIT}.json'
    path.write_text(json.dumps(content, separators=(',', ':')), encoding='utf-8')
    write_node_mapping(place / 'mapping.yaml', folder.tree, shown)


def _ids(image: ImageLabels) -> set[int]:
    return set(np.unique(image.labels).tolist()) - {UNLABELLED}


def _layers(image: ImageLabels, tree: Hierarchy) -> Iterator[tuple[Node, NDArray[np.bool_], bool]]:
    """Yield each class around the objects, then the objects: node, mask, whether unknown."""
    around = image.around
    for node_id in np.unique(around).tolist():
        if node_id != UNLABELLED:
            yield tree.node_by_id(node_id), around == node_id, False
    for item in image.objects:
        yield item.node, item.mask, item.unknown


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _copy_image(folder: LabellingFolder, image: ImageLabels, place: Path) -> None:
    target = place / 'images' / SPLIT
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder.image_path(image.name), target / image.name)


FORMATS: dict[str, Write] = {
    'cityscapes_extended': _write_cityscapes,
    'generic': _write_generic,
    'labelme': _write_labelme,
    'coco': _write_coco,
}
