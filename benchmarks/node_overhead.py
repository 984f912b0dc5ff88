# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node adds to the segmenter, beside a plain rclpy and OpenCV node of the usual kind.

    python benchmarks/node_overhead.py

Both nodes run in processes of their own with the same model and answer the same photographs with
the same five images. First they take turns, frame by frame: the next frame is sent once all five
images of the last one have arrived, and what the segmenter took, measured within the node, is
subtracted from the time between. Then each gets frames faster than it can work, and the frames that
are answered in a second are compared with what the segmenter alone would do.
"""

from __future__ import annotations

import argparse
import math
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from measurement import circumstances, print_table, write_result
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.frames.frame import SegmentedFrame
from hier_seg_ros.resources import find_model
from hier_seg_ros.ros.process.dds_profile import use_dds_profile
from hier_seg_ros.ros.topics.messages import image_message
from hier_seg_ros.ros.topics.topics import output_qos
from hier_seg_ros.segmenter import Segmenter

BAG = Path(__file__).resolve().parent.parent / 'demo' / 'street'
OURS, PLAIN = 'segmenter_node', 'plain node'
NAMES = {OURS: 'segmenter', PLAIN: 'plain'}
OUTPUTS = ('overlay', 'color', 'level_1/labels', 'level_2/labels', 'level_3/labels')
SECONDS_TO_ANSWER = 60.0
POLL_SECONDS = 5.0


def main() -> int:
    """Run the benchmark; print and, if asked to, write its numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--width', type=int, default=1280, help='pixels (default 1280)')
    parser.add_argument('--height', type=int, default=720, help='pixels (default 720)')
    parser.add_argument('--frames', type=int, default=60, help='timed for each node (default 60)')
    parser.add_argument('--seconds', type=float, default=15.0, help='of a flood (default 15)')
    parser.add_argument('--rate', type=float, default=30.0, help='of a flood, in Hz (default 30)')
    parser.add_argument('--model', default='street_lite0', help='name or folder of a model')
    parser.add_argument('--json', type=Path, help='also write the numbers here')
    parser.add_argument('--serve', choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument('--times', type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        return _serve(options)
    result: dict[str, Any] = circumstances()
    log_line = use_dds_profile()
    if log_line is not None:
        print(log_line, file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        with _nodes(options, Path(folder)) as times:
            client = _Client(_photographs(options.width, options.height))
            try:
                client.wait_for_answers()
                turns = client.take_turns(options.frames)
                floods = {way: client.flood(way, options.rate, options.seconds) for way in NAMES}
            finally:
                client.close()
        segmented = {way: _read_times(path) for way, path in times.items()}
    result |= {
        'size': [options.width, options.height],
        'outputs': OUTPUTS,
        'timed_frames': options.frames,
        'model': options.model,
        'load_average_after': circumstances()['load_average'],
        'ways': {way: _summary(turns[way], floods[way], segmented[way]) for way in NAMES},
    }
    ours, plain = result['ways'][OURS], result['ways'][PLAIN]
    result['ratio_of_added_ms'] = round(ours['added_ms'] / plain['added_ms'], 2)
    print_table(('', *ours), [(way, *numbers.values()) for way, numbers in result['ways'].items()])
    print(f'added by the node, to the plain one: {result["ratio_of_added_ms"]}')
    write_result(result, options.json)
    return 0


def _summary(
    turns: dict[int, float], answered: float, segmented: dict[int, float]
) -> dict[str, float]:
    """Return medians in milliseconds; frames are known by the seconds of their stamps."""
    common = sorted(turns.keys() & segmented.keys())
    added = [turns[stamp] - segmented[stamp] for stamp in common]
    flood = [seconds for stamp, seconds in segmented.items() if stamp > max(turns)]
    return {
        'frames': len(common),
        'segmenter_ms': _median_ms([segmented[stamp] for stamp in common]),
        'total_ms': _median_ms([turns[stamp] for stamp in common]),
        'added_ms': _median_ms(added),
        'added_95_percent_ms': round(1000 * float(np.percentile(added, 95)), 1),
        'flood_frames_a_second': round(answered, 2),
        'flood_segmenter_share': round(answered * statistics.fmean(flood), 3),
    }


def _read_times(path: Path) -> dict[int, float]:
    lines = path.read_text(encoding='utf-8').splitlines()
    return {int(stamp): float(seconds) for stamp, seconds in (line.split() for line in lines)}


def _median_ms(seconds: Sequence[float]) -> float:
    return round(1000 * statistics.median(seconds), 1)


def _photographs(width: int, height: int) -> list[np.ndarray]:
    """Return photographs of the demo's bag in the benchmark's size, (H, W, 3) uint8."""
    with ImageBag(BAG) as bag:
        return [
            cv2.resize(image.pixels, (width, height))
            for image in bag.images('/camera/image_raw/compressed')
        ]


class _Client:
    """The camera of both nodes, and the one who receives what they answer."""

    def __init__(self, photographs: Sequence[np.ndarray]) -> None:
        rclpy.init()
        self._node = Node('node_overhead')
        self._photographs = photographs
        self._stamp = 0
        self._changed = threading.Condition()
        # When the last of a frame's outputs came, and how many have, by node and stamp.
        self._arrivals: dict[str, dict[int, tuple[int, float]]] = {way: {} for way in NAMES}
        self._cameras = {
            way: self._node.create_publisher(Image, f'/{name}/image', output_qos())
            for way, name in NAMES.items()
        }
        for way, name in NAMES.items():
            for output in OUTPUTS:
                self._subscribe(way, f'/{name}/{output}')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin)
        self._thread.start()

    def _subscribe(self, way: str, topic: str) -> None:
        def receive(message: Image) -> None:
            now = time.perf_counter()
            with self._changed:
                stamp = message.header.stamp.sec
                count, _ = self._arrivals[way].get(stamp, (0, 0.0))
                self._arrivals[way][stamp] = count + 1, now
                self._changed.notify_all()

        self._node.create_subscription(Image, topic, receive, output_qos())

    def _send(self, way: str) -> int:
        """Send the next photograph to a node; return its stamp."""
        self._stamp += 1
        header = Header(frame_id='camera')
        header.stamp.sec = self._stamp
        pixels = self._photographs[self._stamp % len(self._photographs)]
        self._cameras[way].publish(image_message(pixels, 'rgb8', header))
        return self._stamp

    def _seconds(self, way: str, patience: float = SECONDS_TO_ANSWER) -> tuple[int, float]:
        """Send a photograph; return its stamp, and the seconds until all is answered.

        They are infinite where that takes longer than `patience`.
        """
        began = time.perf_counter()
        stamp = self._send(way)
        with self._changed:
            if not self._changed.wait_for(lambda: self._whole(way, stamp), patience):
                return stamp, math.inf
            return stamp, self._arrivals[way][stamp][1] - began

    def _whole(self, way: str, stamp: int) -> bool:
        return self._arrivals[way].get(stamp, (0, 0.0))[0] == len(OUTPUTS)

    def wait_for_answers(self) -> None:
        """Return once both nodes have answered all of some frames."""
        deadline = time.monotonic() + SECONDS_TO_ANSWER
        for way in NAMES:
            answered = 0
            while answered < 5:
                answered += self._seconds(way, POLL_SECONDS)[1] < math.inf
                if time.monotonic() > deadline:
                    raise SystemExit(f'{way} does not answer')

    def take_turns(self, frames: int) -> dict[str, dict[int, float]]:
        """Return the seconds from sending a frame to the last output, by node and stamp."""
        taken: dict[str, dict[int, float]] = {way: {} for way in NAMES}
        for number in range(frames):
            for way in NAMES if number % 2 else reversed(NAMES):
                stamp, seconds = self._seconds(way)
                if seconds == math.inf:
                    raise SystemExit(f'{way} does not answer frame {stamp}')
                taken[way][stamp] = seconds
        return taken

    def flood(self, way: str, rate: float, seconds: float) -> float:
        """Send faster than a node can work; return the frames that it answered in a second."""
        first = self._stamp + 1
        end = due = time.monotonic()
        end += seconds
        while time.monotonic() < end:
            self._send(way)
            due = max(due + 1 / rate, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
        with self._changed:
            answered = sum(stamp >= first for stamp in self._arrivals[way])
        return answered / seconds

    def close(self) -> None:
        """Stop receiving."""
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        rclpy.try_shutdown()


@contextmanager
def _nodes(options: argparse.Namespace, folder: Path) -> Iterator[dict[str, Path]]:
    """Run both nodes; yields where each writes the segmenter's times at its end."""
    times = {way: folder / f'{name}.txt' for way, name in NAMES.items()}
    processes = []
    try:
        for way, path in times.items():
            command = [sys.executable, __file__, '--serve', way, '--times', str(path)]
            processes.append(subprocess.Popen([*command, '--model', options.model]))
        yield times
    finally:
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            process.wait()


def _serve(options: argparse.Namespace) -> int:
    """Be one of the two nodes; write the stamp of each frame and the segmenter's seconds for it."""
    # Whoever starts the benchmark in the background lets it ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    segment = Segmenter.segment
    seconds = 0.0

    def timed(*arguments: Any, **named: Any) -> Any:
        nonlocal seconds
        began = time.perf_counter()
        results = segment(*arguments, **named)
        seconds = time.perf_counter() - began
        return results

    with options.times.open('w', encoding='utf-8', buffering=1) as file:

        def note(header: Header) -> None:
            file.write(f'{header.stamp.sec} {seconds}\n')

        Segmenter.segment = timed  # type: ignore[method-assign]
        serve = _serve_ours if options.serve == OURS else _serve_plain
        serve(options.model, note)
    return 0


def _serve_ours(model: str, note: Callable[[Header], None]) -> None:
    from hier_seg_ros.ros.cameras.camera import Camera
    from hier_seg_ros.ros.node import segmenter_node

    publish = Camera.publish

    def stamped(self: Camera, segmented: SegmentedFrame, *others: Any) -> Any:
        note(segmented.frame.message.header)
        return publish(self, segmented, *others)

    Camera.publish = stamped  # type: ignore[assignment, method-assign]
    sys.argv[1:] = [
        *('--ros-args', '-r', f'__node:={NAMES[OURS]}', '-r', f'image:=/{NAMES[OURS]}/image'),
        *('-p', f'model:={find_model(model)}', '-p', 'device:=cpu'),
        *('-p', 'overlay_sign_names:=false', '--log-level', 'warn'),
    ]
    segmenter_node.main()


def _serve_plain(model: str, note: Callable[[Header], None]) -> None:
    """Be the node that most packages of this kind are: one callback that does everything."""
    segmenter = Segmenter.load(find_model(model), device='cpu')
    colors = segmenter.hierarchy.colors
    rclpy.init()
    node = Node(NAMES[PLAIN])
    publishers = {
        output: node.create_publisher(Image, f'/{NAMES[PLAIN]}/{output}', 5) for output in OUTPUTS
    }

    def send(output: str, pixels: np.ndarray, encoding: str, header: Header) -> None:
        # As cv_bridge's cv2_to_imgmsg makes a message.
        message = Image(header=header, encoding=encoding)
        message.height, message.width = pixels.shape[:2]
        message.data = array('B', pixels.tobytes())
        message.step = len(message.data) // message.height
        publishers[output].publish(message)

    def receive(message: Image) -> None:
        rgb = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        (result,) = segmenter.segment([rgb], confidence=False)
        note(message.header)
        color = colors[result.level(segmenter.hierarchy.depth)]
        send('overlay', cv2.addWeighted(rgb, 0.5, color, 0.5, 0), 'rgb8', message.header)
        send('color', color, 'rgb8', message.header)
        for level in (1, 2, 3):
            send(f'level_{level}/labels', result.level(level), 'mono8', message.header)

    node.create_subscription(Image, f'/{NAMES[PLAIN]}/image', receive, 1)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == '__main__':
    sys.exit(main())
