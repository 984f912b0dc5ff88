# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Malformed and extreme messages to the real node over DDS: none is lost from the account.

    python test/fuzz/fuzz_node.py --json benchmarks/results/fuzz_node.json

The node runs in a process of its own, once with raw images, their CameraInfo and depth images, and
once with compressed ones; then damaged files are set as its mask. Whatever can be converted must be
answered, the rest be counted under the reason that the conversion gives, and every tenth message is
followed by an image that must be answered.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from encoded_pictures import damaged, pictures
from fuzz_messages import draw, outcome, rgb_shape
from hypothesis import Phase
from hypothesis import strategies as st
from image_messages import (
    SEEDS,
    CameraInfo,
    CompressedImage,
    Header,
    RawImage,
    compressed_images,
    frames,
    good_camera_info,
    good_depth,
)
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs import msg as sensor_msgs

sys.path.append(str(Path(__file__).resolve().parents[2] / 'benchmarks'))

from measurement import circumstances, print_table, write_result
from soak import process, write_untrained_model

NODE_NAME = 'fuzzed'
# Generous: they end a run that would wait for ever.
DEADLINE = 180.0
RESEND_SECONDS = 5.0
# So long the node has for a message that it refuses, before the next one comes.
PAUSE = 0.02
GOOD_EVERY = 10
# The node has a memory: the same message again need not fail again.
GENERATE = (Phase.generate,)
# What the node holds for each pixel of the largest image: it in colours, its labels, and the
# outputs that are drawn, beside what decoding takes.
BYTES_OF_A_PIXEL = 40
SETTINGS = ('device:=cpu', 'output_scale:=0.25', 'image_reliability:=reliable')

GOOD = {
    'raw': RawImage(Header(), 16, 24, 'rgb8', 0, 72, np.zeros(16 * 72, np.uint8)),
    'compressed': CompressedImage(Header(), 'png', np.frombuffer(pictures()['png'], np.uint8)),
}


class Camera:
    """A camera that the node listens to, and what the node answers."""

    def __init__(self, message_class: type, topic: str) -> None:
        """Wait for the node."""
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = Node('fuzz_client', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        reliable = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        self._publishers = {
            publisher_class: self._node.create_publisher(publisher_class, name, reliable)
            for publisher_class, name in (
                (message_class, topic),
                (sensor_msgs.CameraInfo, '/camera_info'),
            )
        }
        self._depth = self._node.create_publisher(sensor_msgs.Image, '/depth', reliable)
        self.answers: list[tuple[int, int]] = []
        self.points = 0
        self.counts: dict[str, int] = {}
        self._reports = 0
        for answer_class, name, receive in (
            (sensor_msgs.Image, f'/{NODE_NAME}/level_1/labels', self._receive_labels),
            (sensor_msgs.Image, f'/{NODE_NAME}/overlay', lambda _: None),
            (sensor_msgs.CameraInfo, f'/{NODE_NAME}/overlay/camera_info', lambda _: None),
            (sensor_msgs.PointCloud2, f'/{NODE_NAME}/points', self._receive_points),
            (DiagnosticArray, '/diagnostics', self._receive_report),
        ):
            self._node.create_subscription(answer_class, name, receive, reliable)
        self._parameters = self._node.create_client(
            SetParametersAtomically, f'/{NODE_NAME}/set_parameters_atomically'
        )
        self._message_class = message_class
        image = self._publishers[message_class]
        self.wait(lambda: image.get_subscription_count() > 0, 'the node')

    def close(self) -> None:
        """Let go of everything."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> None:
        """Wait until a condition is true; SystemExit where it is not for too long."""
        if not self.spin(condition, seconds):
            raise SystemExit(f'fuzz: waited {seconds:.0f} s for {what}: {self.counts}')

    def spin(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Receive until a condition is true; return whether it became so."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._executor.spin_once(timeout_sec=0.002)
        return True

    def publish(self, message: object) -> None:
        """Publish a message of ROS, or such a message's bytes as an image."""
        kind = self._message_class if isinstance(message, bytes) else type(message)
        self._publishers[kind].publish(message)

    def publish_depth(self, message: object) -> None:
        """Publish a depth image."""
        self._depth.publish(message)

    def ask(self, message: Any) -> int:
        """Publish a good image until it is answered; return how often it was published."""
        stamp = message.header.stamp.sec, message.header.stamp.nanosec
        for times in range(1, int(DEADLINE / RESEND_SECONDS)):
            self.publish(message)
            if self.spin(lambda: stamp in self.answers, RESEND_SECONDS):
                return times
        raise SystemExit(f'fuzz: the next good frame is not answered: {self.counts}')

    def set(self, name: str, value: str) -> str:
        """Set a parameter to a text; return '' or the reason why it is refused."""
        chosen = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
        request = SetParametersAtomically.Request(parameters=[Parameter(name=name, value=chosen)])
        for _ in range(3):
            future = self._parameters.call_async(request)
            if self.spin(future.done, DEADLINE / 3):
                result = future.result().result
                return '' if result.successful else result.reason
        raise SystemExit(f'fuzz: no answer to the parameter {name}')

    def settled(self) -> dict[str, int]:
        """Return the counts of /diagnostics, once two reports in a row agree."""
        before: dict[str, int] = {'none': 1}
        while before != self.counts:
            before, reports = self.counts, self._reports
            self.wait(lambda: self._reports > reports + 1, '/diagnostics')  # noqa: B023
        return self.counts

    def _receive_labels(self, message: Any) -> None:
        self.answers.append((message.header.stamp.sec, message.header.stamp.nanosec))

    def _receive_points(self, message: Any) -> None:
        assert len(message.data) == message.row_step * message.height
        self.points += 1

    def _receive_report(self, message: Any) -> None:
        for status in message.status:
            if status.name.endswith(f'{NODE_NAME}: camera'):
                self._reports += 1
                self.counts = {
                    value.key: int(value.value) for value in status.values if value.value.isdigit()
                }


def of_ros(message: RawImage | CompressedImage | CameraInfo) -> Any:
    """Return a drawn message as one of ROS."""
    fields = dataclasses.asdict(message)
    header = fields.pop('header')
    if 'data' in fields:
        fields['data'] = array('B', fields['data'].tobytes())
    if 'roi' in fields:
        fields['roi'] = sensor_msgs.RegionOfInterest(**fields['roi'])
    if isinstance(message, RawImage):
        made = sensor_msgs.Image(**fields)
    else:
        made = getattr(sensor_msgs, type(message).__name__)(**fields)
    made.header.frame_id = header['frame_id']
    made.header.stamp.sec = header['stamp']['sec']
    made.header.stamp.nanosec = header['stamp']['nanosec']
    return made


class Account:
    """What was sent, and what the node must make of it."""

    def __init__(self, camera: Camera, good: RawImage | CompressedImage) -> None:
        """Begin with nothing; `good` is an image that must always be answered."""
        self._camera = camera
        self._good = good
        self._numbers = random.Random(1)
        self.sent = 0
        self.garbled = 0
        self.expected: Counter[str] = Counter()
        self.slowest = 0.0

    def send(
        self,
        image: RawImage | CompressedImage,
        camera_info: CameraInfo | None = None,
        depth: RawImage | None = None,
    ) -> None:
        """Send an image and what belongs to it, and wait for what must come of it."""
        expected = outcome(rgb_shape, image)
        message = of_ros(image)
        self._send_beside(message, camera_info, depth)
        answers, begin = len(self._camera.answers), time.perf_counter()
        self._camera.publish(message)
        self._enter(expected)
        if expected == 'converted':
            self._camera.wait(lambda: len(self._camera.answers) > answers, f'an answer to {image}')
            self.slowest = max(self.slowest, time.perf_counter() - begin)
        else:
            self._camera.spin(lambda: False, PAUSE)
        if self.sent % 7 == 0:
            self._send_garbled(serialize_message(message))
        if self.sent % GOOD_EVERY == 0:
            self.ask()

    def ask(self) -> None:
        """Send a good image until it is answered, with points where there are any."""
        message = of_ros(self._good)
        # Of no other message, and earlier than those of which depth images may still come.
        message.header.stamp.sec = 1_000_000 + self.sent
        message.header.stamp.nanosec = 10**9 + 1
        if isinstance(self._good, RawImage):
            depth = good_depth(self._good.height, self._good.width)
            self._send_beside(message, good_camera_info(), depth)
        for _ in range(self._camera.ask(message)):
            self._enter('converted')

    def _send_beside(
        self, message: Any, camera_info: CameraInfo | None, depth: RawImage | None
    ) -> None:
        for other, publish in (
            (camera_info, self._camera.publish),
            (depth, self._camera.publish_depth),
        ):
            if other is not None:
                made = of_ros(other)
                made.header.stamp = message.header.stamp
                publish(made)

    def _enter(self, expected: str) -> None:
        self.sent += 1
        self.expected[expected] += 1

    def _send_garbled(self, data: bytes) -> None:
        """Send bytes that are no message, or another one: whether they arrive is not known."""
        self._camera.publish(damaged(data, self._numbers))
        self._camera.spin(lambda: False, 5 * PAUSE)
        self.garbled += 1

    def compare(self) -> dict[str, Any]:
        """Compare with /diagnostics; return the numbers, AssertionError where they disagree."""
        counts = self._camera.settled()
        outcomes = {
            key: number
            for key, number in counts.items()
            if key.startswith(('rejected: ', 'failed: ')) and ',' not in key
        }
        for key in ('published', 'replaced', 'not needed', 'backing off', 'stopped'):
            outcomes[key] = counts.get(key, 0)
        lost = counts.get('lost, by the middleware', 0)
        result = {
            'sent': self.sent,
            'sent_as_bytes_that_are_no_message': self.garbled,
            'received': counts['received'],
            'lost_by_the_middleware': lost,
            'outcomes': {key: number for key, number in outcomes.items() if number},
            'expected': dict(self.expected),
            'points': self._camera.points,
            'slowest_answer_seconds': round(self.slowest, 2),
        }
        assert sum(outcomes.values()) == counts['received'], result
        assert counts['received'] <= self.sent + self.garbled, result
        assert not any(key.startswith('failed: ') for key in outcomes), result
        # The node keeps the newest image only: on a busy machine it may not come to the others.
        missing = self.sent + self.garbled - counts['received'] + outcomes['replaced']
        assert missing < self.sent / 2 + self.garbled, result
        for reason, number in self.expected.items():
            key = 'published' if reason == 'converted' else f'rejected: {reason.replace("_", " ")}'
            assert number - missing <= outcomes.get(key, 0) <= number + self.garbled, (key, result)
        return result


def fuzz_masks(camera: Camera, number: int, seed: int, folder: Path) -> Counter[str]:
    """Set damaged files as the mask; each is taken or refused in one line."""
    found: Counter[str] = Counter()
    whole = {name: data for name, data in pictures().items() if name.startswith('png')}

    def use(drawn: tuple[str, int, int]) -> None:
        name, number_of_ways, own_seed = drawn
        data, numbers = whole[name], random.Random(own_seed)
        for _ in range(number_of_ways):
            data = damaged(data, numbers)
        path = folder / f'{found.total()}.png'
        path.write_bytes(data)
        reason = camera.set('mask', str(path))
        assert reason.isprintable() and len(reason) < 1500, reason
        found['refused' if reason else 'taken'] += 1

    draw(st.tuples(st.sampled_from(sorted(whole)), st.integers(0, 3), SEEDS), number, seed, use)
    assert camera.set('mask', '') == ''
    return found


def most_memory(pid: int) -> float:
    """Return the most memory that a process has had, in MiB."""
    lines = Path(f'/proc/{pid}/status').read_text(encoding='ascii').splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM')) / 1024


def run(transport: str, arguments: argparse.Namespace, folder: Path, model: Path) -> dict[str, Any]:
    """Fuzz a node of its own; return the numbers."""
    settings = [f'model:={model}', f'image_transport:={transport}', *SETTINGS]
    words = ['-m', 'hier_seg_ros.ros.node.segmenter_node', '--ros-args']
    words += [word for setting in settings for word in ('-p', setting)]
    log = folder / f'{transport}.log'
    with process([*words, '-r', f'__node:={NODE_NAME}'], log) as pid:
        if transport == 'raw':
            camera = Camera(sensor_msgs.Image, '/image')
        else:
            camera = Camera(sensor_msgs.CompressedImage, '/image/compressed')
        try:
            account = Account(camera, GOOD[transport])
            account.ask()
            memory = most_memory(pid)
            if transport == 'raw':
                strategy = frames()
            else:
                # The largest that there may be would keep the worker busy for longer than the
                # watchdog waits, where the machine is slow.
                strategy = compressed_images(1024).map(lambda image: (image,))
            number, seed = arguments.messages, arguments.seed
            draw(strategy, number, seed, lambda drawn: account.send(*drawn), GENERATE)
            account.ask()
            result = {'transport': transport, **account.compare()}
            if transport == 'raw':
                masks = max(20, arguments.messages // 10)
                result['masks'] = dict(fuzz_masks(camera, masks, arguments.seed, folder))
                account.ask()
            result['memory_growth_mib'] = round(most_memory(pid) - memory, 1)
        except BaseException:
            print(log.read_text(encoding='utf-8', errors='replace')[-5000:], file=sys.stderr)
            raise
        finally:
            camera.close()
    assert 'Traceback' not in log.read_text(encoding='utf-8', errors='replace')
    allowed = BYTES_OF_A_PIXEL * 2**26 / 2**20
    assert result['memory_growth_mib'] <= allowed, result
    return result


def main() -> int:
    """Run the program; return the exit code."""
    arguments = _parser().parse_args()
    before = circumstances()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_untrained_model(folder / 'model')
        results = [run(each, arguments, folder, model) for each in ('raw', 'compressed')]
    for result in results:
        print_table(['what', 'number'], list(result.items()))
    write_result({**before, 'seed': arguments.seed, 'results': results}, arguments.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description='Malformed and extreme messages to the real node over DDS.'
    )
    parser.add_argument(
        '--messages', type=int, default=1500, help='with each transport (%(default)s)'
    )
    parser.add_argument('--seed', type=int, default=1, help='of the messages (%(default)s)')
    parser.add_argument('--json', type=Path, help='write the numbers to this file')
    return parser


if __name__ == '__main__':
    sys.exit(main())
