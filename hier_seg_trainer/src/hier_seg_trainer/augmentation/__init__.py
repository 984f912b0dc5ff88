# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a data set's sample to a training crop, by random numbers that the caller seeds.

Every function takes a crop and gives another; none changes what it is given. The order is that of
``batches``: cut (``geometry``), paste (``pasting``), erase (``erasing``), draw the boxes into maps
(``crops``), mix with other crops (``mixing``), and change the colours last (``color``).
"""

from __future__ import annotations

from hier_seg_trainer.augmentation.augmentation_options import (
    AugmentationOptions,
    CropOptions,
    PasteOptions,
)
from hier_seg_trainer.augmentation.color import random_colors
from hier_seg_trainer.augmentation.crops import Crop, Example, draw, draw_boxes
from hier_seg_trainer.augmentation.erasing import cutout, random_erasing
from hier_seg_trainer.augmentation.geometry import random_crop, random_flip, scale_range
from hier_seg_trainer.augmentation.grid import cells, image_grid
from hier_seg_trainer.augmentation.mixing import cut_mix, mix_up, ricap
from hier_seg_trainer.augmentation.pasting import (
    copy_blobs,
    paste_signs,
    rare_nodes,
    replace_signs,
    sign_places,
)

__all__ = [
    'AugmentationOptions',
    'Crop',
    'CropOptions',
    'Example',
    'PasteOptions',
    'cells',
    'copy_blobs',
    'cut_mix',
    'cutout',
    'draw',
    'draw_boxes',
    'image_grid',
    'mix_up',
    'paste_signs',
    'random_colors',
    'random_crop',
    'random_erasing',
    'random_flip',
    'rare_nodes',
    'replace_signs',
    'ricap',
    'scale_range',
    'sign_places',
]
