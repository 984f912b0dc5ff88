# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A page of the images that a model decided worst: where the next data should come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import make_folder, write_text
from hier_seg_ros.hierarchy import UNLABELLED, Node
from hier_seg_ros.label_spaces.class_tables import counted_pairs, deepest_level
from hier_seg_ros.label_spaces.node_sets import level_table, shown_as
from hier_seg_ros.segmenter.pictures.drawing import color_image, overlay
from hier_seg_trainer.datasets.samples import StreetDataset, StreetSample
from hier_seg_trainer.evaluation.scores.box_labels import draw_boxes
from hier_seg_trainer.evaluation.scores.dataset_scores import DatasetScores
from hier_seg_trainer.evaluation.scores.frames import FrameScore, worst_frames
from hier_seg_trainer.pages.html_page import render_page
from hier_seg_trainer.pages.page_pictures import close_up, data_uri, scaled_to_width

PAGE = 'index.html'
PANEL_WIDTH = 640  # pixels of each of a frame's pictures
CLOSE_UP_EDGE = 160  # pixels
CLOSE_UPS = 8  # of a frame, the first of its faults
CONTEXT = 2.5  # edge of a close-up in long edges of its sign
OVERLAY_ALPHA = 0.6
DIMMED = 0.35  # brightness of what is right, in the picture of what is wrong
GAP = 4  # pixels between pictures
QUALITY = 85  # of the JPEG pictures
GALLERY_ADVICE = 'choose another place with --gallery'

# From an image (H, W, 3) uint8 RGB to the ids of the finest decided nodes (H, W) uint8.
Decide = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True)
class Drawing:
    """A frame as the page shows it.

    Attributes
    ----------
    picture
        Its panels side by side.
    panels
        What each of them is.
    classes
        The nodes whose colours occur.

    """

    picture: Image.Image
    panels: tuple[str, ...]
    classes: tuple[Node, ...]


def write_gallery(
    folder: Path,
    dataset: StreetDataset,
    scores: DatasetScores,
    decide: Decide,
    count: int,
    facts: Mapping[str, Any],
    *,
    progress: bool = False,
) -> list[FrameScore]:
    """Write a page of the worst frames, with their pictures in it.

    Parameters
    ----------
    folder
        Where the page ``index.html`` goes.
    dataset
        The images and what is known of them.
    scores
        What was measured on it.
    decide
        What gives the node ids of an image, as it did for `scores`.
    count
        How many frames.
    facts
        The page's head: model, split and command.
    progress
        Whether to show a bar.

    Returns
    -------
    list[FrameScore]
        The frames, worst first.

    Raises
    ------
    HierSegError
        The images bear only one label each, or the page cannot be written.

    """
    if not scores.frames:
        raise HierSegError(
            f'{dataset.name}: its images have one label each and no place where it is wrong; leave '
            f'out --gallery'
        )
    # Before the drawing, which may take minutes.
    make_folder(folder, GALLERY_ADVICE)
    worst = worst_frames(scores.frames, count)
    entries = []
    for frame in tqdm(worst, disable=not progress, unit='image', desc='gallery'):
        sample = dataset[frame.index]
        finest = decide(np.asarray(sample.image))
        draw = _draw_pixels if sample.labels is not None else _draw_signs
        drawing = draw(sample, finest, frame, scores)
        name, picture = dataset.image_path(frame.index).name, data_uri(drawing.picture, QUALITY)
        entries.append({'name': name, 'frame': frame, 'drawing': drawing, 'picture': picture})
    content = {'entries': entries, 'dataset': dataset, 'images': scores.images, 'facts': facts}
    write_text(folder / PAGE, render_page('gallery.html', content, {}), GALLERY_ADVICE)
    return worst


def _draw_pixels(
    sample: StreetSample, finest: NDArray[np.uint8], frame: FrameScore, scores: DatasetScores
) -> Drawing:
    tree = scores.tree
    assert sample.labels is not None
    image, sets = np.asarray(sample.image), scores.node_sets
    # In the data set's own terms, as the scores are.
    level = deepest_level(scores.node_names, tree, sets)
    at_level = level_table(sets, tree, level)
    labels = at_level[sample.labels]
    counts_as = counted_pairs(scores.node_names, tree, level, sets)[labels, at_level[finest]]
    wrong = (labels != UNLABELLED) & (labels != counts_as)
    truth, decided = shown_as(sets)[labels], shown_as(sets)[counts_as]
    mistakes = (image * DIMMED).astype(np.uint8)
    mistakes[wrong] = color_image(decided, tree)[wrong]
    panels = {
        'ground truth': overlay(image, truth, tree, OVERLAY_ALPHA),
        'decided': overlay(image, decided, tree, OVERLAY_ALPHA),
        'what is wrong, in the colour of what was decided': mistakes,
    }
    shown = np.union1d(labels, counts_as[wrong])
    return Drawing(_panels(panels.values()), tuple(panels), _nodes(shown, scores))


def _draw_signs(
    sample: StreetSample, finest: NDArray[np.uint8], frame: FrameScore, scores: DatasetScores
) -> Drawing:
    image = np.asarray(sample.image)
    truth = draw_boxes(sample.boxes or (), finest.shape)
    drawn = [overlay(image, labels, scores.tree, OVERLAY_ALPHA) for labels in (truth, finest)]
    row = _panels(drawn)
    layers = [Image.fromarray(pixels) for pixels in (image, *drawn)]
    columns = [
        _joined([close_up(layer, fault.box, CONTEXT, CLOSE_UP_EDGE) for layer in layers], down=True)
        for fault in frame.signs[:CLOSE_UPS]
    ]
    panels = (
        'ground truth',
        'decided',
        'below, for each fault: the photograph, the ground truth, what was decided',
    )
    picture = _joined([row, _joined(columns)], down=True)
    return Drawing(picture, panels, _nodes(np.union1d(truth, finest), scores))


def _nodes(ids: NDArray[np.uint8], scores: DatasetScores) -> tuple[Node, ...]:
    sets = {one.id: replace(one.first, readable_name=one.name) for one in scores.node_sets}
    return tuple(
        sets.get(label) or scores.tree.node_by_id(label)
        for label in ids.tolist()
        if label != UNLABELLED
    )


def _panels(panels: Iterable[NDArray[np.uint8]]) -> Image.Image:
    return _joined([scaled_to_width(Image.fromarray(pixels), PANEL_WIDTH) for pixels in panels])


def _joined(pictures: Sequence[Image.Image], *, down: bool = False) -> Image.Image:
    """Return pictures in a row, or one below the other, on white."""
    gaps = GAP * max(0, len(pictures) - 1)
    widths, heights = ([picture.size[axis] for picture in pictures] for axis in (0, 1))
    width = max(widths, default=0) if down else sum(widths) + gaps
    height = sum(heights) + gaps if down else max(heights, default=0)
    joined = Image.new('RGB', (width, height), 'white')
    place = 0
    for picture in pictures:
        joined.paste(picture, (0, place) if down else (place, 0))
        place += picture.size[down] + GAP
    return joined
