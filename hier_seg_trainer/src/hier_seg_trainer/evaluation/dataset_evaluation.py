# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a segmenter over a data set and counts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.scoring.label_scores import LabelImage, confusion_matrix
from hier_seg_ros.scoring.signs import (
    SignResult,
    check_signs,
    far_pixels,
    sign_mask,
    sign_scores,
    true_signs,
)
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.datasets.formats.labelled_images import LabelledImages
from hier_seg_trainer.datasets.samples import Box, StreetDataset, open_labels
from hier_seg_trainer.datasets.shapes import draw_outline
from hier_seg_trainer.evaluation.benchmarks.cityscapes import CityscapesCounts, load_labels
from hier_seg_trainer.evaluation.dataset_scores import DatasetScores
from hier_seg_trainer.evaluation.deciding.looks import make_decider
from hier_seg_trainer.evaluation.deciding.mirroring import mirror_table
from hier_seg_trainer.evaluation.evaluation_options import EvaluationOptions
from hier_seg_trainer.evaluation.frames import FrameScore, score_pixels, score_signs
from hier_seg_trainer.evaluation.levels import class_table
from hier_seg_trainer.evaluation.prediction_files import PredictionFolder, label_values


def evaluate_dataset(
    segmenter: Segmenter,
    dataset: StreetDataset,
    *,
    tree: Hierarchy | None = None,
    options: EvaluationOptions | None = None,
    predictions: Path | None = None,
    progress: bool = False,
) -> DatasetScores:
    """Run `segmenter` over a data set, one image at a time, and score its decisions.

    `tree` is the tree in whose terms truth and decisions are compared: by default the segmenter's;
    for a flat model, whose own tree has one level, the one that its ids come from. `predictions` is
    a folder for label images of the decisions: label ids for the data sets of the Cityscapes
    benchmark, node ids for others. Raises HierSegError if the options do not suit the model or the
    data, or a file cannot be read or written.
    """
    options = options or EvaluationOptions()
    tree = segmenter.hierarchy if tree is None else checked_tree(tree, segmenter.hierarchy)
    mirror = mirror_table(tree, dataset)
    decide = make_decider(segmenter, tree, options, mirror)
    folder = None
    if predictions is not None:
        paths = [dataset.image_path(index) for index in range(len(dataset))]
        folder = PredictionFolder.of(predictions, paths)
    values = official_values(dataset, tree)
    official = CityscapesCounts() if options.official_scores and values is not None else None

    decisions = np.zeros((256, 256), np.int64)
    image_decisions = np.zeros((256, 256), np.int64)
    counts_as = class_table(dataset.node_names, tree)
    is_class = np.isin(np.arange(256), [tree.node(name).id for name in dataset.node_names])
    frames: list[FrameScore] = []
    sign_results: list[SignResult] = []
    far = predicted = 0
    indices = spread(len(dataset), options.limit)
    for index in tqdm(indices, disable=not progress, unit='image', desc=dataset.name):
        sample = dataset[index]
        finest = decide(np.asarray(sample.image))
        if sample.labels is not None:
            decisions_here = confusion_matrix(sample.labels, finest)
            decisions += decisions_here
            frames.append(score_pixels(index, decisions_here, dataset.node_names, tree))
        if sample.boxes is not None:
            decisions += confusion_matrix(draw_boxes(sample.boxes, finest.shape), finest)
            truths = true_signs(draw_signs(sample.boxes, finest.shape, tree))
            mask = sign_mask(finest, tree)
            signs = tree.traffic_sign_of_id[finest]
            results = check_signs(truths, signs, mask)
            sign_results += results
            frames.append(score_signs(index, results, signs, mask, tree))
            far_here, predicted_here = far_pixels(mask, truths)
            far, predicted = far + far_here, predicted + predicted_here
        if sample.image_label is not None:
            decided = _majority(counts_as[finest], is_class)
            image_decisions[sample.image_label, decided] += 1
        written = finest if values is None else values[finest]
        if folder is not None:
            folder.write(index, written)
        if official is not None:
            assert isinstance(dataset, LabelledImages)
            path = dataset.label_path(index)
            assert path is not None
            official.add(open_labels(path), written, dataset.instances(index), str(path))
    boxes = dataset.supervision == 'boxes'
    image = dataset.supervision == 'image'
    return DatasetScores(
        images=len(indices),
        tree=tree,
        node_names=dataset.node_names,
        decisions=None if image else decisions,
        complete_boxes=dataset.complete_boxes,
        signs=sign_scores(sign_results, far, predicted) if boxes else None,
        sign_results=tuple(sign_results),
        image_decisions=image_decisions if image else None,
        official=None if official is None else official.scores(),
        frames=tuple(frames),
    )


def official_values(dataset: StreetDataset, tree: Hierarchy) -> NDArray[np.uint8] | None:
    """Return the label id of each node id, (256,) uint8; None if no benchmark has the data set."""
    labels = load_labels()
    if dataset.name not in labels.data_sets or not isinstance(dataset, LabelledImages):
        return None
    return label_values(dataset.mapping, tree, labels)


def draw_boxes(boxes: Iterable[Box], shape: tuple[int, ...]) -> LabelImage:
    """Return node ids (H, W) uint8 in the outlines of `boxes`, 255 elsewhere; later ones win."""
    labels = Image.new('L', (shape[1], shape[0]), UNLABELLED)
    for box in boxes:
        draw_outline(labels, box, box.node_id)
    return np.array(labels)


def draw_signs(boxes: Iterable[Box], shape: tuple[int, ...], hierarchy: Hierarchy) -> LabelImage:
    """Return a traffic-sign image (H, W) uint8 with the outlines of `boxes`, 255 elsewhere."""
    sign_of_id = hierarchy.traffic_sign_of_id
    signs = [box for box in boxes if sign_of_id[box.node_id] != UNLABELLED]
    return sign_of_id[draw_boxes(signs, shape)]


def checked_tree(tree: Hierarchy, own: Hierarchy) -> Hierarchy:
    """Return `tree`; HierSegError if it does not have the ids of the segmenter's own tree."""
    names = {node.id: node.name for node in tree.nodes}
    for node in own.nodes:
        if names.get(node.id) != node.name:
            raise HierSegError(
                f'tree {tree.name}: id {node.id} is {names.get(node.id)!r}, for the model it is '
                f'{node.name!r}; give the tree that the model was made from'
            )
    return tree


def spread(count: int, limit: int | None) -> list[int]:
    """Return all indices, or `limit` of them evenly spread."""
    if limit is None or limit >= count:
        return list(range(count))
    return [place * count // limit for place in range(limit)]


def _majority(classes: LabelImage, is_class: NDArray[np.bool_]) -> int:
    """Return which class most pixels have, of those that have one of the data set's; else 255."""
    counts = np.where(is_class, np.bincount(classes.ravel(), minlength=256), 0)
    return int(counts.argmax()) if counts.any() else UNLABELLED
