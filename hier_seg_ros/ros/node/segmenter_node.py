# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `segmenter_node`: runs the lifecycle node, by itself with autostart."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.numpy_faults import numpy_faults_named
from hier_seg_ros.ros.process.dds_profile import own_segments, use_dds_profile, wait_for_removal
from hier_seg_ros.ros.process.stop_request import StopRequest

if TYPE_CHECKING:
    from rclpy.executors import MultiThreadedExecutor

    from hier_seg_ros.ros.node.lifecycle_node import SegmenterNode

COMMAND = 'segmenter_node'


def main() -> NoReturn:
    """Run the node until SIGINT or SIGTERM, and end the process.

    The exit code is 0 after a signal; 1 where the node cannot start (with autostart also where it
    cannot configure or activate) or a bug has ended the executor.
    """
    # Before the imports, which take seconds: a signal must neither end in a traceback nor wait.
    stop = StopRequest(early_exit_code=0)
    segments: list[Path] = []
    try:
        code = _run(sys.argv, stop, segments)
    except HierSegError as error:
        print(f'{COMMAND}: {error}', file=sys.stderr)
        code = 1
    # rclpy's lifecycle node lies in a circle of references. What it holds of the middleware, shared
    # memory above all, would outlast the process.
    gc.collect()
    wait_for_removal(segments)
    # All is closed. Letting Python take torch apart needs seconds of a busy processor, in which
    # launch loses patience and kills the process.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(arguments: list[str], stop: StopRequest, segments: list[Path]) -> int:
    """Run the node; return the exit code. `segments` gets its shared memory."""
    import rclpy

    from hier_seg_ros.ros.process.startup import initialize, parse_arguments

    options = parse_arguments(_parser(), arguments)
    log_line = use_dds_profile(options.dds_profile)

    with numpy_faults_named():
        from hier_seg_ros.ros.node.lifecycle_node import SegmenterNode

    stop.end_in_order()
    initialize(arguments)
    try:
        node = SegmenterNode()
        try:
            if log_line is not None:
                node.get_logger().warning(log_line)
            return _spin(node, stop)
        finally:
            segments += own_segments()
            node.close()
            node.destroy_node()
    finally:
        rclpy.try_shutdown()


def _spin(node: SegmenterNode, stop: StopRequest) -> int:
    from rclpy.clock import Clock, ClockType
    from rclpy.exceptions import InvalidHandle
    from rclpy.executors import MultiThreadedExecutor

    from hier_seg_ros.ros.node.lifecycle_node import EXECUTOR_THREADS

    executor = MultiThreadedExecutor(num_threads=EXECUTOR_THREADS)
    executor.add_node(node)
    start_threads(executor, EXECUTOR_THREADS)

    def start() -> None:
        timer.cancel()
        if not node.start_by_itself(abandoned=lambda: stop.signalled):
            stop.set()  # the node has logged why

    if node.settings.autostart:
        # In the executor, so that diagnostics tell how it goes; by a clock that always runs.
        timer = node.create_timer(0.0, start, clock=Clock(clock_type=ClockType.STEADY_TIME))

    # On a thread of its own, because a wait inside rcl does not let Python's handlers run.
    thread = threading.Thread(
        target=run_executor, args=(executor, stop), name='executor', daemon=True
    )
    thread.start()
    stop.wait()
    node.abandon()  # before anybody waits for its callbacks
    executor.create_task(lambda: None)  # ends the wait
    thread.join()
    # Not before, because it takes away what the other thread waits with.
    executor.shutdown()
    # rclpy prints what nobody asks for. A topic that was destroyed meanwhile is no fault.
    for task in getattr(executor, '_futures', ()):
        error = task.exception() if task.done() else None
        if error is not None and not isinstance(error, InvalidHandle):
            node.get_logger().error(f'a callback failed while the node ended: {error!r}')
    return 0 if stop.signalled else 1


def start_threads(executor: MultiThreadedExecutor, number: int) -> None:
    """Let the executor start its threads before anything else that it does.

    By itself it starts one whenever none is idle. With the memory nearly used up that would fail,
    and end the node.
    """
    meeting = threading.Barrier(number)

    def meet() -> None:
        with suppress(threading.BrokenBarrierError):  # the node is stopped already
            meeting.wait(timeout=5.0)

    for _ in range(number):
        executor.create_task(meet)


def run_executor(executor: MultiThreadedExecutor, stop: StopRequest) -> None:
    """Run callbacks until the stop is requested; request it where one of them has a bug."""
    from rclpy.exceptions import InvalidHandle

    try:
        while not stop.wait(0):
            # A topic that one thread destroys just as another one looks whether it is ready:
            # rclpy passes over it in most places, but not in all.
            with suppress(InvalidHandle):
                executor.spin_once()
    finally:
        stop.set()


def _parser() -> argparse.ArgumentParser:
    from hier_seg_ros.ros.process.startup import add_dds_profile_option

    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description='ROS 2 lifecycle node that segments images with a hierarchy of classes.',
        epilog='ROS arguments follow --ros-args, for example: '
        f'{COMMAND} --ros-args -r image:=/camera/image_raw -p model:=street_lite0',
    )
    add_dds_profile_option(parser)
    return parser


if __name__ == '__main__':
    main()
