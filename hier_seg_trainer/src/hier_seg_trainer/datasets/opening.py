# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets by the name of their format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.formats.box_lists import BoxTable, CocoBoxes
from hier_seg_trainer.datasets.formats.camvid import CamVid
from hier_seg_trainer.datasets.formats.cityscapes import Cityscapes, CityscapesCoarse, MiniCity
from hier_seg_trainer.datasets.formats.gtsdb import Gtsdb, GtsdbCoarse
from hier_seg_trainer.datasets.formats.gtsrb import Gtsrb
from hier_seg_trainer.datasets.formats.label_folder import LabelFolder
from hier_seg_trainer.datasets.formats.polygons import PolygonFolder
from hier_seg_trainer.datasets.formats.vistas import Vistas12, Vistas20
from hier_seg_trainer.datasets.samples import StreetDataset

FORMATS: dict[str, Callable[[Path, str, Hierarchy, Path | None, bool], StreetDataset]] = {
    'camvid': CamVid,
    'cityscapes': Cityscapes,
    'cityscapes_coarse': CityscapesCoarse,
    'vistas_1.2': Vistas12,
    'vistas_2.0': Vistas20,
    'minicity': MiniCity,
    'gtsdb': Gtsdb,
    'gtsdb_coarse': GtsdbCoarse,
    'gtsrb': Gtsrb,
    'folder': LabelFolder,
    'polygons': PolygonFolder,
    'boxes_csv': BoxTable,
    'boxes_coco': CocoBoxes,
}


def open_dataset(
    format_name: str,
    path: Path,
    split: str,
    hierarchy: Hierarchy,
    mapping: Path | None = None,
    *,
    strict: bool = True,
) -> StreetDataset:
    """Return a split of a data set by the name of its format; HierSegError if it cannot be used.

    `mapping` is a mapping file in place of the one that comes with the format; the formats for
    one's own data need it. Unless `strict`, single files and rows that cannot be used are left out,
    and the data set's ``faults`` say why.
    """
    if format_name not in FORMATS:
        raise HierSegError(
            f'data format {format_name!r}: is not known; choose among {", ".join(FORMATS)}'
        )
    return FORMATS[format_name](path, split, hierarchy, mapping, strict)
