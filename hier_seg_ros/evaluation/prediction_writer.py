# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes predictions to a bag, on the topics that the node publishes them on."""

from __future__ import annotations

import json

from hier_seg_ros.bags.messages import image_message, jpeg_message, string_message
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.evaluation.recorded_outputs import Outputs
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.outputs import evaluated_outputs


class PredictionWriter:
    """Writes the tree once, and the outputs for one image after the other.

    Attributes
    ----------
    has_tree
        Whether the tree has been written.
    tree_topic
        The topic of the tree.

    """

    def __init__(self, bag: BagWriter, namespace: str, hierarchy: Hierarchy) -> None:
        """Take a bag that is being written and the node's name, such as /segmenter."""
        self._bag = bag
        self._namespace = namespace
        self._hierarchy = hierarchy
        self._outputs = evaluated_outputs(hierarchy)
        self.has_tree = False
        self.tree_topic = f'{namespace}/hierarchy'

    def write(self, outputs: Outputs, stamp: int, frame_id: str) -> None:
        """Write the outputs for the image of a stamp in nanoseconds; the overlay as JPEG.

        Everything else is lossless; a raw overlay would be most of the bag.
        """
        if not self.has_tree:
            tree = string_message(json.dumps(self._hierarchy.as_dict()))
            self._bag.write(self.tree_topic, tree, stamp)
            self.has_tree = True
        for name, pixels in outputs.items():
            output = self._outputs[name]
            if name == 'overlay':
                topic, message = output.compressed_topic, jpeg_message(pixels, stamp, frame_id)
            else:
                topic, message = output.topic, image_message(pixels, stamp, frame_id)
            self._bag.write(f'{self._namespace}/{topic}', message, stamp)
