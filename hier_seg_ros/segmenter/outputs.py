# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images the node offers, what each needs from the segmenter, and how it is made."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_ros.segmenter import SegmentationResult
from hier_seg_ros.segmenter.drawing import color_image, overlay

# (rgb H x W x 3 uint8, result, overlay_alpha) -> H x W or H x W x 3 uint8
Render = Callable[[np.ndarray, SegmentationResult, float], np.ndarray]


@dataclass(frozen=True)
class ImageOutput:
    """One image topic.

    Attributes
    ----------
    topic
        Its name below the node's (and the camera's) name.
    encoding
        Rgb8 or mono8.
    level
        The deepest level of the tree that the image depends on.
    confidence
        Whether it needs the confidence.
    render
        Makes its pixels.
    names
        For label images, the names of the values that can occur.

    """

    topic: str
    encoding: str
    level: int
    render: Render
    confidence: bool = False
    names: tuple[tuple[int, str], ...] = ()

    @property
    def folder(self) -> str:
        """The part of the topic before its last name, with its slash; '' if there is none."""
        return self.topic[: self.topic.rfind('/') + 1]


def image_outputs(hierarchy: Hierarchy, supervised: Collection[str]) -> tuple[ImageOutput, ...]:
    """Return all images that are offered for a tree, one label image for each of its levels.

    Only the nodes in `supervised`, names of nodes, can occur in label images.
    """
    depth = hierarchy.depth
    nodes = tuple(node for node in hierarchy.nodes if node.name in supervised)
    return (
        ImageOutput(
            'color',
            'rgb8',
            depth,
            lambda rgb, result, alpha: color_image(result.finest, result.hierarchy),
        ),
        *(_level_output(nodes, level) for level in range(1, depth + 1)),
        ImageOutput(
            'traffic_signs/labels',
            'mono8',
            _deepest_traffic_sign(hierarchy),
            lambda rgb, result, alpha: result.traffic_signs,
            names=(
                *sorted(
                    (node.traffic_sign_id, node.name)
                    for node in nodes
                    if node.traffic_sign_id is not None
                ),
                (UNLABELLED, 'unlabelled'),
            ),
        ),
        ImageOutput(
            'categories/labels',
            'mono8',
            _deepest_category(hierarchy),
            lambda rgb, result, alpha: result.categories,
            names=tuple(enumerate(hierarchy.categories)),
        ),
        ImageOutput(
            'confidence',
            'mono8',
            depth,
            lambda rgb, result, alpha: result.confidence,
            confidence=True,
        ),
        ImageOutput(
            'overlay',
            'rgb8',
            depth,
            lambda rgb, result, alpha: overlay(rgb, result.finest, result.hierarchy, alpha),
        ),
    )


def _level_output(nodes: tuple[Node, ...], level: int) -> ImageOutput:
    return ImageOutput(
        f'level_{level}/labels',
        'mono8',
        level,
        lambda rgb, result, alpha: result.level(level),
        names=(
            *((node.id, node.name) for node in nodes if node.depth <= level),
            (UNLABELLED, 'unlabelled'),
        ),
    )


def _deepest_traffic_sign(hierarchy: Hierarchy) -> int:
    return max(
        (node.depth for node in hierarchy.nodes if node.traffic_sign_id is not None), default=1
    )


def _deepest_category(hierarchy: Hierarchy) -> int:
    """Return the level below which no decision changes the category any more."""
    return max(
        (
            node.depth
            for node in hierarchy.nodes
            if node.parent is not None and node.category != hierarchy.node(node.parent).category
        ),
        default=1,
    )
