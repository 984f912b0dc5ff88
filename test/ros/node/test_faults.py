# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The faults of benchmarks/faults.py: the real node is well again after each of them.

How long that takes is the benchmark's to say. Here it is only waited for, and every frame that the
node has received must have exactly one fate.
"""

from __future__ import annotations

import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

sys.path.append(str(Path(__file__).resolve().parents[3] / 'benchmarks'))

from faults import BLACK, FAULTS, SIGNALS, STATES, Robot, end_in
from rcl_interfaces.srv import SetParameters
from ros_client import parameter


@pytest.fixture(scope='module')
def robot(own_ros_domain, varied_model, tmp_path_factory):
    with Robot(varied_model, tmp_path_factory.mktemp('captures')) as robot:
        yield robot
    print(robot.command.output)


@pytest.mark.parametrize('fault', FAULTS, ids=lambda fault: fault.__name__)
def test_the_node_is_well_again_after(robot, fault):
    fault(robot)
    counts = robot.account()
    assert counts['received'] == sum(counts.values()) - counts['received']
    assert robot.command.process.poll() is None
    assert 'Traceback' not in robot.command.output


def test_a_frame_that_hangs_does_not_hold_up_the_end(own_ros_domain, varied_model, tmp_path):
    # Not even where a change of the settings waits for that frame, and nobody looks any more.
    with Robot(varied_model, tmp_path, inference_timeout='3600.0') as robot:
        with robot.silence():
            received = robot.count('received')
            robot.send(np.full((48, 64, 3), BLACK, np.uint8))
            robot.client.wait_for(lambda: robot.count('received') > received, 'the frame')
            change = SetParameters.Request(parameters=[parameter('overlay_alpha', 0.25)])
            robot.client.send(SetParameters, f'{robot.node}/set_parameters', change)
            robot.wait_for_reports(2)
        assert robot.command.stop(signal.SIGTERM) == 0
        assert 'Traceback' not in robot.command.output


@pytest.mark.parametrize('state', STATES)
def test_signals_end_the_node_in_every_lifecycle_state(own_ros_domain, varied_model, state):
    with ThreadPoolExecutor(len(SIGNALS)) as threads:
        ended = [
            threads.submit(end_in, state, signal_number, varied_model) for signal_number in SIGNALS
        ]
        assert all(each.result() >= 0.0 for each in ended)


def test_after_a_kill_another_node_takes_its_place(own_ros_domain, varied_model, tmp_path):
    for _ in range(2):
        with Robot(varied_model, tmp_path) as robot:
            assert robot.account()['published'] >= 1
            assert robot.command.stop(signal.SIGKILL) == -signal.SIGKILL
