# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras through one node, against a node for each: frames per second and memory.

    taskset --cpu-list 0,1 python benchmarks/cameras.py
    taskset --cpu-list 0,1 python benchmarks/cameras.py --against camera

The nodes are the real ones with a real model, in processes of their own. The cameras send faster
than the nodes can work, and so the frames that are answered in a second are what the nodes can do.
Both ways take turns, with fresh processes each time, so that neither sees the other's memory.
``--against camera`` compares with a single camera, which sends as many images as all of them. A
user's environment holds: the number of torch's threads is left alone unless OMP_NUM_THREADS says
otherwise.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import torch
from measurement import circumstances, print_table, write_result
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hier_seg_ros.images.image_files import decode_image
from hier_seg_ros.resources import find_model
from hier_seg_ros.ros.process.dds_profile import use_dds_profile
from hier_seg_ros.ros.topics.messages import image_message
from hier_seg_ros.ros.topics.topics import output_qos, sensor_qos

ONE, MANY, ALONE = 'one node', 'a node for each camera', 'one camera'
AGAINST = {'nodes': MANY, 'camera': ALONE}
READY = 'is ready on'
SECONDS_TO_START = 180.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Memory:
    """Megabytes of a set of processes.

    Attributes
    ----------
    pss
        Proportional set size, the kernel's own share-out. What is shared with a process
        outside the set, such as torch's libraries, counts only in part.
    own_and_libraries
        What each process holds for itself, and the files that it maps (the
        libraries) once, however many processes map them.
    rss
        Resident set size: what is shared counts in every process.

    """

    pss: float
    own_and_libraries: float
    rss: float


@dataclass(frozen=True)
class Run:
    """What one turn of one way came to.

    Attributes
    ----------
    answered
        Frames answered a second, by camera.
    memory
        After the frames.
    processor
        Processor seconds of the nodes, a second; 2 where they had two cores to
        themselves.

    """

    answered: dict[str, float]
    memory: Memory
    processor: float


def main() -> int:
    """Run the benchmark; print and, if asked to, write its numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--cameras', type=int, default=3, help='how many (default 3)')
    parser.add_argument('--width', type=int, default=960, help='pixels (default 960)')
    parser.add_argument('--height', type=int, default=720, help='pixels (default 720)')
    parser.add_argument('--image', type=Path, help='send this photograph, scaled to the size')
    parser.add_argument('--rate', type=float, default=5.0, help='images per second (default 5)')
    parser.add_argument('--seconds', type=float, default=15.0, help='timed a turn (default 15)')
    parser.add_argument('--rounds', type=int, default=2, help='turns of each way (default 2)')
    parser.add_argument('--model', default='street_lite0', help='name or folder of a model')
    parser.add_argument('--device', default='cpu', help='of the nodes (default cpu)')
    parser.add_argument(
        '--outputs',
        nargs='+',
        default=['overlay', 'level_3/labels'],
        metavar='TOPIC',
        help='what is subscribed to; the first counts (default: overlay level_3/labels)',
    )
    parser.add_argument(
        '--against',
        choices=AGAINST,
        default='nodes',
        help='compare with a node for each camera, or with one camera (default nodes)',
    )
    parser.add_argument('--json', type=Path, help='also write the numbers here')
    options = parser.parse_args()
    result: dict[str, Any] = circumstances()
    # Here, and so for the nodes too, which inherit it.
    log_line = use_dds_profile()
    if log_line is not None:
        print(log_line, file=sys.stderr)

    against = AGAINST[options.against]
    runs: dict[str, list[Run]] = {ONE: [], against: []}
    for turn in range(options.rounds):
        for way, done in runs.items():
            done.append(_run(way, options))
            total = sum(done[-1].answered.values())
            print(
                f'round {turn + 1}: {way}: {total:.2f} frames per second, '
                f'{done[-1].memory.own_and_libraries:.0f} MB',
                file=sys.stderr,
            )

    ways = {way: _summary(done) for way, done in runs.items()}
    if not all(way['frames_a_second'] for way in ways.values()):
        raise SystemExit(f'too few frames for a ratio; raise --seconds: {ways}')
    result |= {
        'cameras': options.cameras,
        'size': [options.width, options.height],
        'rate_hz': options.rate,
        'model': options.model,
        'device': options.device,
        'outputs': options.outputs,
        'rounds': options.rounds,
        'seconds_a_turn': options.seconds,
        'torch_threads_a_node': torch.get_num_threads(),
        'omp_num_threads': os.environ.get('OMP_NUM_THREADS', 'not set'),
        'load_average_after': circumstances()['load_average'],
        'ways': ways,
        'ratio': {key: round(ways[ONE][key] / ways[against][key], 3) for key in ways[ONE]},
        'turns': {way: [asdict(run) for run in done] for way, done in runs.items()},
    }
    _print(result)
    write_result(result, options.json)
    return 0


def _summary(runs: Sequence[Run]) -> dict[str, float]:
    """Return the medians of the turns."""
    return {
        'frames_a_second': round(statistics.median(sum(run.answered.values()) for run in runs), 3),
        'pss_mb': round(statistics.median(run.memory.pss for run in runs)),
        'own_and_libraries_mb': round(
            statistics.median(run.memory.own_and_libraries for run in runs)
        ),
        'rss_mb': round(statistics.median(run.memory.rss for run in runs)),
        'processors': round(statistics.median(run.processor for run in runs), 2),
        'frames_a_processor_second': round(
            statistics.median(sum(run.answered.values()) / run.processor for run in runs), 3
        ),
    }


def _run(way: str, options: argparse.Namespace) -> Run:
    """Start the nodes, send images for a while, and end them."""
    names = [f'camera{number}' for number in range(1 if way == ALONE else options.cameras)]
    commands = []
    for cameras in [[name] for name in names] if way == MANY else [names]:
        commands.append(
            [
                *(sys.executable, '-m', 'hier_seg_ros.ros.node.segmenter_node', '--ros-args'),
                *('-r', f'__node:=segmenter_{cameras[0]}' if way == MANY else '__node:=segmenter'),
                *('-p', f'cameras:=[{", ".join(cameras)}]'),
                *('-p', f'model:={find_model(options.model)}', '-p', f'device:={options.device}'),
            ]
        )
    topics = {name: f'/segmenter{f"_{name}" if way == MANY else ""}/{name}/' for name in names}
    with _nodes(commands) as processes:
        client = Client(topics, options, options.rate * options.cameras / len(names))
        try:
            client.wait_for_answers()
            processor = _processor_seconds(processes)
            began = time.monotonic()
            answered = client.count_answers(options.seconds)
            seconds = time.monotonic() - began
            processor = _processor_seconds(processes) - processor
            memory = _memory([process.pid for process in processes])
        finally:
            client.close()
    return Run(
        {name: count / seconds for name, count in answered.items()}, memory, processor / seconds
    )


@contextmanager
def _nodes(commands: Sequence[Sequence[str]]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run processes until the end; they go on once each has said that its model is ready."""
    processes: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number, command in enumerate(commands):
                with Path(folder, f'{number}.log').open('wb') as log:
                    processes.append(
                        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
                    )
            deadline = time.monotonic() + SECONDS_TO_START
            for number, process in enumerate(processes):
                path = Path(folder, f'{number}.log')
                while READY not in path.read_text(encoding='utf-8'):
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise SystemExit(f'a node does not start:\n{path.read_text()}')
                    time.sleep(POLL_SECONDS)
            yield processes
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()


class Client:
    """All cameras, which send on a thread, and the receiver of the answers, on another."""

    def __init__(self, topics: dict[str, str], options: argparse.Namespace, rate: float) -> None:
        """Begin to send, in Hz; `topics` holds what a camera's outputs begin with."""
        self._counted = options.outputs[0]
        self._changed = threading.Condition()
        self._stamps: dict[str, set[int]] = {name: set() for name in topics}
        rclpy.init()
        self._node = Node('cameras')
        for name, prefix in topics.items():
            for output in options.outputs:
                self._subscribe(name, f'{prefix}{output}', output == self._counted)
        publishers = {
            name: self._node.create_publisher(Image, f'{name}/image', output_qos())
            for name in topics
        }
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._executor.spin),
            threading.Thread(target=self._send, args=(publishers, _pixels(options), rate)),
        ]
        for thread in self._threads:
            thread.start()

    def _subscribe(self, name: str, topic: str, counted: bool) -> None:
        def receive(message: Image) -> None:
            if counted:
                with self._changed:
                    self._stamps[name].add(message.header.stamp.sec)
                    self._changed.notify_all()

        self._node.create_subscription(Image, topic, receive, sensor_qos(5))

    def _send(self, publishers: dict[str, Publisher], pixels: np.ndarray, rate: float) -> None:
        stamp = 0
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            stamp += 1
            for name, publisher in publishers.items():
                header = Header(frame_id=name)
                header.stamp.sec = stamp
                publisher.publish(image_message(pixels, 'rgb8', header))
            # A sender that cannot keep up sends less, and does not try to make up for it.
            due = max(due + 1 / rate, time.monotonic())

    def wait_for_answers(self) -> None:
        """Return once every camera has had some answers."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: all(len(stamps) >= 3 for stamps in self._stamps.values()),
                SECONDS_TO_START,
            ):
                raise SystemExit(f'some cameras are not answered: {self._stamps}')

    def count_answers(self, seconds: float) -> dict[str, int]:
        """Wait, and return how many frames of each camera were answered meanwhile."""
        with self._changed:
            before = {name: len(stamps) for name, stamps in self._stamps.items()}
        time.sleep(seconds)
        with self._changed:
            return {name: len(stamps) - before[name] for name, stamps in self._stamps.items()}

    def close(self) -> None:
        """Stop sending and receiving."""
        self._stop.set()
        self._executor.shutdown()
        for thread in self._threads:
            thread.join()
        self._node.destroy_node()
        rclpy.try_shutdown()


def _pixels(options: argparse.Namespace) -> np.ndarray:
    """Return what the cameras send, H x W x 3 uint8."""
    if options.image is None:
        # Blocks of colours: not what the model knows, but of many classes.
        blocks = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
        image = torch.from_numpy(blocks)
    else:
        image = torch.from_numpy(decode_image(options.image.read_bytes(), str(options.image)))
    scaled = torch.nn.functional.interpolate(
        image.permute(2, 0, 1)[None].float(), (options.height, options.width), mode='bilinear'
    )
    return np.ascontiguousarray(scaled[0].permute(1, 2, 0).to(torch.uint8).numpy())


def _memory(process_ids: Sequence[int]) -> Memory:
    """Return the memory of a set of processes, from the kernel's books."""
    books = []
    for process_id in process_ids:
        text = Path(f'/proc/{process_id}/smaps_rollup').read_text(encoding='utf-8')
        books.append({name: int(kb) / 1024 for name, kb in re.findall(r'(\w+):\s+(\d+) kB', text)})
    own = [book['Pss_Anon'] + book['Pss_Shmem'] for book in books]
    # What is resident, and is neither the process's own nor shared memory, are files.
    files = [book['Rss'] - book['Anonymous'] - book['Pss_Shmem'] for book in books]
    return Memory(
        pss=sum(book['Pss'] for book in books),
        own_and_libraries=sum(own) + max(files),
        rss=sum(book['Rss'] for book in books),
    )


def _processor_seconds(processes: Sequence[subprocess.Popen[bytes]]) -> float:
    ticks = 0
    for process in processes:
        # The name, in parentheses, may hold spaces; user and system time are fields 14 and 15.
        fields = Path(f'/proc/{process.pid}/stat').read_text().rpartition(')')[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf('SC_CLK_TCK')


def _print(result: dict[str, Any]) -> None:
    width, height = result['size']
    print(
        f'{result["cameras"]} cameras of {width}x{height}, model {result["model"]} on '
        f'{result["device"]}, {result["cores"]} cores, {result["torch_threads_a_node"]} threads of '
        f'torch a node; load average {result["load_average"]}'
    )
    ratio = result['ratio']
    print_table(
        (
            *('', 'frames/s in all', 'PSS MB', 'own + libraries MB', 'RSS MB'),
            *('processors', 'frames/processor second'),
        ),
        [
            *((way, *numbers.values()) for way, numbers in result['ways'].items()),
            ('ratio', *ratio.values()),
        ],
    )


if __name__ == '__main__':
    sys.exit(main())
