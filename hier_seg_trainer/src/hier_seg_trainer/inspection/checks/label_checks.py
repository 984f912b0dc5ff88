# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of the values of a label image, and what they probably come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_trainer.datasets.stored_pixels import open_labels
from hier_seg_trainer.inspection.checks.problems import Problem

LISTED_VALUES = 8
TRAIN_ID_VOID, LAST_TRAIN_ID = 255, 18  # of Cityscapes: cityscapesScripts, helpers/labels.py


def label_problems(
    path: Path, image: Image.Image, mapping: LabelMapping | None
) -> Iterator[Problem]:
    """Yield what is wrong with a label image.

    Parameters
    ----------
    path
        Its file.
    image
        What the file holds, decoded.
    mapping
        The values that it may hold; None if its data set does not say.

    """
    # Of labels that are told by colour the reader says what is wrong.
    if mapping is not None and mapping.by_color:
        return
    try:
        values: NDArray[np.integer] = open_labels(path)
    except HierSegError:
        values = np.asarray(image)
    if values.ndim > 2:
        yield Problem('wrong_pixel_format', path, f'its mode is {image.mode}{_color_hint(image)}')
    elif mapping is not None:
        present, counts = np.unique(values, return_counts=True)
        known = {entry.value for entry in mapping.classes}
        known |= {entry.value for entry in mapping.ignored}
        unknown = ~np.isin(present, [value for value in known if value is not None])
        if unknown.any():
            pairs = zip(present[unknown], counts[unknown], strict=True)
            texts = [f'{value} ({count:,} px)' for value, count in pairs]
            more = len(texts) - LISTED_VALUES
            text = ', '.join(texts[:LISTED_VALUES]) + (f' and {more} more' if more > 0 else '')
            hint = _value_hint(image, present, counts, unknown)
            yield Problem('unknown_ids', path, f'{text}{hint}')


def _color_hint(image: Image.Image) -> str:
    """Return what colours in place of ids probably are, as the end of a sentence, or nothing."""
    colors = image.convert('RGB').getcolors(256)
    if colors is None or image.mode not in ('RGB', 'RGBA'):
        return ''
    return (
        f'; its {len(colors)} colours look like a palette that a program (OpenCV’s imread, say) '
        f'has expanded: use the indexed original'
    )


def _value_hint(
    image: Image.Image,
    present: NDArray[np.integer],
    counts: NDArray[np.integer],
    unknown: NDArray[np.bool_],
) -> str:
    """Return what unknown label values probably mean, as the end of a sentence, or nothing."""
    if image.format == 'JPEG':
        return '; a JPEG: its compression has changed the values'
    if present[unknown][-1] == TRAIN_ID_VOID and (present[:-1] <= LAST_TRAIN_ID).all():
        return (
            '; train ids, as Cityscapes has them beside its label ids? Use those that the mapping '
            'lists, or list 255 as ignored'
        )
    if unknown.sum() > 1 and counts[unknown].sum() < 0.05 * counts.sum():
        return '; few pixels of many values: scaled with interpolation? Use nearest neighbour'
    if unknown.sum() > 1 and counts[unknown].sum() > 0.5 * counts.sum():
        return '; most pixels: grey values of colours, in place of ids?'
    return ''
