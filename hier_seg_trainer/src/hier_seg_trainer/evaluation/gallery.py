# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A page of the images that a model decided worst: where the next data should come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Node
from hier_seg_ros.segmenter.drawing import color_image, overlay
from hier_seg_trainer.datasets.samples import StreetDataset, StreetSample
from hier_seg_trainer.evaluation.dataset_evaluation import draw_boxes
from hier_seg_trainer.evaluation.dataset_scores import DatasetScores
from hier_seg_trainer.evaluation.frames import FrameScore, SignFault, worst_frames
from hier_seg_trainer.evaluation.levels import class_table, deepest_level
from hier_seg_trainer.evaluation.replaced_files import make_folder, replaced

PAGE = 'index.html'
PANEL_WIDTH = 640  # pixels of each of a frame's pictures
CLOSE_UP_EDGE = 160  # pixels
CLOSE_UPS = 8  # of a frame, the first of its faults
CONTEXT = 2.5  # edge of a close-up in long edges of its sign
OVERLAY_ALPHA = 0.6
DIMMED = 0.35  # brightness of what is right, in the picture of what is wrong
GAP = 4  # pixels between pictures

Decide = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True)
class Entry:
    """One frame of the page: its file name in the data set, its picture and what it shows."""

    name: str
    picture: str
    score: float
    faults: tuple[str, ...]
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
    """Draw the `count` worst frames into `folder`, with a page; return them, worst first.

    `decide` gives the node ids (H, W) of an image (H, W, 3) uint8 RGB, as it did for `scores`;
    `facts` are the page's head. Raises HierSegError if images bear only one label each, or the
    folder cannot be written.
    """
    if not scores.frames:
        raise HierSegError(
            f'{dataset.name}: its images have one label each and no place where it is wrong; leave '
            f'out --gallery'
        )
    make_folder(folder, '--gallery')
    worst = worst_frames(scores.frames, count)
    entries = []
    for place, frame in enumerate(tqdm(worst, disable=not progress, unit='image', desc='gallery')):
        sample = dataset[frame.index]
        finest = decide(np.asarray(sample.image))
        draw = _draw_pixels if sample.labels is not None else _draw_signs
        picture, panels, classes = draw(sample, finest, frame, scores)
        path = dataset.image_path(frame.index)
        name = f'{place + 1:02}_{path.stem}.jpg'
        with replaced(folder / name, '--gallery') as partial:
            picture.save(partial, 'JPEG', quality=85)
        entries.append(Entry(path.name, name, frame.score, frame.faults, panels, classes))
    text = _page(entries, dataset, scores, facts)
    with replaced(folder / PAGE, '--gallery') as partial:
        partial.write_text(text, encoding='utf-8')
    return worst


def _draw_pixels(
    sample: StreetSample, finest: NDArray[np.uint8], frame: FrameScore, scores: DatasetScores
) -> tuple[Image.Image, tuple[str, ...], tuple[Node, ...]]:
    tree = scores.tree
    assert sample.labels is not None
    image = np.asarray(sample.image)
    truth = sample.labels
    # In the data set's own terms, as the scores are.
    level = deepest_level(scores.node_names, tree)
    decided = class_table(scores.node_names, tree)[tree.level_of_id[level - 1]][finest]
    wrong = (truth != UNLABELLED) & (truth != decided)
    mistakes = (image * DIMMED).astype(np.uint8)
    mistakes[wrong] = color_image(decided, tree)[wrong]
    panels = (
        overlay(image, truth, tree, OVERLAY_ALPHA),
        overlay(image, decided, tree, OVERLAY_ALPHA),
        mistakes,
    )
    shown = np.flatnonzero(
        np.bincount(truth.ravel(), minlength=256)[:UNLABELLED]
        + np.bincount(decided[wrong], minlength=256)[:UNLABELLED]
    )
    classes = tuple(tree.node_by_id(node_id) for node_id in shown.tolist())
    titles = ('ground truth', 'decided', 'what is wrong, in the colour of what was decided')
    return _side_by_side([_panel(panel) for panel in panels]), titles, classes


def _draw_signs(
    sample: StreetSample, finest: NDArray[np.uint8], frame: FrameScore, scores: DatasetScores
) -> tuple[Image.Image, tuple[str, ...], tuple[Node, ...]]:
    tree = scores.tree
    image = np.asarray(sample.image)
    truth = draw_boxes(sample.boxes or (), finest.shape)
    drawn = [overlay(image, labels, tree, OVERLAY_ALPHA) for labels in (truth, finest)]
    row = _side_by_side([_panel(pixels) for pixels in drawn])
    layers = [Image.fromarray(pixels) for pixels in (image, *drawn)]
    close_ups = [_close_up(layers, fault) for fault in frame.signs[:CLOSE_UPS]]
    strip = _side_by_side(close_ups, row.width)
    picture = Image.new('RGB', (row.width, row.height + GAP + strip.height), 'white')
    picture.paste(row, (0, 0))
    picture.paste(strip, (0, row.height + GAP))
    titles = (
        'ground truth',
        'decided',
        'below, for each fault: the photograph, the ground truth, what was decided',
    )
    shown = np.union1d(truth, finest)
    classes = tuple(tree.node_by_id(value) for value in shown.tolist() if value != UNLABELLED)
    return picture, titles, classes


def _close_up(layers: list[Image.Image], fault: SignFault) -> Image.Image:
    """Return the surroundings of a sign in each of `layers`, one above the other."""
    left, top, right, bottom = fault.box
    edge = max(right - left, bottom - top) * CONTEXT
    x, y = (left + right - edge) / 2, (top + bottom - edge) / 2
    # Beyond the image's edge, Pillow fills with black.
    square = (round(x), round(y), round(x + edge), round(y + edge))
    size = (CLOSE_UP_EDGE, CLOSE_UP_EDGE)
    column = Image.new('RGB', (CLOSE_UP_EDGE, len(layers) * (CLOSE_UP_EDGE + GAP) - GAP), 'white')
    for place, layer in enumerate(layers):
        close = layer.crop(square).resize(size, Image.Resampling.BICUBIC)
        column.paste(close, (0, place * (CLOSE_UP_EDGE + GAP)))
    return column


def _panel(pixels: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(pixels)
    height = max(1, round(image.height * PANEL_WIDTH / image.width))
    return image.resize((PANEL_WIDTH, height), Image.Resampling.LANCZOS)


def _side_by_side(pictures: list[Image.Image], width: int = 0) -> Image.Image:
    """Return pictures in a row on white, which is at least `width` pixels wide."""
    needed = sum(picture.width for picture in pictures) + GAP * max(0, len(pictures) - 1)
    height = max((picture.height for picture in pictures), default=0)
    row = Image.new('RGB', (max(needed, width), height), 'white')
    left = 0
    for picture in pictures:
        row.paste(picture, (left, 0))
        left += picture.width + GAP
    return row


def _page(
    entries: list[Entry],
    dataset: StreetDataset,
    scores: DatasetScores,
    facts: Mapping[str, Any],
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('hier_seg_trainer'),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template('gallery.html').render(
        entries=entries,
        title=dataset.title,
        licence=dataset.licence,
        images=scores.images,
        supervision=dataset.supervision,
        facts=facts,
    )
