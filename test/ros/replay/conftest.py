# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `replay_bag`, run by tests."""

from __future__ import annotations

import signal

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from hier_seg_ros.ros.replay.replay_bag import main


@pytest.fixture
def replay(own_ros_domain, capfd):
    """Return a function that runs the command in this process: exit code, output and errors."""

    def run(*arguments):
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            code = main([str(argument) for argument in arguments])
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run
