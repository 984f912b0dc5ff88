# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes what an inspection found: ``inspection.json`` with the numbers, ``inspection.html``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hier_seg_ros.files.writing import write_text
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.inspection.checks.problems import KINDS, Problem
from hier_seg_trainer.inspection.report.charts import charts
from hier_seg_trainer.inspection.report.inspection_numbers import problems_by_kind
from hier_seg_trainer.inspection.report.inspection_pictures import (
    Picture,
    draw_gallery,
    thumbnail,
)
from hier_seg_trainer.inspection.report.number_texts import compact, percent, power_of_ten, ratio
from hier_seg_trainer.inspection.survey import Survey
from hier_seg_trainer.pages.html_page import render_page

PAGE = 'inspection.html'
NUMBERS = 'inspection.json'
LISTED = 25  # findings of a kind on the page; the JSON has all of them
PICTURED = 8  # findings of a kind that are shown as pictures
COMPARED = 5  # pictures of one finding
SIZES = 8  # image sizes of a data set on the page
# Told apart with any kind of colour vision (Okabe & Ito, "Color Universal Design", 2008).
SERIES_COLORS = ('#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00')
_ADVICE = 'choose another --out'


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

    Parameters
    ----------
    folder
        Where they go; it is made if it is not there.
    surveys
        What was found.
    hierarchy
        The label tree.
    summary
        What ``summarise`` returned, and what else the page's head names: date, command, limit and
        seed.
    images
        How many images of each split are drawn.
    seed
        Of their choice.

    Raises
    ------
    HierSegError
        A file cannot be written.

    """
    galleries = [draw_gallery(survey, hierarchy, images, seed) for survey in surveys]
    content = {
        'summary': summary,
        'hierarchy': hierarchy,
        'charts': charts(summary, hierarchy),
        'findings': _findings(surveys),
        'galleries': list(zip(summary['data_sets'], galleries, strict=True)),
        'nodes': {node.name: node for node in hierarchy.nodes},
        'series_colors': SERIES_COLORS,
        'max_sizes': SIZES,
    }
    filters = {'percent': percent, 'compact': compact, 'power_of_ten': power_of_ten, 'ratio': ratio}
    page = render_page('inspect.html', content, filters)
    numbers = json.dumps(summary, indent=2, ensure_ascii=False)
    write_text(folder / NUMBERS, numbers + '\n', _ADVICE)
    write_text(folder / PAGE, page, _ADVICE)


def _findings(surveys: Sequence[Survey]) -> list[dict[str, Any]]:
    """Return the problems for the page: the first few of a kind, with pictures where they help."""
    findings = []
    for kind, found in problems_by_kind(surveys).items():
        rows = []
        for place, (survey, problem) in enumerate(found[:LISTED]):
            pictures = _compared(problem) if place < PICTURED else []
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


def _compared(problem: Problem) -> list[Picture]:
    """Return pictures of the images that a problem is between."""
    paths = (problem.path, *problem.images)[:COMPARED] if problem.images else ()
    return [picture for path in paths if (picture := thumbnail(path)) is not None]
