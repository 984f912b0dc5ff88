# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the demo's recording over the page, by keys alone, to what the trainer reads."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from label_pages import (
    REPOSITORY,
    log_of,
    opened_page,
    served,
    shown_proposal,
    started_browser,
    wait_until_saved,
)

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.cli import main
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.labelling.folder import LabellingFolder

ANSWERS = 10


@pytest.fixture
def browser() -> Iterator[Any]:
    with started_browser() as found:
        yield found


def test_proposals_of_a_recording_become_training_data(
    browser: Any, tmp_path: Path, tree: Hierarchy
) -> None:
    path = tmp_path / 'folder'
    words = ['propose', REPOSITORY / 'demo' / 'street', '--model', 'street_lite0', '--limit', '9']
    assert main([*map(str, words), '--out', str(path), '--device', 'cpu']) == 0
    folder = LabellingFolder.open(path)
    assert len(folder.proposals) > ANSWERS
    expected: dict[int, str] = {}
    with served(path) as server, opened_page(browser, server.address) as page:
        for place in range(ANSWERS):
            proposal = folder.proposal_of_id[shown_proposal(page)]
            key = place % min(3, len(proposal.guesses))
            expected[proposal.id] = proposal.guesses[key].name
            page.keyboard.press(str(key + 1))
        for _ in range(2):
            page.keyboard.press('z')
            del expected[shown_proposal(page)]
        wait_until_saved(page)
        assert server.end(signal.SIGKILL)[0] == -signal.SIGKILL
        with served(path) as again:
            page.keyboard.press('m')
            page.wait_for_selector('html[data-frame]')
            frame = page.locator('#frame-name').input_value()
            page.keyboard.press('/')
            page.keyboard.type('mountain')
            page.keyboard.press('Enter')
            box = page.locator('#photo').bounding_box()
            page.mouse.move(box['x'] + box['width'] / 3, box['y'] + box['height'] / 4)
            page.mouse.down()
            page.mouse.move(box['x'] + box['width'] / 2, box['y'] + box['height'] / 4, steps=5)
            page.mouse.up()
            wait_until_saved(page)
            code, said = again.end()
            assert code == 0 and 'Traceback' not in said and 'labels' in said
    state = folder.open_log().state
    given = {key: entry.values['class'] for key, entry in state.answers.items()}
    # Answers that were taken back before they were sent need no entries.
    assert given == expected and len(log_of(path)) >= len(expected) + 1
    root = path / 'labels' / 'generic'
    data = open_dataset('folder', root, 'train', tree, root / 'mapping.yaml')
    labels_of = {data.image_path(place).stem: data[place].labels for place in range(len(data))}
    for key, name in expected.items():
        proposal = folder.proposal_of_id[key]
        left, top, right, bottom = proposal.box
        inside = labels_of[Path(proposal.image).stem][top:bottom, left:right][proposal.mask]
        assert (inside == tree.node(name).id).mean() > 0.5
    painted = labels_of[Path(frame).stem]
    assert (painted == tree.node('Mountain').id).sum() > 500
    assert painted.shape == folder.frame_labels(state.frames[frame]).shape
