# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The predictions to evaluate: made here by a segmenter, or recorded from the node.

The predictions for an image are a dictionary of its outputs: ``overlay`` and ``color``
(H×W×3 uint8 rgb), ``level_1`` … ``level_N``, ``traffic_signs``, ``categories`` (H×W uint8 labels)
and ``confidence`` (H×W uint8, 255 = certain).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.bags.bags import (
    GROUND_TRUTH,
    Bag,
    BagWriter,
    image_message,
    jpeg_message,
    string_message,
)
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.drawing import color_image, overlay

Outputs = dict[str, NDArray[np.uint8]]


def level_names(hierarchy: Hierarchy) -> list[str]:
    """Return the names of the level outputs, the coarsest first."""
    return [f'level_{level}' for level in range(1, hierarchy.depth + 1)]


def label_names(hierarchy: Hierarchy) -> list[str]:
    """Return the names of the outputs that are label images."""
    return [*level_names(hierarchy), 'traffic_signs', 'categories']


def output_names(hierarchy: Hierarchy) -> list[str]:
    """Return the names of all outputs."""
    return ['overlay', 'color', *label_names(hierarchy), 'confidence']


def output_topic(namespace: str, name: str, hierarchy: Hierarchy) -> str:
    """Return the topic on which the node publishes an output."""
    return f'{namespace}/{name}/labels' if name in label_names(hierarchy) else f'{namespace}/{name}'


def label_colors(name: str, hierarchy: Hierarchy) -> NDArray[np.uint8]:
    """Return the colour of each value of a label output, (256, 3) uint8; 255 is black."""
    if name == 'traffic_signs':
        colors = np.zeros((256, 3), np.uint8)
        for node in hierarchy.nodes:
            if node.traffic_sign_id is not None:
                colors[node.traffic_sign_id] = node.color
        return colors
    if name == 'categories':
        colors = np.zeros((256, 3), np.uint8)
        colors[: len(hierarchy.category_colors)] = hierarchy.category_colors
        return colors
    return hierarchy.colors


def label_texts(name: str, hierarchy: Hierarchy) -> dict[int, str]:
    """Return the readable name of each value that can occur in a label output."""
    if name == 'traffic_signs':
        return sign_names(hierarchy)
    if name == 'categories':
        return dict(enumerate(hierarchy.categories))
    return {node.id: node.readable_name for node in hierarchy.nodes}


def sign_names(hierarchy: Hierarchy) -> dict[int, str]:
    """Return the readable name by traffic-sign id."""
    return {
        node.traffic_sign_id: node.readable_name
        for node in hierarchy.nodes
        if node.traffic_sign_id is not None
    }


class SegmenterPredictions:
    """Predictions that a segmenter makes when they are asked for."""

    def __init__(self, segmenter: Segmenter, alpha: float) -> None:
        """Take a loaded segmenter; `alpha`, 0-1, is the weight of the overlay's colours."""
        self.hierarchy = segmenter.hierarchy
        self._segmenter = segmenter
        self._alpha = alpha

    def at(self, rgb: NDArray[np.uint8], stamp: int, rejected: list[str]) -> Outputs | None:
        """Return the predictions for an image, H×W×3 uint8; none is ever rejected or missing."""
        (result,) = self._segmenter.segment([rgb])
        outputs: Outputs = {
            'overlay': overlay(rgb, result.finest, self.hierarchy, self._alpha),
            'color': color_image(result.finest, self.hierarchy),
        }
        for level, name in enumerate(level_names(self.hierarchy), start=1):
            outputs[name] = result.level(level)
        outputs['traffic_signs'] = result.traffic_signs
        outputs['categories'] = result.categories
        outputs['confidence'] = result.confidence
        return outputs


class _RecordedImages:
    """What some topics of an open bag hold, by output and stamp."""

    def __init__(self, bag: Bag, topics: Mapping[str, str]) -> None:
        self._bag = bag
        self._topics = topics
        self._stamps = {name: bag.stamps(topic) for name, topic in topics.items()}

    def at(self, rgb: NDArray[np.uint8], stamp: int, rejected: list[str]) -> Outputs:
        """Return the outputs that fit the image `rgb`; a line in `rejected` for any other."""
        outputs: Outputs = {}
        for name, topic in self._topics.items():
            recorded = self._stamps[name].get(stamp)
            if recorded is None:
                continue
            try:
                pixels = self._bag.image_at(topic, stamp, recorded).pixels
                _check_form(pixels, rgb, name, f'{self._bag.path}: {topic}: stamp {stamp}')
            except HierSegError as error:
                rejected.append(str(error))
                continue
            outputs[name] = pixels
        return outputs


class RecordedPredictions:
    """Predictions that the node published and a bag recorded."""

    def __init__(self, bag: Bag, namespace: str, hierarchy: Hierarchy, alpha: float) -> None:
        """Find the outputs in an open bag.

        `namespace` is the node's, or that of one camera below it. HierSegError if none of the
        label outputs is there.
        """
        self.hierarchy = hierarchy
        self._alpha = alpha
        available = bag.image_topics
        self.topics = {
            name: topic
            for name in output_names(hierarchy)
            for topic in _topics_of(name, namespace, hierarchy)
            if topic in available
        }
        if not set(self.topics) & set(label_names(hierarchy)):
            expected = output_topic(namespace, label_names(hierarchy)[0], hierarchy)
            found = ', '.join(available) or 'no image topic at all'
            raise HierSegError(
                f'{bag.path}: has no labels below {namespace}, such as {expected} (it has '
                f'{found}); name the namespace of the node with --namespace'
            )
        self._images = _RecordedImages(bag, self.topics)

    def at(self, rgb: NDArray[np.uint8], stamp: int, rejected: list[str]) -> Outputs | None:
        """Return what was recorded for the image with `stamp` (ns); None if nothing was.

        An output of another size than the image `rgb`, H×W×3, or one that makes no sense is left
        out with a line in `rejected`. Overlay and colours are drawn here if they are missing.
        """
        outputs = self._images.at(rgb, stamp, rejected)
        if not outputs:
            return None
        finest = outputs.get(level_names(self.hierarchy)[-1])
        if finest is not None:
            if 'overlay' not in outputs:
                outputs['overlay'] = overlay(rgb, finest, self.hierarchy, self._alpha)
            if 'color' not in outputs:
                outputs['color'] = color_image(finest, self.hierarchy)
        return outputs


def _topics_of(name: str, namespace: str, hierarchy: Hierarchy) -> tuple[str, ...]:
    """Return the topics on which an output may have been recorded, the preferred one last."""
    topic = output_topic(namespace, name, hierarchy)
    # Only pictures may be JPEG: it would change labels.
    return (f'{topic}/compressed', topic) if name in ('overlay', 'color') else (topic,)


def _check_form(pixels: NDArray[np.uint8], rgb: NDArray[np.uint8], name: str, source: str) -> None:
    channels = 3 if name in ('overlay', 'color') else 2
    if pixels.ndim != channels:
        wanted = 'in colour' if channels == 3 else 'mono8'
        raise HierSegError(f'{source}: {name} is not {wanted}; record the node itself')
    if pixels.shape[:2] != rgb.shape[:2]:
        raise HierSegError(
            f'{source}: {name} is {pixels.shape[1]}×{pixels.shape[0]}, its image '
            f'{rgb.shape[1]}×{rgb.shape[0]}; record predictions for this very bag'
        )


def recorded_hierarchy(bag: Bag, namespace: str) -> Hierarchy | None:
    """Return the tree that the node published, or None if the bag does not have it.

    It is looked for in `namespace` and above: a node with several cameras publishes one.
    """
    while namespace:
        topic = f'{namespace}/hierarchy'
        if topic in bag.topics:
            text = next(bag.messages(topic)).data
            source = f'{bag.path}: {topic}'
            try:
                return Hierarchy(json.loads(text), source)
            except ValueError as error:
                raise HierSegError(f'{source}: is no JSON ({error}); record it again') from error
        namespace = namespace.rpartition('/')[0]
    return None


class GroundTruth:
    """The label images below ``/ground_truth/`` of a bag, by output and stamp."""

    def __init__(self, bag: Bag, hierarchy: Hierarchy) -> None:
        """Find the ground truth of the outputs in an open bag; there may be none."""
        self.topics = {
            name: topic
            for name in label_names(hierarchy)
            if (topic := f'{GROUND_TRUTH}{name}/labels') in bag.image_topics
        }
        self._images = _RecordedImages(bag, self.topics)

    def at(self, rgb: NDArray[np.uint8], stamp: int, rejected: list[str]) -> Outputs:
        """Return the label images for the image with `stamp` (ns), by output.

        One of another size than the image `rgb`, H×W×3, is left out with a line in `rejected`.
        """
        return self._images.at(rgb, stamp, rejected)


def write_outputs(
    bag: BagWriter,
    outputs: Outputs,
    namespace: str,
    hierarchy: Hierarchy,
    stamp: int,
    frame_id: str,
) -> None:
    """Write the predictions for one image on the node's topics; the overlay as JPEG.

    Everything else is lossless; a raw overlay would be most of the bag.
    """
    for name, pixels in outputs.items():
        topic = output_topic(namespace, name, hierarchy)
        if name == 'overlay':
            bag.write(f'{topic}/compressed', jpeg_message(pixels, stamp, frame_id), stamp)
        else:
            bag.write(topic, image_message(pixels, stamp, frame_id), stamp)


def write_hierarchy(bag: BagWriter, namespace: str, hierarchy: Hierarchy, time: int) -> None:
    """Write the tree as the node publishes it; `time` in nanoseconds."""
    bag.write(f'{namespace}/hierarchy', string_message(json.dumps(hierarchy.as_dict())), time)
