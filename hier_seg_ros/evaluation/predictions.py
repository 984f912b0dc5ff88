# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The predictions to evaluate: made here by a segmenter, or recorded from the node.

Both give the outputs for an image as `recorded_outputs` describes them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.storage.damage import DamagedBagError
from hier_seg_ros.evaluation.recorded_outputs import Outputs, RecordedOutputs
from hier_seg_ros.files.reading import parse_json, read_yaml
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.outputs import ImageOutput, evaluated_outputs, level_name
from hier_seg_ros.segmenter.result import SegmentationResult

if TYPE_CHECKING:  # a recording is evaluated without torch
    from hier_seg_ros.segmenter import Segmenter


class SegmenterPredictions:
    """Predictions that a segmenter makes when they are asked for."""

    def __init__(self, segmenter: Segmenter, alpha: float) -> None:
        """Take a loaded segmenter; `alpha`, 0-1, is the weight of the overlay's colours."""
        self.hierarchy = segmenter.hierarchy
        self._segmenter = segmenter
        self._alpha = alpha
        self._outputs = evaluated_outputs(self.hierarchy)

    def settings(self) -> dict[str, Any]:
        """Return which model makes them and what runs it, as scores.json has it."""
        engine = self._segmenter.engine
        description = read_yaml(self._segmenter.model_folder / 'model.yaml')
        return {
            'model': self._segmenter.name,
            'model_sha256': description['weights_sha256'],
            'engine': engine.name,
            'precision': engine.precision,
            'device': str(self._segmenter.device),
        }

    def at(self, rgb: NDArray[np.uint8], stamp: int, rejected: list[str]) -> Outputs | None:
        """Return the predictions for an image, H×W×3 uint8; none is ever rejected or missing."""
        return self.outputs(rgb, self.found(rgb, stamp, rejected))

    def found(
        self, rgb: NDArray[np.uint8], stamp: int, rejected: list[str]
    ) -> SegmentationResult | None:
        """Segment an image: the first half of `at`, which keeps the network busy."""
        (result,) = self._segmenter.segment([rgb])
        return result

    def outputs(self, rgb: NDArray[np.uint8], found: SegmentationResult | None) -> Outputs | None:
        """Return the predictions that `found` has decided: the second half of `at`."""
        if found is None:
            return None
        return {
            name: output.render(rgb, found, self._alpha) for name, output in self._outputs.items()
        }

    def drawn(self, rgb: NDArray[np.uint8], outputs: Outputs) -> Outputs:
        """Return `outputs`, which have all pictures."""
        return outputs


class RecordedPredictions:
    """Predictions that the node published and a bag recorded."""

    def __init__(
        self,
        bag: ImageBag,
        namespace: str,
        hierarchy: Hierarchy,
        alpha: float,
    ) -> None:
        """Find the outputs in an open bag.

        Parameters
        ----------
        bag
            The open bag.
        namespace
            The node's name, or that of one camera below it.
        hierarchy
            The tree of the model that made the predictions.
        alpha
            The weight, 0-1, of the colours of an overlay that is drawn here.

        Raises
        ------
        HierSegError
            None of the label outputs is there.

        """
        self.hierarchy = hierarchy
        self._alpha = alpha
        self._outputs = evaluated_outputs(hierarchy)
        available = bag.image_topics
        topics = {
            name: f'{namespace}/{topic}'
            for name, output in self._outputs.items()
            for topic in _topics_of(output)
            if f'{namespace}/{topic}' in available
        }
        labels = [output for output in self._outputs.values() if output.values is not None]
        if not any(output.name in topics for output in labels):
            found = ', '.join(available) or 'no image topic at all'
            raise bag.lacks(
                f'no labels below {namespace}, such as {namespace}/{labels[0].topic} (it has '
                f'{found}); name the namespace of the node with --namespace'
            )
        self._recorded = RecordedOutputs(bag, topics, self._outputs)

    def settings(self) -> dict[str, Any]:
        """Return the same as for a segmenter, of which a recording tells nothing."""
        return dict.fromkeys(('model', 'model_sha256', 'engine', 'precision', 'device'))

    def at(self, rgb: NDArray[np.uint8], stamp: int, rejected: list[str]) -> Outputs | None:
        """Return what was recorded for an image; None if nothing was.

        The parameters are those of `RecordedOutputs.at`.
        """
        return self._recorded.at(rgb, stamp, rejected) or None

    # As a `SegmenterPredictions` has them: here nothing is left to be done after reading.
    found = at

    def outputs(self, rgb: NDArray[np.uint8], found: Outputs | None) -> Outputs | None:
        """Return what `found` has found."""
        return found

    def drawn(self, rgb: NDArray[np.uint8], outputs: Outputs) -> Outputs:
        """Return outputs and the pictures that were not recorded, drawn from the finest labels."""
        finest = outputs.get(level_name(self.hierarchy.depth))
        if finest is None:
            return outputs
        result = SegmentationResult(self.hierarchy, finest, confidence=None)
        pictures = {
            name: output.render(rgb, result, self._alpha)
            for name, output in self._outputs.items()
            if output.may_be_jpeg and name not in outputs
        }
        return {**outputs, **pictures}


def _topics_of(output: ImageOutput) -> tuple[str, ...]:
    """Return the topics on which an output may have been recorded, the preferred one last."""
    # JPEG changes labels, so that it is looked for only where pictures are.
    return (output.compressed_topic, output.topic) if output.may_be_jpeg else (output.topic,)


def recorded_hierarchy(bag: ImageBag, namespace: str) -> Hierarchy | None:
    """Return the tree that the node published, or None if the bag does not have it.

    It is looked for in `namespace` and above: a node with several cameras publishes one.

    Raises
    ------
    HierSegError
        What was recorded is no tree.

    """
    while namespace:
        topic = f'{namespace}/hierarchy'
        if topic in bag.topics:
            source = f'{bag.path}: {topic}'
            # What is lost of a damaged recording is said once all of it has been read.
            with suppress(DamagedBagError):
                for message in bag.deserialized(topic):
                    return Hierarchy(parse_json(message.data, source), source)
        namespace = namespace.rpartition('/')[0]
    return None
