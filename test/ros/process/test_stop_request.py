# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Signals at every moment of a process's start, and what comes first: the end."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from ros_client import DEADLINE

DELAYS = 20
SIGNALS = (signal.SIGINT, signal.SIGTERM)

# Signals wait until the first line of main has been run; the one before it belongs to Python.
PROGRAM = """
import signal, sys, threading
import hier_seg_ros.ros.{module} as command
signals = (signal.SIGINT, signal.SIGTERM)
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
class StopRequest(command.StopRequest):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
command.StopRequest = StopRequest
def stand_still(*arguments):
    print('stands still', flush=True)
    threading.Event().wait()
{preparation}
print('begins', flush=True)
sys.exit(command.main())
"""
# An import, and a model, that take for ever.
STANDING_IMPORT = """
class Finder:
    def find_spec(name, path, target=None):
        if name == {name!r}:
            stand_still()
sys.meta_path.insert(0, Finder)
"""
STANDING_MODEL = """
from hier_seg_ros.ros.node import model_loading
model_loading.warm_up = stand_still
"""


@contextmanager
def started(module, *arguments, preparation=''):
    program = PROGRAM.format(module=module, preparation=preparation)
    process = subprocess.Popen(
        [sys.executable, '-c', program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for_line(process, 'begins')
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_line(process, text):
    """Read the output up to a line that has the text, and no further."""
    for line in iter(process.stdout.readline, ''):
        if text in line:
            return
    pytest.fail(f'the process has ended without {text!r}')


def ended(process, signal_number):
    """Send a signal; return exit code and output."""
    process.send_signal(signal_number)
    output, _ = process.communicate(timeout=DEADLINE)
    return process.returncode, output


def test_a_signal_ends_the_node_in_order_at_every_moment_of_its_start(own_ros_domain, varied_model):
    # The first start takes longest, so that later ones come to wait for frames: nothing to warn of.
    patience = [f'stall_{level}_seconds:=3600.0' for level in ('error', 'warn')]
    parameters = (f'model:={varied_model}', 'device:=cpu', *patience)
    arguments = ('--ros-args', *(word for each in parameters for word in ('-p', each)))
    with started('node.segmenter_node', *arguments) as process:
        begin = time.monotonic()
        wait_for_line(process, 'is ready')
        seconds = time.monotonic() - begin
        assert ended(process, signal.SIGINT) == (0, '')
    for index in range(DELAYS):
        with started('node.segmenter_node', *arguments) as process:
            # Nothing to wait for, nor does the outcome depend on how far the process has come.
            select.select([], [], [], seconds * index / (DELAYS - 1))
            code, output = ended(process, SIGNALS[index % 2])
        assert code == 0, output
        # Neither a traceback nor an error: the lines of a node that was ready, and none else. Where
        # other programs use ROS 2 meanwhile, Fast DDS tells of ports that they have locked.
        lines = [line for line in output.splitlines() if 'RTPS_TRANSPORT_SHM' not in line]
        assert all('INFO' in line for line in lines), output


@pytest.mark.parametrize('signal_number', SIGNALS)
@pytest.mark.parametrize('name', ['rclpy', 'torch'])
def test_a_signal_does_not_wait_for_an_import(own_ros_domain, signal_number, name):
    preparation = STANDING_IMPORT.format(name=name)
    with started('node.segmenter_node', preparation=preparation) as process:
        wait_for_line(process, 'stands still')
        assert ended(process, signal_number) == (0, '')


@pytest.mark.parametrize('signal_number', SIGNALS)
def test_a_signal_does_not_wait_for_the_model(own_ros_domain, varied_model, signal_number):
    arguments = ('--ros-args', '-p', f'model:={varied_model}', '-p', 'device:=cpu')
    with started('node.segmenter_node', *arguments, preparation=STANDING_MODEL) as process:
        wait_for_line(process, 'stands still')
        assert ended(process, signal_number) == (0, '')


@pytest.mark.parametrize('signal_number', SIGNALS)
def test_a_replay_that_has_not_begun_is_interrupted(own_ros_domain, tmp_path, signal_number):
    preparation = STANDING_IMPORT.format(name='rclpy')
    with started('replay.replay_bag', str(tmp_path), preparation=preparation) as process:
        wait_for_line(process, 'stands still')
        assert ended(process, signal_number) == (130, 'replay_bag: stopped before the end\n')
