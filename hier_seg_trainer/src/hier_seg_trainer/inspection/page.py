# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes what an inspection found: ``inspection.json`` with the numbers, ``inspection.html``."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Classifier, Hierarchy, Node
from hier_seg_trainer.inspection.counts import (
    ClassCounts,
    count_classes,
    imbalance,
    median_frequency,
    supervision_gaps,
)
from hier_seg_trainer.inspection.pictures import Picture, css_color, draw_gallery, thumbnail
from hier_seg_trainer.inspection.problems import KINDS, Problem
from hier_seg_trainer.inspection.survey import Survey

PAGE = 'inspection.html'
NUMBERS = 'inspection.json'
LISTED = 25  # findings of a kind on the page; the JSON has all of them
PICTURED = 8  # findings of a kind that are shown as pictures
COMPARED = 5  # pictures of one finding
SIZES = 8  # image sizes of a data set on the page
# Told apart with any kind of colour vision (Okabe & Ito, "Color Universal Design", 2008).
SERIES_COLORS = ('#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00')


def summarise(surveys: Sequence[Survey], hierarchy: Hierarchy) -> dict[str, Any]:
    """Return the numbers of an inspection, as JSON knows them."""
    counts = [count_classes(survey.images, hierarchy) for survey in surveys]
    trained, scored = (_total(surveys, counts, training) for training in (True, False))
    named = {
        name
        for survey in surveys
        if survey.dataset is not None
        for name in survey.dataset.node_names
    }
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
        for kind, found in _problems(surveys).items()
    }
    return {
        'hierarchy': hierarchy.name,
        'errors': sum(len(v) for k, v in problems.items() if KINDS[k].severity == 'error'),
        'warnings': sum(len(v) for k, v in problems.items() if KINDS[k].severity == 'warning'),
        'data_sets': [
            _describe(survey, count, hierarchy)
            for survey, count in zip(surveys, counts, strict=True)
        ],
        'classifiers': [
            _describe_classifier(classifier, trained) for classifier in hierarchy.classifiers
        ],
        'unsupervised': [node.name for node in unsupervised],
        'without_example': [node.name for node in without_example],
        'only_scored': [
            node.name for node in hierarchy.nodes if scored[node.id] and not trained[node.id]
        ],
        'never_scored': [
            node.name
            for node in hierarchy.nodes
            if trained[node.id] and not scored[node.id] and scored.any()
        ],
        'problems': problems,
    }


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
    dataset, source = survey.dataset, survey.source
    sizes = Counter(image.size for image in survey.images if image.size is not None)
    boxes = [box.long_edge for image in survey.images for box in image.boxes or ()]
    root = hierarchy.classifiers[0]
    return {
        'name': survey.name,
        'format': source.format,
        'path': str(source.path),
        'split': source.split,
        'training': source.training,
        'supervision': None if dataset is None else dataset.supervision,
        'licence': None if dataset is None else dataset.licence,
        'images': 0 if dataset is None else len(dataset),
        'images_inspected': len(survey.images),
        'images_usable': sum(image.usable for image in survey.images),
        'pixels': sum(w * h * count for (w, h), count in sizes.items()),
        'labelled_pixels': int(sum(counts.pixels[node.id] for node in root.nodes)),
        'instances': None
        if counts.instances is None
        else int(sum(counts.instances[node.id] for node in root.nodes)),
        'images_without_label': sum(
            image.usable and not len(image.node_ids) for image in survey.images
        ),
        'sizes': [
            {'width': size[0], 'height': size[1], 'images': count}
            for size, count in sizes.most_common()
        ],
        'box_long_edges': _histogram(boxes),
        'classes': {
            node.name: {
                'pixels': int(counts.pixels[node.id]),
                'instances': None if counts.instances is None else int(counts.instances[node.id]),
                'images': int(counts.images[node.id]),
            }
            for node in hierarchy.nodes
            if counts.images[node.id]
        },
        'imbalance': {
            classifier.name: found.ratio
            for classifier in hierarchy.classifiers
            if (found := imbalance(counts.pixels, classifier)) is not None
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


def _problems(surveys: Sequence[Survey]) -> dict[str, list[tuple[Survey, Problem]]]:
    """Return the problems by kind, in the order of ``KINDS``, without the kinds that have none."""
    found: dict[str, list[tuple[Survey, Problem]]] = {kind: [] for kind in KINDS}
    for survey in surveys:
        for problem in survey.problems:
            found[problem.kind].append((survey, problem))
    return {kind: problems for kind, problems in found.items() if problems}


def write_inspection(
    folder: Path,
    surveys: Sequence[Survey],
    hierarchy: Hierarchy,
    summary: Mapping[str, Any],
    *,
    images: int,
    seed: int,
) -> None:
    """Write the page and the numbers; each file appears whole or not at all.

    `summary` is what ``summarise`` returned, and what else the page's head names (date, command,
    limit). `images` of each split are drawn. Raises HierSegError if nothing can be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('hier_seg_trainer'),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        'percent': _percent,
        'compact': compact,
        'power_of_ten': _power_of_ten,
        'ratio': _ratio,
    }
    page = environment.get_template('inspect.html').render(
        summary=summary,
        hierarchy=hierarchy,
        charts=_charts(summary, hierarchy),
        findings=_findings(surveys),
        galleries=[
            (data_set, draw_gallery(survey, hierarchy, images, seed))
            for survey, data_set in zip(surveys, summary['data_sets'], strict=True)
        ],
        nodes={node.name: node for node in hierarchy.nodes},
        css_color=css_color,
        series_colors=SERIES_COLORS,
        max_sizes=SIZES,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / NUMBERS, json.dumps(summary, indent=2, ensure_ascii=False) + '\n')
        _write(folder / PAGE, page)
    except OSError as error:
        raise HierSegError(
            f'{folder}: cannot be written ({error.strerror or error}); choose another --out'
        ) from error


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f'.{path.name}.partial')
    try:
        partial.write_text(text, encoding='utf-8')
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class ChartRow:
    """A class of a chart: for each series its counts (None where it has none) and its bar.

    ``bars`` are shares of the chart's width, 0-1.
    """

    node: Node
    counts: tuple[Mapping[str, Any] | None, ...]
    bars: tuple[float, ...]
    pixels: int


@dataclass(frozen=True)
class Chart:
    """Bars of the labelled pixels of a classifier's classes, ``decades`` powers of ten wide.

    ``series`` are the data sets that have any, with their place among the training splits;
    ``ratio`` is the imbalance, None if there is nothing to compare.
    """

    title: str
    ratio: float | None
    decades: int
    classes: int
    series: tuple[tuple[int, Mapping[str, Any]], ...]
    rows: tuple[ChartRow, ...]


def _charts(summary: Mapping[str, Any], hierarchy: Hierarchy) -> list[Chart]:
    """Return a chart of the training splits for each classifier that has examples."""
    series = [entry for entry in summary['data_sets'] if entry['training']]
    charts = []
    for classifier, facts in zip(hierarchy.classifiers, summary['classifiers'], strict=True):
        counts_of = {
            node: counts
            for node in classifier.nodes
            if any(counts := tuple(entry['classes'].get(node.name) for entry in series))
        }
        if not counts_of:
            continue
        largest = max(count['pixels'] for row in counts_of.values() for count in row if count)
        decades = max(1, math.ceil(math.log10(max(largest, 1))))
        rows = [
            ChartRow(
                node,
                counts,
                tuple(math.log10(max(c['pixels'], 1)) / decades if c else 0.0 for c in counts),
                sum(count['pixels'] for count in counts if count),
            )
            for node, counts in counts_of.items()
        ]
        parent = 'all pixels' if classifier.parent is None else classifier.parent.readable_name
        imbalance_of = facts['imbalance']
        charts.append(
            Chart(
                f'Level {classifier.depth}: {parent}',
                None if imbalance_of is None else imbalance_of['ratio'],
                decades,
                len(classifier.nodes),
                tuple(
                    (place, entry)
                    for place, entry in enumerate(series)
                    if any(row.counts[place] for row in rows)
                ),
                tuple(sorted(rows, key=lambda row: -row.pixels)),
            )
        )
    return charts


def _findings(surveys: Sequence[Survey]) -> list[dict[str, Any]]:
    """Return the problems for the page: the first few of a kind, with pictures where they help."""
    findings = []
    for kind, found in _problems(surveys).items():
        rows = []
        for place, (survey, problem) in enumerate(found[:LISTED]):
            pictures: list[Picture] = []
            if problem.images and place < PICTURED:
                paths = (problem.path, *problem.images)[:COMPARED]
                pictures = [picture for path in paths if (picture := thumbnail(path))]
            rows.append(
                {
                    'data_set': survey.name,
                    'file': survey.source.name_of(problem.path),
                    'detail': problem.detail,
                    'pictures': pictures,
                    'more': len(problem.images) + 1 - len(pictures) if pictures else 0,
                }
            )
        findings.append({'key': kind, 'kind': KINDS[kind], 'rows': rows, 'count': len(found)})
    return findings


def compact(value: float | None) -> str:
    """Format a count with three digits and a prefix of thousands: 12.3 M; a dash for none."""
    if value is None:
        return '–'
    for power, prefix in ((9, 'G'), (6, 'M'), (3, 'k')):
        if value >= 0.9995 * 10**power:
            scaled = value / 10**power
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f'{scaled:.{digits}f} {prefix}'
    return f'{value:,.0f}'


def _power_of_ten(value: int) -> str:
    """Format 1, 10, 100, 1000, ... with a prefix of thousands: 10 k."""
    return compact(value).replace('.00', '').replace('.0', '')


def _percent(share: float) -> str:
    """Format a share of 0-1; a small one with a digit more."""
    return f'{share:.1%}' if share >= 0.001 or share == 0 else f'{share:.2%}'


def _ratio(value: float) -> str:
    """Format a ratio to 1."""
    return f'{value:.1f} : 1' if value < 10 else f'{compact(value)} : 1'
