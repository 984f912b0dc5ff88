# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does the node leak? A thousand lifecycle rounds and ten thousand frames, watched from outside.

    python benchmarks/soak.py
    python benchmarks/soak.py --rounds 1000 --frames 10000 --control --json soak.json

Starts the real node in its own process and, over DDS,

1. takes it through configure, activate, one frame on every output, deactivate, cleanup, again and
   again;
2. activates it once more and sends frames of changing sizes and encodings, every tenth of them
   one that no node can use, with every output subscribed and every good frame answered.

All the while the kernel's books (``/proc``) tell the node's memory, threads, open files and
shared-memory files. A line is fitted through each after a warm-up; what grows faster than its
limit is called a leak, and the exit code is 1. ``--control`` does the same to a bare rclpy node
that makes, uses and destroys publishers and subscriptions of the same names and types and does
nothing else: what grows there too is rclpy's or the middleware's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import Node as LifecycleNode
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from scipy.stats import theilslopes
from sensor_msgs.msg import CameraInfo, Image
from tqdm import tqdm

from hier_seg_ros.files.writing import write_text

REPOSITORY = Path(__file__).resolve().parents[1]
NODE_NAME = 'segmenter'
ROUND = (
    Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_ACTIVATE,
    Transition.TRANSITION_DEACTIVATE,
    Transition.TRANSITION_CLEANUP,
)
SIZES = ((48, 64), (64, 48), (96, 128), (120, 160), (32, 200), (4, 4), (66, 98))
# Bytes of a row and rows of data, for an image of even `width` and `height`.
LAYOUTS: dict[str, Callable[[int, int], tuple[int, int]]] = {
    **dict.fromkeys(('rgb8', 'bgr8', '8UC3'), lambda width, height: (3 * width, height)),
    **dict.fromkeys(('rgba8', 'bgra8', '8UC4'), lambda width, height: (4 * width, height)),
    **dict.fromkeys(('mono8', '8UC1'), lambda width, height: (width, height)),
    **dict.fromkeys(('mono16', '16UC1'), lambda width, height: (2 * width, height)),
    **dict.fromkeys(
        ('bayer_rggb8', 'bayer_bggr8', 'bayer_gbrg8', 'bayer_grbg8'),
        lambda width, height: (width, height),
    ),
    **dict.fromkeys(('yuv422', 'yuv422_yuy2'), lambda width, height: (2 * width, height)),
    **dict.fromkeys(('nv12', 'nv21'), lambda width, height: (width, height * 3 // 2)),
}
BAD_EVERY = 10
# An answer may be lost between processes; the frame is then sent again.
RESEND_SECONDS = 2.0
DEADLINE = 120.0
WARM_UP = 0.25  # share of the samples: caches, arenas and the middleware's pools fill
SAMPLES = 200
# In KiB. rclpy of Jazzy with Fast DDS grows by 7 a round by itself (--control, 1,000 rounds with 14
# publishers and 2 subscriptions), and a model that stays would be megabytes. Frames leave nothing
# in rclpy; what breathes gives a slope of a few hundredths over 10,000 of them.
ROUND_LIMIT = 16.0
FRAME_LIMIT = 0.2


@dataclass(frozen=True)
class Sample:
    """What the kernel says about a process after `step` rounds or frames."""

    step: int
    anonymous_kib: int  # heap and stacks, swapped out or not: where a leak of memory shows
    proportional_kib: int  # PSS: shared pages by their share
    resident_kib: int  # RSS; includes shared-memory pages, which fill up to their set size
    threads: int
    open_files: int
    shared_memory_files: int


@dataclass(frozen=True)
class Growth:
    """How one resource went."""

    resource: str
    after_warm_up: float
    at_the_end: float
    a_step: float
    limit_a_step: float
    leaks: bool


@dataclass
class Course:
    """The samples of one part of the test, and what it took."""

    part: str
    steps: int
    samples: list[Sample] = field(default_factory=list)
    seconds: float = 0.0
    sent_again: int = 0
    bad: int = 0


def main() -> int:
    """Run the test; print a table and, if asked to, write all numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=_count, default=1000, help='lifecycle rounds (1000)')
    parser.add_argument('--frames', type=_count, default=10000, help='frames (10000)')
    parser.add_argument(
        '--model', type=Path, help='model folder (default: a tiny untrained network)'
    )
    parser.add_argument('--device', default='cpu', help='as the parameter (default cpu)')
    parser.add_argument('--encodings', nargs='+', default=list(LAYOUTS), choices=list(LAYOUTS))
    parser.add_argument('--control', action='store_true', help='then do it to a bare rclpy node')
    parser.add_argument(
        '--round-limit',
        type=float,
        default=ROUND_LIMIT,
        metavar='KIB',
        help=f'growth of memory a round that is no leak ({ROUND_LIMIT:.0f} KiB)',
    )
    parser.add_argument(
        '--frame-limit',
        type=float,
        default=FRAME_LIMIT,
        metavar='KIB',
        help=f'growth of memory a frame that is no leak ({FRAME_LIMIT} KiB)',
    )
    parser.add_argument('--json', type=Path, help='also write the numbers here')
    parser.add_argument('--log', type=Path, help="the node's log (default: a temporary file)")
    parser.add_argument('--as-control', metavar='TOPICS', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_control is not None:
        return run_control_node(json.loads(options.as_control))

    # Tests that run at the same time, and robots, are not to meet.
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or write_untrained_model(Path(folder) / 'untrained')
        log = options.log or Path(folder) / 'log'
        node = [
            *('-m', 'hier_seg_ros.ros.node.segmenter_node', '--ros-args', '-p', 'autostart:=false'),
            *('-p', f'model:={model}', '-p', f'device:={options.device}'),
        ]
        courses = {}
        courses['node'], topics = soak(node, options, log)
        if options.control:
            control = [__file__, '--as-control', json.dumps(topics)]
            courses['control'], _ = soak(control, options, log)

    limits = {'rounds': options.round_limit, 'frames': options.frame_limit}
    growths = {
        subject: {course.part: judge(course, limits[course.part]) for course in parts}
        for subject, parts in courses.items()
    }
    print(table(courses, growths))
    if options.json is not None:
        write_text(options.json, f'{json.dumps(_result(options, courses, growths), indent=1)}\n')
    leaks = any(growth.leaks for part in growths['node'].values() for growth in part)
    return 1 if leaks else 0


def soak(
    arguments: Sequence[str], options: argparse.Namespace, log: Path
) -> tuple[list[Course], dict[str, str]]:
    """Take a node through both parts; also return its image and CameraInfo topics by type."""
    with process(arguments, log) as pid, Client() as client:
        rounds = Course('rounds', options.rounds)
        for step in steps(rounds, pid):
            client.change(ROUND[0])
            if step == 1:
                client.subscribe_all()
            client.change(ROUND[1])
            frame = client.image('rgb8', SIZES[step % len(SIZES)])
            rounds.sent_again += client.ask(frame)
            client.change(ROUND[2])
            client.change(ROUND[3])

        client.change(ROUND[0])
        client.subscribe_all()
        client.change(ROUND[1])
        client.ask(client.image('rgb8', SIZES[0]))
        frames = Course('frames', options.frames)
        for step in steps(frames, pid):
            encoding = options.encodings[step % len(options.encodings)]
            frame = client.image(encoding, SIZES[step % len(SIZES)])
            if step % BAD_EVERY == 0:
                spoil(frame, step // BAD_EVERY)
                client.publish(frame)
                frames.bad += 1
            else:
                frames.sent_again += client.ask(frame)
        return [rounds, frames], client.topics


def steps(course: Course, pid: int) -> Iterator[int]:
    """Count from 1 and take samples on the way."""
    began = time.perf_counter()
    every = max(1, course.steps // SAMPLES)
    for step in tqdm(range(1, course.steps + 1), course.part, disable=None):
        yield step
        if step % every == 0:
            course.samples.append(measure(pid, step))
    course.seconds = time.perf_counter() - began


def measure(pid: int, step: int) -> Sample:
    """Read the kernel's books about a process."""
    folder = Path('/proc') / str(pid)
    memory = {
        line.split(':')[0]: int(line.split()[1])
        for line in (folder / 'smaps_rollup').read_text().splitlines()[1:]
    }
    shared = {
        line.split()[5]
        for line in (folder / 'maps').read_text().splitlines()
        if '/dev/shm/' in line
    }
    return Sample(
        step=step,
        anonymous_kib=memory['Anonymous'] + memory['Swap'],
        proportional_kib=memory['Pss'] + memory['SwapPss'],
        resident_kib=memory['Rss'],
        threads=len(list((folder / 'task').iterdir())),
        open_files=len(list((folder / 'fd').iterdir())),
        shared_memory_files=len(shared),
    )


def judge(course: Course, memory_limit: float) -> list[Growth]:
    """Fit a line through what follows the warm-up; the median of slopes shrugs off single steps.

    A leak is what surely (99 %) grows faster than its limit. Memory breathes by some 10 MB and
    settles in the first few hundred rounds, so runs much shorter than the default ones need larger
    limits. `memory_limit` is in KiB a step; a count may not grow by one over all steps. Raises
    ValueError if there are fewer than two samples after the warm-up.
    """
    samples = course.samples[int(WARM_UP * len(course.samples)) :]
    if len(samples) < 2:
        raise ValueError(f'{course.part}: {course.steps} steps are too few to see a trend')
    at = np.array([sample.step for sample in samples], float)
    one_in_all = 1 / (at[-1] - at[0])
    limits = {
        'anonymous_kib': memory_limit,
        'threads': one_in_all,
        'open_files': one_in_all,
        'shared_memory_files': one_in_all,
    }
    growths = []
    for resource, limit in limits.items():
        values = np.array([getattr(sample, resource) for sample in samples], float)
        slope, _, lowest, _ = map(float, theilslopes(values, at, 0.99))
        growths.append(Growth(resource, values[0], values[-1], slope, limit, bool(lowest >= limit)))
    return growths


class Client:
    """The other side: a camera, a subscriber of everything and a lifecycle manager."""

    def __init__(self) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = Node('soak_client', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._change_state = self._node.create_client(ChangeState, f'/{NODE_NAME}/change_state')
        self._camera = self._node.create_publisher(Image, '/image', 10)
        self._camera_info = self._node.create_publisher(CameraInfo, '/camera_info', 10)
        self._random = np.random.default_rng(1)
        self._newest: dict[str, tuple[int, int]] = {}  # topic: stamp of the newest message
        self.topics: dict[str, str] = {}  # topic: type of the node's images and CameraInfos
        if not self._change_state.wait_for_service(DEADLINE):
            raise SystemExit(f'soak: no node /{NODE_NAME} appeared; see its log (--log)')

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _spin_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def change(self, transition: int) -> None:
        """Ask for a transition and wait until it is made."""
        request = ChangeState.Request(transition=Transition(id=transition))
        future = self._change_state.call_async(request)
        if not self._spin_until(future.done, DEADLINE) or not future.result().success:
            raise SystemExit(f'soak: transition {transition} failed; see the log (--log)')

    def subscribe_all(self) -> None:
        """Subscribe every image and CameraInfo of the configured node, once."""
        classes = {'sensor_msgs/msg/Image': Image, 'sensor_msgs/msg/CameraInfo': CameraInfo}
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)

        def found() -> bool:
            listed = self._node.get_publisher_names_and_types_by_node(NODE_NAME, '/')
            self.topics = {
                topic: kind
                for topic, (kind, *_) in listed
                # Latched: it answers no image.
                if kind in classes and not topic.endswith('/legend')
            }
            return bool(self.topics)

        if not self._spin_until(found, DEADLINE):
            raise SystemExit(f'soak: /{NODE_NAME} publishes no images')
        for topic, kind in self.topics.items():
            if topic not in self._newest:
                self._newest[topic] = (0, 0)
                self._node.create_subscription(
                    classes[kind],
                    topic,
                    lambda message, topic=topic: self._note(topic, message),
                    qos,
                )

    def _note(self, topic: str, message: Any) -> None:
        self._newest[topic] = (message.header.stamp.sec, message.header.stamp.nanosec)

    def image(self, encoding: str, size: tuple[int, int]) -> Image:
        """Return an image of noise, stamped with now."""
        height, width = size
        step, rows = LAYOUTS[encoding](width, height)
        message = Image(height=height, width=width, encoding=encoding, step=step)
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.header.frame_id = 'camera'
        message.data = array('B', self._random.bytes(step * rows))
        return message

    def publish(self, message: Image) -> None:
        """Send an image and its CameraInfo."""
        self._camera_info.publish(
            CameraInfo(header=message.header, height=message.height, width=message.width)
        )
        self._camera.publish(message)

    def ask(self, message: Image) -> int:
        """Send a frame until it is answered on every topic; return how often it was sent again."""
        stamp = (message.header.stamp.sec, message.header.stamp.nanosec)

        def answered() -> bool:
            return all(newest == stamp for newest in self._newest.values())

        for sent_again in range(int(DEADLINE / RESEND_SECONDS)):
            self.publish(message)
            if self._spin_until(answered, RESEND_SECONDS):
                return sent_again
        missing = [topic for topic, newest in self._newest.items() if newest != stamp]
        raise SystemExit(
            f'soak: no answer to {message.encoding} {message.width} x {message.height} on '
            f'{", ".join(missing)}; see the log (--log)'
        )


def spoil(message: Image, kind: int) -> None:
    """Make an image unusable, in one of several ways."""
    match kind % 4:
        case 0:
            message.step = 1
        case 1:
            message.data = message.data[: len(message.data) // 2]
        case 2:
            message.encoding = 'rgb7'
        case _:
            message.width = 0


@contextmanager
def process(arguments: Sequence[str], log: Path) -> Iterator[int]:
    """Run Python with `arguments`; yield its process id, and end it with SIGINT."""
    environment = dict(os.environ)
    environment['PYTHONPATH'] = os.pathsep.join(
        filter(None, [str(REPOSITORY), environment.get('PYTHONPATH')])
    )
    with log.open('w') as file:
        child = subprocess.Popen(
            [sys.executable, *arguments], stdout=file, stderr=subprocess.STDOUT, env=environment
        )
        try:
            yield child.pid
            child.send_signal(signal.SIGINT)
            if child.wait(DEADLINE) != 0:
                raise SystemExit(f'soak: the node ended with exit code {child.returncode}')
        finally:
            child.kill()
            child.wait()


def write_untrained_model(folder: Path) -> Path:
    """Write a model folder of the default tree with a tiny network of random weights."""
    # Here, because the control node is to have neither torch nor anything of this package.
    import torch

    from hier_seg_ros.hierarchy import Hierarchy
    from hier_seg_ros.segmenter.model_folder import (
        InputOptions,
        ModelDescription,
        write_model_folder,
    )
    from hier_seg_ros.segmenter.network import NetworkOptions, build_network

    torch.manual_seed(1)
    tree = Hierarchy.load(REPOSITORY / 'config' / 'hierarchies' / 'street_108.yaml')
    options = NetworkOptions(
        backbone='test_efficientnet',
        backbone_options={},
        fused_strides=(8, 16),
        shared_channels=8,
        branch_channels=4,
        image_pooling=True,
        learned_upsampling=True,
    )
    description = ModelDescription(
        name='untrained',
        network=options,
        input=InputOptions(256, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        supervised=tuple(node.name for node in tree.nodes),
    )
    write_model_folder(folder, description, tree, build_network(options, tree), '# Untrained\n')
    return folder


class ControlNode(LifecycleNode):
    """Publishers and subscriptions as the real node has them, and nothing else."""

    def __init__(self, topics: dict[str, str]) -> None:
        super().__init__(NODE_NAME)
        self._topics = topics
        self._outputs: list[Any] = []
        self._inputs: list[Any] = []

    def on_configure(self, _state: Any) -> TransitionCallbackReturn:
        """Make the publishers."""
        self._outputs = [
            self.create_publisher(Image if kind.endswith('/Image') else CameraInfo, topic, 5)
            for topic, kind in self._topics.items()
        ]
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Make the subscriptions."""
        qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._inputs = [
            self.create_subscription(Image, 'image', self._answer, qos),
            self.create_subscription(CameraInfo, 'camera_info', lambda message: None, qos),
        ]
        return super().on_activate(state)

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Destroy the subscriptions."""
        while self._inputs:
            self.destroy_subscription(self._inputs.pop())
        return super().on_deactivate(state)

    def on_cleanup(self, _state: Any) -> TransitionCallbackReturn:
        """Destroy the publishers."""
        while self._outputs:
            self.destroy_publisher(self._outputs.pop())
        return TransitionCallbackReturn.SUCCESS

    def _answer(self, message: Image) -> None:
        for publisher in self._outputs:
            publisher.publish(
                message if publisher.msg_type is Image else CameraInfo(header=message.header)
            )


def run_control_node(topics: dict[str, str]) -> int:
    """Spin a control node until SIGINT."""
    rclpy.init()
    node = ControlNode(topics)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


def table(courses: dict[str, list[Course]], growths: dict[str, dict[str, list[Growth]]]) -> str:
    """Return the results as lines of text."""
    lines = []
    for subject, parts in courses.items():
        for course in parts:
            lines.append(
                f'{subject}: {course.steps} {course.part} in {course.seconds:.0f} s, '
                f'{course.bad} bad, {course.sent_again} sent again'
            )
            lines.append(
                f'  {"":20} {"warmed up":>10} {"at the end":>10} {"a step":>9} {"limit":>9}'
            )
            for growth in growths[subject][course.part]:
                lines.append(
                    f'  {growth.resource:20} {growth.after_warm_up:10.0f} '
                    f'{growth.at_the_end:10.0f} {growth.a_step:9.4f} {growth.limit_a_step:9.4f}  '
                    + ('LEAK' if growth.leaks else 'no leak')
                )
    return '\n'.join(lines)


def _result(
    options: argparse.Namespace,
    courses: dict[str, list[Course]],
    growths: dict[str, dict[str, list[Growth]]],
) -> dict[str, Any]:
    """Return everything as plain data."""
    return {
        'python': platform.python_version(),
        'device': options.device,
        'model': str(options.model or 'untrained test_efficientnet'),
        'encodings': options.encodings,
        'subjects': {
            subject: [
                {
                    **asdict(course),
                    'growth': [asdict(growth) for growth in growths[subject][course.part]],
                }
                for course in parts
            ]
            for subject, parts in courses.items()
        },
    }


def _count(text: str) -> int:
    """Read a number of steps; a trend needs a few."""
    number = int(text)
    if number < 8:
        raise argparse.ArgumentTypeError(f'{number} steps are too few to see a trend; at least 8')
    return number


if __name__ == '__main__':
    sys.exit(main())
