# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The truth that predictions are compared with: label images in the evaluated bag itself."""

from __future__ import annotations

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.messages import GROUND_TRUTH
from hier_seg_ros.evaluation.recorded_outputs import RecordedOutputs
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.outputs import evaluated_outputs


def ground_truth(bag: ImageBag, hierarchy: Hierarchy) -> RecordedOutputs:
    """Return the label images below ``/ground_truth/`` of an open bag; there may be none."""
    outputs = evaluated_outputs(hierarchy)
    available = bag.image_topics
    topics = {
        name: topic
        for name, output in outputs.items()
        if output.values is not None and (topic := f'{GROUND_TRUTH}{output.topic}') in available
    }
    return RecordedOutputs(bag, topics, outputs)
