# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A labelling folder of two pictures and three proposals."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.images.compression import encode_rgb_png
from hier_seg_trainer.labelling.folder import LabellingFolder
from hier_seg_trainer.labelling.new_folder import new_labelling_folder
from hier_seg_trainer.labelling.proposals import Guess, Proposal, runs_of_mask

SIGN = 'object--traffic-sign--front'
FIRST, SECOND = 'ulm_1.png', 'ulm_2.png'
SIZE = (48, 64)  # height, width
# An L, and a square: top left corner and mask.
L_SHAPE = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 1]], bool)
SQUARE = np.ones((4, 4), bool)


def write_small_folder(path: Path, tree: Hierarchy, model: str | None = None) -> LabellingFolder:
    """Write the folder, as a model's or of given labels, and return it, opened."""
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    front, road = tree.node(SIGN), tree.node('Driveable')
    prediction = np.full(SIZE, UNLABELLED, np.uint8)
    prediction[30:] = road.id
    prediction[5:8, 10:13][L_SHAPE] = front.id
    children = [node.name for node in tree.nodes if node.parent == SIGN]
    with new_labelling_folder(path, tree, {'model': model, 'command': 'test'}) as folder:
        names = [
            folder.add_image(name, encode_rgb_png(image), prediction) for name in (FIRST, SECOND)
        ]
        assert names == [FIRST, SECOND]
        folder.add_proposals(
            [
                _proposal(7, FIRST, 10, 5, L_SHAPE, children),
                _proposal(3, SECOND, 10, 5, L_SHAPE, children),
                _proposal(5, SECOND, 40, 20, SQUARE, []),
            ]
        )
    return LabellingFolder.open(path)


def _proposal(
    number: int, image: str, left: int, top: int, mask: np.ndarray, guesses: list[str]
) -> Proposal:
    height, width = mask.shape
    return Proposal(
        id=number,
        image=image,
        box=(left, top, left + width, top + height),
        counts=runs_of_mask(mask),
        pixels=int(mask.sum()),
        parent=SIGN,
        guesses=tuple(Guess(name, 0.5 / (place + 1)) for place, name in enumerate(guesses[:9])),
        value=1.0 / number,
    )
