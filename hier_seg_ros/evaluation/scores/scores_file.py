# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes scores.json and classes.csv."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hier_seg_ros.files.writing import write_text

VERSION = 2  # of scores.json; scores.schema.json says what it has
# A list of numbers as `json` indents it, one in each line. No text of JSON has a line break.
_NUMBERS = re.compile(r'\[\n[\s\d.,eE+-]*\]')
COLUMNS = (
    'output', 'id', 'name', 'pixels', 'accuracy_paper', 'accuracy_cityscapes', 'iou_paper',
    'iou_cityscapes',
)  # fmt: skip


def write_scores(path: Path, summary: Mapping[str, Any]) -> None:
    """Write scores.json; lists of numbers take one line each."""
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, _NUMBERS.sub(_in_one_line, text) + '\n')


def write_classes(path: Path, summary: Mapping[str, Any]) -> None:
    """Write classes.csv: a row for each class of each output that has ground truth.

    Parameters
    ----------
    path
        The file.
    summary
        The content of scores.json, of which only ``scores`` is read.

    """
    file = io.StringIO(newline='')
    csv.writer(file).writerows([COLUMNS, *_rows(summary['scores'])])
    write_text(path, file.getvalue())


def _in_one_line(match: re.Match[str]) -> str:
    return ' '.join(match.group().split()).replace('[ ', '[').replace(' ]', ']')


def _rows(scores: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for output, of_output in scores.items():
        for entry in of_output['classes']:
            yield (
                output,
                entry['id'],
                entry['name'],
                entry['pixels'],
                entry['accuracy']['paper'],
                entry['accuracy']['cityscapes'],
                entry['iou']['paper'],
                entry['iou']['cityscapes'],
            )
