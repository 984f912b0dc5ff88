# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a scene as one image of Cityscapes, or of MiniCity."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.synthesis.layouts.layout_labels import Label, cityscapes_labels, label_image
from hier_seg_trainer.synthesis.scenes.scene import Scene

# An instance's value is its label's id times this, plus its number from 0.
INSTANCE_FACTOR = 1000
# Cityscapes takes the twentieth frame of a sequence; a name has sequence and frame.
_FRAME = 19
_CITIES = {'train': ('firsttown', 'secondtown', 'thirdtown'), 'val': ('lasttown',)}


def write_cityscapes_image(
    root: Path, split: str, index: int, scene: Scene, hierarchy: Hierarchy
) -> None:
    """Write ``leftImg8bit/<split>/<city>/...`` and four files in ``gtFine/<split>/<city>``."""
    cities = _CITIES[split]
    city, sequence = cities[index % len(cities)], index // len(cities)
    _write(root, Path(split) / city, f'{city}_{sequence:06d}_{_FRAME:06d}', scene, hierarchy, True)


def write_minicity_image(
    root: Path, split: str, index: int, scene: Scene, hierarchy: Hierarchy
) -> None:
    """Write ``leftImg8bit/<split>/...``, and label and instance ids in ``gtFine/<split>``."""
    city = _CITIES[split][0]
    _write(root, Path(split), f'{city}_{index:06d}_{_FRAME:06d}', scene, hierarchy, False)


def _write(
    root: Path, folder: Path, stem: str, scene: Scene, hierarchy: Hierarchy, all_files: bool
) -> None:
    images, truth = root / 'leftImg8bit' / folder, root / 'gtFine' / folder
    images.mkdir(parents=True, exist_ok=True)
    truth.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene.image).save(images / f'{stem}_leftImg8bit.png')

    labels = cityscapes_labels(hierarchy)
    values, numbers = label_image(scene, labels, 0)
    instances = np.where(numbers > 0, values * INSTANCE_FACTOR + numbers - 1, values)
    Image.fromarray(values.astype(np.uint8)).save(truth / f'{stem}_gtFine_labelIds.png')
    Image.fromarray(instances.astype(np.uint16)).save(truth / f'{stem}_gtFine_instanceIds.png')
    if not all_files:
        return
    color = np.zeros((256, 4), np.uint8)
    for label in labels.labels:
        if label.value >= 0:
            color[label.value] = (*label.color, 255)
    Image.fromarray(color[values]).save(truth / f'{stem}_gtFine_color.png')
    polygons = _polygons(scene, labels.of_node)
    (truth / f'{stem}_gtFine_polygons.json').write_text(json.dumps(polygons), encoding='utf-8')


def _polygons(scene: Scene, label_of_node: dict[str, Label]) -> dict[str, object]:
    """Return what was drawn, in order; drawn again it gives the label image.

    What is hidden throughout is left out: drawing it changes nothing.
    """
    height, width = scene.indices.shape
    visible = np.bincount(scene.indices.ravel(), minlength=len(scene.shapes) + 1)
    objects = [
        {
            'label': label_of_node[shape.node.name].name,
            'polygon': [[x, y] for x, y in shape.corners],
        }
        for position, shape in enumerate(scene.shapes, start=1)
        if visible[position]
    ]
    return {'imgHeight': height, 'imgWidth': width, 'objects': objects}
