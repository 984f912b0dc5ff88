# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The choices of the loss."""

from __future__ import annotations

from dataclasses import dataclass

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.options.fields import check_options, option
from hier_seg_trainer.options.intervals import BELOW_1, FROM_0, POSITIVE, Interval

PIXEL_LOSSES = ('cross_entropy', 'focal', 'ohem')
BOX_PIXELS = ('parent', 'box', 'shape', 'parent_or_shape')
IMAGE_LABELS = ('parent', 'pooled')


@dataclass(frozen=True)
class LossOptions:
    """The choices of the loss; the defaults are the paper's.

    Raises
    ------
    HierSegError
        A value is not allowed.

    """

    level_weights: tuple[float, ...] = option(
        (1.0, 0.1, 0.1), 'weight of each level; the last one also serves deeper levels', FROM_0
    )
    box_pixels: str = option(
        'parent',
        'which pixels of a box train the classifier of its class: those whose parents are decided '
        "for it (`parent`, the paper's rule), all (`box`), those inside its outline (`shape`), or "
        'those of the first and the third (`parent_or_shape`); see below',
        BOX_PIXELS,
    )
    boxes_teach_ancestors: bool = option(
        False, "the outlines also train the classifiers above the box's class"
    )
    negatives_per_positive: float = option(
        0.0,
        'pixels far from all boxes teach the root that they are none of its classes above those '
        'of the boxes: the hardest ones, so many for each pixel inside an outline; 0: none',
        FROM_0,
    )
    self_training_weight: float = option(0.0, "weight of the averaged weights' own labels", FROM_0)
    pixel_loss: str = option(
        'cross_entropy', '`ohem` is the cross-entropy of the hardest pixels', PIXEL_LOSSES
    )
    focal_gamma: float = option(2.0, 'exponent of `focal`', FROM_0)
    ohem_share: float = option(
        0.25, '`ohem` keeps this share of the pixels, the hardest ones', Interval(above=0, most=1)
    )
    ohem_threshold: float = option(
        0.0, '`ohem` also keeps those whose class has a softmax value below this', BELOW_1
    )
    label_smoothing: float = option(0.0, 'share of a label spread over the classes', BELOW_1)
    lovasz_weight: float = option(
        0.0,
        'weight of the Lovász-softmax of the pixel labels, which stands for 1 − IoU, beside their '
        "pixel loss; of all pixels of a process's batch together",
        FROM_0,
    )
    unlabelled_outside_boxes: bool = option(
        False,
        'pixels far from all boxes train the root\'s "unlabelled", in one mean with the pixels of '
        'the boxes: for a flat model of boxes alone',
    )
    image_labels: str = option(
        'parent',
        'how the label of a whole image trains the classifier of its class: by the pixels whose '
        "parents are decided for it (`parent`), or by the logits' mean over the image (`pooled`)",
        IMAGE_LABELS,
    )
    image_label_weight: float = option(1.0, 'weight of the losses on image labels', FROM_0)
    image_labels_teach_ancestors: bool = option(
        False, "the logits' mean also trains the classifiers above the class"
    )
    distillation_weight: float = option(0.0, "weight of the teacher's softmax values", FROM_0)
    distillation_temperature: float = option(2.0, 'divides the logits before it', POSITIVE)

    def __post_init__(self) -> None:
        """Check every value."""
        check_options('loss', self)
        if not self.level_weights:
            raise HierSegError('loss.level_weights: is empty; give a weight for level 1')
