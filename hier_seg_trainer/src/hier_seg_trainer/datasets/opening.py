# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets by the name of their format: those with labels, and splits without any."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.label_spaces.bundled import bundled_mapping
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_ros.label_spaces.node_sets import NodeSet
from hier_seg_trainer.datasets.faults import Fault, check_faults
from hier_seg_trainer.datasets.formats.box_table import BoxTable
from hier_seg_trainer.datasets.formats.camvid import CamVid
from hier_seg_trainer.datasets.formats.cityscapes import Cityscapes, CityscapesCoarse, MiniCity
from hier_seg_trainer.datasets.formats.cityscapes_extended import CityscapesExtended
from hier_seg_trainer.datasets.formats.coco import CocoBoxes, CocoMasks
from hier_seg_trainer.datasets.formats.gtsdb import Gtsdb, GtsdbCoarse
from hier_seg_trainer.datasets.formats.gtsrb import Gtsrb
from hier_seg_trainer.datasets.formats.label_folder import LabelFolder
from hier_seg_trainer.datasets.formats.polygons import PolygonFolder
from hier_seg_trainer.datasets.formats.vistas import Vistas12, Vistas20
from hier_seg_trainer.datasets.readers.image_pairs import find_images, require_folders
from hier_seg_trainer.datasets.samples import StreetDataset

FORMATS = {
    reader.name: reader
    for reader in (
        CamVid,
        Cityscapes,
        CityscapesCoarse,
        CityscapesExtended,
        Vistas12,
        Vistas20,
        MiniCity,
        Gtsdb,
        GtsdbCoarse,
        Gtsrb,
        LabelFolder,
        PolygonFolder,
        BoxTable,
        CocoBoxes,
        CocoMasks,
    )
}

# Format and split of the labels that a benchmark keeps to itself. Cityscapes names its test images
# as the others, with city folders; MiniCity's are <number>.png.
UNLABELLED = (('cityscapes', 'test'), ('minicity', 'test'))


@dataclass(frozen=True)
class UnlabelledImages:
    """Images without labels, to write predictions for.

    Attributes
    ----------
    name
        The format.
    mapping
        Of the data set whose classes the predictions have.
    paths
        The images.

    """

    name: str
    mapping: LabelMapping
    paths: tuple[Path, ...]


def open_dataset(
    format_name: str,
    path: Path,
    split: str,
    hierarchy: Hierarchy,
    mapping: Path | None = None,
    *,
    strict: bool = True,
    known_sets: Collection[NodeSet] = (),
) -> StreetDataset:
    """Return a split of a data set by the name of its format.

    Parameters
    ----------
    format_name
        A key of `FORMATS`.
    path, split, hierarchy, mapping
        As for ``Reader``.
    strict
        Refuse the data set if a file or an entry cannot be used. Otherwise they are left out, and
        the data set's ``faults`` say why.
    known_sets
        As for ``Reader``.

    Raises
    ------
    HierSegError
        The data set cannot be used.

    """
    if format_name not in FORMATS:
        raise HierSegError(
            f'data format {format_name!r}: is not known; choose among {", ".join(FORMATS)}'
        )
    return FORMATS[format_name](path, split, hierarchy, mapping, strict, known_sets)


def open_unlabelled(
    format_name: str, root: Path, split: str, hierarchy: Hierarchy, mapping: Path | None = None
) -> UnlabelledImages:
    """Return the images in ``<root>/leftImg8bit/<split>``.

    Parameters
    ----------
    format_name, split
        One of `UNLABELLED`.
    root, hierarchy, mapping
        As for ``Reader``.

    Raises
    ------
    HierSegError
        There are no images.

    """
    folder = root / 'leftImg8bit' / split
    require_folders([folder], 'the images of the split lie there')
    faults: list[Fault] = []
    images = find_images(folder, faults)
    check_faults(faults, strict=True)
    label_mapping = LabelMapping.load(mapping or bundled_mapping(format_name), hierarchy)
    return UnlabelledImages(format_name, label_mapping.require_values(), tuple(images.values()))
