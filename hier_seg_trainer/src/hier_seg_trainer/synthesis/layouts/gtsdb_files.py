# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a scene as one image of the German Traffic Sign Detection Benchmark, and its list."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.datasets.formats.gtsdb import SPLITS
from hier_seg_trainer.synthesis.scenes.scene import Scene

# What the masks of the paper's authors add to a class id.
_MASK_OFFSET = 2000


def check_gtsdb_counts(counts: dict[str, int]) -> None:
    """Raise HierSegError if the benchmark has fewer numbers for a split than there are images."""
    for split, count in counts.items():
        if count > len(SPLITS[split]):
            raise HierSegError(
                f'gtsdb: {count} images for {split} are too many: the layout numbers '
                f'{len(SPLITS[split])} of them; ask for fewer, or leave gtsdb out of --formats'
            )


def write_gtsdb_image(root: Path, split: str, index: int, scene: Scene) -> list[str]:
    """Write ``NNNNN.ppm`` and its mask in ``gtFine``; return the image's lines of ``gt.txt``."""
    number = SPLITS[split][index]
    (root / 'gtFine').mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene.image).save(root / f'{number:05d}.ppm')
    position = {id(shape): place for place, shape in enumerate(scene.shapes, start=1)}
    values = np.zeros(len(scene.shapes) + 1, np.uint16)
    lines = []
    for sign in scene.signs:
        values[position[id(sign.shape)]] = _MASK_OFFSET + sign.class_id
        left, top, right, bottom = sign.box
        lines.append(f'{number:05d}.ppm;{left};{top};{right};{bottom};{sign.class_id}')
    mask = Image.fromarray(values[scene.indices])
    mask.save(root / 'gtFine' / f'{number:05d}_labelIds.png')
    return lines


def write_gtsdb_list(root: Path, lines: Iterable[str]) -> None:
    """Write ``gt.txt``."""
    text = ''.join(f'{line}\n' for line in lines)
    (root / 'gt.txt').write_text(text, encoding='utf-8')
