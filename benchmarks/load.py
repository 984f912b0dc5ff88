# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Three cameras at 30 Hz for an hour, every frame of them accounted for, and nothing that grows.

    python benchmarks/load.py --seconds 3600 --json benchmarks/results/load.json

Starts the real node with the cameras front, left and right, a process that sends 320 x 240 images
of each (every 50th one is damaged), and subscribes to the labels of all. At the end, each frame
that reached the node's callbacks must have exactly one fate: published, dropped or rejected, by
camera and reason. What the middleware lost before that stands beside it. The kernel's books tell
the node's memory, threads, open files and shared-memory files; what follows the first quarter must
not grow, memory by less than 1 %. The exit code is 1 where something of this does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from measurement import circumstances, print_table, write_result
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from soak import WARM_UP, Sample, measure, process, spoil
from std_msgs.msg import Header
from tqdm import tqdm

from hier_seg_ros.images.image_files import decode_image
from hier_seg_ros.ros.process.dds_profile import use_dds_profile
from hier_seg_ros.ros.topics.messages import image_message

CAMERAS = ('front', 'left', 'right')
HEIGHT, WIDTH = 240, 320
RATE = 30.0
BAD_EVERY = 50
SAMPLE_SECONDS = 5.0
# Seconds in which the last frames must have got their fate.
PATIENCE = 60.0
QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
PHOTOGRAPH = Path(__file__).resolve().parents[1] / 'hier_seg_ros/segmenter/engines/photograph.jpg'
# Counts of a camera that are no fate of a frame.
LOST = 'lost, by the middleware'
COUNTED = ('published', 'replaced', 'not needed', 'rate limited', 'backing off', 'stopped')
REASONS = ('rejected: ', 'failed: ')


def main() -> int:
    """Run the load; print a table and, if asked to, write all numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=3600.0, help='how long (3600)')
    parser.add_argument('--model', default='street_lite0', help='as the parameter (street_lite0)')
    parser.add_argument('--device', default='cpu', help='as the parameter (cpu)')
    parser.add_argument('--growth-limit', type=float, default=1.0, help='of memory, in %% (1.0)')
    parser.add_argument('--json', type=Path, help='also write the numbers here')
    parser.add_argument('--log', type=Path, help="the node's log (default: a temporary file)")
    parser.add_argument('--as-cameras', type=float, metavar='SECONDS', help=argparse.SUPPRESS)
    options = parser.parse_args()
    use_dds_profile()
    if options.as_cameras is not None:
        return send(options.as_cameras)
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    result = circumstances()
    with tempfile.TemporaryDirectory() as folder:
        log = options.log or Path(folder) / 'log'
        node = [
            *('-m', 'hier_seg_ros.ros.node.segmenter_node', '--ros-args'),
            *('-p', f'model:={options.model}', '-p', f'device:={options.device}'),
            *('-p', f'cameras:=[{", ".join(CAMERAS)}]'),
        ]
        with process(node, log) as pid:
            result |= run(pid, options.seconds)
    result |= judge(result, options.growth_limit)
    print_result(result)
    write_result(result, options.json)
    return 0 if result['holds'] else 1


def run(pid: int, seconds: float) -> dict[str, Any]:
    """Let the cameras send for so long, and watch the node of that process id."""
    watcher = Watcher()
    watcher.spin_until(lambda: watcher.ready, PATIENCE)
    samples: list[Sample] = []
    arguments = [sys.executable, __file__, '--as-cameras', str(seconds)]
    cameras = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    try:
        began = time.monotonic()
        with tqdm(total=round(seconds), unit='s', disable=None) as progress:
            while cameras.poll() is None:
                watcher.spin(SAMPLE_SECONDS)
                samples.append(measure(pid, round(time.monotonic() - began)))
                progress.update(min(samples[-1].step, round(seconds)) - int(progress.n))
        sent = json.loads(cameras.communicate()[0])
    finally:
        cameras.kill()
        cameras.wait()
    watcher.spin_until(lambda: watcher.settled, PATIENCE)
    accounts = {
        camera: {**sent[camera], 'not arrived': sent[camera]['sent'] - counts['received'], **counts}
        for camera, counts in watcher.counts.items()
    }
    result = {
        'seconds': seconds,
        'accounts': accounts,
        'latency_s': watcher.latency(),
        'samples': [asdict(sample) for sample in samples],
    }
    watcher.close()
    return result


class Watcher:
    """Subscribes to the labels of all cameras and to the diagnostics."""

    def __init__(self) -> None:
        """Begin to listen."""
        rclpy.init()
        self._node = Node('load_watcher')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._latencies: dict[str, list[float]] = {camera: [] for camera in CAMERAS}
        self._statuses: dict[str, dict[str, str]] = {}
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnose, 10)
        for camera in CAMERAS:
            self._node.create_subscription(
                Image,
                f'/segmenter/{camera}/level_1/labels',
                lambda message, camera=camera: self._receive(camera, message),
                QOS,
            )

    def close(self) -> None:
        """End it."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def spin(self, seconds: float) -> None:
        """Listen for so long."""
        self.spin_until(lambda: False, seconds)

    def spin_until(self, condition: Any, seconds: float) -> None:
        """Listen until the condition holds, or for so long."""
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.1)

    def _receive(self, camera: str, message: Image) -> None:
        stamp = message.header.stamp
        self._latencies[camera].append(time.time() - stamp.sec - stamp.nanosec / 1e9)

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            self._statuses[status.name.rpartition(': camera ')[2]] = values

    @property
    def ready(self) -> bool:
        """Whether the node subscribes to all cameras."""
        return all(self._node.count_subscribers(f'/{camera}/image') for camera in CAMERAS)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """What became of each camera's frames, by the newest diagnostics."""
        return {
            camera: {
                key: int(value)
                for key, value in self._statuses.get(camera, {}).items()
                if key in ('received', LOST, *COUNTED)
                or (key.startswith(REASONS) and ', since' not in key)
            }
            for camera in CAMERAS
        }

    @property
    def settled(self) -> bool:
        """Whether each frame has one fate, the last ones included."""
        return all(counts and not unaccounted(counts) for counts in self.counts.values())

    def latency(self) -> dict[str, dict[str, float]]:
        """Return seconds from stamp to our callback, by camera and quarter of the time."""
        table = {}
        for camera, values in self._latencies.items():
            for number, quarter in enumerate(np.array_split(np.array(values), 4), 1):
                if len(quarter):
                    median, most = np.percentile(quarter, (50, 99))
                    table[f'{camera}, quarter {number}'] = {
                        'median': round(float(median), 4),
                        '99 %': round(float(most), 4),
                        'longest': round(float(quarter.max()), 4),
                    }
        return table


def unaccounted(counts: dict[str, int]) -> int:
    """Return how many of the frames that were received have no fate, or more than one."""
    fates = {key: n for key, n in counts.items() if key in COUNTED or key.startswith(REASONS)}
    return counts['received'] - sum(fates.values())


def judge(result: dict[str, Any], growth_limit: float) -> dict[str, Any]:
    """Return whether the account is exact and nothing grows; `growth_limit` is in %."""
    samples = result['samples'][int(WARM_UP * len(result['samples'])) :]
    tenth = max(1, len(samples) // 10)
    growth = {}
    for resource in ('anonymous_kib', 'threads', 'open_files', 'shared_memory_files'):
        values = [sample[resource] for sample in samples]
        begin, end = (float(np.median(part)) for part in (values[:tenth], values[-tenth:]))
        limit = growth_limit if resource == 'anonymous_kib' else 0.0
        percent = round(100.0 * (end - begin) / begin, 2)
        growth[resource] = {
            'after_warm_up': begin,
            'at_the_end': end,
            'growth_percent': percent,
            'holds': percent <= limit,
        }
    balance = {camera: unaccounted(counts) for camera, counts in result['accounts'].items()}
    holds = not any(balance.values()) and all(each['holds'] for each in growth.values())
    return {'unaccounted': balance, 'growth': growth, 'holds': holds}


def send(seconds: float) -> int:
    """Send all cameras' images for so long; print what was sent, as JSON."""
    rclpy.init()
    node = Node('load_cameras')
    publishers = {
        camera: node.create_publisher(Image, f'{camera}/image', QOS) for camera in CAMERAS
    }
    photograph = decode_image(PHOTOGRAPH.read_bytes(), PHOTOGRAPH.name)[:HEIGHT, :WIDTH]
    counts = {camera: Counter({'sent': 0, 'damaged': 0}) for camera in CAMERAS}
    began = time.monotonic()
    for number in range(round(seconds * RATE)):
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        pixels = np.roll(photograph, 4 * number, axis=1)
        for place, (camera, publisher) in enumerate(publishers.items()):
            header = Header(stamp=node.get_clock().now().to_msg(), frame_id=camera)
            message = image_message(pixels, 'rgb8', header)
            if (number + place) % BAD_EVERY == 0:
                spoil(message, number // BAD_EVERY)
                counts[camera]['damaged'] += 1
            publisher.publish(message)
            counts[camera]['sent'] += 1
    # Those that are under way still need their writer.
    time.sleep(2.0)
    node.destroy_node()
    rclpy.shutdown()
    print(json.dumps(counts))
    return 0


def print_result(result: dict[str, Any]) -> None:
    """Print account, growth and latency as tables."""
    accounts = result['accounts']
    keys: Sequence[str] = sorted({key for counts in accounts.values() for key in counts})
    rows = [(key, *(counts.get(key, 0) for counts in accounts.values())) for key in keys]
    print_table(('frames', *accounts), [*rows, ('unaccounted', *result['unaccounted'].values())])
    print_table(
        ('resource', 'after warm-up', 'at the end', 'growth (%)', ''),
        [
            (name, *(each[key] for key in ('after_warm_up', 'at_the_end', 'growth_percent')),
             'holds' if each['holds'] else 'GROWS')
            for name, each in result['growth'].items()
        ],
    )  # fmt: skip
    print_table(
        ('latency (s)', 'median', '99 %', 'longest'),
        [(name, *each.values()) for name, each in result['latency_s'].items()],
    )


if __name__ == '__main__':
    sys.exit(main())
