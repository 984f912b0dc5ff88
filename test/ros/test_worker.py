# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from ros_client import DEADLINE, image, street
from sensor_msgs.msg import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros.camera import Camera
from hier_seg_ros.ros.parameters import default_settings
from hier_seg_ros.ros.worker import SegmentationWorker
from hier_seg_ros.segmenter import Segmenter


class RecordingSegmenter:
    """A real segmenter that notes what it was asked for, and fails when told to."""

    def __init__(self, segmenter):
        self._segmenter = segmenter
        self.device = segmenter.device
        self.calls = []
        self.failures = []
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def segment(self, images, **options):
        self.calls.append((len(images), options))
        self.entered.set()
        assert self.gate.wait(DEADLINE)
        if self.failures:
            raise self.failures.pop(0)
        return self._segmenter.segment(images, **options)


@pytest.fixture(scope='module')
def segmenter(varied_model):
    return Segmenter.load(varied_model, device='cpu')


@pytest.fixture
def bench(client, segmenter):
    """Return a worker with two cameras in this process, and the node they belong to."""

    class Bench:
        def __init__(self):
            self.node = client.node
            self.segmenter = RecordingSegmenter(segmenter)
            self.lock = threading.Lock()
            self.settings = default_settings()
            self.deaths = []
            self.cameras = [
                Camera(
                    client.node,
                    name,
                    segmenter.hierarchy,
                    segmenter.supervised,
                    'raw',
                    lambda camera, message: self.worker.put(camera, message),
                )
                for name in ('left', 'right')
            ]
            self.worker = SegmentationWorker(
                self.segmenter,
                self.cameras,
                self.lock,
                lambda: self.settings,
                lambda: self.deaths.append(True),
            )

        def subscribe(self, topic):
            messages = client.collect(f'/test_client/{topic}', Image)
            camera = self.cameras[0 if topic.startswith('left') else 1]
            name = topic.split('/', 1)[1]
            client.wait_for(
                lambda: any(output.topic == name for output in camera.request().outputs), topic
            )
            return messages

        def counts(self, what, number, camera=0):
            client.wait_for(
                lambda: self.cameras[camera].counts.as_dict().get(what) == number,
                f'{number} {what}',
            )

        def close(self):
            self.worker.close()
            for camera in self.cameras:
                camera.close()

    bench = Bench()
    yield bench
    bench.close()
    assert not bench.deaths


def test_without_subscribers_nothing_is_segmented(bench):
    bench.worker.put(bench.cameras[0], image(street()))
    bench.counts('not_needed', 1)
    assert bench.segmenter.calls == []


@pytest.mark.parametrize(
    ('topic', 'confidence', 'level'),
    [
        ('left/level_1/labels', False, 1),
        ('left/level_2/labels', False, 2),
        ('left/overlay', False, 3),
        ('left/traffic_signs/labels', False, 3),
        ('left/confidence', True, 3),
    ],
)
def test_only_what_is_subscribed_is_computed(bench, topic, confidence, level):
    messages = bench.subscribe(topic)
    bench.worker.put(bench.cameras[0], image(street()))
    bench.counts('published', 1)
    assert bench.segmenter.calls == [(1, {'confidence': confidence, 'max_level': level})]
    assert len(messages) <= 1


def test_waiting_frames_of_all_cameras_run_as_one_batch_and_the_newest_wins(bench):
    bench.subscribe('left/level_1/labels')
    bench.subscribe('right/confidence')
    left, right = bench.cameras
    bench.segmenter.gate.clear()
    bench.worker.put(left, image(street()))
    assert bench.segmenter.entered.wait(DEADLINE)
    bench.worker.put(left, image(street()))
    bench.worker.put(left, image(street()))
    bench.worker.put(right, image(street(32, 40)))
    bench.segmenter.gate.set()
    bench.counts('published', 2)
    bench.counts('published', 1, camera=1)
    assert [number for number, _ in bench.segmenter.calls] == [1, 2]
    assert bench.segmenter.calls[-1] == (2, {'confidence': True, 'max_level': 3})
    assert left.counts.as_dict()['replaced'] == 1


def test_a_failing_segmenter_drops_the_frame_and_goes_on(bench):
    bench.subscribe('left/level_1/labels')
    bench.segmenter.failures = [HierSegError('no'), RuntimeError('DefaultCPUAllocator: no memory')]
    camera = bench.cameras[0]
    bench.worker.put(camera, image(street()))
    bench.counts('failed/segmenter', 1)
    bench.worker.put(camera, image(street()))
    bench.counts('failed/runtime', 1)
    bench.worker.put(camera, image(street()))
    bench.counts('published', 1)


def test_running_out_of_gpu_memory_drops_the_frame(bench):
    import torch

    bench.subscribe('left/level_1/labels')
    bench.segmenter.failures = [torch.cuda.OutOfMemoryError('CUDA out of memory')]
    bench.worker.put(bench.cameras[0], image(street()))
    bench.counts('failed/out_of_memory', 1)
    bench.worker.put(bench.cameras[0], image(street()))
    bench.counts('published', 1)


def test_settings_are_read_between_frames(bench, client):
    messages = bench.subscribe('left/overlay')
    bench.settings = replace(bench.settings, overlay_alpha=0.0)
    pixels = street()
    bench.worker.put(bench.cameras[0], image(pixels))
    client.wait_for(lambda: messages, 'an overlay')
    assert np.array_equal(np.array(messages[0].data, np.uint8), pixels.ravel())


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_a_bug_is_not_kept_quiet(bench):
    bench.subscribe('left/level_1/labels')
    bench.segmenter.failures = [KeyError('a bug')]
    bench.worker.put(bench.cameras[0], image(street()))
    bench.worker._thread.join(DEADLINE)
    assert bench.deaths == [True]
    bench.deaths.clear()


def test_close_may_come_twice_and_later_frames_are_dropped(bench):
    bench.worker.close()
    bench.worker.close()
    bench.worker.put(bench.cameras[0], image(street()))
    assert bench.segmenter.calls == []
