# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The choices of the loss."""

from __future__ import annotations

from dataclasses import dataclass

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.options.intervals import (
    BELOW_1,
    FROM_0,
    POSITIVE,
    Interval,
    check_choice,
    check_numbers,
)

PIXEL_LOSSES = ('cross_entropy', 'focal', 'ohem')
BOX_PIXELS = ('parent', 'box', 'shape', 'parent_or_shape')
IMAGE_LABELS = ('parent', 'pooled')


@dataclass(frozen=True)
class LossOptions:
    """The choices of the loss; the defaults are the paper's. A wrong one raises HierSegError.

    Attributes
    ----------
    level_weights : weight of each level's losses; the last one serves all deeper levels
    box_pixels : which pixels of a box train the classifier of its class: those whose parents are
        decided for it ('parent', the paper's rule), all ('box'), those inside its outline
        ('shape'), or those of the first and the third ('parent_or_shape')
    boxes_teach_ancestors : the outlines also train the classifiers above the box's class
    negatives_per_positive : pixels far from all boxes teach the root that they are none of its
        classes above the boxes' ones: the hardest pixels, this many for each one inside an outline;
        0: none
    self_training_weight : weight of the loss on a teacher's confident decisions
    pixel_loss : 'cross_entropy', 'focal', or 'ohem', the cross-entropy of the hardest pixels
    focal_gamma : exponent of 'focal', at least 0
    ohem_share : 'ohem' keeps this share of the pixels (above 0, up to 1), the hardest ones
    ohem_threshold : and all whose class has a softmax value below this (0 to below 1)
    label_smoothing : share of every label that is spread over the classes (0 to below 1)
    lovasz_weight : weight of the Lovász-softmax of the pixels that have pixel labels, beside
        their pixel loss; of all pixels of this process's batch together
    unlabelled_outside_boxes : pixels far from all boxes train the root's "unlabelled", in one mean
        with the pixels of the boxes; for a flat classifier of a data set with boxes alone
    image_labels : how the label of an image trains the classifier of its class: as a box that
        fills the image, by the pixels whose parents are decided for it ('parent'), or by the
        logits' mean over the image ('pooled')
    image_label_weight : weight of the losses on image labels
    image_labels_teach_ancestors : the logits' mean also trains the classifiers above the class
    distillation_weight : weight of the losses on a teacher's softmax values
    distillation_temperature : what logits are divided by before that softmax, above 0
    """

    level_weights: tuple[float, ...] = (1.0, 0.1, 0.1)
    box_pixels: str = 'parent'
    boxes_teach_ancestors: bool = False
    negatives_per_positive: float = 0.0
    self_training_weight: float = 0.0
    pixel_loss: str = 'cross_entropy'
    focal_gamma: float = 2.0
    ohem_share: float = 0.25
    ohem_threshold: float = 0.0
    label_smoothing: float = 0.0
    lovasz_weight: float = 0.0
    unlabelled_outside_boxes: bool = False
    image_labels: str = 'parent'
    image_label_weight: float = 1.0
    image_labels_teach_ancestors: bool = False
    distillation_weight: float = 0.0
    distillation_temperature: float = 2.0

    def __post_init__(self) -> None:
        """Check every value."""
        check_choice('loss.pixel_loss', self.pixel_loss, PIXEL_LOSSES)
        check_choice('loss.box_pixels', self.box_pixels, BOX_PIXELS)
        check_choice('loss.image_labels', self.image_labels, IMAGE_LABELS)
        if not self.level_weights:
            raise HierSegError('loss.level_weights: is empty; give a weight for level 1')
        check_numbers(
            'loss',
            self,
            {
                'level_weights': FROM_0,
                'negatives_per_positive': FROM_0,
                'self_training_weight': FROM_0,
                'focal_gamma': FROM_0,
                'ohem_share': Interval(above=0, most=1),
                'ohem_threshold': BELOW_1,
                'label_smoothing': BELOW_1,
                'lovasz_weight': FROM_0,
                'image_label_weight': FROM_0,
                'distillation_weight': FROM_0,
                'distillation_temperature': POSITIVE,
            },
        )
