# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images are made of a frame and its result: the one table of the node's outputs.

The node, its captures, the evaluation, the commands, the launch files and the demo read it. It
needs neither torch nor ROS. To add an output:

1. give it an entry in `image_outputs`, with the deepest level that its pixels depend on;
2. if its values are labels, say in `LabelValues` what they mean;
3. show its topic in config/segment.rviz and config/foxglove_layout.json;
4. describe it in the table of docs/node.md;
5. let test/segmenter/test_outputs.py and test/ros/launch/test_view_files.py say what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy, Node
from hier_seg_ros.segmenter.class_groups import ClassGroups
from hier_seg_ros.segmenter.pictures.drawing import color_image, colored, overlay
from hier_seg_ros.segmenter.pictures.sign_names import SignNames, named_signs
from hier_seg_ros.segmenter.result import SegmentationResult

UNLABELLED_NAME = (UNLABELLED, 'unlabelled')

Pixels = NDArray[np.uint8]

# (photograph H×W×3, result, overlay_alpha) -> H×W×3 of an rgb8 output, H×W of a mono8 output
Render = Callable[[Pixels, SegmentationResult, float], Pixels]


@dataclass(frozen=True, eq=False)
class LabelValues:
    """What the values of a label image mean.

    Attributes
    ----------
    names
        Value and name of each class that the model can decide, as published on ``label_info``.
    texts
        Readable name by value, for every value that the tree gives a meaning.
    colors
        RGB by value, (256, 3) uint8; black where a value has no meaning.

    """

    names: tuple[tuple[int, str], ...]
    texts: Mapping[int, str]
    colors: Pixels


@dataclass(frozen=True, eq=False)
class ImageOutput:
    """One image that is made of a frame and its result.

    Attributes
    ----------
    name
        What its files and scores are called by; no other output has it.
    topic
        Its topic below the node's (and the camera's) name.
    encoding
        rgb8 or mono8.
    level
        The deepest level of the tree that its pixels depend on: deeper ones need not be decided.
    render
        Makes its pixels.
    confidence
        Whether it needs the confidence of the result.
    photograph
        Whether it needs the photograph; where not, `render` may be given any.
    values
        What its values mean; None if it is no label image.

    """

    name: str
    topic: str
    encoding: str
    level: int
    render: Render
    confidence: bool = False
    photograph: bool = False
    values: LabelValues | None = None

    @property
    def folder(self) -> str:
        """The part of the topic before its last name, with its slash; '' if there is none."""
        return self.topic[: self.topic.rfind('/') + 1]

    @property
    def compressed_topic(self) -> str:
        """The topic of the same image as a CompressedImage."""
        return f'{self.topic}/compressed'

    @property
    def may_be_jpeg(self) -> bool:
        """Whether it is a picture to look at, which JPEG does not spoil as it would labels."""
        return self.encoding == 'rgb8'

    def can_be_made_of(self, result: SegmentationResult) -> bool:
        """Return whether a result was decided deep enough, and has the confidence if need be."""
        return self.level <= result.max_level and (result.has_confidence or not self.confidence)


def image_outputs(
    hierarchy: Hierarchy,
    supervised: Collection[str] | None = None,
    *,
    groups: ClassGroups | None = None,
    min_named_pixels: int | None = None,
) -> tuple[ImageOutput, ...]:
    """Return all images that are offered for a tree, labels and colours for each of its levels.

    Parameters
    ----------
    hierarchy
        The tree of the model.
    supervised
        Names of the nodes that training supervised, the only ones that label images can hold and
        ``label_info`` names; None for all nodes of the tree.
    groups
        The groups of one more label image; None for none.
    min_named_pixels
        Pixels that a traffic sign has at least in the overlay for its name to be written there;
        None for no names.

    """
    depth = hierarchy.depth
    nodes = [node for node in hierarchy.nodes if supervised is None or node.name in supervised]
    return (
        ImageOutput('color', 'color', 'rgb8', depth, _color),
        *(_level_output(hierarchy, nodes, level) for level in range(1, depth + 1)),
        *(_level_color_output(hierarchy, level) for level in range(1, depth + 1)),
        _traffic_sign_output(hierarchy, nodes),
        _category_output(hierarchy),
        *(() if groups is None else (_group_output(groups),)),
        ImageOutput('confidence', 'confidence', 'mono8', depth, _confidence, confidence=True),
        ImageOutput(
            'overlay',
            'overlay',
            'rgb8',
            depth,
            _overlay if min_named_pixels is None else _named_overlay(min_named_pixels),
            photograph=True,
        ),
    )


def outputs_by_name(
    hierarchy: Hierarchy, supervised: Collection[str] | None = None
) -> dict[str, ImageOutput]:
    """Return `image_outputs` by their names, in the same order."""
    return {output.name: output for output in image_outputs(hierarchy, supervised)}


def label_values(hierarchy: Hierarchy) -> dict[str, LabelValues]:
    """Return what the values of each label image mean, by the name of the output."""
    return {
        output.name: output.values
        for output in image_outputs(hierarchy)
        if output.values is not None
    }


def evaluated_outputs(hierarchy: Hierarchy) -> dict[str, ImageOutput]:
    """Return, by name, the outputs that are recorded and evaluated; the overlay first.

    The colours of a level are not among them, since whoever has its labels can draw them.
    """
    outputs = outputs_by_name(hierarchy)
    levels = [level_color_name(level) for level in range(1, hierarchy.depth + 1)]
    kept = {name: output for name, output in outputs.items() if name not in levels}
    return {'overlay': outputs['overlay'], **kept}


def level_name(level: int) -> str:
    """Return the name of the output that holds the labels of a level, which count from 1."""
    return f'level_{level}'


def level_color_name(level: int) -> str:
    """Return the name of the output that holds the colours of a level."""
    return f'{level_name(level)}_color'


def _color(rgb: Pixels, result: SegmentationResult, alpha: float) -> Pixels:
    return color_image(result.finest, result.hierarchy)


def _confidence(rgb: Pixels, result: SegmentationResult, alpha: float) -> Pixels:
    return result.confidence


def _overlay(rgb: Pixels, result: SegmentationResult, alpha: float) -> Pixels:
    return overlay(rgb, result.finest, result.hierarchy, alpha)


def _named_overlay(min_pixels: int) -> Render:
    names = SignNames()

    def render(rgb: Pixels, result: SegmentationResult, alpha: float) -> Pixels:
        picture = _overlay(rgb, result, alpha)
        names.write(picture, named_signs(result, min_pixels))
        return picture

    return render


def _level_color_output(hierarchy: Hierarchy, level: int) -> ImageOutput:
    # One look-up for each pixel instead of two, for the label and for its colour.
    colors = hierarchy.colors[hierarchy.level_of_id[level - 1]]
    return ImageOutput(
        level_color_name(level),
        f'{level_name(level)}/color',
        'rgb8',
        level,
        lambda rgb, result, alpha: colored(result.finest, colors),
    )


def _level_output(hierarchy: Hierarchy, nodes: Sequence[Node], level: int) -> ImageOutput:
    names = [(node.id, node.name) for node in nodes if node.depth <= level]
    return ImageOutput(
        level_name(level),
        f'{level_name(level)}/labels',
        'mono8',
        level,
        lambda rgb, result, alpha: result.level(level),
        values=LabelValues(
            names=(*names, UNLABELLED_NAME),
            texts={node.id: node.readable_name for node in hierarchy.nodes},
            colors=hierarchy.colors,
        ),
    )


def _traffic_sign_output(hierarchy: Hierarchy, nodes: Sequence[Node]) -> ImageOutput:
    signs = [(n.traffic_sign_id, n) for n in hierarchy.nodes if n.traffic_sign_id is not None]
    colors = np.zeros((256, 3), np.uint8)
    for value, node in signs:
        colors[value] = node.color
    return ImageOutput(
        'traffic_signs',
        'traffic_signs/labels',
        'mono8',
        max((node.depth for _, node in signs), default=1),
        lambda rgb, result, alpha: result.traffic_signs,
        values=LabelValues(
            names=(
                *sorted((value, node.name) for value, node in signs if node in nodes),
                UNLABELLED_NAME,
            ),
            texts={value: node.readable_name for value, node in signs},
            colors=colors,
        ),
    )


def _category_output(hierarchy: Hierarchy) -> ImageOutput:
    names = tuple(enumerate(hierarchy.categories))
    colors = np.zeros((256, 3), np.uint8)
    colors[: len(names)] = hierarchy.category_colors
    # Below the deepest of these levels, no decision changes the category any more.
    changes = (
        node.depth
        for node in hierarchy.nodes
        if node.parent is not None and node.category != hierarchy.node(node.parent).category
    )
    return ImageOutput(
        'categories',
        'categories/labels',
        'mono8',
        max(changes, default=1),
        lambda rgb, result, alpha: result.categories,
        values=LabelValues(names, dict(names), colors),
    )


def _group_output(groups: ClassGroups) -> ImageOutput:
    names = tuple(enumerate(groups.names))
    return ImageOutput(
        'groups',
        'groups/labels',
        'mono8',
        groups.level,
        lambda rgb, result, alpha: groups.group_of_id.take(result.finest),
        values=LabelValues((*names, UNLABELLED_NAME), dict(names), groups.colors),
    )
