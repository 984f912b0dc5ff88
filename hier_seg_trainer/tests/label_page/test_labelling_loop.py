# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ``benchmarks/labelling_loop.py`` says in place of a person, through the page's requests."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_labelling_folder import FIRST, SECOND, SIGN, SIZE, write_small_folder

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.datasets.samples import node_sets_of

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path.append(str(REPOSITORY / 'benchmarks'))
# The server's libraries; the client uses one of them.
pytest.importorskip('starlette')
pytest.importorskip('uvicorn')
import labelling_loop as loop  # noqa: E402  (it is no package's)


def test_answers_and_frames_reach_the_results(tmp_path: Path, tree: Hierarchy) -> None:
    folder = write_small_folder(tmp_path / 'folder', tree, model='small')
    stop, front, sky = (tree.node(name).id for name in (f'{SIGN}--stop', SIGN, 'Sky'))
    signs = {name: np.full(SIZE, UNLABELLED, np.uint8) for name in (FIRST, SECOND)}
    signs[FIRST][4:9, 9:14] = stop
    # A sign of no known class below the square of the second picture, nothing below its L.
    signs[SECOND][20:24, 40:44] = front
    street = np.full(SIZE, UNLABELLED, np.uint8)
    street[:20] = sky
    with loop.served(folder.path) as address:
        page = loop.PageClient(address)
        counts = loop.answer_all(page, folder, signs)
        painted = loop.paint_all(page, tree, {FIRST: street}, ())
        with pytest.raises(HierSegError, match='403'):
            loop.PageClient(f'{address}x').queue()
    assert {key: counts[key] for key in ('proposals', 'label', 'unknown', 'nothing', 'undo')} == {
        'proposals': 3,
        'label': 1,
        'unknown': 1,
        'nothing': 1,
        'undo': 1,
    }
    changed = int((street != folder.prediction(FIRST)).sum())
    assert painted == {'frames painted': 1, 'pixels': street.size, 'pixels changed': changed}
    state = folder.open_log().state
    assert [entry.action for entry in state.entries][:3] == ['label', 'undo', 'label']
    answers = {key: entry.action for key, entry in state.answers.items()}
    assert answers == {7: 'label', 3: 'nothing', 5: 'unknown'}
    root = folder.path / 'labels' / 'generic'
    data = open_dataset('folder', root, 'train', tree, root / 'mapping.yaml')
    first, second = (data[place].labels for place in range(2))
    # The frame was painted after the answer, and says that there is sky.
    assert (first == street).all()
    assert (second[20:24, 40:44] == front).all() and (second != UNLABELLED).sum() == 16


def test_signs_of_which_nothing_is_known_are_skipped(tmp_path: Path, tree: Hierarchy) -> None:
    proposal = write_small_folder(tmp_path / 'folder', tree).proposal_of_id[5]
    assert loop.answer_to(proposal, None, tree) == {'action': 'skip'}
    truth = np.full(SIZE, UNLABELLED, np.uint8)
    # One pixel of sixteen: whose sign it is cannot be said.
    truth[20, 40] = tree.node(f'{SIGN}--stop').id
    assert loop.answer_to(proposal, truth, tree) == {'action': 'skip'}
    truth[20:22, 40:44] = tree.node(f'{SIGN}--stop').id
    assert loop.answer_to(proposal, truth, tree) == {'action': 'label', 'class': f'{SIGN}--stop'}


def test_a_frame_is_corrected_only_where_the_truth_is_certain(
    tmp_path: Path, tree: Hierarchy
) -> None:
    for kind in ('images', 'labels'):
        (tmp_path / kind / 'train').mkdir(parents=True)
    # One row of building (a set of nodes), and a last pixel that nobody has labelled.
    colors = np.zeros((1, 5, 3), np.uint8)
    colors[0, :4] = (128, 0, 0)
    Image.fromarray(colors).save(tmp_path / 'labels' / 'train' / 'a.png')
    Image.fromarray(colors).save(tmp_path / 'images' / 'train' / 'a.png')
    data = open_dataset('folder', tmp_path, 'train', tree, loop.FACADE_MAPPING)
    names = ('Building', 'Sky', 'Person', f'{SIGN}--stop', 'Sky')
    prediction = np.array([[tree.node(name).id for name in names]], np.uint8)
    painted = loop.corrected(prediction, data[0].labels, node_sets_of(data), tree)
    building = tree.node('Building').id
    # Right; wrong; a person and a sign may stand before a building; not labelled.
    assert painted.tolist() == [[building, building, UNLABELLED, UNLABELLED, UNLABELLED]]
