# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mapillary Vistas 1.2 and 2.0: street images of the whole world, every pixel labelled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.formats.labelled_images import (
    LabelledFile,
    LabelledImages,
    require_folder,
    require_split,
)
from hier_seg_trainer.datasets.image_pairs import find_images
from hier_seg_trainer.datasets.mapping import LabelMapping, bundled_mapping

SPLITS = {'train': 'training', 'val': 'validation', 'test': 'testing'}
# The high byte of an instance file's value is the label, the low byte the object's number.
INSTANCE_FACTOR = 256


class _Vistas(LabelledImages):
    """Images with palette PNGs, whose indices follow the order of the labels in a config file."""

    title = 'Mapillary Vistas'
    licence = 'Mapillary Vistas research licence (non-commercial); cite Neuhold et al., ICCV 2017'

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None,
        strict: bool,
        version: str,
    ) -> None:
        folder_name = SPLITS.get(split, split)
        require_split(self.name, split, (*SPLITS, *SPLITS.values()))
        if folder_name == 'testing':
            raise HierSegError(f'{self.name}: the testing split has no labels; use training or val')
        split_folder = root / folder_name
        images = split_folder / 'images'
        require_folder(images, f'Vistas has {folder_name}/images/ in its root')
        annotations, config = _annotations(root, split_folder, version)
        entries = _read_config(config)
        names = [entry['name'] for entry in entries]
        faults: list[Fault] = []
        files = [
            LabelledFile(
                path,
                annotations / 'labels' / f'{key}.png',
                _if_there(annotations / 'instances' / f'{key}.png'),
            )
            for key, path in find_images(images, faults).items()
        ]
        label_mapping = LabelMapping.load(mapping or bundled_mapping(self.name), hierarchy)
        super().__init__(label_mapping.with_order(names, config), files, faults, strict)
        self._has_instances = np.array([entry.get('instances') is True for entry in entries])

    def decode_instances(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return 1 + label * 256 + number for objects, 0 elsewhere; a number may be 0 there."""
        labels = values // INSTANCE_FACTOR
        known = np.zeros(max(int(labels.max(initial=0)) + 1, len(self._has_instances)), bool)
        known[: len(self._has_instances)] = self._has_instances
        return np.where(known[labels], values + 1, 0)


class Vistas12(_Vistas):
    """Version 1.2, 65 classes and void.

    ``<root>/{training,validation}/images/*.jpg``, ``.../labels/*.png`` and ``.../instances/*.png``
    with ``<root>/config.json``; or, as version 2.0 ships it, ``.../v1.2/labels/*.png`` with
    ``<root>/config_v1.2.json``. Splits are training and validation, or train and val. Neuhold et
    al., "The Mapillary Vistas Dataset for Semantic Understanding of Street Scenes", ICCV 2017.
    """

    name = 'vistas_1.2'

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
    ) -> None:
        """List the files; HierSegError if something is missing or the labels are unknown."""
        super().__init__(root, split, hierarchy, mapping, strict, 'v1.2')


class Vistas20(_Vistas):
    """Version 2.0, 124 labels: as ``Vistas12``, with ``v2.0/`` and ``config_v2.0.json``."""

    name = 'vistas_2.0'
    title = 'Mapillary Vistas 2.0'

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
    ) -> None:
        """List the files; HierSegError if something is missing or the labels are unknown."""
        super().__init__(root, split, hierarchy, mapping, strict, 'v2.0')


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


def _read_config(path: Path) -> list[dict[str, Any]]:
    """Return the labels of a config file in their order."""
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise HierSegError(f'{path}: cannot be read ({error}); restore it') from error
    labels = content.get('labels') if isinstance(content, dict) else None
    if (
        not isinstance(labels, list)
        or not labels
        or not all(
            isinstance(label, dict) and isinstance(label.get('name'), str) for label in labels
        )
    ):
        raise HierSegError(f'{path}: has no list of labels with a name each; restore it')
    return labels


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None
