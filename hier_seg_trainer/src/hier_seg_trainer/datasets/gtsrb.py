# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""German Traffic Sign Recognition Benchmark: crops of single signs, here to be pasted."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.mapping import LabelMapping
from hier_seg_trainer.datasets.samples import open_image


@dataclass(frozen=True)
class SignCrop:
    """One crop: its file, the sign inside it (left, top, right, bottom), its node and outline."""

    path: Path
    region: tuple[int, int, int, int]
    node_id: int
    shape: str


class Gtsrb:
    """``<root>/Final_Training/Images/<class>/GT-<class>.csv`` and the images that it lists.

    Stallkamp et al., "Man vs. computer: Benchmarking machine learning algorithms for traffic sign
    recognition", Neural Networks 2012.
    """

    title = 'GTSRB'
    licence = 'research use; cite Stallkamp et al., Neural Networks 2012'

    def __init__(self, root: Path, hierarchy: Hierarchy) -> None:
        """Read the lists; HierSegError if there are none or an image is missing."""
        self.mapping = LabelMapping.load('gtsdb', hierarchy)
        classes = self.mapping.by_value()
        folder = root / 'Final_Training' / 'Images'
        lists = sorted(folder.glob('*/GT-*.csv'))
        if not lists:
            raise HierSegError(f'{folder}: holds no GT-*.csv; give the root of the GTSRB')
        by_node: dict[int, list[SignCrop]] = defaultdict(list)
        for path in lists:
            for row in _rows(path):
                try:
                    entry = classes[int(row['ClassId'])]
                    x1, y1, x2, y2 = (int(row[f'Roi.{edge}']) for edge in ('X1', 'Y1', 'X2', 'Y2'))
                    image = path.parent / row['Filename']
                except (KeyError, ValueError, TypeError) as error:
                    raise HierSegError(
                        f'{path}: the row {row} cannot be used ({error!r})'
                    ) from error
                if not image.is_file():
                    raise HierSegError(f'{image}: is missing; {path.name} lists it')
                region = (x1, y1, x2 + 1, y2 + 1)
                crop = SignCrop(image, region, entry.node.id, entry.shape or 'rectangle')
                by_node[entry.node.id].append(crop)
        self._by_node = list(by_node.values())

    def __len__(self) -> int:
        """Return the number of crops."""
        return sum(len(crops) for crops in self._by_node)

    def random_crop(self, rng: np.random.Generator) -> tuple[Image.Image, SignCrop]:
        """Return a sign, each class being as likely as any other."""
        crops = self._by_node[rng.integers(len(self._by_node))]
        crop = crops[rng.integers(len(crops))]
        return open_image(crop.path).crop(crop.region), crop


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding='utf-8', newline='') as file:
            return list(csv.DictReader(file, delimiter=';'))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise HierSegError(f'{path}: cannot be read ({error}); restore it') from error
