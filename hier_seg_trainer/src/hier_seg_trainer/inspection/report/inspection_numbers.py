# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of an inspection, as ``inspection.json`` has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import Classifier, Hierarchy
from hier_seg_trainer.inspection.checks.problems import KINDS, Problem
from hier_seg_trainer.inspection.counts import (
    ClassCounts,
    count_classes,
    imbalance,
    median_frequency,
    supervision_gaps,
)
from hier_seg_trainer.inspection.survey import Survey


def summarise(surveys: Sequence[Survey], hierarchy: Hierarchy) -> dict[str, Any]:
    """Return the numbers of an inspection, as JSON knows them."""
    counts = [count_classes(survey.images, hierarchy) for survey in surveys]
    trained, scored = (_total(surveys, counts, training) for training in (True, False))
    datasets = [survey.dataset for survey in surveys if survey.dataset is not None]
    named = {name for dataset in datasets for name in dataset.node_names}
    unsupervised, without_example = supervision_gaps(hierarchy, named, trained + scored)
    problems = {
        kind: [
            {
                'data_set': survey.name,
                'file': survey.source.name_of(problem.path),
                'detail': problem.detail,
            }
            for survey, problem in found
        ]
        for kind, found in problems_by_kind(surveys).items()
    }
    severities = Counter(KINDS[kind].severity for kind, found in problems.items() for _ in found)
    return {
        'hierarchy': hierarchy.name,
        'errors': severities['error'],
        'warnings': severities['warning'],
        'data_sets': [
            _describe(survey, count, hierarchy)
            for survey, count in zip(surveys, counts, strict=True)
        ],
        'classifiers': [
            _describe_classifier(classifier, trained) for classifier in hierarchy.classifiers
        ],
        'unsupervised': [node.name for node in unsupervised],
        'without_example': [node.name for node in without_example],
        'only_scored': _names(hierarchy, (scored > 0) & (trained == 0)),
        'never_scored': _names(hierarchy, (trained > 0) & (scored == 0) & scored.any()),
        'problems': problems,
    }


def problems_by_kind(surveys: Sequence[Survey]) -> dict[str, list[tuple[Survey, Problem]]]:
    """Return the problems by kind, in the order of ``KINDS``, without the kinds that have none."""
    found: dict[str, list[tuple[Survey, Problem]]] = {kind: [] for kind in KINDS}
    for survey in surveys:
        for problem in survey.problems:
            found[problem.kind].append((survey, problem))
    return {kind: problems for kind, problems in found.items() if problems}


def _names(hierarchy: Hierarchy, chosen: NDArray[np.bool_]) -> list[str]:
    return [node.name for node in hierarchy.nodes if chosen[node.id]]


def _total(
    surveys: Sequence[Survey], counts: Sequence[ClassCounts], training: bool
) -> NDArray[np.int64]:
    """Return the labelled pixels (256,) by node id of the splits for training, or for scores."""
    parts = zip(surveys, counts, strict=True)
    return sum(
        (count.pixels for survey, count in parts if survey.source.training == training),
        start=np.zeros(256, np.int64),
    )


def _describe(survey: Survey, counts: ClassCounts, hierarchy: Hierarchy) -> dict[str, Any]:
    dataset, source, images = survey.dataset, survey.source, survey.images
    sizes = Counter(image.size for image in images if image.size is not None)
    root = [node.id for node in hierarchy.classifiers[0].nodes]
    pixels, instances = counts.pixels, counts.instances
    return {
        'name': survey.name,
        'format': source.format,
        'path': str(source.path),
        'split': source.split,
        'training': source.training,
        'supervision': None if dataset is None else dataset.supervision,
        'licence': None if dataset is None else dataset.licence,
        'images': 0 if dataset is None else len(dataset),
        'images_inspected': len(images),
        'images_usable': sum(image.usable for image in images),
        'pixels': sum(w * h * count for (w, h), count in sizes.items()),
        'labelled_pixels': int(pixels[root].sum()),
        'instances': None if instances is None else int(instances[root].sum()),
        'images_without_label': sum(image.usable and not len(image.node_ids) for image in images),
        'sizes': [
            {'width': width, 'height': height, 'images': count}
            for (width, height), count in sizes.most_common()
        ],
        'box_long_edges': _histogram([b.long_edge for image in images for b in image.boxes or ()]),
        'classes': {
            node.name: {
                'pixels': int(pixels[node.id]),
                'instances': None if instances is None else int(instances[node.id]),
                'images': int(counts.images[node.id]),
            }
            for node in hierarchy.nodes
            if counts.images[node.id]
        },
        'imbalance': {
            classifier.name: found.ratio
            for classifier in hierarchy.classifiers
            if (found := imbalance(pixels, classifier)) is not None
        },
        'problems': len(survey.problems),
    }


def _describe_classifier(classifier: Classifier, pixels: NDArray[np.int64]) -> dict[str, Any]:
    found = imbalance(pixels, classifier)
    return {
        'name': classifier.name,
        'level': classifier.depth,
        'imbalance': None
        if found is None
        else {'ratio': found.ratio, 'most': found.most.name, 'least': found.least.name},
        'median_frequency': median_frequency(pixels, classifier),
    }


def _histogram(edges: Sequence[float]) -> list[dict[str, float]]:
    """Return the boxes by their long edge, in classes of a factor of two from 1 pixel on."""
    if not edges:
        return []
    places = np.floor(np.log2(np.maximum(edges, 1))).astype(int)
    counts = np.bincount(places)
    return [
        {'from': 2**place, 'to': 2 ** (place + 1), 'boxes': int(counts[place])}
        for place in range(int(places.min()), len(counts))
    ]
