# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many large images arrive between processes, and how long a round trip takes, by transport.

    python benchmarks/transport.py
    python benchmarks/transport.py --answer node --rate 5 --sizes 1280x720

A camera's process sends images to another process, which answers each with five: one of the
image's size in colour, another, and three of labels, as the node publishes them. That process is a
plain echo, or the node itself with its model; of the node, /diagnostics tells how many images have
reached it. The camera receives the answers. Each transport is
tried in several rounds, which take turns, with fresh processes each time. Times are of frames of
which every answer arrived, from before the message is published until its last answer is there.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from measurement import circumstances, print_table, write_result
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import share_folder
from hier_seg_ros.ros.process.dds_profile import PROFILE_VARIABLES, profile_variables
from hier_seg_ros.ros.topics.messages import image_message
from hier_seg_ros.ros.topics.topics import output_qos, sensor_qos
from hier_seg_ros.segmenter.outputs import level_name, outputs_by_name

CONFIG = share_folder() / 'config'
BUILT_IN = 'FASTDDS_BUILTIN_TRANSPORTS'
LARGE_DATA_4_MB = 'LARGE_DATA?max_msg_size=4MB&sockets_size=4MB'
OUTPUTS = outputs_by_name(Hierarchy.load(CONFIG / 'hierarchies' / 'street_108.yaml'))
# Answers that the node publishes.
ANSWERS = {
    OUTPUTS[name].topic: OUTPUTS[name].encoding
    for name in ('overlay', 'color', *(level_name(level) for level in (1, 2, 3)))
}
SECONDS_TO_START = 120.0
SECONDS_TO_MATCH = 3.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Transport:
    """What both processes set in their environment, and how the images are subscribed to.

    `reliability` is best_effort, reliable or, of the node alone, auto. The camera subscribes to the
    answers best effort where that is, and else reliable.
    """

    environment: Mapping[str, str]
    reliability: str = 'best_effort'


def _profile(name: str) -> dict[str, str]:
    return dict.fromkeys(profile_variables(), str(CONFIG / name))


TRANSPORTS = {
    'default': Transport({}),
    'default, reliable': Transport({}, 'reliable'),
    'default, auto': Transport({}, 'auto'),
    'profile': Transport(_profile('fastdds_large_images.xml')),
    'profile, reliable': Transport(_profile('fastdds_large_images.xml'), 'reliable'),
    'profile, auto': Transport(_profile('fastdds_large_images.xml'), 'auto'),
    'UDP profile': Transport(_profile('fastdds_large_images_udp.xml')),
    'UDP': Transport({BUILT_IN: 'UDPv4'}),
    'LARGE_DATA': Transport({BUILT_IN: 'LARGE_DATA'}),
    'LARGE_DATA, reliable': Transport({BUILT_IN: 'LARGE_DATA'}, 'reliable'),
    # Fast DDS 2.14 (Jazzy) and later take options; what the kernel's limits do not grant fails.
    'LARGE_DATA, 4 MB': Transport({BUILT_IN: LARGE_DATA_4_MB}),
    'LARGE_DATA, 4 MB, reliable': Transport({BUILT_IN: LARGE_DATA_4_MB}, 'reliable'),
}
NODE_TRANSPORTS = ('default', 'default, auto', 'profile', 'profile, auto')
ECHO_TRANSPORTS = [name for name, each in TRANSPORTS.items() if each.reliability != 'auto']


@dataclass(frozen=True)
class Run:
    """One camera's part of a round.

    Attributes
    ----------
    sent
        Images that the camera sent.
    reached
        Images that reached the other process.
    answered
        Answers that came back, by topic.
    round_trips
        Seconds, of frames of which every answer came back.

    """

    sent: int
    reached: int
    answered: dict[str, int]
    round_trips: tuple[float, ...]


@dataclass
class Total:
    """What the rounds of one transport and size came to."""

    runs: list[Run] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return counts, and median and 95th percentile of the round trip in milliseconds."""
        trips = [1000 * seconds for run in self.runs for seconds in run.round_trips]
        return {
            'sent': sum(run.sent for run in self.runs),
            'reached_other_process': sum(run.reached for run in self.runs),
            'answers': {topic: sum(run.answered[topic] for run in self.runs) for topic in ANSWERS},
            'complete': len(trips),
            'round_trip_median_ms': round(float(np.median(trips)), 1) if trips else None,
            'round_trip_95_percent_ms': (
                round(float(np.percentile(trips, 95)), 1) if trips else None
            ),
        }


def main() -> int:
    """Run the benchmark; print and, if asked to, write its numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--sizes', nargs='+', type=_size, default=[(1280, 720), (1920, 1200)], metavar='WxH'
    )
    parser.add_argument(
        '--transports',
        nargs='+',
        choices=TRANSPORTS,
        metavar='NAME',
        help=f'of {", ".join(TRANSPORTS)} (default: all for the echo; for the node, auto and best '
        f'effort with and without the profile)',
    )
    parser.add_argument(
        '--profile',
        type=Path,
        action='append',
        default=[],
        metavar='FILE',
        help='also try this Fast DDS profile, with best effort; may be given several times',
    )
    parser.add_argument('--cameras', type=int, default=1, help='processes that send (default 1)')
    parser.add_argument('--frames', type=int, default=30, help='images per round (default 30)')
    parser.add_argument('--rounds', type=int, default=2, help='turns of each (default 2)')
    parser.add_argument('--rate', type=float, default=6.0, help='images per second (default 6)')
    parser.add_argument(
        '--answer',
        choices=('echo', 'node'),
        default='echo',
        help='who answers: a plain echo (default), or the node with its model',
    )
    parser.add_argument('--json', type=Path, help='also write the numbers here')
    options = parser.parse_args()
    result: dict[str, Any] = circumstances()

    default = NODE_TRANSPORTS if options.answer == 'node' else ECHO_TRANSPORTS
    transports = {name: TRANSPORTS[name] for name in options.transports or default}
    if options.answer == 'echo' and any(t.reliability == 'auto' for t in transports.values()):
        parser.error('auto is for the node: give --answer node')
    for path in options.profile:
        transports[path.name] = Transport(dict.fromkeys(profile_variables(), str(path.resolve())))
    totals = {(name, size): Total() for size in options.sizes for name in transports}
    for turn in range(options.rounds):
        for (name, size), total in totals.items():
            runs = _round(transports[name], size, options)
            total.runs += runs
            complete = sum(len(run.round_trips) for run in runs)
            print(
                f'round {turn + 1}: {name}, {size[0]}x{size[1]}: {complete} of '
                f'{sum(run.sent for run in runs)} round trips complete',
                file=sys.stderr,
            )

    result |= {
        'answer': options.answer,
        'cameras': options.cameras,
        'rate_hz': options.rate,
        'rounds': options.rounds,
        'socket_buffer_limits': {
            name: int(Path(f'/proc/sys/net/core/{name}').read_text())
            for name in ('rmem_max', 'wmem_max', 'rmem_default')
        },
        'load_average_after': circumstances()['load_average'],
        'results': [
            {'transport': name, 'size': list(size), **total.summary()}
            for (name, size), total in totals.items()
        ],
    }
    _print(result)
    write_result(result, options.json)
    return 0


def _size(text: str) -> tuple[int, int]:
    width, height = text.split('x')
    return int(width), int(height)


def _round(transport: Transport, size: tuple[int, int], options: argparse.Namespace) -> list[Run]:
    """Start the processes, let each camera send its images, and end them."""
    names = [f'camera{number}' for number in range(options.cameras)]
    # A forked rclpy does not work.
    context = multiprocessing.get_context('spawn')
    answerer = _echo if options.answer == 'echo' else _node
    with _environment(transport.environment), answerer(names, transport) as count:
        cameras = []
        for name in names:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_camera,
                args=(name, size, transport.reliability, options.frames, options.rate, theirs),
            )
            process.start()
            theirs.close()  # so that a process that dies is noticed
            cameras.append((name, process, ours))
        # All begin together, once each has found the other side.
        for _, _, connection in cameras:
            connection.recv()
        before = count()
        for _, _, connection in cameras:
            connection.send('begin')
        answers = []
        for name, process, connection in cameras:
            answers.append((name, *connection.recv()))
            process.join()
        after = count()
    return [
        Run(options.frames, after[name] - before[name], answered, round_trips)
        for name, answered, round_trips in answers
    ]


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Change what child processes inherit, as long as it lasts."""
    names = (*PROFILE_VARIABLES, BUILT_IN)
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in changes:
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _echo(names: list[str], transport: Transport) -> Iterator[Callable[[], dict[str, int]]]:
    """Run the echo; gives a function that returns how many frames of each camera reached it."""
    with _counting(_echo_process, names, transport.reliability) as count:
        yield count


@contextmanager
def _node(names: list[str], transport: Transport) -> Iterator[Callable[[], dict[str, int]]]:
    """Run the node; gives a function that returns how many frames of each camera reached it."""
    arguments = [
        sys.executable,
        '-m',
        'hier_seg_ros.ros.node.segmenter_node',
        '--dds-profile',
        'none',
    ]
    arguments += ['--ros-args', '-p', f'cameras:=[{", ".join(names)}]']
    arguments += ['-p', f'image_reliability:={transport.reliability}']
    process = subprocess.Popen(arguments)
    try:
        with _counting(_diagnostics_process, names) as count:
            yield count
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _counting(target: Callable[..., None], *arguments: Any) -> Iterator[Any]:
    """Run a process that answers each message with its counts, until it gets None."""
    context = multiprocessing.get_context('spawn')
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(*arguments, theirs))
    process.start()
    theirs.close()

    def count() -> dict[str, int]:
        ours.send('count')
        return ours.recv()

    try:
        yield count
    finally:
        ours.send(None)
        process.join(SECONDS_TO_START)


def _diagnostics_process(names: list[str], connection: Connection) -> None:
    """Tell how many frames of each camera the node has received, by its diagnostics."""
    rclpy.init()
    node = Node('diagnostics')
    arrays: list[DiagnosticArray] = []

    def receive(array: DiagnosticArray) -> None:
        if any(status.name.startswith('segmenter: camera ') for status in array.status):
            arrays.append(array)

    node.create_subscription(DiagnosticArray, '/diagnostics', receive, 10)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    # All the time, or what waits would be taken for what is new.
    thread = threading.Thread(target=executor.spin)
    thread.start()
    while connection.recv() is not None:
        # The first one may have been on its way.
        known = len(arrays)
        while len(arrays) < known + 2:
            time.sleep(POLL_SECONDS)
        received = {
            status.name.removeprefix('segmenter: camera '): int(value.value)
            for status in arrays[-1].status
            for value in status.values
            if value.key == 'received'
        }
        connection.send({name: received[name] for name in names})
    executor.shutdown()
    thread.join()
    node.destroy_node()
    rclpy.try_shutdown()


def _qos(reliability: str, depth: int) -> QoSProfile:
    # As deep as the publisher, or as the node and RViz subscribe to images.
    return sensor_qos(depth) if reliability == 'best_effort' else output_qos()


def _echo_process(names: list[str], reliability: str, connection: Connection) -> None:
    """Answer each image with one of every output; tell how many images there were."""
    rclpy.init()
    node = Node('segmenter')
    stamps: dict[str, set[int]] = {name: set() for name in names}

    def serve(name: str) -> None:
        publishers = {
            topic: node.create_publisher(Image, f'~/{name}/{topic}', output_qos())
            for topic in ANSWERS
        }

        def answer(message: Image) -> None:
            if message.header.stamp.sec > 0:
                stamps[name].add(message.header.stamp.sec)
            pixels = np.frombuffer(message.data, np.uint8)
            pixels = pixels.reshape(message.height, message.width, 3)
            for topic, encoding in ANSWERS.items():
                answered = pixels if encoding == 'rgb8' else pixels[..., 0]
                publishers[topic].publish(image_message(answered, encoding, message.header))

        node.create_subscription(Image, f'{name}/image', answer, _qos(reliability, 1))

    for name in names:
        serve(name)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while True:
        executor.spin_once(POLL_SECONDS)
        if connection.poll():
            if connection.recv() is None:
                break
            connection.send({name: len(seen) for name, seen in stamps.items()})
    node.destroy_node()
    rclpy.try_shutdown()


def _camera(
    name: str,
    size: tuple[int, int],
    reliability: str,
    frames: int,
    rate: float,
    connection: Connection,
) -> None:
    """Send images at a rate and send the answers' counts and the round trips over the connection.

    The stamp of image i is i + 1 seconds; of those before the start, 0.
    """
    rclpy.init()
    node = Node(name)
    sent_at: dict[int, float] = {}
    came_at: dict[str, dict[int, float]] = {topic: {} for topic in ANSWERS}
    answered = threading.Event()

    def subscribe(topic: str) -> None:
        def receive(message: Image) -> None:
            came_at[topic].setdefault(message.header.stamp.sec, time.monotonic())
            answered.set()

        node.create_subscription(Image, f'/segmenter/{name}/{topic}', receive, _qos(reliability, 5))

    for topic in ANSWERS:
        subscribe(topic)
    publisher = node.create_publisher(Image, f'{name}/image', output_qos())
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    width, height = size
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)

    def send(stamp: int) -> None:
        header = Header(frame_id=name)
        header.stamp.sec = stamp
        message = image_message(pixels, 'rgb8', header)
        sent_at[stamp] = time.monotonic()
        publisher.publish(message)

    deadline = time.monotonic() + SECONDS_TO_START
    while not publisher.get_subscription_count() or not all(
        node.count_publishers(f'/segmenter/{name}/{topic}') for topic in ANSWERS
    ):
        if time.monotonic() > deadline:
            raise TimeoutError(f'{name}: nobody answers')
        time.sleep(POLL_SECONDS)
    # Both sides have found each other once an answer is there; with a transport that loses nearly
    # everything, some time has to do.
    deadline = time.monotonic() + SECONDS_TO_MATCH
    while time.monotonic() < deadline and not all(came_at.values()):
        send(0)
        time.sleep(1 / rate)
    connection.send('ready')
    connection.recv()
    began = time.monotonic()
    for index in range(frames):
        time.sleep(max(0.0, began + index / rate - time.monotonic()))
        send(index + 1)
    # What has not come back a while after the last answer does not come any more.
    while answered.wait(SECONDS_TO_MATCH) and not all(
        len(came) >= frames + 1 for came in came_at.values()
    ):
        answered.clear()

    executor.shutdown()
    thread.join()
    stamps = range(1, frames + 1)
    counts = {topic: sum(stamp in came for stamp in stamps) for topic, came in came_at.items()}
    round_trips = tuple(
        max(came[stamp] for came in came_at.values()) - sent_at[stamp]
        for stamp in stamps
        if all(stamp in came for came in came_at.values())
    )
    connection.send((counts, round_trips))
    node.destroy_node()
    rclpy.try_shutdown()


def _print(result: dict[str, Any]) -> None:
    print(
        f'{result["cameras"]} camera(s), {result["rate_hz"]:g} images per second each; answers by '
        f'{result["answer"]}: {", ".join(ANSWERS)}; load average {result["load_average"]}'
    )
    print_table(
        ('size', 'transport', 'sent', 'reached', 'answers, by output', 'median ms', '95 % ms'),
        [
            (
                'x'.join(map(str, row['size'])),
                row['transport'],
                row['sent'],
                row['reached_other_process'],
                ', '.join(map(str, row['answers'].values())),
                row['round_trip_median_ms'] or '–',
                row['round_trip_95_percent_ms'] or '–',
            )
            for row in result['results']
        ],
    )


if __name__ == '__main__':
    sys.exit(main())
