# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long the node takes to be well again after each of its faults.

    python benchmarks/faults.py
    python benchmarks/faults.py --rounds 5 --json benchmarks/results/faults.json

Runs the real node in a process of its own, with a camera of ten frames per second over DDS, and
brings the faults about one after the other. A fault is over with the first frame that is sent after
its cause has ended and is answered; where the node itself has to end the cause, the time counts
from its beginning. Frames of one colour stand for what only broken hardware does: they make the
network raise an exception, end its thread or hang.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState
from measurement import circumstances, print_table, write_result
from numpy.typing import NDArray
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from soak import write_untrained_model
from std_srvs.srv import Trigger

sys.path.append(str(Path(__file__).resolve().parents[1] / 'test' / 'ros'))

from ros_client import Client, Command, Lifecycle, parameter, set_parameters, street

NAMESPACE = '/faults'
PERIOD = 0.1
BLACK, RED, GREEN, BLUE = (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)
FAULTY_NODE = f"""
import threading
import torch
from hier_seg_ros.ros.node.segmenter_node import main
from hier_seg_ros.segmenter import Segmenter
segment = Segmenter.segment
def faulty(self, images, **options):
    for image in images:
        color = tuple(image[0, 0].tolist())
        if not (image == image[0, 0]).all():
            continue
        if color == {RED}:
            raise torch.cuda.OutOfMemoryError('CUDA out of memory (simulated)')
        if color == {GREEN}:
            raise RuntimeError('CUDA error: an illegal memory access (simulated)')
        if color == {BLUE}:
            raise SystemExit
        if color == {BLACK}:
            threading.Event().wait()
    return segment(self, images, **options)
Segmenter.segment = faulty
main()
"""
# A camera, and a subscriber, that can be stopped and killed.
FIRST_STAMP = 10**6
CAMERA = f"""
import sys, time
import rclpy
from array import array
from sensor_msgs.msg import Image
rclpy.init()
publisher = rclpy.create_node('camera').create_publisher(Image, sys.argv[1], 10)
for number in range(10 ** 9):
    message = Image(height=48, width=64, encoding='rgb8', step=192)
    message.header.stamp.sec = {FIRST_STAMP} + number
    message.data = array('B', bytes(range(256)) * 36)
    print('sent', time.monotonic(), flush=True)
    publisher.publish(message)
    time.sleep(0.1)
"""
READER = """
import sys
import rclpy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node('reader')
read = lambda message: print('read', message.header.stamp.sec, flush=True)
node.create_subscription(Image, sys.argv[1], read, 10)
rclpy.spin(node)
"""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
FATES = ('published', 'replaced', 'not needed', 'rate limited', 'backing off', 'stopped')
_robots = itertools.count()


class Robot:
    """The node in its process, a camera, and who looks on."""

    def __init__(self, model: Path, captures: Path, inference_timeout: str = '1.0') -> None:
        """Start the node and wait for the first answer."""
        parameters = {
            'model': str(model),
            'device': 'cpu',
            'inference_timeout': inference_timeout,
            'stall_warn_seconds': '1.0',
            'capture_directory': str(captures),
        }
        settings = itertools.chain(
            *(('-p', f'{key}:={value}') for key, value in parameters.items())
        )
        # Several of them may be there at a time.
        self.namespace = f'{NAMESPACE}/robot_{next(_robots)}'
        self.node = f'{self.namespace}/segmenter'
        arguments = ('--ros-args', '-r', f'__ns:={self.namespace}', *settings)
        self.command = Command('-c', FAULTY_NODE, *arguments)
        self.client = Client()
        self.lifecycle = Lifecycle(self.client, self.node)
        self._arrays = self.client.collect('/diagnostics', DiagnosticArray)
        self._sent: dict[int, float] = {}
        self.answers: list[tuple[int, float]] = []  # stamp and time of each
        self.client.node.create_subscription(
            Image,
            f'{self.node}/level_1/labels',
            lambda message: self.answers.append((message.header.stamp.sec, time.monotonic())),
            10,
        )
        self._publisher = self.client.publisher(f'{self.namespace}/image', Image)
        self._numbers = itertools.count(1)
        self._sending = threading.Lock()
        self._pixels = street()
        self._next: list[NDArray[np.uint8]] = []
        self._paused = threading.Event()
        self._ended = threading.Event()
        self._camera = threading.Thread(target=self._run_camera, daemon=True)
        self._camera.start()
        self.recovers(time.monotonic())

    def __enter__(self) -> Robot:
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self._ended.set()
        self._camera.join()
        self.client.close()
        self.command.kill()

    def _run_camera(self) -> None:
        while not self._ended.wait(PERIOD):
            if not self._paused.is_set():
                self.send(self._next.pop() if self._next else self._pixels)

    def send(self, pixels: NDArray[np.uint8]) -> None:
        """Send a frame, H x W x 3 uint8."""
        height, width = pixels.shape[:2]
        message = Image(height=height, width=width, encoding='rgb8', step=3 * width)
        message.data = array('B', pixels.tobytes())
        with self._sending:
            number = next(self._numbers)
            message.header.stamp = Time(sec=number)
            self._sent[number] = time.monotonic()
            self._publisher.publish(message)

    def send_once(self, color: tuple[int, int, int]) -> float:
        """Send one frame of one colour to a worker that has nothing to do; return when."""
        with self.silence():
            since = time.monotonic()
            self._next.append(of_color(color))
        return since

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Let the camera fall silent; no frame is under way any more when that begins."""
        self._paused.set()
        self.account()
        yield
        self._paused.clear()

    @contextmanager
    def sending(self, pixels: NDArray[np.uint8]) -> Iterator[None]:
        """Let the camera send other pixels."""
        before, self._pixels = self._pixels, pixels
        yield
        self._pixels = before

    def recovers(self, since: float) -> float:
        """Wait for an answer to a frame that was sent since then; return the seconds to it."""

        def first() -> float | None:
            answers = tuple(self.answers)
            return next((at for sec, at in answers if self._sent.get(sec, 0.0) >= since), None)

        at: float = self.client.wait_for(first, f'an answer: {self.status("camera")}')
        return at - since

    @property
    def newest(self) -> int:
        """The stamp of the newest frame, in seconds."""
        return max(self._sent)

    @property
    def clock(self) -> int:
        """The node's time in its newest diagnostics, in seconds."""
        return next(
            (
                int(array.header.stamp.sec)
                for array in reversed(self._arrays)
                if array.status[0].name.startswith(self.node[1:])
            ),
            -1,
        )

    def wait_for_reports(self, number: int) -> None:
        """Wait for so many more diagnostics of this node."""

        def reports() -> int:
            arrays = tuple(self._arrays)
            return sum(
                any(each.name.startswith(self.node[1:]) for each in array.status)
                for array in arrays
            )

        before = reports()
        self.client.wait_for(lambda: reports() >= before + number, 'diagnostics')

    def set_parameters(self, **values: Any) -> bool:
        """Set parameters together; return whether they were."""
        changed = [parameter(name, value) for name, value in values.items()]
        successful: bool = set_parameters(self.client, self.node, *changed).successful
        return successful

    def status(self, what: str) -> DiagnosticStatus | None:
        """Return the newest status of the 'model' or the 'camera'."""
        for message in reversed(self._arrays):
            for status in message.status:
                if status.name == f'{self.node[1:]}: {what}':
                    return status
        return None

    def wait_for_status(self, what: str, level: bytes, text: str) -> None:
        """Wait for a status of a level, with a text in its message."""

        def reached() -> bool:
            status = self.status(what)
            return status is not None and status.level == level and text in status.message

        self.client.wait_for(reached, f'{text!r} of the {what}: {self.status(what)}')

    def counts(self) -> dict[str, int]:
        """Return the camera's counts in the newest diagnostics."""
        status = self.status('camera')
        return {
            value.key: int(value.value)
            for value in (() if status is None else status.values)
            if value.key in ('received', *FATES)
            or (value.key.startswith(('rejected: ', 'failed: ')) and ', since' not in value.key)
        }

    def count(self, key: str) -> int:
        """Return one of the camera's counts."""
        return self.counts().get(key, 0)

    def account(self) -> dict[str, int]:
        """Wait until each frame that was received has one fate; return the counts.

        Where the camera is silent, no frame is under way any more.
        """
        self.wait_for_reports(2)

        def settled() -> bool:
            counts = self.counts()
            return 'received' in counts and 2 * counts['received'] == sum(counts.values())

        self.client.wait_for(settled, f'a fate for each frame: {self.counts()}')
        return self.counts()


def of_color(color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return 48 x 64 x 3 uint8 of one colour."""
    return np.full((48, 64, 3), color, np.uint8)


def camera_falls_silent(robot: Robot) -> float:
    """Let the camera fall silent, and come back at another size."""
    with robot.silence():
        robot.wait_for_status('camera', DiagnosticStatus.WARN, 'no frame')
        since = time.monotonic()
    with robot.sending(street(72, 96)):
        return robot.recovers(since)


def camera_process_dies(robot: Robot) -> float:
    """Kill the camera's process, its DDS participant with it, and start it again."""

    def answer(since: float) -> float | None:
        answers = tuple(robot.answers)
        return next((at for sec, at in answers if sec >= FIRST_STAMP and at >= since), None)

    with robot.silence():
        for _ in range(2):
            camera = Command('-c', CAMERA, f'{robot.namespace}/image')
            try:
                camera.wait_for_output('sent')
                # The clock is the same in all processes.
                since = float(camera.output.split()[1])
                at = robot.client.wait_for(lambda: answer(since), 'an answer to this camera')  # noqa: B023
            finally:
                camera.kill()
            robot.wait_for_status('camera', DiagnosticStatus.WARN, 'no frame')
    seconds: float = at - since
    return seconds


def subscriber_reads_nothing(robot: Robot) -> float:
    """Stop a reliable subscriber (SIGSTOP) while another one reads; then let it read again."""
    reader = Command('-c', READER, f'{robot.node}/overlay')
    try:
        with robot.sending(street(480, 640)):
            reader.wait_for_output('read')
            reader.process.send_signal(signal.SIGSTOP)
            # More than all queues together hold.
            for _ in range(30):
                robot.recovers(time.monotonic())
            since = time.monotonic()
            newest = robot.newest
            reader.process.send_signal(signal.SIGCONT)
            robot.client.wait_for(
                lambda: any(int(line.split()[1]) > newest for line in reader.output.splitlines()),
                'a frame that the reader reads',
            )
            return time.monotonic() - since
    finally:
        reader.kill()


def disk_is_full(robot: Robot) -> float:
    """Let a full disk refuse a capture, and have room for the next one."""

    def capture() -> Any:
        return robot.client.call(Trigger, f'{robot.node}/capture', Trigger.Request())

    process = robot.command.process.pid
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(process, resource.RLIMIT_FSIZE, (512, unlimited))
    try:
        refused = capture()
        assert not refused.success, refused.message
        robot.recovers(time.monotonic())
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    since = time.monotonic()
    written = capture()
    assert written.success, written.message
    return time.monotonic() - since


def time_jumps(robot: Robot) -> float:
    """Let simulated time jump forward by an hour and a half, and back."""
    clock = robot.client.node.create_publisher(Clock, '/clock', 10)
    assert robot.set_parameters(use_sim_time=True)
    seconds = []
    for now in (100, 5500, 100):

        def is_now(now: int = now) -> bool:
            clock.publish(Clock(clock=Time(sec=now)))
            return robot.clock == now

        robot.client.wait_for(is_now, f'{now} s: {robot.clock}')
        seconds.append(robot.recovers(time.monotonic()))
    assert robot.set_parameters(use_sim_time=False)
    robot.client.node.destroy_publisher(clock)
    return max(seconds)


def lifecycle_goes_round(robot: Robot) -> float:
    """Change parameters, deactivate, clean up, configure and activate, with frames under way."""
    for alpha in (0.1, 0.9, 0.5):
        assert robot.set_parameters(overlay_alpha=alpha)
        assert not robot.set_parameters(overlay_alpha=alpha, min_confidence=7.0)
    robot.recovers(time.monotonic())
    for transition in (
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
    ):
        since = time.monotonic()
        assert robot.lifecycle.change(transition)
    return robot.recovers(since)


def process_stands_still(robot: Robot) -> float:
    """Stop the node's process for longer than a frame may take (SIGSTOP, 7 s)."""
    restarts = robot.command.output.count('another worker takes over')
    robot.command.process.send_signal(signal.SIGSTOP)
    threading.Event().wait(7.0)
    since = time.monotonic()
    robot.command.process.send_signal(signal.SIGCONT)
    seconds = robot.recovers(since)
    robot.account()
    assert robot.command.output.count('another worker takes over') == restarts
    return seconds


def memory_runs_out(robot: Robot) -> float:
    """Leave the GPU without memory (simulated), and then with memory again."""
    with robot.sending(of_color(RED)):
        robot.wait_for_status('model', DiagnosticStatus.ERROR, 'out of memory')
        robot.client.wait_for(lambda: robot.count('backing off'), 'frames dropped meanwhile')
    return robot.recovers(time.monotonic())


def network_fails(robot: Robot) -> float:
    """Let the network raise an exception for every frame, and then for none."""
    failed = robot.count('failed: runtime')
    with robot.sending(of_color(GREEN)):
        robot.client.wait_for(lambda: robot.count('failed: runtime') > failed + 2, 'failures')
    return robot.recovers(time.monotonic())


def thread_dies(robot: Robot) -> float:
    """End the worker's thread by an exception."""
    seconds = robot.recovers(robot.send_once(BLUE))
    assert 'another worker takes over: its thread has died' in robot.command.output
    return seconds


def thread_hangs(robot: Robot) -> float:
    """Let the worker's thread hang, with an inference_timeout of 1 s."""
    too_late = robot.count('failed: too late')
    seconds = robot.recovers(robot.send_once(BLACK))
    assert 'another worker takes over: it has been busy with one frame' in robot.command.output
    robot.client.wait_for(lambda: robot.count('failed: too late') > too_late, 'its fate')
    return seconds


def thread_hangs_again_and_again(robot: Robot) -> float:
    """Let it hang until the node deactivates itself; then activate the node."""

    def times(text: str) -> int:
        return robot.command.output.count(text)

    def outcomes() -> int:
        return times('another worker takes over') + times('the worker was given up')

    while True:
        before = outcomes()
        since = robot.send_once(BLACK)
        robot.client.wait_for(lambda: outcomes() > before, 'what becomes of the worker')  # noqa: B023
        if times('the worker was given up'):
            break
        robot.recovers(since)
    robot.wait_for_status('model', DiagnosticStatus.ERROR, 'the worker was given up')
    robot.client.wait_for(
        lambda: robot.lifecycle.state() == State.PRIMARY_STATE_INACTIVE, 'the safe state'
    )
    since = time.monotonic()
    assert robot.lifecycle.change(Transition.TRANSITION_ACTIVATE)
    assert times('the worker was given up') == 1
    return robot.recovers(since)


# In an order in which none spoils the next one.
FAULTS: tuple[Callable[[Robot], float], ...] = (
    camera_falls_silent,
    camera_process_dies,
    subscriber_reads_nothing,
    disk_is_full,
    time_jumps,
    lifecycle_goes_round,
    process_stands_still,
    memory_runs_out,
    network_fails,
    thread_dies,
    thread_hangs,
    thread_hangs_again_and_again,
)
# The transitions to each lifecycle state; 'configuring' is one that is not waited for.
STATES: dict[str, tuple[int, ...]] = {
    'unconfigured': (),
    'configuring': (Transition.TRANSITION_CONFIGURE,),
    'inactive': (Transition.TRANSITION_CONFIGURE,),
    'active': (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE),
    'finalized': (Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,),
}


def end_in(state: str, signal_number: signal.Signals, model: Path) -> float:
    """Send a signal to a node in a lifecycle state; return the seconds to its end."""
    name = f'{state}_{signal_number}'
    remapping = ('-r', f'__ns:={NAMESPACE}', '-r', f'__node:={name}')
    parameters = ('-p', f'model:={model}', '-p', 'device:=cpu', '-p', 'autostart:=false')
    client = Client()
    command = Command('segmenter_node', '--ros-args', *remapping, *parameters)
    try:
        lifecycle = Lifecycle(client, f'{NAMESPACE}/{name}')
        for transition in STATES[state]:
            if state == 'configuring':
                request = ChangeState.Request(transition=Transition(id=transition))
                client.send(ChangeState, f'{NAMESPACE}/{name}/change_state', request)
            else:
                assert lifecycle.change(transition)
        if not STATES[state]:
            assert lifecycle.state() == State.PRIMARY_STATE_UNCONFIGURED
        since = time.monotonic()
        code = command.stop(signal_number)
        seconds = time.monotonic() - since
        assert code == (-signal.SIGKILL if signal_number == signal.SIGKILL else 0), command.output
        assert 'Traceback' not in command.output
        return seconds
    finally:
        command.kill()
        client.close()


def main() -> int:
    """Bring the faults about; print a table and, if asked to, write all numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=3, help='times that each is tried (3)')
    parser.add_argument('--model', type=Path, help='model folder (default: a tiny untrained one)')
    parser.add_argument('--json', type=Path, help='also write the numbers here')
    options = parser.parse_args()
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    result = circumstances()
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or write_untrained_model(Path(folder) / 'untrained')
        for _ in range(options.rounds):
            with Robot(model, Path(folder)) as robot:
                for fault in FAULTS:
                    text = (fault.__doc__ or '').strip()
                    seconds.setdefault(text, []).append(fault(robot))
                    robot.account()
                    print(f'{seconds[text][-1]:6.2f} s  {text}', flush=True)
                for signal_number, state in itertools.product(SIGNALS, STATES):
                    text = f'{signal_number.name} while {state}: until the process has ended'
                    seconds.setdefault(text, []).append(end_in(state, signal_number, model))
    rows = [(text, f'{median(each):.1f}', f'{max(each):.1f}') for text, each in seconds.items()]
    print_table(('fault', 'median (s)', 'longest (s)'), rows)
    write_result({**result, 'seconds': seconds}, options.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
