# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ``hier-seg label`` refuses in one line, and the results that it writes without a page."""

from __future__ import annotations

import json
import shutil
import socket
import stat
from pathlib import Path

import pytest
from small_labelling_folder import FIRST, SIGN, write_small_folder

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.cli import main
from hier_seg_trainer.labelling.address import ADDRESS, address_of_folder, keep_address
from hier_seg_trainer.labelling.folder import LabellingFolder


@pytest.fixture
def folder(tmp_path: Path, tree: Hierarchy) -> LabellingFolder:
    return write_small_folder(tmp_path / 'folder', tree)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run the command, which must fail, and return its line."""
    assert main(['label', *map(str, words)]) == 1
    said = capsys.readouterr().err
    assert said.startswith('hier-seg label: ') and said.count('\n') == 1
    return said


def test_a_port_that_is_taken(folder: LabellingFolder, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        said = refused(capsys, folder.path, '--port', port)
    assert f'port {port}: cannot be used' in said and 'leave out --port' in said
    assert 'port 99999' in refused(capsys, folder.path, '--port', '99999')


def test_a_folder_that_has_a_server(
    folder: LabellingFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with folder.lock():
        assert 'is open in another hier-seg label' in refused(capsys, folder.path)


def test_folders_that_are_none_or_damaged(
    folder: LabellingFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 'is no labelling folder' in refused(capsys, tmp_path)
    assert 'is no labelling folder' in refused(capsys, tmp_path / 'nothing')
    assert 'has no proposal 99' in refused(capsys, folder.path, '--at', '99')
    other = shutil.copytree(folder.path, tmp_path / 'other tree')
    text = (other / 'hierarchy.yaml').read_text('utf-8')
    (other / 'hierarchy.yaml').write_text(text.replace('Bird', 'Birds'), 'utf-8')
    assert 'is not the tree' in refused(capsys, other)
    gone = shutil.copytree(folder.path, tmp_path / 'gone')
    (gone / 'images' / FIRST).unlink()
    assert f'{FIRST}: is missing' in refused(capsys, gone)
    wrong = shutil.copytree(folder.path, tmp_path / 'wrong')
    (wrong / 'log.jsonl').write_text('{}\n', 'utf-8')
    assert 'log.jsonl: line 1' in refused(capsys, wrong)


def test_results_of_any_state_without_a_page(
    folder: LabellingFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 'nothing is labelled' in refused(capsys, folder.path, '--export')
    log = folder.open_log()
    for name in ('stop', 'give-way'):
        action = {'action': 'label', 'proposal': 7, 'class': f'{SIGN}--{name}'}
        folder.append(log, 'anna', 's', action)
    assert main(['label', str(folder.path), '--export', 'coco']) == 0
    assert 'written as coco' in capsys.readouterr().out
    out = tmp_path / 'then'
    words = ['label', str(folder.path), '--export', 'coco', '--until', '1', '--out', str(out)]
    assert main(words) == 0
    named = [
        {category['id']: category['name'] for category in content['categories']}[
            content['annotations'][-1]['category_id']
        ]
        for place in (folder.path / 'labels', out)
        for content in [json.loads((place / 'coco/annotations/train.json').read_text('utf-8'))]
    ]
    assert 'give' in named[0] and 'stop' in named[1]
    assert 'add it' in refused(capsys, folder.path, '--until', '1')
    assert '--out' in refused(capsys, folder.path, '--export', '--until', '1')
    assert 'is not known' in refused(capsys, folder.path, '--export', 'coca')


def test_only_the_owner_reads_the_token(folder: LabellingFolder) -> None:
    token, port = address_of_folder(folder.path)
    assert port == 0 and len(token) >= 32
    keep_address(folder.path, token, 4321)
    assert address_of_folder(folder.path) == (token, 4321)
    assert stat.S_IMODE((folder.path / ADDRESS).stat().st_mode) == 0o600
