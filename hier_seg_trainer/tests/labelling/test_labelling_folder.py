# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The labelling folder, its log and what the log adds up to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_labelling_folder import (
    FIRST,
    L_SHAPE,
    SECOND,
    SIGN,
    SIZE,
    write_small_folder,
)

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.labelling import log as log_module
from hier_seg_trainer.labelling.folder import LabellingFolder
from hier_seg_trainer.labelling.log import Log, read_entries
from hier_seg_trainer.labelling.new_folder import new_labelling_folder
from hier_seg_trainer.labelling.proposals import mask_of_runs, runs_of_mask
from hier_seg_trainer.labelling.state import ConflictError, State, until


@pytest.fixture
def folder(tmp_path: Path, tree: Hierarchy) -> LabellingFolder:
    return write_small_folder(tmp_path / 'labels', tree)


def label(proposal: int, name: str = 'Traffic Sign (Front)') -> dict[str, object]:
    names = {'stop': 'object--traffic-sign--front--stop'}
    return {'action': 'label', 'proposal': proposal, 'class': names.get(name, SIGN)}


@pytest.mark.parametrize(
    'mask',
    [
        np.ones((3, 2), bool),
        np.zeros((2, 2), bool),
        np.array([[1, 0], [0, 1]], bool),
        np.array([[0, 1], [1, 0]], bool),
        np.random.default_rng(1).random((40, 30)) > 0.5,
    ],
)
def test_runs_are_those_of_a_slow_count(mask):
    counts, inside = [0], False
    for value in mask.ravel():
        if value != inside:
            counts.append(0)
            inside = value
        counts[-1] += 1
    assert list(runs_of_mask(mask)) == counts
    assert (mask_of_runs(runs_of_mask(mask), mask.shape) == mask).all()


def test_a_folder_holds_what_was_written(folder):
    assert [proposal.id for proposal in folder.proposals] == [7, 3, 5]
    assert (folder.proposal_of_id[7].mask == L_SHAPE).all()
    assert len(folder.proposal_of_id[7].guesses) == 9
    assert folder.proposal_of_id[7].confidence == 0.5
    assert folder.proposal_of_id[5].confidence == 0.0
    assert sorted(folder.images) == [FIRST, SECOND]
    assert folder.prediction(FIRST).shape == SIZE
    assert not list(folder.path.parent.glob('.*'))


def test_names_of_pictures_are_made_safe_and_unique(tmp_path, tree):
    from hier_seg_ros.images.compression import encode_rgb_png

    data = encode_rgb_png(np.zeros((4, 4, 3), np.uint8))
    wanted = ['a b.png', '../../a b.PNG', 'A_b.jpg', 'ü.png', 'x.ppm', 'x' * 300 + '.png']
    with new_labelling_folder(tmp_path / 'out', tree, {}) as new:
        names = [new.add_image(name, data) for name in wanted]
    assert names[:5] == ['a_b.png', 'a_b_2.png', 'A_b_3.jpg', '_.png', 'x.png']
    assert len(names[5]) < 130
    assert sorted(LabellingFolder.open(tmp_path / 'out').images) == sorted(names)


def test_what_is_there_is_not_replaced(folder, tree):
    with pytest.raises(HierSegError, match='exists already, and its labels would be lost'):
        write_small_folder(folder.path, tree)


def test_the_log_gives_the_state(folder):
    log = folder.open_log()
    first = folder.append(log, 'anna', 's1', label(7))
    assert (first.number, first.author) == (1, 'anna')
    folder.append(log, 'ben', 's2', label(7, 'stop'))
    folder.append(log, 'anna', 's1', {'action': 'unknown', 'proposal': 3})
    folder.append(log, 'anna', 's1', {'action': 'skip', 'proposal': 5})
    folder.append(log, 'anna', 's1', {'action': 'flag', 'proposal': 7, 'comment': 'look: ü'})
    state = folder.open_log().state
    assert state == log.state
    assert state.answers[7].number == 2
    assert state.counts() == {'label': 1, 'unknown': 1, 'nothing': 0, 'skip': 1, 'flag': 0}
    assert not any(state.is_open(key) for key in (3, 5, 7))
    folder.append(log, 'ben', 's2', {'action': 'undo', 'undoes': 2})
    folder.append(log, 'ben', 's2', {'action': 'undo', 'undoes': 4})
    assert log.state.answers[7].number == 1
    assert log.state.is_open(5)
    # What is undone may be undone in its turn.
    folder.append(log, 'ben', 's2', {'action': 'undo', 'undoes': 6})
    assert log.state.answers[7].number == 2
    assert folder.open_log().state == log.state
    for number in range(1, len(log.state.entries) + 1):
        prefix = State.of(until(log.state.entries, str(number)))
        assert [entry.number for entry in prefix.entries] == list(range(1, number + 1))
    assert State.of(until(log.state.entries, '2')).answers[7].number == 2


def test_until_a_time(folder):
    log = folder.open_log()
    entries = [folder.append(log, 'a', 's', label(7)) for _ in range(3)]
    lines = [
        entry.__class__(entry.number, time, *('a', 's', 'label'), entry.values)
        for entry, time in zip(
            entries,
            ['2026-11-30T12:00:00.000Z', '2026-11-30T12:00:59.999Z', '2026-11-30T12:01:00.000Z'],
            strict=True,
        )
    ]
    assert len(until(lines, '2026-11-30T12:00')) == 2
    assert len(until(lines, '2026-11-30 12:00:00Z')) == 1
    assert len(until(lines, '2026-11-30')) == 3
    assert not until(lines, '2025-12')
    for wrong in ('yesterday', '2026', '0', '4'):
        with pytest.raises(HierSegError, match='--at'):
            until(lines, wrong)
    assert len(until(lines, None)) == 3


def test_labels_of_a_frame(folder, tree):
    log = folder.open_log()
    labels = np.full(SIZE, 255, np.uint8)
    labels[:10] = tree.node('Sky').id
    entry = folder.append_frame(log, 'anna', 's1', FIRST, labels, 0)
    assert (folder.frame_labels(entry) == labels).all()
    with pytest.raises(ConflictError, match='painted on entry 0, but its newest labels'):
        folder.append_frame(log, 'ben', 's2', FIRST, labels, 0)
    second = folder.append_frame(log, 'ben', 's2', FIRST, labels + 0, entry.number)
    assert log.state.frames[FIRST] == second
    labels[0, 0] = 254
    with pytest.raises(HierSegError, match='254, which is no id'):
        folder.append_frame(log, 'ben', 's2', FIRST, labels, second.number)
    assert sorted(path.name for path in (folder.path / 'frames').iterdir()) == [
        'ulm_1.1.png',
        'ulm_1.2.png',
    ]


@pytest.mark.parametrize(
    ('action', 'words'),
    [
        ({'action': 'label', 'proposal': 8, 'class': SIGN}, 'no proposal 8'),
        (
            {'action': 'label', 'proposal': 7, 'class': 'object--traffic-sign--frond'},
            'did you mean',
        ),
        ({'action': 'label', 'proposal': 7}, 'its class is None'),
        ({'action': 'label', 'proposal': True, 'class': SIGN}, 'True'),
        ({'action': 'labl', 'proposal': 7}, "did you mean 'label'"),
        ({'action': 'undo', 'undoes': 1}, 'not in the log'),
        ({'action': 'skip', 'proposal': 7, 'comment': 'x'}, 'does not belong'),
        ({'action': 'skip', 'proposal': 7, 'number': 9}, 'its number is 9'),
        ({'action': 'frame', 'image': '../x', 'labels': 'x', 'base': 0}, 'no image'),
        ({'action': 'flag', 'proposal': 7, 'comment': 'x' * 3000}, 'comment'),
    ],
)
def test_a_wrong_action_changes_nothing(folder, action, words):
    log = folder.open_log()
    with pytest.raises(HierSegError, match=words):
        folder.append(log, 'anna', 's1', action)
    assert log.state.entries == []
    assert (folder.path / 'log.jsonl').read_bytes() == b''


def test_a_line_that_was_cut_off_is_dropped(folder):
    log = folder.open_log()
    for key in (7, 3):
        folder.append(log, 'anna', 's1', label(key))
    path = folder.path / 'log.jsonl'
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        cut = folder.open_log()
        lines = whole[:length].count(b'\n')
        assert len(cut.state.entries) == lines
        assert (cut.dropped > 0) == (length > 0 and whole[length - 1 : length] != b'\n')
        folder.append(cut, 'ben', 's2', label(5))
        assert [entry.author for entry in folder.open_log().state.entries] == [
            *['anna'] * lines,
            'ben',
        ]


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda lines: lines[1:], 'line 1: its number is 2 instead of 1'),
        (lambda lines: [lines[0], '{'], 'line 2: is not valid JSON'),
        (lambda lines: [lines[0].replace('anna', '')], 'line 1: its author'),
        (
            lambda lines: [lines[0].replace('"proposal":7', '"proposal":70')],
            'line 1: .*proposal 70',
        ),
        (lambda lines: [lines[0].replace('T', ' ', 1)], 'line 1'),
        (lambda lines: ['[]'], 'line 1: is .* no entry'),
    ],
)
def test_a_wrong_log_is_named(folder, change, words):
    log = folder.open_log()
    for key in (7, 3):
        folder.append(log, 'anna', 's1', label(key))
    path = folder.path / 'log.jsonl'
    lines = path.read_text().splitlines()
    path.write_text('\n'.join(change(lines)) + '\n')
    with pytest.raises(HierSegError, match=words):
        folder.open_log()


def test_a_full_disk_loses_nothing(folder, monkeypatch):
    log = folder.open_log()
    folder.append(log, 'anna', 's1', label(7))
    before = (folder.path / 'log.jsonl').read_bytes()

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 40:
            raise OSError(28, 'No space left on device')
        return os.pwrite(descriptor, data[:-30], len(before)) and len(data) - 30

    with monkeypatch.context() as patch:
        patch.setattr(log_module.os, 'write', half)
        with pytest.raises(HierSegError, match=r'No space left on device\); make room'):
            folder.append(log, 'anna', 's1', label(3))
    assert (folder.path / 'log.jsonl').read_bytes() == before
    assert folder.append(log, 'anna', 's1', label(3)).number == 2


def test_a_process_that_is_killed_loses_no_answer(folder):
    code = (
        'import sys\n'
        'from pathlib import Path\n'
        'from hier_seg_trainer.labelling.folder import LabellingFolder\n'
        f'folder = LabellingFolder.open(Path({str(folder.path)!r}))\n'
        'with folder.lock():\n'
        '    log = folder.open_log()\n'
        '    while True:\n'
        f'        entry = folder.append(log, "a", "s", {label(7)!r})\n'
        '        print(entry.number, flush=True)\n'
    )
    process = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with pytest.raises(HierSegError, match=f'another hier-seg label .process {process.pid}'):
        for line in process.stdout:
            if int(line) == 30:
                with folder.lock():
                    pass
    process.send_signal(signal.SIGKILL)
    told = [int(line) for line in process.stdout]
    process.wait()
    with folder.lock():
        entries = folder.open_log().state.entries
    assert len(entries) >= (told or [30])[-1]


def test_what_does_not_belong_together_is_refused(folder, tmp_path, tree):
    with pytest.raises(HierSegError, match=r'folder\.json is missing'):
        LabellingFolder.open(tmp_path)
    path = folder.path / 'hierarchy.yaml'
    path.write_text(path.read_text().replace('Bird', 'Birds'))
    with pytest.raises(HierSegError, match='is not the tree that the folder was written with'):
        LabellingFolder.open(folder.path)
    tree.save(path)
    (folder.path / 'images' / SECOND).rename(tmp_path / 'gone.png')
    with pytest.raises(HierSegError, match=r'ulm_2\.png: is missing, and 2 proposals are of it'):
        LabellingFolder.open(folder.path)
    with pytest.raises(HierSegError, match='is missing; restore it'):
        folder.image_path(SECOND)
    # A link may lead out of the folder.
    (folder.path / 'images' / SECOND).symlink_to(tmp_path / 'gone.png')
    with pytest.raises(HierSegError, match='is missing'):
        LabellingFolder.open(folder.path)
    with pytest.raises(HierSegError, match='has no image'):
        folder.image_path('../folder.json')


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'id': 3}, 'the id 3 is there twice'),
        ({'pixels': 6}, 'not the pixels'),
        ({'box': [1, 2, 3, 3]}, 'not the size of its box'),
        ({'box': [3, 2, 3, 3]}, 'empty box'),
        ({'parent': 'object--traffic-sign--frond'}, 'did you mean'),
        ({'image': 5}, '5 is no text'),
        ({'mask': None}, 'is no proposal'),
    ],
)
def test_wrong_proposals_are_named(folder, change, words):
    path = folder.path / 'proposals.jsonl'
    lines = path.read_text().splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), **change})
    path.write_text('\n'.join(lines))
    with pytest.raises(HierSegError, match=words):
        LabellingFolder.open(folder.path)


def test_reading_a_log_needs_no_folder(folder):
    folder.append(folder.open_log(), 'anna', 's1', label(7))
    entries, size, dropped = read_entries(folder.path / 'log.jsonl')
    assert (len(entries), dropped) == (1, 0)
    assert size == (folder.path / 'log.jsonl').stat().st_size
    assert Log(folder.path / 'none').state.entries == []
