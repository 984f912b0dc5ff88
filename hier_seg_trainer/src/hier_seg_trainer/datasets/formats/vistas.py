# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mapillary Vistas 1.2 and 2.0: street images of the whole world, every pixel labelled.

The zip of version 2.0 has both, that of 1.2 its own only, without the folders ``v1.2``::

    config_v1.2.json                    or config.json: the labels in the order of their values
    config_v2.0.json
    training/images/KEY.jpg
    training/v1.2/labels/KEY.png        or training/labels/KEY.png: palette images
    training/v1.2/instances/KEY.png     or training/instances/KEY.png: label * 256 + number
    training/v2.0/labels/KEY.png, …
    validation/, …

>>> dataset = Vistas12(data, 'train', tree)
>>> len(dataset), dataset[0].image.size, dataset[0].labels.shape
(3, (96, 64), (64, 96))
>>> tree.node_by_id(dataset[0].labels[0, 0]).readable_name
'Bird'

Neuhold et al., "The Mapillary Vistas Dataset for Semantic Understanding of Street Scenes", ICCV
2017.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import read_json
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.readers.annotations import mappings
from hier_seg_trainer.datasets.readers.image_pairs import find_images, require_folders
from hier_seg_trainer.datasets.readers.labelled_images import LabelledFile, LabelledImages

FOLDERS = {'train': 'training', 'val': 'validation', 'test': 'testing'}
# The high byte of an instance file's value is the label, the low byte the object's number.
INSTANCE_FACTOR = 256
_TESTING = 'the testing split has no labels; use training or val'


class Vistas12(LabelledImages):
    """Version 1.2: 65 classes and void, in the order of the config file."""

    name = bundled = 'vistas_1.2'
    title = 'Mapillary Vistas'
    licence = 'Mapillary Vistas research licence (non-commercial); cite Neuhold et al., ICCV 2017'
    splits = (*FOLDERS, *FOLDERS.values())
    refused_splits: Mapping[str, str] = {'test': _TESTING, 'testing': _TESTING}

    def list_files(self, root: Path, split: str, faults: list[Fault]) -> Iterable[LabelledFile]:
        """Return the images of a split with their labels, whose order the config file gives."""
        split_name = FOLDERS.get(split, split)
        folder, version = root / split_name, self.name.replace('vistas_', 'v')
        require_folders([folder / 'images'], f'Vistas has {split_name}/images/ in its root')
        annotations, config = _annotations(root, folder, version)
        labels = _read_config(config)
        self.mapping = self.mapping.with_order([label['name'] for label in labels], config)
        self._has_instances = np.array([label.get('instances') is True for label in labels])
        for key, path in find_images(folder / 'images', faults).items():
            instances = annotations / 'instances' / f'{key}.png'
            yield LabelledFile(
                path,
                annotations / 'labels' / f'{key}.png',
                instances if instances.is_file() else None,
            )

    def decode_instances(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return 1 + label * 256 + number for objects, 0 elsewhere; a number may be 0 there."""
        labels = values // INSTANCE_FACTOR
        known = np.zeros(max(int(labels.max(initial=0)) + 1, len(self._has_instances)), bool)
        known[: len(self._has_instances)] = self._has_instances
        return np.where(known[labels], values + 1, 0)


class Vistas20(Vistas12):
    """Version 2.0: 124 labels, in the order of the config file."""

    name = bundled = 'vistas_2.0'
    title = 'Mapillary Vistas 2.0'


def _annotations(root: Path, split_folder: Path, version: str) -> tuple[Path, Path]:
    """Return the folder above ``labels`` and ``instances``, and the config file that fits it."""
    if (split_folder / version / 'labels').is_dir():
        folder, configs = split_folder / version, [f'config_{version}.json', 'config.json']
    elif (split_folder / 'labels').is_dir():
        folder, configs = split_folder, ['config.json', f'config_{version}.json']
    else:
        raise HierSegError(
            f'{split_folder}: has neither {version}/labels/ nor labels/; unpack the annotations of '
            f'Vistas {version} there'
        )
    for name in configs:
        if (root / name).is_file():
            return folder, root / name
    raise HierSegError(
        f'{root / configs[0]}: does not exist; it comes with Vistas and says which label each '
        f'value is'
    )


def _read_config(path: Path) -> list[Mapping[str, Any]]:
    """Return the labels of a config file in their order."""
    labels = mappings(read_json(path, 'restore it'), 'labels')
    if not labels or not all(isinstance(label.get('name'), str) for label in labels):
        raise HierSegError(f'{path}: has no list of labels with a name each; restore it')
    return labels
