# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever happens while a model is loaded, it ends as a model or as an error of one line."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import replace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from ros_client import DEADLINE

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros.node import model_loading
from hier_seg_ros.ros.node.library_log import LibraryLog
from hier_seg_ros.ros.node.model_loading import load_model
from hier_seg_ros.settings import Settings


@pytest.fixture
def settings(varied_model):
    return replace(Settings(), model=str(varied_model), device='cpu')


def test_a_model_is_loaded(settings):
    assert load_model(settings, Future()).device.type == 'cpu'


def test_the_engine_is_that_of_the_settings(settings):
    changed = replace(settings, engine='torch', precision='float32', threads=1)
    segmenter = load_model(changed, Future())
    assert (segmenter.engine.name, segmenter.engine.precision) == ('torch', 'float32')
    with pytest.raises(HierSegError, match='precision float16: torch needs a GPU'):
        load_model(replace(changed, precision='float16'), Future())


def test_what_the_segmenter_logs_is_in_the_log_of_the_node(settings):
    lines = []

    class Logger:
        def warning(self, line):
            lines.append(line)

    log = LibraryLog(Logger())
    try:
        segmenter = load_model(replace(settings, engine='torch'), Future())

        class Broken:
            name, precision = 'broken', 'float32'

            def run(self, inputs):
                raise RuntimeError('no more')

        segmenter.engine = Broken()
        model_loading.warm_up(segmenter, [(32, 32)])
    finally:
        log.close()
    segmenter.engine = Broken()
    model_loading.warm_up(segmenter, [(32, 32)])
    assert lines == [
        'engine broken in float32: fails (RuntimeError: no more); torch in float32 runs instead'
    ]


@pytest.mark.parametrize(
    'error',
    [
        ValueError('day is out of range for month'),
        TypeError("unhashable type: 'dict'"),
        RuntimeError('CUDA error:\n  no kernel image'),
        RecursionError('maximum recursion depth exceeded'),
        MemoryError(),
        KeyError('nodes'),
        OverflowError('int too big to convert'),
        AttributeError('nothing'),
        UnicodeEncodeError('utf-8', '\ud800', 0, 1, 'surrogates not allowed'),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize('step', ['find_model', 'warm_up'])
def test_whatever_goes_wrong_is_one_line(settings, monkeypatch, step, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(model_loading, step, fail)
    with pytest.raises(HierSegError) as caught:
        load_model(settings, Future())
    assert '\n' not in str(caught.value)
    assert f'model {settings.model} does not run on cpu: {type(error).__name__}' in str(
        caught.value
    )


def test_what_a_folder_says_of_itself_is_said(settings, monkeypatch):
    def fail(*arguments):
        raise HierSegError('model.yaml: no; give another')

    monkeypatch.setattr(model_loading, 'find_model', fail)
    with pytest.raises(HierSegError, match=r'^model.yaml: no; give another$'):
        load_model(settings, Future())


def test_a_process_that_ends_does_not_wait_for_its_model(settings, monkeypatch):
    entered, gate, ended = threading.Event(), threading.Event(), threading.Event()

    def wait_at_the_gate(*arguments):
        entered.set()
        assert gate.wait(DEADLINE)
        ended.set()

    monkeypatch.setattr(model_loading, 'warm_up', wait_at_the_gate)
    closing = Future()
    errors = []

    def load():
        with pytest.raises(HierSegError) as caught:
            load_model(settings, closing)
        errors.append(str(caught.value))

    thread = threading.Thread(target=load)
    thread.start()
    assert entered.wait(DEADLINE)
    closing.set_result(None)
    thread.join(DEADLINE)
    assert 'shutting down' in errors[0]
    gate.set()
    assert ended.wait(DEADLINE)
