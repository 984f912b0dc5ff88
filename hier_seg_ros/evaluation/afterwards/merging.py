# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One evaluation of several, as if one run had evaluated all of their bags."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.output_folder import output_folder
from hier_seg_ros.evaluation.report.frame_records import FRAMES_FILE, frame_records
from hier_seg_ros.evaluation.result_files import (
    joined_summary,
    summary_lines,
    write_result_files,
)
from hier_seg_ros.evaluation.running.results import REJECTED_KEPT, SIGNS_FILE
from hier_seg_ros.evaluation.scores.bag_scores import BagScores
from hier_seg_ros.evaluation.scores.compact_lists import NameList
from hier_seg_ros.evaluation.scores.scores_file import VERSION
from hier_seg_ros.evaluation.scores.sign_list import COLUMNS
from hier_seg_ros.evaluation.scores.timings import Timings
from hier_seg_ros.files.reading import read_json

SCORES_FILE = 'scores.json'
ADVICE = 'give the --out folder of an evaluate_bag'
# What does not matter for whether numbers may be added: the machine that they come from.
_FREE = {'device', 'engine', 'precision', 'truth'}


def merge_runs(runs: Sequence[Path], out: Path, command: str) -> tuple[list[str], list[str]]:
    """Merge evaluations of different bags.

    Every score is computed anew from the sums of what was counted. Pictures stay where they are.

    Parameters
    ----------
    runs
        The folders of the evaluations, in the order of their bags.
    out
        The folder to write.
    command
        The command as it was typed.

    Returns
    -------
    tuple[list[str], list[str]]
        Lines: the result; what one should know of it.

    Raises
    ------
    HierSegError
        A folder is no evaluation, or they do not fit each other.

    """
    summaries = [_summary(run) for run in runs]
    _check_settings(runs, summaries)
    scores = BagScores.from_state(summaries[0]['state'], str(runs[0] / SCORES_FILE))
    timings = Timings.from_state(summaries[0]['timing_state'])
    for run, summary in zip(runs[1:], summaries[1:], strict=True):
        source = str(run / SCORES_FILE)
        scores.merge(_renamed(BagScores.from_state(summary['state'], source)))
        timings.merge(Timings.from_state(summary['timing_state']))
    names = _Names(summaries)
    scores.flagged = NameList(
        names.of(run, name)
        for run, summary in enumerate(summaries)
        for name in summary['state']['flagged']
    )
    bags = [bag for summary in summaries for bag in summary['bags']]
    joined = joined_summary(
        command,
        bags,
        _joined_settings(summaries),
        ', '.join(dict.fromkeys(summary['predictions'] for summary in summaries)),
        scores,
        timings,
        rejected=[line for summary in summaries for line in summary['rejected']][:REJECTED_KEPT],
        partial=[line for summary in summaries for line in summary.get('partial', [])],
        truth_faults=[line for summary in summaries for line in summary.get('truth_faults', [])],
        interrupted=any(summary['interrupted'] for summary in summaries),
    )
    with output_folder(out) as folder:
        with (folder / FRAMES_FILE).open('w', encoding='utf-8') as file:
            for record in _records(runs, summaries, names):
                file.write(json.dumps(record, allow_nan=False) + '\n')
        with (folder / SIGNS_FILE).open('w', encoding='utf-8', newline='') as file:
            csv.writer(file).writerows([COLUMNS, *_sign_rows(runs, names)])
        truth = joined['settings']['truth']
        write_result_files(folder, joined, scores, truth=[truth] if truth else [])
    return summary_lines(joined, out), _remarks(runs, summaries)


class _Names:
    """What the frames of each run are called among all: as in one run with all bags."""

    def __init__(self, summaries: Sequence[Mapping[str, Any]]) -> None:
        self._bags = [len(summary['bags']) for summary in summaries]
        self._digits = len(str(sum(self._bags) - 1))

    def first_bag(self, run: int) -> int:
        return sum(self._bags[:run])

    def of(self, run: int, name: str) -> str:
        bag, separator, number = name.rpartition('_')
        within = int(bag) if separator else 0
        return f'{self.first_bag(run) + within:0{self._digits}}_{number}'


def _summary(run: Path) -> dict[str, Any]:
    path = run / SCORES_FILE
    if not path.is_file():
        raise HierSegError(f'{run}: has no {SCORES_FILE}; {ADVICE}')
    summary = read_json(path)
    if not isinstance(summary, dict) or summary.get('version') != VERSION:
        found = summary.get('version') if isinstance(summary, dict) else None
        raise HierSegError(
            f'{path}: is of version {found or 1}, and {VERSION} is needed; evaluate the bag again'
        )
    lacking = {'bags', 'settings', 'state', 'timing_state', 'rejected'} - summary.keys()
    if lacking:
        raise HierSegError(f'{path}: has no {", ".join(sorted(lacking))}; evaluate the bag again')
    return summary


def _check_settings(runs: Sequence[Path], summaries: Sequence[Mapping[str, Any]]) -> None:
    first = summaries[0]['settings']
    for run, summary in zip(runs[1:], summaries[1:], strict=True):
        settings = summary['settings']
        for name in sorted(first.keys() | settings.keys()):
            if name not in _FREE and first.get(name) != settings.get(name):
                raise HierSegError(
                    f'{run}: its {name} is {settings.get(name)}, that of {runs[0]} '
                    f'{first.get(name)}; merge only what was evaluated in the same way'
                )


def _joined_settings(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    settings = dict(summaries[0]['settings'])
    for name in _FREE & settings.keys():
        values = [summary['settings'].get(name) for summary in summaries]
        known = dict.fromkeys(
            text for value in values if value is not None for text in str(value).split(', ')
        )
        settings[name] = ', '.join(known) or None
    return settings


def _renamed(scores: BagScores) -> BagScores:
    """Return scores without the names of frames, which are other ones among all."""
    scores.flagged = NameList()
    return scores


def _records(
    runs: Sequence[Path], summaries: Sequence[Mapping[str, Any]], names: _Names
) -> Iterator[dict[str, Any]]:
    for number, run in enumerate(runs):
        for record in frame_records(run / FRAMES_FILE):
            record['frame'] = names.of(number, record['frame'])
            record['bag'] += names.first_bag(number)
            yield record


def _sign_rows(runs: Sequence[Path], names: _Names) -> Iterator[list[str]]:
    for number, run in enumerate(runs):
        try:
            with (run / SIGNS_FILE).open(encoding='utf-8', newline='') as file:
                rows = csv.reader(file)
                next(rows, None)
                for name, *others in rows:
                    yield [names.of(number, name), *others]
        except (OSError, ValueError) as error:
            raise HierSegError(
                f'{run / SIGNS_FILE}: cannot be read ({error}); evaluate the bag again'
            ) from error


def _remarks(runs: Sequence[Path], summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    remarks = []
    seen: dict[tuple[str, str], Path] = {}
    for run, summary in zip(runs, summaries, strict=True):
        if summary['interrupted']:
            remarks.append(f'{run}: was interrupted; its bags are not evaluated to their ends')
        for bag in summary['bags']:
            key = bag['path'], bag['image_topic']
            if key in seen:
                remarks.append(
                    f'{run}: has a bag {bag["path"]}, as {seen[key]} has; if it is the same one, '
                    f'its images count twice'
                )
            seen[key] = run
    return remarks
