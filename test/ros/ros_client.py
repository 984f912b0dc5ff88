# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The other side of a test: starts commands in processes of their own and talks ROS to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

REPOSITORY = Path(__file__).resolve().parents[2]
# Generous: it ends a test that would wait for ever, and is never waited for otherwise.
DEADLINE = 180.0
RESEND_SECONDS = 3.0
ANSWER_SECONDS = 45.0


MODULES = {'segmenter_node': 'node.segmenter_node', 'replay_bag': 'replay.replay_bag'}


class Command:
    """A command of the package, or '-c' and a program, running in its own process."""

    def __init__(self, command: str, *arguments: str) -> None:
        environment = dict(os.environ)
        environment['PYTHONPATH'] = os.pathsep.join(
            filter(None, [str(REPOSITORY), environment.get('PYTHONPATH')])
        )
        module = MODULES.get(command)
        start = [command] if module is None else ['-m', f'hier_seg_ros.ros.{module}']
        self.process = subprocess.Popen(
            [sys.executable, *start, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line.rstrip('\n'))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def output(self) -> str:
        with self._changed:
            return '\n'.join(self._lines)

    def wait_for_output(self, text: str) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or any(text in line for line in self._lines), DEADLINE
            )
        assert text in self.output, f'{text!r} is not in:\n{self.output}'

    def wait(self) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code

    def stop(self, signal_number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(signal_number)
        return self.wait()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Client:
    """A ROS node whose executor spins on a thread."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = Node('test_client', context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self._changed = threading.Condition()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def wait_for(self, condition: Callable[[], Any], what: str, timeout: float = DEADLINE) -> Any:
        """Return the condition's value once it is true; it is looked at after every message."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not (value := condition()):
                # Some conditions (the ROS graph) change without a message.
                self._changed.wait(0.05)
                assert time.monotonic() < deadline, f'waited in vain for {what}'
            return value

    def collect(self, topic: str, message_class: type, latched: bool = False) -> list[Any]:
        """Subscribe; return the list to which messages are added."""
        messages: list[Any] = []

        def receive(message: Any) -> None:
            with self._changed:
                messages.append(message)
                self._changed.notify_all()

        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=durability)
        self.node.create_subscription(message_class, topic, receive, qos)
        return messages

    def unsubscribe_all(self) -> None:
        for subscription in list(self.node.subscriptions):
            self.node.destroy_subscription(subscription)

    def publisher(self, topic: str, message_class: type) -> Any:
        """Return a publisher that has a subscriber."""
        publisher = self.node.create_publisher(message_class, topic, 10)
        self.wait_for(lambda: publisher.get_subscription_count() > 0, f'a subscriber of {topic}')
        return publisher

    def publish_until(
        self, publisher: Any, message: Any, condition: Callable[[], Any], what: str
    ) -> Any:
        """Publish a message until the condition's value is true; return that.

        It is published again, because a best-effort subscriber may miss it, and because the
        other side may not have noticed our publisher or our subscriptions yet.
        """
        deadline = time.monotonic() + DEADLINE
        while True:
            publisher.publish(message)
            try:
                return self.wait_for(condition, what, RESEND_SECONDS)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise

    def publish_until_logged(
        self, publisher: Any, message: Any, command: Command, text: str
    ) -> None:
        """Publish a message until the command has written the text."""
        self.publish_until(publisher, message, lambda: text in command.output, text)

    def ask(self, publisher: Any, message: Any, answers: Sequence[list[Any]]) -> list[Any]:
        """Publish a message until an answer with its stamp is in each list; return these."""

        def found() -> list[Any] | None:
            matching = [
                [answer for answer in messages if answer.header.stamp == message.header.stamp]
                for messages in answers
            ]
            return [match[0] for match in matching] if all(matching) else None

        return self.publish_until(publisher, message, found, 'answers')

    def call(self, service_class: Any, name: str, request: Any, *, repeatable: bool = True) -> Any:
        """Call a service and return its response.

        Fast DDS gives up a response where it does not know its reader yet after 100 ms, so a
        request that may come twice is sent again; AssertionError for another one.
        """
        client = self.node.create_client(service_class, name)
        assert client.wait_for_service(DEADLINE), f'no service {name}'
        deadline = time.monotonic() + DEADLINE
        try:
            while True:
                future = client.call_async(request)
                try:
                    self.wait_for(future.done, f'an answer of {name}', ANSWER_SECONDS)
                    return future.result()
                except AssertionError:
                    if not repeatable or time.monotonic() > deadline:
                        raise
        finally:
            self.node.destroy_client(client)

    def send(self, service_class: Any, name: str, request: Any) -> None:
        """Call a service without waiting for the response."""
        client = self.node.create_client(service_class, name)
        assert client.wait_for_service(DEADLINE), f'no service {name}'
        client.call_async(request)


STATE_AFTER = {
    Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
    Transition.TRANSITION_DEACTIVATE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_CLEANUP: State.PRIMARY_STATE_UNCONFIGURED,
    Transition.TRANSITION_UNCONFIGURED_SHUTDOWN: State.PRIMARY_STATE_FINALIZED,
    Transition.TRANSITION_INACTIVE_SHUTDOWN: State.PRIMARY_STATE_FINALIZED,
    Transition.TRANSITION_ACTIVE_SHUTDOWN: State.PRIMARY_STATE_FINALIZED,
}


class Lifecycle:
    """The lifecycle services of a node."""

    def __init__(self, client: Client, node_name: str) -> None:
        self._client = client
        self._node_name = node_name

    def state(self) -> int:
        response = self._client.call(GetState, f'{self._node_name}/get_state', GetState.Request())
        return response.current_state.id

    def change(self, transition: int) -> bool:
        """Make a transition; return whether it was made."""
        name = f'{self._node_name}/change_state'
        request = ChangeState.Request(transition=Transition(id=transition))
        try:
            return self._client.call(ChangeState, name, request, repeatable=False).success
        except AssertionError:
            # The response may have got lost.
            return self.state() == STATE_AFTER[transition]


def parameter(name: str, value: Any) -> Parameter:
    """Return a parameter message; a list is one of names, a tuple one of whole numbers."""
    kind, field = {
        bool: (ParameterType.PARAMETER_BOOL, 'bool_value'),
        int: (ParameterType.PARAMETER_INTEGER, 'integer_value'),
        float: (ParameterType.PARAMETER_DOUBLE, 'double_value'),
        str: (ParameterType.PARAMETER_STRING, 'string_value'),
        list: (ParameterType.PARAMETER_STRING_ARRAY, 'string_array_value'),
        tuple: (ParameterType.PARAMETER_INTEGER_ARRAY, 'integer_array_value'),
    }[type(value)]
    return Parameter(name=name, value=ParameterValue(type=kind, **{field: value}))


def set_parameters(client: Client, node_name: str, *parameters: Parameter) -> Any:
    """Set parameters in one call; return its result."""
    request = SetParametersAtomically.Request(parameters=list(parameters))
    name = f'{node_name}/set_parameters_atomically'
    return client.call(SetParametersAtomically, name, request).result


_stamp_seconds = 0


def open_files(process_id: int) -> list[Path]:
    """Return what a process holds open; other threads may open and close files meanwhile."""
    paths = []
    for link in Path(f'/proc/{process_id}/fd').iterdir():
        with suppress(FileNotFoundError):
            paths.append(link.readlink())
    return paths


def image(pixels: np.ndarray, encoding: str = 'rgb8', frame_id: str = 'camera') -> Image:
    """Return an image message with a stamp of its own."""
    global _stamp_seconds
    _stamp_seconds += 1
    message = Image()
    message.header.stamp.sec = _stamp_seconds
    message.header.stamp.nanosec = 123456789
    message.header.frame_id = frame_id
    message.height, message.width = pixels.shape[:2]
    message.encoding = encoding
    message.step = pixels[0].nbytes
    message.data = array('B', pixels.tobytes())
    return message


def pixels_of(message: Image) -> np.ndarray:
    """Return a message's pixels as H x W or H x W x 3."""
    channels = {'mono8': (), 'rgb8': (3,)}[message.encoding]
    return np.array(message.data, np.uint8).reshape(message.height, message.width, *channels)


def street(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """Return H x W x 3 uint8 with blocks of colours."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
    return np.ascontiguousarray(blocks.repeat(8, 0).repeat(8, 1)[:height, :width])
