# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What SECURITY.md rules out: no network but DDS, no unpickling, no data run as code, no shell."""

from __future__ import annotations

import importlib.metadata
import platform
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest
from guarded import EXPLANATION, FORBIDDEN, SOCKET_CALLS
from marked_data import MARK, run_guarded

from hier_seg_ros.hierarchy import Hierarchy

OFFLINE = {
    'benchmark': 'hier_seg_ros.commands.benchmark:main',
    'evaluate_bag': 'hier_seg_ros.evaluation.evaluate_bag:main',
    'segment_images': 'hier_seg_ros.commands.segment_images:main',
}
# Guarded in ros/process/test_guarded_on_dds.py.
ON_DDS = {
    'hier_seg_ros.ros.node.segmenter_node:main',
    'hier_seg_ros.ros.replay.replay_bag:main',
}
# Each does one thing that is ruled out. `sys.argv[1]` holds the mark, as data would.
RULED_OUT = {
    'a socket of Python': 'import socket; socket.socket(socket.AF_INET6)',
    'a socket of a C library': 'import ctypes; ctypes.CDLL(None).socket(2, 1, 0)',
    'a name looked up': "import socket; socket.getaddrinfo('localhost', 80)",
    'a page': "from urllib.request import urlopen; urlopen('http://127.0.0.1:9')",
    'a pickle': 'import pickle, fractions; pickle.loads(pickle.dumps(fractions.Fraction(1)))',
    'a pickle in an array': (
        'import io, numpy; file = io.BytesIO(); numpy.save(file, [{1}]); file.seek(0); '
        'numpy.load(file, allow_pickle=True)'
    ),
    'a pickle in a checkpoint': (
        'import io, torch, fractions; file = io.BytesIO(); torch.save(fractions.Fraction(1), file);'
        'file.seek(0); torch.load(file, weights_only=False)'
    ),
    'data evaluated': 'import sys; eval(repr(sys.argv[1]))',
    'data executed': "import sys; exec('def function(): return ' + repr(sys.argv[1]))",
    'data compiled': "import sys; compile(sys.argv[1], 'file.py', 'eval')",
    'data imported': 'import importlib, sys; importlib.import_module(sys.argv[1])',
    'a shell': "import os; os.system('true')",
    'a shell of a process': "import subprocess; subprocess.run('true', shell=True)",
    'a shell by name': "import subprocess; subprocess.run(['/bin/sh', '-c', 'true'])",
    'a shell in its place': "import os; os.execv('/bin/sh', ['sh', '-c', 'true'])",
}
ALLOWED = """
import collections, multiprocessing, socket, subprocess, sys
socket.socketpair()
subprocess.run(['true', sys.argv[1]], check=True)
collections.namedtuple('Point', 'x y')
with multiprocessing.get_context('fork').Pool(1) as pool:
    assert pool.map(collections.Counter, ['aa']) == [{'a': 2}]
"""
LOAD_AND_SEGMENT = """
import sys
import numpy as np
from hier_seg_ros import Segmenter
image = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
for engine in sys.argv[2:]:
    segmenter = Segmenter.load(sys.argv[1], 'cpu', engine=engine)
    result, = segmenter.segment([image])
    assert result.level(1).shape == (64, 96)
    assert result.traffic_signs.shape == (64, 96)
"""


@pytest.fixture(scope='module')
def marked_model(tmp_path_factory: pytest.TempPathFactory, street_tree: Hierarchy) -> Path:
    from marked_data import write_marked_model

    return write_marked_model(tmp_path_factory.mktemp('model') / MARK, street_tree)


@pytest.mark.parametrize('name', RULED_OUT)
def test_what_is_ruled_out_ends_a_guarded_process(tmp_path: Path, name: str) -> None:
    program = tmp_path / 'program.py'
    program.write_text(RULED_OUT[name], encoding='utf-8')
    code, output = run_guarded([0, program, MARK])
    if name == 'a socket of a C library':
        if platform.machine() not in SOCKET_CALLS:
            pytest.skip(f'not known for {platform.machine()}')
        assert code == -signal.SIGSYS, output
    else:
        assert code == FORBIDDEN, output
        assert EXPLANATION in output


def test_what_is_not_ruled_out_goes_on_in_a_guarded_process(tmp_path: Path) -> None:
    program = tmp_path / 'program.py'
    program.write_text(ALLOWED, encoding='utf-8')
    assert run_guarded([0, program, MARK])[0] == 0


def test_a_command_that_fails_fails_the_guarded_process(tmp_path: Path) -> None:
    program = tmp_path / 'program.py'
    program.write_text('raise SystemExit(3)', encoding='utf-8')
    assert run_guarded([3, program], [3, program])[0] == 0
    assert run_guarded([3, program], [0, program])[0] == 1


def test_every_command_is_guarded_by_a_test() -> None:
    try:
        entries = importlib.metadata.distribution('hier_seg_ros').entry_points
    except importlib.metadata.PackageNotFoundError:
        pytest.skip('hier_seg_ros is not installed; run make setup')
    assert {entry.value for entry in entries} == {*OFFLINE.values(), *ON_DDS}


def test_loading_a_model_and_segmenting(tmp_path: Path, marked_model: Path) -> None:
    program = tmp_path / 'program.py'
    program.write_text(LOAD_AND_SEGMENT, encoding='utf-8')
    engines = ['torch', *(name for name in ('openvino', 'onnxruntime') if find_spec(name))]
    code, output = run_guarded([0, program, marked_model, *engines])
    assert code == 0, output


def test_commands_without_dds(tmp_path: Path, marked_model: Path) -> None:
    from marked_data import write_marked_bag, write_marked_images

    model = ('--model', marked_model, '--device', 'cpu')
    images = write_marked_images(tmp_path / 'images')
    bag = write_marked_bag(tmp_path / 'bag' / MARK)
    labels, scores = tmp_path / 'labels', tmp_path / 'scores'
    video = next(images.glob('*.avi'))
    code, output = run_guarded(
        [0, OFFLINE['segment_images'], images, *model, '--out', labels],
        [0, OFFLINE['segment_images'], video, *model, '--out', labels / 'video'],
        [0, OFFLINE['benchmark'], *model, '--size', '96x64', '--iterations', '1'],
        [0, OFFLINE['evaluate_bag'], bag, *model, '--out', scores],
    )
    assert code == 0, output
    # The mark has come through all of it.
    assert MARK in (scores / 'scores.json').read_text(encoding='utf-8')
    assert len({path.name for path in labels.rglob(f'*{MARK}*')}) >= 3
