# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the values of a truth look as if they were meant in another label space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.evaluation.recorded_outputs import Outputs
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.agreement import agreement_table
from hier_seg_ros.label_spaces.finding import other_spaces
from hier_seg_ros.label_spaces.label_space import LabelSpace
from hier_seg_ros.label_spaces.node_sets import level_table
from hier_seg_ros.scoring.label_scores import confusion_matrix
from hier_seg_ros.segmenter.outputs import level_name

IMAGES = 50  # that are looked at
COLORED_IMAGES = 10
COLORS_KEPT = 4096
LEAST_KNOWN = 0.98  # of the pixels of a truth in colours
# Another space is named where it makes this share of the pixels right, and twice as many as the
# one in use.
LEAST_AGREEMENT = 0.4
TIMES_AS_MANY = 2.0
_PACKING = np.array([2**16, 2**8, 1])


class SpaceCheck:
    """Compares the values of a truth with what was predicted, whatever they stand for."""

    def __init__(self, space: LabelSpace, hierarchy: Hierarchy) -> None:
        """Begin without an image; `space` is the one in use."""
        self._space = space
        self._hierarchy = hierarchy
        self._images = 0
        # Pixels by value and by predicted node of level 1.
        self._pairs = np.zeros((256, 256), np.int64)
        self._colored_images = 0
        # Pixels by colour, as one number: red, green and blue of 8 bits each.
        self._colors: Counter[int] = Counter()

    def add(self, values: NDArray[np.integer], outputs: Outputs) -> None:
        """Note the values of an image's truth and what was predicted for it."""
        levels = [level_name(level) for level in range(1, self._hierarchy.depth + 1)]
        there = [name for name in levels if name in outputs]
        if self._images == IMAGES or not there or self._space.nodes is None:
            return
        self._images += 1
        predicted = self._hierarchy.level_of_id[0].take(outputs[there[0]])
        narrow = np.where((values < 0) | (values > 255), UNLABELLED, values).astype(np.uint8)
        self._pairs += confusion_matrix(narrow, predicted)

    def state(self) -> dict[str, Any]:
        """Return what `merge` takes, as JSON holds it."""
        places = np.argwhere(self._pairs).tolist()
        return {
            'images': self._images,
            'pairs': [[*place, int(self._pairs[tuple(place)])] for place in places],
            'colored_images': self._colored_images,
            'colors': [[color, pixels] for color, pixels in sorted(self._colors.items())],
        }

    def merge(self, state: Mapping[str, Any]) -> None:
        """Add what was noted of images that come after these, as far as these were too few."""
        if self._images < IMAGES:
            self._images = min(IMAGES, self._images + state['images'])
            for value, node_id, pixels in state['pairs']:
                self._pairs[value, node_id] += pixels
        if self._colored_images < COLORED_IMAGES:
            self._colored_images = min(
                COLORED_IMAGES, self._colored_images + state['colored_images']
            )
            self._add_colors(dict(state['colors']))

    def add_colors(self, rgb: NDArray[np.uint8]) -> None:
        """Note the colours of a truth, H×W×3, of which some are unknown."""
        if self._colored_images < COLORED_IMAGES:
            self._colored_images += 1
            # Colours are areas, too: every fourth pixel of every fourth row is enough.
            few = rgb[::4, ::4].reshape(-1, 3).astype(np.int64)
            colors, pixels = np.unique(few @ _PACKING, return_counts=True)
            self._add_colors(dict(zip(colors.tolist(), pixels.tolist(), strict=True)))

    def _add_colors(self, pixels: Mapping[int, int]) -> None:
        self._colors.update(pixels)
        # Photographs, which are no truth, have hundreds of thousands of them.
        self._colors = Counter(dict(self._colors.most_common(COLORS_KEPT)))

    def likely(self) -> str | None:
        """Return in words which space the truth seems to be of; None where it is the one in use."""
        return self._likely_by_color() if self._colors else self._likely_by_value()

    def _likely_by_color(self) -> str | None:
        packed = np.repeat(list(self._colors), list(self._colors.values()))
        colors = (packed[:, None] // _PACKING % 256).astype(np.uint8)[None]

        def known(space: LabelSpace) -> float:
            return 1 - sum(space.from_colors(colors)[1].values()) / colors.shape[1]

        ours = known(self._space)
        others = {
            name: known(space)
            for name, space in other_spaces(self._space.name, self._hierarchy)
            if space.colors
        }
        best = max(others, key=lambda name: others[name], default=None)
        if best is None or others[best] < LEAST_KNOWN or ours >= LEAST_KNOWN:
            return None
        return (
            f'{self._space.name} knows {ours:.0%} of its colours, {best} {others[best]:.0%}; if '
            f'they are these, give --truth-space {best}'
        )

    def _likely_by_value(self) -> str | None:
        ours = self._agreement(self._space)
        others = {
            name: self._agreement(space)
            for name, space in other_spaces(self._space.name, self._hierarchy)
        }
        best = max(others, key=lambda name: others[name], default=None)
        if best is None or others[best] < max(LEAST_AGREEMENT, TIMES_AS_MANY * ours):
            return None
        return (
            f'{ours:.0%} of its pixels agree with the prediction as ids of {self._space.name}, '
            f'{others[best]:.0%} as ids of {best}; if they are these, give --truth-space {best}'
        )

    def _agreement(self, space: LabelSpace) -> float:
        """Return the share of pixels that are predicted rightly at level 1 if `space` is meant."""
        pairs = self._pairs.copy()
        pairs[:, UNLABELLED] = 0
        pairs[UNLABELLED] = 0
        total = int(pairs.sum())
        if not total:
            return 0.0
        to_level = level_table(space.node_sets, self._hierarchy, 1)
        counts_as = agreement_table(space.nodes, self._hierarchy, 1, space.node_sets)
        right = 0
        for value, node_id in space.ids.items():
            true = to_level[node_id]
            if true != UNLABELLED and value != UNLABELLED:
                right += int(pairs[value][counts_as[true] == true].sum())
        return right / total
