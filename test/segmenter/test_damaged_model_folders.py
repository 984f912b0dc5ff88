# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model folders of any origin: whatever is in them, they load or are refused in one line.

A running node that is given another model relies on it: nothing but a HierSegError leaves the old
one running.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from model_folders import (
    BACKBONE_OPTIONS,
    HEADER_KEYS,
    MODEL_KEYS,
    NETWORKS,
    SMALL_TREE,
    TEXTS,
    TREE_KEYS,
    VALUES,
    WEIGHTS,
    Change,
    change_header,
    change_tree,
    change_yaml,
    json_can_hold,
    more_classifiers,
    more_layers,
    network,
    put,
    text,
    write_untrained_model,
)

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter import Segmenter

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder with a small tree."""
    folder = tmp_path_factory.mktemp('models') / 'small'
    return write_untrained_model(folder, Hierarchy(SMALL_TREE))


@pytest.fixture
def answer(whole: Path, tmp_path: Path) -> Callable[[Change], str | None]:
    """Return what gives the error's line for a damage, or None where the folder loads."""
    folder = tmp_path / 'model'

    def answer(change: Change) -> str | None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        change(folder)
        try:
            Segmenter.load(folder, 'cpu')
        except HierSegError as error:
            message = str(error)
            assert '\n' not in message
            assert len(message) < 1500
            assert message.startswith(f'{folder}/')
            assert ': ' in message
            return message.removeprefix(f'{folder}/')
        return None

    return answer


def test_the_whole_folder_loads(answer: Callable[[Change], str | None]) -> None:
    assert answer(lambda folder: None) is None


@pytest.mark.parametrize(
    ('change', 'key'),
    [
        *((change_yaml, key) for key in MODEL_KEYS),
        *((change_tree, key) for key in TREE_KEYS),
        *((change_header, key) for key in HEADER_KEYS),
    ],
)
def test_any_value_at_any_place(
    change: Callable[..., None], key: str, answer: Callable[[Change], str | None]
) -> None:
    file = {change_yaml: 'model.yaml', change_tree: 'hierarchy.yaml'}.get(change)
    answers = {}
    for name, value in VALUES.items():
        if file is None and not json_can_hold(value):
            continue

        def damage(folder: Path, value: Any = value) -> None:
            change(folder, lambda content: put(content, key, value))

        answers[name] = answer(damage)
    # Only what nobody reads may hold anything.
    assert (answers['nested list'] is None) == ((change, key) == (change_yaml, 'unknown'))
    if file == 'hierarchy.yaml':
        assert all(line is None or line.startswith('hierarchy.yaml') for line in answers.values())


@pytest.mark.parametrize('name', NETWORKS)
def test_networks_that_the_weights_are_not_of(
    name: str, answer: Callable[[Change], str | None]
) -> None:
    line = answer(network(NETWORKS[name]))
    assert line is not None
    assert line.startswith(('model.yaml: ', 'weights.safetensors: the tensor '))


@pytest.mark.parametrize('name', BACKBONE_OPTIONS)
def test_backbone_options_that_are_not_passed_on(
    name: str, answer: Callable[[Change], str | None]
) -> None:
    line = answer(network(BACKBONE_OPTIONS[name]))
    assert line is not None
    assert line.startswith('model.yaml: backbone')


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'pretrained': True}, "backbone_options 'pretrained': is not for a model to choose"),
        ({'checkpoint_path': '/etc/passwd'}, "'checkpoint_path': is not for a model to choose"),
        ({'pretrained_cfg': {}}, "backbone_options 'pretrained_cfg': is not for a model to choose"),
        ({'depths': [1]}, "backbone_options 'depths': is [1]; it must be a short text, true"),
        ({'a b': 1}, "backbone_options 'a b': is no name of an option"),
        ({'act_layer': 'os.system'}, "cannot be built with the options {'act_layer': 'os.system'}"),
        ([1], 'backbone_options [1]: must be a mapping'),
    ],
)
def test_what_is_said_of_backbone_options(
    options: Any, words: str, answer: Callable[[Change], str | None]
) -> None:
    line = answer(network({'backbone_options': options}))
    assert line is not None
    assert words in line


def test_plain_backbone_options_are_passed_on(answer: Callable[[Change], str | None]) -> None:
    plain = {'output_stride': 32, 'drop_rate': 0.1, 'drop_path_rate': 0, 'act_layer': 'relu'}
    assert answer(network({'backbone_options': plain})) is None


@pytest.mark.parametrize('name', WEIGHTS)
def test_weights_that_are_none(name: str, answer: Callable[[Change], str | None]) -> None:
    change, words = WEIGHTS[name]
    line = answer(change)
    assert line is not None
    assert words in line


@pytest.mark.parametrize('file', ['model.yaml', 'hierarchy.yaml'])
@pytest.mark.parametrize('name', TEXTS)
def test_texts_that_are_no_such_file(
    name: str, file: str, answer: Callable[[Change], str | None]
) -> None:
    line = answer(text(file, TEXTS[name]))
    assert line is not None
    assert line.startswith(f'{file}: ')


def test_networks_that_would_take_long_to_build(answer: Callable[[Change], str | None]) -> None:
    words = 'model.yaml: network: has many more tensors than the weights'
    for change in (more_layers, more_classifiers):
        line = answer(change)
        assert line is not None
        assert line.startswith(words)


@pytest.mark.parametrize('name', ['a\0b', 'n' * 5000, '', 'absent'])
def test_places_that_are_no_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(HierSegError) as caught:
        Segmenter.load(tmp_path / 'file' / name if name else Path('/dev/null'), 'cpu')
    assert '\n' not in str(caught.value)


# What each damage costs, in a process of its own whose memory is not yet what others have left.
COSTS = """
import json, resource, shutil, sys
from pathlib import Path

folder, whole = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.append(sys.argv[3])
from model_folders import costly_damages
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter import Segmenter

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

reached = []
FORBIDDEN = ('socket.', 'urllib.', 'http.', 'ftplib.', 'subprocess.', 'os.system', 'os.exec',
             'os.posix_spawn', 'os.fork', 'pickle.find_class')
def watch(event, arguments):
    if event.startswith(FORBIDDEN) or (event == 'open' and str(arguments[0]) == '/etc/passwd'):
        reached.append(event)

Segmenter.load(whole, 'cpu')
changes = costly_damages()
sys.addaudithook(watch)
costs, before = {}, most()
for name, change in changes.items():
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    change(folder)
    # What the damage itself took does not count.
    before = max(before, most())
    try:
        Segmenter.load(folder, 'cpu')
        costs[name] = None
    except HierSegError:
        costs[name] = most() - before
print(json.dumps([costs, reached]))
"""


def test_nothing_costs_memory_or_reaches_out(whole: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, '-c', COSTS, str(tmp_path / 'model'), str(whole), str(TESTS)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    costs, reached = json.loads(result.stdout.splitlines()[-1])
    assert len(costs) > 100
    assert [name for name, megabytes in costs.items() if megabytes is None] == []
    assert {name: megabytes for name, megabytes in costs.items() if megabytes > 100} == {}
    assert reached == []
