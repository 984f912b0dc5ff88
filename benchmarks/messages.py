# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Milliseconds to build and publish the images of a frame, against the usual ways.

    python benchmarks/messages.py

A frame's images are made by the node's own outputs from a real result; making them is timed by
itself. Then each way builds the messages and publishes them to a subscriber in another process,
which has received all of a frame before the next one is sent. The ways take turns frame by frame,
in an order that changes, so that what else the machine does meets all of them.

Last come a point cloud of 640 x 480, what the signs of a frame cost as objects, and what each
output costs by itself, in processor time, both on the photographs of the demo's bag.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from measurement import circumstances, print_table, write_result
from PIL import Image as Picture
from point_costs import point_costs
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image
from sign_costs import sign_costs
from std_msgs.msg import Header

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.images.compression import JPEG_QUALITY
from hier_seg_ros.resources import find_model
from hier_seg_ros.ros.process.dds_profile import use_dds_profile
from hier_seg_ros.ros.topics.messages import compressed_image_message, image_message
from hier_seg_ros.ros.topics.topics import output_qos, sensor_qos
from hier_seg_ros.segmenter import SegmentationResult, Segmenter
from hier_seg_ros.segmenter.class_groups import ClassGroups
from hier_seg_ros.segmenter.outputs import image_outputs
from hier_seg_ros.segmenter.pictures.legend import legend
from hier_seg_ros.segmenter.pictures.scaling import scaled_photograph, scaled_result
from hier_seg_ros.segmenter.pictures.sign_names import SignNames, named_signs

OURS = 'image_message'
OVERLAY_ALPHA = 0.5
MIN_SIGN_PIXELS = 50
SECONDS_TO_ARRIVE = 2.0
STOP_CHECK_SECONDS = 0.1

# (pixels, encoding, header) -> message
Build = Callable[[np.ndarray, str, Header], Image]


def main() -> int:
    """Run the benchmark; print and, if asked to, write its numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--width', type=int, default=1280, help='pixels (default 1280)')
    parser.add_argument('--height', type=int, default=720, help='pixels (default 720)')
    parser.add_argument('--frames', type=int, default=50, help='timed frames per way (default 50)')
    parser.add_argument(
        '--outputs',
        nargs='+',
        default=['overlay', 'color', *(f'level_{level}/labels' for level in (1, 2, 3))],
        metavar='TOPIC',
        help='which of the node (default: overlay, color and three label images)',
    )
    parser.add_argument('--model', default='street_lite0', help='whose results are drawn')
    parser.add_argument('--dds-profile', default='auto', help='as the node: auto, none or a file')
    parser.add_argument('--json', type=Path, help='also write the numbers here')
    options = parser.parse_args()
    result: dict[str, Any] = circumstances()
    log_line = use_dds_profile(options.dds_profile)
    if log_line is not None:
        print(log_line, file=sys.stderr)

    render = _renderer(options)
    images = render()
    points = point_costs(options.model, options.frames)
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context('spawn')  # a forked rclpy does not work
    receiver = context.Process(target=_receive, args=(options.outputs, theirs), daemon=True)
    receiver.start()
    rclpy.init()
    node = Node('messages_benchmark')
    try:
        publishers = {
            topic: node.create_publisher(Image, topic, output_qos()) for topic in options.outputs
        }
        times = _measure(images, publishers, ours, options.frames)
    finally:
        ours.send('stop')
        receiver.join()
        node.destroy_node()
        rclpy.try_shutdown()

    own_costs = _own_costs(options)
    result |= {
        'size': [options.width, options.height],
        'outputs': options.outputs,
        'bytes_a_frame': sum(pixels.nbytes for pixels, _ in images.values()),
        'timed_frames': options.frames,
        'load_average_after': circumstances()['load_average'],
        'points': points,
        'draw_ms': _median_ms([_seconds(render) for _ in range(options.frames)]),
        'ways': {
            name: {
                'build_ms': _median_ms([build for build, _ in pairs]),
                'publish_ms': _median_ms([publish for _, publish in pairs]),
                'total_ms': _median_ms([sum(pair) for pair in pairs]),
                'total_95_percent_ms': round(
                    1000 * float(np.percentile([sum(pair) for pair in pairs], 95)), 2
                ),
            }
            for name, pairs in times.items()
        },
    }
    result['signs'] = sign_costs(Segmenter.load(find_model(options.model), device='cpu'))
    result['own_costs'] = own_costs
    ours_ms = result['ways'][OURS]['total_ms']
    result['times_ours'] = {
        name: round(way['total_ms'] / ours_ms, 2) for name, way in result['ways'].items()
    }
    _print(result)
    write_result(result, options.json)
    return 0


def _renderer(
    options: argparse.Namespace,
) -> Callable[[], dict[str, tuple[np.ndarray, str]]]:
    """Return a function that draws a frame's images: pixels and encoding by topic."""
    segmenter = Segmenter.load(find_model(options.model), device='cpu')
    offered = {
        output.topic: output for output in image_outputs(segmenter.hierarchy, segmenter.supervised)
    }
    unknown = [topic for topic in options.outputs if topic not in offered]
    if unknown:
        sys.exit(f'no output {", ".join(unknown)}: use {", ".join(offered)}')
    random_source = np.random.default_rng(0)
    rgb = random_source.integers(0, 256, (options.height, options.width, 3), np.uint8)
    (result,) = segmenter.segment([rgb])
    outputs = [offered[topic] for topic in options.outputs]
    return lambda: {
        output.topic: (output.render(rgb, result, OVERLAY_ALPHA), output.encoding)
        for output in outputs
    }


def _ways() -> dict[str, Build]:
    """Return how a message is built, by name; some only where they are installed."""
    ways: dict[str, Build] = {
        OURS: image_message,
        'data = bytes(pixels)': lambda pixels, encoding, header: _fill(
            Image(), pixels, encoding, header, bytes(pixels)
        ),
        'data = pixels.tobytes()': lambda pixels, encoding, header: _fill(
            Image(), pixels, encoding, header, pixels.tobytes()
        ),
    }
    # Up to Humble and Iron every message checks its fields and takes no such argument; later ones
    # check only where they are told to, or where ROS_PYTHON_CHECK_FIELDS is 1.
    try:
        Image(check_fields=True)
    except AssertionError:
        pass
    else:
        ways['data = bytes(pixels), fields checked'] = lambda pixels, encoding, header: _fill(
            Image(check_fields=True), pixels, encoding, header, bytes(pixels)
        )
    try:
        from cv_bridge import CvBridge
    except ImportError:
        print('cv_bridge is not installed: left out', file=sys.stderr)
    else:
        bridge = CvBridge()
        ways['cv_bridge.cv2_to_imgmsg'] = lambda pixels, encoding, header: bridge.cv2_to_imgmsg(
            pixels, encoding, header
        )
    return ways


def _fill(message: Image, pixels: np.ndarray, encoding: str, header: Header, data: bytes) -> Image:
    message.header = header
    message.height, message.width = pixels.shape[:2]
    message.encoding = encoding
    message.step = len(data) // message.height
    message.data = data
    return message


def _measure(
    images: dict[str, tuple[np.ndarray, str]],
    publishers: dict[str, Publisher],
    received: Connection,
    frames: int,
) -> dict[str, list[tuple[float, float]]]:
    """Return by way, for each frame, the seconds to build and to publish all of its images."""
    ways = _ways()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    order = list(ways)
    shuffle = random.Random(0).shuffle
    stamp = 0
    # One frame more than is timed: the first of each way is slow, or lost to late matching.
    for turn in range(frames + 1):
        shuffle(order)
        for name in order:
            stamp += 1
            pair = _publish(images, publishers, ways[name], _header(stamp))
            while not _arrived(received, stamp):
                stamp += 1
                pair = _publish(images, publishers, ways[name], _header(stamp))
            if turn > 0:
                times[name].append(pair)
    return times


def _publish(
    images: dict[str, tuple[np.ndarray, str]],
    publishers: dict[str, Publisher],
    build: Build,
    header: Header,
) -> tuple[float, float]:
    building = publishing = 0.0
    for topic, (pixels, encoding) in images.items():
        began = time.perf_counter()
        message = build(pixels, encoding, header)
        built = time.perf_counter()
        publishers[topic].publish(message)
        building += built - began
        publishing += time.perf_counter() - built
    return building, publishing


def _header(stamp: int) -> Header:
    header = Header(frame_id='camera')
    header.stamp.sec = stamp
    return header


def _arrived(received: Connection, stamp: int) -> bool:
    """Return whether all images of a frame were received in time."""
    deadline = time.monotonic() + SECONDS_TO_ARRIVE
    while received.poll(max(0.0, deadline - time.monotonic())):
        if received.recv() == stamp:
            return True
    return False


def _receive(topics: Sequence[str], connection: Connection) -> None:
    """Send the stamp of each frame of which all images have arrived; the other process."""
    rclpy.init()
    node = Node('messages_receiver')
    missing: dict[int, set[str]] = {}

    def subscribe(topic: str) -> None:
        def receive(message: Image) -> None:
            stamp = message.header.stamp.sec
            left = missing.setdefault(stamp, set(topics))
            left.discard(topic)
            if not left:
                del missing[stamp]
                connection.send(stamp)

        node.create_subscription(Image, topic, receive, sensor_qos(5))

    for topic in topics:
        subscribe(topic)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not connection.poll():  # whatever comes means: stop
        executor.spin_once(STOP_CHECK_SECONDS)
    node.destroy_node()
    rclpy.try_shutdown()


def _own_costs(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return by output the milliseconds to draw, to build and to compress it.

    They are medians of the processor's time, which other programs disturb little.
    """
    segmenter = Segmenter.load(find_model(options.model), device='cpu')
    tree = segmenter.hierarchy
    top = next(classifier for classifier in tree.classifiers if classifier.parent is None)
    groups = ClassGroups({node.readable_name: [node.name] for node in top.nodes}, tree)
    offered = image_outputs(tree, segmenter.supervised, groups=groups)
    names = SignNames()
    times: dict[str, dict[str, list[float]]] = {}

    def timed(topic: str, step: str, function: Callable[[], Any]) -> Any:
        began = time.thread_time()
        made = function()
        times.setdefault(topic, {}).setdefault(step, []).append(time.thread_time() - began)
        return made

    def write_names(pixels: np.ndarray, of: SegmentationResult) -> None:
        names.write(pixels, named_signs(of, MIN_SIGN_PIXELS))

    header = _header(0)
    for rgb in _photographs(options.width, options.height):
        (result,) = segmenter.segment([rgb])
        for output in offered:
            topic, encoding = output.topic, output.encoding
            pixels = timed(topic, 'draw', partial(output.render, rgb, result, OVERLAY_ALPHA))
            timed(topic, 'raw', partial(image_message, pixels, encoding, header))
            compress = partial(compressed_image_message, pixels, encoding, header, JPEG_QUALITY)
            timed(topic, 'compressed', compress)
            if topic == 'overlay':
                timed('names on the overlay', 'draw', partial(write_names, pixels, result))
        timed('output_scale 0.5: result', 'draw', partial(scaled_result, result, 2))
        timed('output_scale 0.5: photograph', 'draw', partial(scaled_photograph, rgb, 2))
    timed('legend', 'draw', partial(legend, tree, segmenter.supervised))
    return {
        topic: {step: _median_ms(seconds) for step, seconds in steps.items()}
        for topic, steps in times.items()
    }


def _photographs(width: int, height: int) -> Iterator[np.ndarray]:
    """Yield the photographs of the demo's bag in the benchmark's size, (H, W, 3) uint8."""
    with ImageBag(Path(__file__).resolve().parent.parent / 'demo' / 'street') as bag:
        for photograph in bag.images('/camera/image_raw/compressed'):
            resized = Picture.fromarray(photograph.pixels).resize((width, height))
            yield np.asarray(resized)


def _seconds(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def _median_ms(seconds: Sequence[float]) -> float:
    return round(1000 * statistics.median(seconds), 2)


def _print(result: dict[str, Any]) -> None:
    width, height = result['size']
    megabytes = result['bytes_a_frame'] / 1e6
    print(
        f'{len(result["outputs"])} images of {width}x{height} a frame, {megabytes:.1f} MB; drawing '
        f'them takes {result["draw_ms"]} ms; load average {result["load_average"]}'
    )
    print_table(
        ('way', 'build ms', 'publish ms', 'both ms', '95 % ms', 'times ours'),
        [(name, *way.values(), result['times_ours'][name]) for name, way in result['ways'].items()],
    )
    signs = result['signs']
    print(f'\n{signs["signs"]} signs as objects in {signs["frames"]} photographs of 1360x800:')
    print_table(
        ('step', 'median ms', '95 % ms', 'most ms'),
        [(name, *costs.values()) for name, costs in signs.items() if isinstance(costs, dict)],
    )
    points = result['points']
    width, height = points['size']
    print(
        f'A point cloud of {width}x{height}, {points["bytes"] / 1e6:.1f} MB, takes '
        f'{points["build_ms"]} ms to build, {points["build_processor_ms"]} ms of them on the '
        f'processor'
    )
    print('\nProcessor time of each output by itself, on photographs:')
    steps = ('draw', 'raw', 'compressed')
    print_table(
        ('output', *(f'{step} ms' for step in steps)),
        [
            (topic, *(costs.get(step, '') for step in steps))
            for topic, costs in result['own_costs'].items()
        ],
    )


if __name__ == '__main__':
    sys.exit(main())
