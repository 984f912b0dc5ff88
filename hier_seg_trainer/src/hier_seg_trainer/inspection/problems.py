# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a data set: the kinds, and one finding of a kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Kind:
    """A kind of problem: an 'error' spoils training or its scores, a 'warning' wants a look."""

    title: str
    severity: Literal['error', 'warning']
    advice: str


# In the order of the page.
KINDS = {
    'not_opened': Kind(
        'Data sets that cannot be opened',
        'error',
        'Nothing of them was inspected: put the fault right and inspect again.',
    ),
    'missing_image': Kind(
        'Missing image files', 'error', 'Restore the files or take them off the list.'
    ),
    'missing_label': Kind(
        'Images without labels',
        'error',
        'Restore the label files, or remove the images: the reader needs both.',
    ),
    'repeated': Kind(
        'Images that are there or listed twice',
        'error',
        'It is unclear which one the labels belong to: remove one of them.',
    ),
    'bad_row': Kind(
        'Rows of lists that cannot be used',
        'error',
        'They are left out here; training does not start before they are corrected or removed.',
    ),
    'unknown_class': Kind(
        'Classes that the mapping file does not list',
        'error',
        'Their boxes are left out here: correct the names, or map or ignore them in the mapping.',
    ),
    'unreadable': Kind(
        'Unreadable or truncated files',
        'error',
        'Copy or download them again; training stops at such a file.',
    ),
    'wrong_size': Kind(
        'Labels of another size than their image',
        'error',
        'Labels are drawn on the pixels of one image: find the version that belongs to it. If you '
        'scale labels, do so with nearest neighbour.',
    ),
    'wrong_pixel_format': Kind(
        'Label files of a wrong pixel format',
        'error',
        'A label image has one channel of ids.',
    ),
    'unknown_ids': Kind(
        'Label files with unknown ids',
        'error',
        'The mapping file neither maps nor ignores these values: correct the files, or add the '
        'values to the mapping if they are right.',
    ),
    'refused': Kind('Files that their reader refuses', 'error', 'The reason is the reader’s own.'),
    'leak': Kind(
        'Images with a near-duplicate in a training split (leaks)',
        'error',
        'The network sees these images, or nearly these, in training, so scores on them say too '
        'much. Take them out of one of the splits.',
    ),
    'empty_box': Kind('Empty boxes', 'error', 'They have no pixel; correct or remove them.'),
    'outside_box': Kind(
        'Boxes outside their image',
        'error',
        'They are cut off at the image’s edge. Often the boxes belong to an image of another size, '
        'or x and y, or corner and extent, are mixed up.',
    ),
    'shared_sequence': Kind(
        'Sequences in more than one split',
        'warning',
        'By their names, frames of one recording (or of one physical sign) are in both splits. '
        'Frames that are close in time look alike: split by recording.',
    ),
    'duplicates': Kind(
        'Groups of near-duplicates',
        'warning',
        'They weigh as one image and cost as many: thin them out, or know that the split is '
        'smaller than it looks. Each image of a group is close to another one of it.',
    ),
    'wrong_extension': Kind(
        'Files mislabelled by their extension',
        'warning',
        'They can be read, but other programs may go by the name: rename them. A label image that '
        'is really a JPEG has been damaged by its compression.',
    ),
    'rotated': Kind(
        'Images that an EXIF tag rotates',
        'warning',
        'Viewers and labelling tools turn them, readers here do not: write the pixels upright and '
        'remove the tag.',
    ),
    'unusual_size': Kind(
        'Images of an unusual size',
        'warning',
        'Nearly all images of the data set share another size: these may be thumbnails, crops or '
        'of another source.',
    ),
    'label_without_image': Kind(
        'Labels without an image', 'warning', 'Nothing reads them: an image is missing.'
    ),
    'image_without_label': Kind(
        'Image files that the data set leaves out',
        'warning',
        'They lie beside the others and have no labels.',
    ),
    'no_labels': Kind(
        'Images with empty labels',
        'warning',
        'They teach nothing: every pixel is void, or there is no box.',
    ),
    'tiny_box': Kind(
        'Tiny boxes',
        'warning',
        'Smaller than one position of most networks’ features; often slips of the mouse.',
    ),
    'duplicate_box': Kind(
        'Duplicate boxes', 'warning', 'One object has several boxes of one class.'
    ),
    'contradicting_boxes': Kind(
        'Pairs of overlapping boxes of different classes',
        'warning',
        'They cover the same place, so one of the classes is probably wrong; where they overlap, '
        'the later box wins.',
    ),
}


@dataclass(frozen=True)
class Problem:
    """One finding: a key of ``KINDS``, the file (or folder), what is wrong with it.

    ``images`` are images to show with it, the file itself apart.
    """

    kind: str
    path: Path
    detail: str
    images: tuple[Path, ...] = ()
