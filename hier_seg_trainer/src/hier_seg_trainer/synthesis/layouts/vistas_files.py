# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a scene as one image of Mapillary Vistas 1.2, and the files that the data set has once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.synthesis.layouts.layout_labels import (
    LabelSet,
    label_image,
    read_labels,
    vistas_labels,
)
from hier_seg_trainer.synthesis.scenes.scene import Scene

# The high byte of an instance's value is its label, the low byte its number.
INSTANCE_FACTOR = 256
SPLITS = {'train': 'training', 'val': 'validation'}
# Vistas names its images with 22 letters and digits.
_KEY_LENGTH = 22
_JPEG_QUALITY = 92

Segment = dict[str, Any]


def write_vistas_image(
    root: Path, split: str, index: int, scene: Scene, hierarchy: Hierarchy
) -> dict[str, Any]:
    """Write image, labels, instances and segments; return its part of the panoptic JSON."""
    folder = root / SPLITS[split]
    for kind in ('images', 'labels', 'instances', 'panoptic'):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(f'{split} {index}'.encode()).hexdigest()
    key = f'synthetic{index:05d}{digest}'[:_KEY_LENGTH]
    Image.fromarray(scene.image).save(
        folder / 'images' / f'{key}.jpg', quality=_JPEG_QUALITY, subsampling=0
    )
    labels = vistas_labels(hierarchy)
    values, numbers = label_image(scene, labels, len(labels.labels) - 1)
    if numbers.max(initial=0) >= INSTANCE_FACTOR:
        raise HierSegError(f'vistas: image {index} of {split}: more than 255 objects of one label')
    picture = Image.fromarray(values.astype(np.uint8))
    picture.putpalette([value for label in labels.labels for value in label.color])
    picture.save(folder / 'labels' / f'{key}.png')
    instances = values * INSTANCE_FACTOR + numbers
    Image.fromarray(instances.astype(np.uint16)).save(folder / 'instances' / f'{key}.png')
    # A segment's id is stored as red + 256 green + 65536 blue; 0 stands for none.
    ids = instances + 1
    stored = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)
    Image.fromarray(stored).save(folder / 'panoptic' / f'{key}.png')
    height, width = values.shape
    return {
        'image': {'id': key, 'file_name': f'{key}.jpg', 'width': width, 'height': height},
        'annotation': {
            'image_id': key,
            'file_name': f'{key}.png',
            'segments_info': _segments(ids, labels),
        },
    }


def write_vistas_config(root: Path) -> None:
    """Write ``config.json``: the labels in the order of their values."""
    config = {
        'labels': [
            {key: entry[key] for key in ('color', 'instances', 'readable', 'name', 'evaluate')}
            for entry in read_labels('vistas')['labels']
        ],
        'version': 1.1,
        'mapping': 'public',
        'folder_structure': '{split}/{content}/{key:.{22}}.{ext}',
    }
    (root / 'config.json').write_text(json.dumps(config, indent=2) + '\n', encoding='utf-8')


def write_vistas_panoptic(root: Path, split: str, entries: Sequence[dict[str, Any]]) -> None:
    """Write ``panoptic/panoptic_2018.json`` of a split out of its images' entries."""
    categories = [
        {
            'id': value + 1,
            'name': entry['readable'],
            'supercategory': entry['name'],
            'isthing': int(entry['instances']),
            'color': entry['color'],
        }
        for value, entry in enumerate(read_labels('vistas')['labels'])
    ]
    content = {
        'images': [entry['image'] for entry in entries],
        'annotations': [entry['annotation'] for entry in entries],
        'categories': categories,
    }
    path = root / SPLITS[split] / 'panoptic' / 'panoptic_2018.json'
    path.write_text(json.dumps(content) + '\n', encoding='utf-8')


def _segments(ids: NDArray[np.int32], labels: LabelSet) -> list[Segment]:
    """Return the segments; categories count from 1, boxes are left, top, width, height."""
    segments = []
    for segment in np.unique(ids):
        value = int(segment - 1) // INSTANCE_FACTOR
        if value == len(labels.labels) - 1:
            continue
        mask = ids == segment
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        left, top = int(columns[0]), int(rows[0])
        box = [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
        segments.append(
            {
                'id': int(segment),
                'category_id': value + 1,
                'iscrowd': 0,
                'bbox': box,
                'area': int(mask.sum()),
            }
        )
    return segments
