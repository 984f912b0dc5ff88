# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The legend: colours and names of the classes that a model can decide."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import Hierarchy, Node
from hier_seg_ros.segmenter.pictures.lettering import Lettering

# In pixels; a column holds up to so many lines, so that the picture is about as wide as high.
_LINE = 22
_INDENT = 18
_MARGIN = 8
_LINES_PER_COLUMN = 29
_INK = 32


def legend(hierarchy: Hierarchy, supervised: Collection[str] | None = None) -> NDArray[np.uint8]:
    """Return a picture of colours and readable names, H×W×3 uint8 RGB.

    Each class stands indented below its parent, in the order of the tree's file, and what is
    unlabelled at the end; the columns are read from the left.

    Parameters
    ----------
    hierarchy
        The tree of the model.
    supervised
        Names of the nodes that training supervised, the only ones that can be decided; None for
        all nodes of the tree.

    """
    lettering = Lettering(_LINE - 4)
    lines = [
        _line(lettering.mask(node.readable_name), node.color, node.depth)
        for node in _decidable(hierarchy, supervised)
    ]
    lines.append(_line(lettering.mask('unlabelled'), (0, 0, 0), 1))
    count = -(-len(lines) // _LINES_PER_COLUMN)
    length = -(-len(lines) // count)
    columns = [lines[start : start + length] for start in range(0, length * count, length)]
    height = _LINE * length
    return _framed(np.hstack([_column(column, height) for column in columns]))


def _decidable(hierarchy: Hierarchy, supervised: Collection[str] | None) -> Iterator[Node]:
    """Yield the nodes that can be decided, each before those below it."""
    for top in hierarchy.nodes:
        if top.parent is None:
            for node in hierarchy.subtree(top):
                if supervised is None or node.name in supervised:
                    yield node


def _line(letters: NDArray[np.uint8], color: tuple[int, int, int], depth: int) -> NDArray[np.uint8]:
    left = _INDENT * (depth - 1)
    text = left + _LINE + _MARGIN
    line = np.full((_LINE, text + letters.shape[1] + 3 * _MARGIN, 3), 255, np.uint8)
    line[2:-2, left : left + _LINE] = _INK
    line[3:-3, left + 1 : left + _LINE - 1] = color
    ink = 255 - letters.astype(np.uint16) * (255 - _INK) // 255
    line[2:-2, text : text + letters.shape[1]] = ink[..., None]
    return line


def _column(lines: list[NDArray[np.uint8]], height: int) -> NDArray[np.uint8]:
    column = np.full((height, max(line.shape[1] for line in lines), 3), 255, np.uint8)
    for number, line in enumerate(lines):
        column[number * _LINE : (number + 1) * _LINE, : line.shape[1]] = line
    return column


def _framed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(picture, ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0)), constant_values=255)
