# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several sessions at one folder: what is next, whose answer counts, what is taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_labelling_folder import FIRST, SECOND, SIGN, SIZE, write_small_folder

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.label_page.leases import SECONDS, Leases
from hier_seg_trainer.label_page.work import OvertakenError, Work
from hier_seg_trainer.labelling.folder import LabellingFolder

STOP, YIELD = 'stop', 'give way'


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def work(tmp_path: Path, tree: Hierarchy, clock: Clock) -> Work:
    folder = write_small_folder(tmp_path / 'folder', tree)
    return Work(folder, folder.open_log(), Leases(clock))


def label(tree: Hierarchy, proposal: int, name: str) -> dict[str, Any]:
    return {'action': 'label', 'proposal': proposal, 'class': tree.node(name).name}


def ids(queue: list[dict[str, Any]]) -> list[int]:
    return [proposal['id'] for proposal in queue]


def entries(work: Work) -> int:
    return len(work.state.entries)


def test_queue_is_in_the_folders_order_and_answers_leave_it(work: Work, tree: Hierarchy) -> None:
    assert ids(work.queue('a', 'open', 0, 8)) == [7, 3, 5]
    work.answer('a', 'anna', label(tree, 7, STOP), 0)
    work.answer('a', 'anna', {'action': 'skip', 'proposal': 5}, 0)
    assert ids(work.queue('a', 'open', 0, 8)) == [3]
    assert ids(work.queue('a', 'skip', 0, 8)) == [5]
    assert ids(work.queue('a', 'skip', 3, 8)) == []
    assert work.counts() == {
        'all': 3, 'open': 1, 'label': 1, 'unknown': 0, 'nothing': 0, 'skip': 1, 'flag': 0,
    }  # fmt: skip
    with pytest.raises(HierSegError, match=r"^kind: is 'all'"):
        work.queue('a', 'all', 0, 1)


def test_two_sessions_are_asked_different_things(work: Work, tree: Hierarchy, clock: Clock) -> None:
    assert ids(work.queue('a', 'open', 0, 2)) == [7, 3]
    assert ids(work.queue('b', 'open', 0, 2)) == [5]
    # What a session holds it may see again.
    assert ids(work.queue('a', 'open', 0, 2)) == [7, 3]
    clock.now = SECONDS - 1
    assert ids(work.queue('b', 'open', 0, 3)) == [5]
    clock.now = SECONDS
    assert ids(work.queue('b', 'open', 0, 3)) == [7, 3, 5]


def test_an_answer_that_somebody_else_gave_meanwhile_is_shown_and_stays(
    work: Work, tree: Hierarchy
) -> None:
    first = work.answer('a', 'anna', label(tree, 7, STOP), 0)
    with pytest.raises(OvertakenError, match='proposal 7: anna has answered it') as caught:
        work.answer('b', 'bob', label(tree, 7, YIELD), 0)
    assert caught.value.theirs == first and entries(work) == 1
    assert work.proposal(7)['answer']['class'] == tree.node(STOP).name
    # Whoever has seen it may say otherwise.
    work.answer('b', 'bob', label(tree, 7, YIELD), first['number'])
    assert work.proposal(7)['answer']['author'] == 'bob'
    # The session stays with the server.
    assert 'session' not in work.proposal(7)['answer']


@pytest.mark.parametrize('action', ['label', 'unknown', 'nothing', 'skip', 'flag'])
def test_an_answer_that_comes_twice_is_written_once(
    work: Work, tree: Hierarchy, action: str
) -> None:
    sent = label(tree, 7, STOP) if action == 'label' else {'action': action, 'proposal': 7}
    assert work.answer('a', 'anna', sent, 0) == work.answer('a', 'anna', sent, 0)
    assert entries(work) == 1


def test_undo_takes_back_the_sessions_own_newest(work: Work, tree: Hierarchy) -> None:
    first = work.answer('a', 'anna', label(tree, 7, STOP), 0)
    second = work.answer('a', 'anna', {'action': 'nothing', 'proposal': 3}, 0)
    other = work.answer('b', 'bob', {'action': 'unknown', 'proposal': 5}, 0)
    with pytest.raises(HierSegError, match='entry 3 is no answer of this window'):
        work.undo('a', 'anna', other['number'])
    assert work.undo('a', 'anna', None)['id'] == 3
    # Again with the number, as after an answer that was lost: nothing else is taken back.
    assert work.undo('a', 'anna', second['number'])['answer'] is None
    assert entries(work) == 4
    assert work.undo('a', 'anna', None)['id'] == 7
    with pytest.raises(HierSegError, match='nothing of this window is left'):
        work.undo('a', 'anna', None)
    assert ids(work.queue('a', 'open', 0, 8)) == [7, 3]
    assert first['number'] in work.state.undone_by


def test_frames_are_saved_on_the_newest_only(work: Work, tree: Hierarchy) -> None:
    labels, number = work.frame(FIRST)
    assert number == 0 and labels is not None and labels.shape == SIZE
    mine, theirs = labels.copy(), labels.copy()
    mine[:4] = tree.node('Sky').id
    theirs[:4] = tree.node('Building').id
    saved = work.save_frame('a', 'anna', FIRST, mine, 0)
    assert work.save_frame('a', 'anna', FIRST, mine, 0) == saved and entries(work) == 1
    with pytest.raises(OvertakenError, match='anna has saved other labels') as caught:
        work.save_frame('b', 'bob', FIRST, theirs, 0)
    assert caught.value.theirs['number'] == saved['number']
    shown, number = work.frame(FIRST)
    assert np.array_equal(shown, mine) and number == saved['number']
    work.save_frame('b', 'bob', FIRST, theirs, number)
    assert np.array_equal(work.frame(FIRST)[0], theirs)
    assert work.images() == [
        {'name': FIRST, 'proposals': 1, 'open': 1, 'frame': 2},
        {'name': SECOND, 'proposals': 2, 'open': 2, 'frame': 0},
    ]


def test_what_there_is_not_is_refused(work: Work, tree: Hierarchy) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({'action': 'label', 'proposal': 99, 'class': SIGN}, 'has no proposal 99'),
        ({'action': 'label', 'proposal': 7, 'class': 'stpo'}, "has no class 'stpo'"),
        ({'action': 'label', 'proposal': 7}, 'class'),
        ({'action': 'label', 'proposal': [7], 'class': SIGN}, 'proposal'),
        ({'action': 'skip'}, 'proposal'),
        ({'action': 'flag', 'proposal': 7, 'comment': 'x' * 9999}, 'comment'),
        ({'action': 'undo', 'undoes': 1}, 'must be an answer'),
        ({'action': ['label'], 'proposal': 7}, 'must be an answer'),
        ({}, 'must be an answer'),
    ]
    for action, reason in refused:
        with pytest.raises(HierSegError, match=reason):
            work.answer('a', 'anna', action, 0)
    for author in ('', 'a\nb', 'x' * 500):
        with pytest.raises(HierSegError, match='author'):
            work.answer('a', author, {'action': 'skip', 'proposal': 7}, 0)
    wrong = np.full(SIZE, 200, np.uint8)
    with pytest.raises(HierSegError, match='200, which is no id'):
        work.save_frame('a', 'anna', FIRST, wrong, 0)
    assert entries(work) == 0


def test_another_process_finds_all_of_it(work: Work, tree: Hierarchy) -> None:
    work.answer('a', 'anna', label(tree, 7, STOP), 0)
    work.undo('a', 'anna', None)
    work.answer('a', 'anna', {'action': 'unknown', 'proposal': 3}, 0)
    folder = LabellingFolder.open(work.folder.path)
    again = Work(folder, folder.open_log())
    assert again.counts() == work.counts()
    assert again.proposal(3)['answer'] == work.proposal(3)['answer']
