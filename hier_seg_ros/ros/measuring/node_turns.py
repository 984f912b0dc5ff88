# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The process that measures the node: it starts one, and is its cameras and its subscriber.

    python -m hier_seg_ros.ros.measuring.node_turns CONFIGURATION

What it says of a turn are seconds by stage: 'answer' from sending a frame of each camera to the
last output of all of them, with nothing else to do; 'frame' for each frame where every camera
always has one more waiting.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.turns import memory_mib, take_turns
from hier_seg_ros.images.image_files import read_image, resized_image
from hier_seg_ros.resources import find_model
from hier_seg_ros.ros.process.dds_profile import use_dds_profile
from hier_seg_ros.ros.topics.messages import image_message
from hier_seg_ros.ros.topics.topics import output_qos
from hier_seg_ros.segmenter.engines.proof import photographs

OUTPUTS = ('overlay', 'color', 'level_1/labels', 'level_2/labels', 'level_3/labels')
# Of the node's, those that are called as the configuration's.
PARAMETERS = ('device', 'engine', 'precision', 'threads', 'input_long_side')
# With one frame in work, so that the node never waits for the next.
IN_FLIGHT = 2
FRAMES = 6
# Before a camera's next frame: a newer one replaces one that the node has not yet taken.
PAUSE_SECONDS = 0.005
SECONDS_TO_START = 180.0
SECONDS_TO_ANSWER = 60.0
SECONDS_TO_END = 10.0
POLL_SECONDS = 0.1


def main() -> int:
    """Be the process; returns its exit code."""
    settings: dict[str, Any] = json.loads(sys.argv[1])
    # Other nodes are measured at the same time.
    name = f'segmenter_{os.getpid()}'
    # What it says goes to stderr, and a node that does not start says why.
    use_dds_profile()
    with (
        tempfile.TemporaryFile('w+', encoding='utf-8') as log,
        _node(settings, name, log) as process,
        _client(settings, name) as client,
    ):

        def prepare() -> dict[str, Any]:
            client.wait_for_answer(process, log)
            return client.engine(process, log)

        return take_turns(prepare, client.turn, lambda: memory_mib(process.pid))


@contextmanager
def _node(settings: Mapping[str, Any], name: str, log: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run the real node until the end."""
    names = ', '.join(_camera_names(settings))
    parameters = {
        'cameras': f'[{names}]',
        'model': find_model(settings['model']),
        **{key: settings[key] for key in PARAMETERS},
    }
    command = [
        *(sys.executable, '-m', 'hier_seg_ros.ros.node.segmenter_node', '--ros-args'),
        *('-r', f'__ns:=/{name}', '-r', f'__node:={name}'),
        *(word for key, value in parameters.items() for word in ('-p', f'{key}:={value}')),
    ]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _camera_names(settings: Mapping[str, Any]) -> list[str]:
    return [f'camera_{number}' for number in range(settings['cameras'])]


@contextmanager
def _client(settings: Mapping[str, Any], name: str) -> Iterator[_Client]:
    # A signal ends the process, and rclpy has nothing to say about it.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    client = _Client(settings, name)
    try:
        yield client
    finally:
        client.close()
        rclpy.try_shutdown()


class _Client:
    """All cameras, and the one who subscribes to five images of each."""

    def __init__(self, settings: Mapping[str, Any], name: str) -> None:
        self._node = Node('camera', namespace=f'/{name}')
        self._pixels = _pixels(settings)
        self._name = name
        self._engine = ''
        names = _camera_names(settings)
        self._publishers = {
            name: self._node.create_publisher(Image, f'{name}/image', output_qos())
            for name in names
        }
        self._sent = dict.fromkeys(names, 0)
        self._answered = dict.fromkeys(names, 0)
        # How many outputs of a frame have come, by camera and stamp.
        self._outputs: dict[tuple[str, int], int] = {}
        for name in names:
            for output in OUTPUTS:
                self._subscribe(name, output)
        self._diagnostics = self._node.create_subscription(
            DiagnosticArray, '/diagnostics', self._diagnose, 10
        )
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def _subscribe(self, name: str, output: str) -> None:
        def receive(message: Image) -> None:
            stamp = message.header.stamp.sec
            self._outputs[name, stamp] = self._outputs.get((name, stamp), 0) + 1
            if self._outputs[name, stamp] == len(OUTPUTS):
                self._answered[name] = max(self._answered[name], stamp)
                for place in [key for key in self._outputs if key[0] == name and key[1] <= stamp]:
                    del self._outputs[place]

        topic = f'{self._name}/{name}/{output}'
        self._node.create_subscription(Image, topic, receive, output_qos())

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            # It is 'none' until the model has been loaded.
            if self._name in status.name and values.get('engine', 'none') != 'none':
                self._engine = values['engine']

    def _send(self, name: str) -> None:
        self._sent[name] += 1
        header = Header(frame_id=name)
        header.stamp.sec = self._sent[name]
        self._publishers[name].publish(image_message(self._pixels, 'rgb8', header))

    def wait_for_answer(self, process: subprocess.Popen[bytes], log: Any) -> None:
        """Return once every camera has had an answer; the node discovers one after the other."""
        deadline = time.monotonic() + SECONDS_TO_START
        due = 0.0
        while not all(self._answered.values()):
            self._check(process, log, deadline)
            if time.monotonic() >= due:
                for name in self._sent:
                    self._send(name)
                due = time.monotonic() + 1.0
            self._executor.spin_once(POLL_SECONDS)
        self._drain()

    def engine(self, process: subprocess.Popen[bytes], log: Any) -> dict[str, Any]:
        """Return which engine runs, and its precision."""
        deadline = time.monotonic() + SECONDS_TO_ANSWER
        while not self._engine:
            self._check(process, log, deadline)
            self._executor.spin_once(POLL_SECONDS)
        # Nothing else is to be received while turns are taken.
        self._node.destroy_subscription(self._diagnostics)
        engine, _, precision = self._engine.partition(' in ')
        return {'engine': engine, 'precision': precision}

    def _check(self, process: subprocess.Popen[bytes], log: Any, deadline: float) -> None:
        if process.poll() is None and time.monotonic() < deadline:
            return
        log.seek(0)
        said = [line.strip() for line in log if line.strip()]
        raise HierSegError(f'the node: does not answer; {said[-1] if said else "it says nothing"}')

    def turn(self) -> dict[str, float]:
        """Take a turn; return its seconds by stage."""
        self._drain()
        began = time.perf_counter()
        for name in self._sent:
            self._send(name)
        self._spin_until_answered()
        answer = time.perf_counter() - began
        return {'answer': answer, 'frame': self._flow()}

    def _flow(self) -> float:
        """Return the seconds for each frame while every camera always has one waiting."""
        counted = 0
        wanted = FRAMES * len(self._sent)
        before = dict(self._answered)
        began = 0.0
        due = dict.fromkeys(self._sent, 0.0)
        deadline = time.monotonic() + SECONDS_TO_ANSWER
        while counted <= wanted:
            for name, sent in self._sent.items():
                now = time.perf_counter()
                if sent - self._answered[name] < IN_FLIGHT and now >= due[name]:
                    self._send(name)
                    due[name] = now + PAUSE_SECONDS
            self._spin_once(deadline, PAUSE_SECONDS)
            for name, answered in self._answered.items():
                if answered != before[name]:
                    before[name] = answered
                    due[name] = time.perf_counter() + PAUSE_SECONDS
                    # The first one only starts the clock.
                    began = began or time.perf_counter()
                    counted += 1
        seconds = (time.perf_counter() - began) / wanted
        self._drain()
        return seconds

    def _drain(self) -> None:
        """Receive what is still on its way, the answers to older frames among it."""
        while any(self._answered[name] < sent for name, sent in self._sent.items()):
            try:
                self._spin_until_answered()
            except HierSegError:
                # The last frame may have been lost; a new one is answered.
                for name in self._sent:
                    self._send(name)

    def _spin_until_answered(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_ANSWER
        while any(self._answered[name] < sent for name, sent in self._sent.items()):
            self._spin_once(deadline)

    def _spin_once(self, deadline: float, seconds: float = POLL_SECONDS) -> None:
        self._executor.spin_once(seconds)
        if time.monotonic() > deadline:
            raise HierSegError('the node: does not answer any more; look at its log')

    def close(self) -> None:
        """Stop sending and receiving."""
        self._executor.shutdown()
        self._node.destroy_node()


def _pixels(settings: Mapping[str, Any]) -> NDArray[np.uint8]:
    path = settings['image']
    rgb = read_image(Path(path)) if path else photographs(1)[0]
    return resized_image(rgb, settings['width'], settings['height'])


if __name__ == '__main__':
    sys.exit(main())
