# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `evaluate_bag compare` does; imported once the command runs, since it takes time."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.comparison.bootstrap import (
    CONFIDENCE,
    LEAST_BLOCKS,
    SAMPLES,
    blocks_of,
)
from hier_seg_ros.evaluation.comparison.conditions import (
    Condition,
    holds,
    look_up,
    parse_condition,
    value_text,
)
from hier_seg_ros.evaluation.comparison.differences import (
    Difference,
    differences,
    label_scores,
    label_tallies,
    true_classes,
)
from hier_seg_ros.evaluation.comparison.frame_changes import (
    LISTED,
    PICTURED,
    changes_as_json,
    frame_changes,
    most_changed,
    pictures_of,
)
from hier_seg_ros.evaluation.comparison.runs import (
    Key,
    Run,
    common_frames,
    read_run,
    shared_outputs,
)
from hier_seg_ros.evaluation.output_folder import check_replaceable, output_folder
from hier_seg_ros.evaluation.report.page import write_page
from hier_seg_ros.evaluation.report.titles import css_color, percent, points, title
from hier_seg_ros.files.writing import write_text
from hier_seg_ros.segmenter.outputs import label_values

VERSION = 1  # of comparison.json
CONDITION_HOLDS = 3  # exit code


@dataclass(frozen=True)
class Checked:
    """A condition of `--fail-if`, what was compared, and whether it holds."""

    text: str
    value: str
    holds: bool


def run(options: argparse.Namespace, command: str) -> int:
    """Compare two evaluations, write the page, say the result; returns the exit code.

    Parameters
    ----------
    options
        What the parser returned.
    command
        The command as it was typed, for the page.

    Raises
    ------
    HierSegError
        A run cannot be read, the two do not fit, or a condition is wrong; nothing is written then.

    """
    conditions = [parse_condition(text) for text in options.fail_if]
    check_replaceable(options.out)
    _check_apart(options)
    first, second = read_run(options.first), read_run(options.second)
    keys, warnings = common_frames(first, second)
    blocks = blocks_of(
        [key[0] for key in keys], [first.frames[key].seconds for key in keys], options.block
    )
    found = differences(first, second, keys, blocks)
    checked = _check(conditions, found)
    count = int(blocks.max()) + 1
    if count < LEAST_BLOCKS:
        warnings.append(f'{count} frames or blocks of frames are few: the intervals are too narrow')
    content = {
        'version': VERSION,
        'command': command,
        'first': str(first.folder),
        'second': str(second.folder),
        'frames': len(keys),
        'blocks': count,
        'samples': SAMPLES,
        'confidence': CONFIDENCE,
        'warnings': warnings,
        'fail_if': [vars(one) for one in checked],
        'differences': {name: _as_json(one) for name, one in found.items()},
    }
    with output_folder(options.out) as folder:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        write_text(folder / 'comparison.json', f'{text}\n')
        write_page(
            folder / 'compare.html', 'compare.html', **_page(first, second, keys, found, content)
        )
    print('\n'.join(_lines(content, found, checked)))
    print(f'page: {options.out / "compare.html"}')
    return CONDITION_HOLDS if any(one.holds for one in checked) else 0


def _check_apart(options: argparse.Namespace) -> None:
    out = options.out.resolve()
    for folder in (options.first, options.second):
        if out in (folder.resolve(), *folder.resolve().parents):
            raise HierSegError(
                f'{folder}: lies within {options.out}, which would be replaced; choose another '
                '--out'
            )


def _check(conditions: Sequence[Condition], found: Mapping[str, Difference]) -> list[Checked]:
    pairs = [(condition, look_up(condition, found)) for condition in conditions]
    return [
        Checked(condition.text, value_text(condition, one), holds(condition, one))
        for condition, one in pairs
    ]


def _as_json(one: Difference) -> dict[str, Any]:
    return {
        'first': one.first,
        'second': one.second,
        'difference': one.difference,
        'interval': None if one.interval is None else list(one.interval),
        'verdict': one.verdict,
    }


def _lines(
    content: Mapping[str, Any], found: Mapping[str, Difference], checked: Sequence[Checked]
) -> list[str]:
    """Return the result in a few lines for the terminal."""
    lines = [f'{content["frames"]} frames in both runs']
    lines += [f'warning: {line}' for line in content['warnings']]
    for name, one in found.items():
        share = name != 'signs.extra' and 'cityscapes' not in name
        if one.class_id is None and one.interval is not None and share:
            low, high = one.interval
            lines.append(
                f'{name}: {percent(one.first)} to {percent(one.second)}, {points(one.difference)} '
                f'points ({points(low)} to {points(high)}){_verdict_text(one)}'
            )
    classes = [one for one in found.values() if '.IoU.' in one.name and one.verdict]
    for verdict, text in (('gain', 'better'), ('loss', 'worse')):
        names = [one.name for one in classes if one.verdict == verdict]
        if names:
            lines.append(f'classes that are {text}: {", ".join(names)}')
    lines += [
        f'--fail-if {one.text!r}: {"holds" if one.holds else "does not hold"} ({one.value})'
        for one in checked
    ]
    return lines


def _verdict_text(one: Difference) -> str:
    return {'gain': ': better', 'loss': ': worse', '': ': no clear difference'}[one.verdict]


def _page(
    first: Run,
    second: Run,
    keys: Sequence[Key],
    found: Mapping[str, Difference],
    content: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what the template ``compare.html`` names."""
    outputs = shared_outputs(first, second)
    values = label_values(first.hierarchy)
    changes = frame_changes(first, second, keys)
    losses, gains = most_changed(changes, LISTED)
    classes = {
        output: [one for one in found.values() if one.name.startswith(f'{output}.IoU.')]
        for output in outputs
    }
    pictured = [
        replace(one, pictures=pictures_of(one, first, second))
        for one in (*losses[:PICTURED], *gains[:PICTURED])
    ]
    return {
        'content': content,
        'first': first,
        'second': second,
        'outputs': outputs,
        'scores': [one for one in found.values() if one.class_id is None],
        'headlines': [found[f'{output}.mIoU'] for output in outputs],
        'classes': classes,
        'accuracies': {
            (one.output, one.class_id): one for one in found.values() if '.accuracy.' in one.name
        },
        'colors': {
            name: [css_color(color) for color in one.colors] for name, one in values.items()
        },
        'texts': {name: one.texts for name, one in values.items()},
        'bags': _bag_rows(first, second, keys, outputs),
        'settings': _settings(first, second),
        'changes': [*losses, *gains],
        'pictured': [one for one in pictured if one.pictures],
        'layers': [
            name for name in values if any(f'{name} first' in one.pictures for one in pictured)
        ],
        'data': {
            'changes': changes_as_json(changes),
            'classes': {
                output: [_bar(one, values[output].texts) for one in rows]
                for output, rows in classes.items()
            },
        },
    }


def _bar(one: Difference, texts: Mapping[int, str]) -> dict[str, Any]:
    assert one.class_id is not None
    return {
        'name': texts.get(one.class_id, f'id {one.class_id}'),
        'difference': one.difference,
        'interval': one.interval,
    }


def _bag_rows(
    first: Run, second: Run, keys: Sequence[Key], outputs: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the mIoU of each recording in both runs, where there are several."""
    bags = list(dict.fromkeys(key[0] for key in keys))
    if len(bags) < 2:
        return []
    rows = []
    for bag in bags:
        of_bag = [key for key in keys if key[0] == bag]
        scores = {}
        for output in outputs:
            ours, theirs = (_mean_iou(one, of_bag, output) for one in (first, second))
            scores[output] = Difference(output, ours, theirs)
        rows.append({'name': bag, 'frames': len(of_bag), 'scores': scores})
    return rows


def _mean_iou(one: Run, keys: Sequence[Key], output: str) -> float | None:
    classes = true_classes(one, keys, output)
    sums = label_tallies(one, keys, output, classes).sum(axis=0, keepdims=True)
    value = float(label_scores(sums, [str(each) for each in classes])['mIoU'][0])
    return None if np.isnan(value) else value


def _settings(first: Run, second: Run) -> list[dict[str, Any]]:
    """Return the settings and versions of both runs, those that differ first."""
    ours, theirs = (_settings_of(one.summary) for one in (first, second))
    rows = [
        {'name': title(name), 'first': ours.get(name), 'second': theirs.get(name)}
        for name in dict.fromkeys([*ours, *theirs])
    ]
    return sorted(rows, key=lambda row: row['first'] == row['second'])


def _settings_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {
        'predictions': summary.get('predictions'),
        'date': summary.get('date'),
        **(summary.get('settings') or {}),
        'package_version': summary.get('package_version'),
        **(summary.get('versions') or {}),
    }
