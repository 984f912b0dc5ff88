# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from ros_client import DEADLINE, image, street
from sensor_msgs.msg import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.frames.back_off import BackOff
from hier_seg_ros.frames.frame import Frame
from hier_seg_ros.frames.watchdog import Watchdog
from hier_seg_ros.ros.cameras.camera import Camera
from hier_seg_ros.ros.captures.captures import Captures
from hier_seg_ros.ros.node import worker
from hier_seg_ros.ros.node.worker import Processing, SegmentationWorker
from hier_seg_ros.ros.topics.connections import Connections
from hier_seg_ros.ros.topics.topics import Topics
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.outputs import image_outputs
from hier_seg_ros.settings import Settings


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
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
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
            self.processing = Processing(self.segmenter, Settings())
            self.captures = Captures(client.node, frames_per_camera=3)
            self.now = 0.0
            topics = Topics(client.node, Connections(client.node))
            self.cameras = [
                Camera(
                    topics,
                    name,
                    image_outputs(segmenter.hierarchy, segmenter.supervised),
                    segmenter.hierarchy,
                    lambda: self.processing.settings,
                    lambda camera, frame: self.worker.put(camera, frame),
                )
                for name in ('left', 'right')
            ]
            self.worker = self.start()

        def start(self, renew=lambda: None):
            return SegmentationWorker(
                self.processing,
                self.cameras,
                self.captures,
                BackOff(clock=lambda: self.now),
                Watchdog(clock=lambda: self.now),
                renew,
            )

        def put(self, camera, message):
            camera = self.cameras[camera]
            self.worker.put(camera, Frame(camera.source, message, time.monotonic()))

        def subscribe(self, topic):
            messages = client.collect(f'/test_client/{topic}', Image)
            camera = self.cameras[0 if topic.startswith('left') else 1]
            name = topic.split('/', 1)[1]
            client.wait_for(
                lambda: any(output.topic == name for output in camera.outputs.request().outputs),
                topic,
            )
            return messages

        def counts(self, what, number, camera=0):
            client.wait_for(
                lambda: self.cameras[camera].ledger.counts.get(what) == number,
                f'{number} {what}',
            )

        def close(self):
            self.worker.close()
            self.captures.close()
            for camera in self.cameras:
                camera.close()

    bench = Bench()
    yield bench
    bench.close()


def test_without_subscribers_nothing_is_segmented(bench):
    bench.put(0, image(street()))
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
    bench.put(0, image(street()))
    bench.counts('published', 1)
    assert bench.segmenter.calls == [(1, {'confidence': confidence, 'max_level': level})]
    assert len(messages) <= 1


def test_waiting_frames_of_all_cameras_run_as_one_batch_and_the_newest_wins(bench):
    bench.subscribe('left/level_1/labels')
    bench.subscribe('right/confidence')
    bench.segmenter.gate.clear()
    bench.put(0, image(street()))
    assert bench.segmenter.entered.wait(DEADLINE)
    bench.put(0, image(street()))
    bench.put(0, image(street()))
    bench.put(1, image(street(32, 40)))
    bench.segmenter.gate.set()
    bench.counts('published', 2)
    bench.counts('published', 1, camera=1)
    assert [number for number, _ in bench.segmenter.calls] == [1, 2]
    assert bench.segmenter.calls[-1] == (2, {'confidence': True, 'max_level': 3})
    assert bench.cameras[0].ledger.counts['replaced'] == 1


class Slow:
    """Holds every publication of a worker's frames until it is told to let them go."""

    def __init__(self, monkeypatch):
        self.entered, self.gate = threading.Event(), threading.Event()
        self.stamps = []
        publish = Camera.publish

        def held(camera, segmented, settles):
            self.entered.set()
            assert self.gate.wait(DEADLINE)
            self.stamps.append(segmented.frame.message.header.stamp.sec)
            publish(camera, segmented, settles)

        monkeypatch.setattr(Camera, 'publish', held)


def stamped(second):
    message = image(street())
    message.header.stamp.sec = second
    return message


def test_a_frame_is_published_while_the_next_is_segmented_and_all_in_order(bench, monkeypatch):
    bench.subscribe('left/level_1/labels')
    slow = Slow(monkeypatch)
    bench.put(0, stamped(1))
    assert slow.entered.wait(DEADLINE)
    bench.segmenter.entered.clear()
    bench.put(0, stamped(2))
    # The first one is not published yet.
    assert bench.segmenter.entered.wait(DEADLINE)
    assert slow.stamps == [] and 'published' not in bench.cameras[0].ledger.counts
    # No third one begins meanwhile: the newest waits, and wins.
    bench.put(0, stamped(3))
    bench.put(0, stamped(4))
    assert bench.cameras[0].ledger.counts == {'replaced': 1}
    slow.gate.set()
    bench.counts('published', 3)
    assert slow.stamps == [1, 2, 4]
    assert len(bench.segmenter.calls) == 3


def test_a_change_waits_until_what_was_segmented_is_published(bench, monkeypatch):
    bench.subscribe('left/level_1/labels')
    slow = Slow(monkeypatch)
    bench.put(0, stamped(1))
    assert slow.entered.wait(DEADLINE)
    seen = []

    def change():
        with bench.processing.lock:
            seen.append(list(slow.stamps))

    thread = threading.Thread(target=change)
    thread.start()
    while not bench.processing.lock.waiting:
        assert thread.is_alive()
    assert seen == []
    slow.gate.set()
    thread.join(DEADLINE)
    assert seen == [[1]]


def test_close_waits_for_the_publication_under_way(bench, monkeypatch):
    bench.subscribe('left/level_1/labels')
    slow = Slow(monkeypatch)
    bench.put(0, stamped(1))
    assert slow.entered.wait(DEADLINE)
    thread = threading.Thread(target=bench.worker.close)
    thread.start()
    while not bench.worker._frames.closed:
        assert thread.is_alive()
    slow.gate.set()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert bench.cameras[0].ledger.counts == {'published': 1}


def test_a_publication_that_hangs_is_found_and_each_frame_under_way_fails_once(bench, monkeypatch):
    bench.subscribe('left/level_1/labels')
    slow = Slow(monkeypatch)
    bench.put(0, stamped(1))
    assert slow.entered.wait(DEADLINE)
    bench.segmenter.entered.clear()
    bench.put(0, stamped(2))
    assert bench.segmenter.entered.wait(DEADLINE)
    bench.worker.look()
    assert bench.worker.failure() == ''
    # As often as somebody looks; the process would be taken to have stood still otherwise.
    for _ in range(30):
        bench.now += 4.0
        bench.worker.look()
    assert 'busy with one frame' in bench.worker.failure()
    bench.worker.abandon()
    slow.gate.set()
    bench.worker.thread.join(DEADLINE)
    assert not bench.worker.thread.is_alive()
    # What came back later was not counted again, and the second one not even published.
    assert bench.cameras[0].ledger.counts == {'failed/too_late': 2}
    assert slow.stamps == [1]


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_what_is_being_published_counts_as_published_where_the_thread_dies(bench, monkeypatch):
    bench.subscribe('left/level_1/labels')
    slow = Slow(monkeypatch)
    bench.put(0, stamped(1))
    assert slow.entered.wait(DEADLINE)
    bench.segmenter.entered.clear()
    bench.segmenter.failures = [SystemExit()]
    bench.put(0, stamped(2))
    assert bench.segmenter.entered.wait(DEADLINE)
    slow.gate.set()
    bench.worker.thread.join(DEADLINE)
    assert not bench.worker.thread.is_alive()
    assert bench.cameras[0].ledger.counts == {'published': 1, 'failed/unexpected': 1}


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_a_publication_that_ends_its_thread_ends_the_worker(bench, monkeypatch):
    bench.subscribe('left/level_1/labels')

    def end(camera, segmented, settles):
        raise SystemExit

    monkeypatch.setattr(Camera, 'publish', end)
    bench.put(0, stamped(1))
    bench.worker.thread.join(DEADLINE)
    assert not bench.worker.thread.is_alive()
    assert bench.worker.failure() == 'its thread has died'
    assert bench.cameras[0].ledger.counts == {'failed/unexpected': 1}


def test_the_watchdog_knows_how_many_pixels_are_worked_on(bench, monkeypatch):
    allowed = []
    monkeypatch.setattr(Watchdog, 'allow', lambda self, pixels: allowed.append(pixels))
    bench.subscribe('left/overlay')
    pixels = street()
    bench.put(0, image(pixels))
    bench.counts('published', 1)
    assert allowed == [pixels.shape[0] * pixels.shape[1]]


def test_a_failing_segmenter_drops_the_frame_and_goes_on(bench):
    bench.subscribe('left/level_1/labels')
    bench.segmenter.failures = [HierSegError('no'), RuntimeError('CUDA error: illegal access')]
    bench.put(0, image(street()))
    bench.counts('failed/segmenter', 1)
    bench.put(0, image(street()))
    bench.counts('failed/runtime', 1)
    bench.put(0, image(street()))
    bench.counts('published', 1)


@pytest.mark.parametrize(
    'error',
    [
        torch.cuda.OutOfMemoryError('CUDA out of memory'),
        RuntimeError('[enforce fail] DefaultCPUAllocator: not enough memory'),
        MemoryError(),
    ],
)
def test_running_out_of_memory_drops_frames_for_a_while_and_recovers(bench, error):
    bench.subscribe('left/level_1/labels')
    bench.segmenter.failures = [error, error]
    bench.put(0, image(street()))
    bench.counts('failed/out_of_memory', 1)
    assert 'cpu: out of memory' in bench.worker.out_of_memory
    assert bench.worker.backing_off == 1.0

    bench.put(0, image(street()))
    bench.counts('backing_off', 1)
    assert len(bench.segmenter.calls) == 1

    bench.now = 1.0
    bench.put(0, image(street()))
    bench.counts('failed/out_of_memory', 2)
    assert bench.worker.backing_off == 2.0

    bench.now = 3.0
    bench.put(0, image(street()))
    bench.counts('published', 1)
    assert bench.worker.out_of_memory == ''
    assert bench.worker.backing_off == 0.0


def test_another_model_is_tried_at_once_after_memory_has_run_out(bench):
    bench.subscribe('left/level_1/labels')
    bench.segmenter.failures = [MemoryError()]
    bench.put(0, image(street()))
    bench.counts('failed/out_of_memory', 1)
    bench.worker.forget_failures()
    assert bench.worker.out_of_memory == ''
    bench.put(0, image(street()))
    bench.counts('published', 1)


@pytest.mark.parametrize('step', ['decoding', 'judging', 'publishing'])
def test_memory_may_run_out_anywhere_on_the_way(bench, monkeypatch, step):
    bench.subscribe('left/level_1/labels')

    def fail(*arguments):
        raise MemoryError

    with monkeypatch.context() as patch:
        if step == 'decoding':
            patch.setattr(worker, 'rgb_of', fail)
        elif step == 'judging':
            patch.setattr(worker, 'check_result', fail)
        else:
            patch.setattr(bench.cameras[0], 'publish', fail)
        bench.put(0, image(street()))
        bench.counts('failed/out_of_memory', 1)
    assert bench.worker.backing_off == 1.0
    bench.now = 1.0
    bench.put(0, image(street()))
    bench.counts('published', 1)


def test_a_batch_that_memory_does_not_suffice_for_runs_image_by_image(bench):
    bench.subscribe('left/level_1/labels')
    bench.subscribe('right/level_1/labels')
    bench.segmenter.gate.clear()
    bench.put(0, image(street()))
    assert bench.segmenter.entered.wait(DEADLINE)
    bench.put(0, image(street()))
    bench.put(1, image(street()))
    bench.segmenter.failures = [None, torch.cuda.OutOfMemoryError('CUDA out of memory')]
    bench.segmenter.gate.set()
    bench.counts('published', 2)
    bench.counts('published', 1, camera=1)
    assert [number for number, _ in bench.segmenter.calls] == [1, 2, 1, 1]
    assert bench.worker.out_of_memory == ''
    assert bench.worker.backing_off == 0.0


def test_a_frame_that_makes_no_sense_is_published_all_the_same_and_counted(bench):
    bench.subscribe('left/level_1/labels')
    bench.processing.settings = replace(bench.processing.settings, max_class_share=0.0)
    bench.put(0, image(street()))
    bench.counts('flagged/class_share', 1)
    bench.counts('published', 1)


def test_flagged_frames_that_follow_a_capture_at_once_are_passed_over_and_counted(bench, tmp_path):
    bench.subscribe('left/level_1/labels')
    bench.processing.settings = replace(
        bench.processing.settings,
        max_class_share=0.0,
        capture_flagged=True,
        capture_directory=str(tmp_path),
    )
    for number in (1, 2, 3):
        bench.put(0, image(street()))
        bench.counts('flagged/class_share', number)
    bench.worker.close()
    assert bench.captures.counts.skipped == 2


def test_frames_of_all_cameras_are_kept_whether_they_were_needed_or_not(bench, tmp_path):
    bench.subscribe('left/level_1/labels')
    for number in (1, 2):
        bench.put(0, image(street()))
        bench.counts('published', number)
    bench.put(1, image(street()))
    bench.counts('not_needed', 1, camera=1)
    without_result = []

    def complete(frame):
        without_result.append(frame.frame.source.camera)
        return frame

    path = bench.captures.write(str(tmp_path), complete)
    assert path.parent == tmp_path
    assert without_result == ['right']
    assert bench.captures.counts.written == 1


def test_a_bad_frame_of_one_camera_does_not_hold_up_the_other(bench):
    bench.subscribe('left/level_1/labels')
    bench.subscribe('right/level_1/labels')
    bench.segmenter.gate.clear()
    bench.put(0, image(street()))
    assert bench.segmenter.entered.wait(DEADLINE)
    bad = image(street())
    bad.step = 1
    bench.put(0, image(street()))
    bench.put(1, bad)
    bench.segmenter.gate.set()
    bench.counts('published', 2)
    bench.counts('rejected/step', 1, camera=1)
    assert [number for number, _ in bench.segmenter.calls] == [1, 1]


def test_a_camera_takes_only_so_many_frames(bench):
    camera = bench.cameras[0]
    bench.processing.settings = replace(bench.processing.settings, max_rate_hz=0.001)
    for _ in range(3):
        camera.input._receive(image(street()))
    assert camera.ledger.counts['rate_limited'] == 2
    # The limit is each camera's own.
    bench.cameras[1].input._receive(image(street()))
    assert 'rate_limited' not in bench.cameras[1].ledger.counts


def test_close_waits_for_the_frame_under_way(bench):
    bench.subscribe('left/level_1/labels')
    bench.segmenter.gate.clear()
    bench.put(0, image(street()))
    assert bench.segmenter.entered.wait(DEADLINE)
    bench.put(0, image(street()))
    thread = threading.Thread(target=bench.worker.close)
    thread.start()
    while not bench.worker._frames.closed:
        assert thread.is_alive()
    bench.segmenter.gate.set()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    # The frame that waited is let go, and counted.
    assert bench.cameras[0].ledger.counts == {'published': 1, 'stopped': 1}
    assert len(bench.segmenter.calls) == 1


def test_without_frames_there_is_nothing_to_capture(bench, tmp_path):
    with pytest.raises(HierSegError) as caught:
        bench.captures.write(str(tmp_path), lambda frame: frame)
    assert '\n' not in str(caught.value)
    assert bench.captures.counts.failed == 1
    assert list(tmp_path.iterdir()) == []


def test_a_change_waits_for_the_frame_and_comes_before_the_next(bench):
    bench.subscribe('left/level_1/labels')
    bench.segmenter.gate.clear()
    bench.put(0, image(street()))
    assert bench.segmenter.entered.wait(DEADLINE)
    bench.put(0, image(street()))
    calls_before_change = []

    def change():
        with bench.processing.lock:
            calls_before_change.append(len(bench.segmenter.calls))

    thread = threading.Thread(target=change)
    thread.start()
    # The change waits from here on; the worker has a frame to go on with.
    while not bench.processing.lock.waiting:
        assert thread.is_alive()
    bench.segmenter.gate.set()
    thread.join(DEADLINE)
    bench.counts('published', 2)
    assert calls_before_change == [1]


def test_settings_are_read_between_frames(bench, client):
    messages = bench.subscribe('left/overlay')
    bench.processing.settings = replace(bench.processing.settings, overlay_alpha=0.0)
    pixels = street()
    bench.put(0, image(pixels))
    client.wait_for(lambda: messages, 'an overlay')
    assert np.array_equal(np.array(messages[0].data, np.uint8), pixels.ravel())


@pytest.mark.parametrize('step', ['wanting', 'decoding', 'segmenting', 'judging', 'publishing'])
@pytest.mark.parametrize('error', [KeyError('a bug'), TypeError('two\nlines'), AssertionError()])
def test_a_bug_costs_its_frame_and_no_other(bench, monkeypatch, capfd, step, error):
    bench.subscribe('left/level_1/labels')
    failing = threading.Event()

    def fail(*arguments, **options):
        failing.set()
        raise error

    with monkeypatch.context() as patch:
        target, name = {
            'wanting': (bench.cameras[0].outputs, 'request'),
            'decoding': (worker, 'rgb_of'),
            'segmenting': (bench.segmenter, 'segment'),
            'judging': (worker, 'check_result'),
            'publishing': (bench.cameras[0], 'publish'),
        }[step]
        patch.setattr(target, name, fail)
        bench.put(0, image(street()))
        bench.counts('failed/unexpected', 1)
    bench.put(0, image(street()))
    bench.counts('published', 1)
    assert failing.is_set()
    assert bench.cameras[0].ledger.counts == {'failed/unexpected': 1, 'published': 1}
    assert bench.worker.failure() == ''
    lines = [line for line in capfd.readouterr().err.splitlines() if 'unexpected' in line]
    assert len(lines) == 1
    assert f'unexpected {type(error).__name__}: ' in lines[0]
    assert '(1 such frames dropped)' in lines[0]


def test_a_bug_after_publication_drops_no_frame(bench, monkeypatch, capfd):
    bench.subscribe('left/level_1/labels')

    def fail(frame):
        raise KeyError('a bug')

    with monkeypatch.context() as patch:
        patch.setattr(bench.captures, 'add', fail)
        for number in (1, 2):
            bench.put(0, image(street()))
            bench.counts('published', number)
    bench.put(0, image(street()))
    bench.counts('published', 3)
    assert bench.cameras[0].ledger.counts == {'published': 3}
    assert capfd.readouterr().err.count('unexpected KeyError') == 1


def test_a_bug_that_one_frame_of_a_batch_brings_about_costs_that_one_alone(bench):
    bench.subscribe('left/level_1/labels')
    bench.subscribe('right/level_1/labels')
    bench.segmenter.gate.clear()
    bench.put(0, image(street()))
    assert bench.segmenter.entered.wait(DEADLINE)
    bench.put(0, image(street()))
    bench.put(1, image(street()))
    bench.segmenter.failures = [None, KeyError('a bug'), None, KeyError('a bug')]
    bench.segmenter.gate.set()
    bench.counts('published', 2)
    bench.counts('failed/unexpected', 1, camera=1)
    assert [number for number, _ in bench.segmenter.calls] == [1, 2, 1, 1]


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_a_thread_that_dies_is_noticed(bench, monkeypatch):
    bench.subscribe('left/level_1/labels')
    assert bench.worker.failure() == ''
    # Nothing that is an Exception gets so far.
    bench.segmenter.failures = [SystemExit()]
    bench.put(0, image(street()))
    bench.worker.thread.join(DEADLINE)
    assert bench.worker.failure() == 'its thread has died'
    assert bench.cameras[0].ledger.counts == {'failed/unexpected': 1}
    # Nobody is in the segmenter any more.
    assert not bench.processing.hanging
    bench.worker.close()
    assert bench.worker.failure() == ''


def test_a_thread_that_hangs_is_noticed_and_nothing_late_is_published(bench, client):
    labels = bench.subscribe('left/level_1/labels')
    bench.segmenter.gate.clear()
    late = image(street())
    bench.put(0, late)
    assert bench.segmenter.entered.wait(DEADLINE)
    waiting = image(street())
    bench.put(0, waiting)
    changed = []

    def change():
        with bench.processing.lock:
            changed.append(True)

    change_thread = threading.Thread(target=change)
    change_thread.start()
    while not bench.processing.lock.waiting:
        assert change_thread.is_alive()
    bench.now = 60.0  # twice the shortest bound: it is the first frame
    assert bench.worker.failure() == ''
    bench.now = 61.0
    assert bench.worker.failure() == 'it has been busy with one frame for 61 s'

    hung = bench.worker
    bench.segmenter.entered.clear()
    bench.worker = bench.start()
    for camera, frame in hung.abandon():
        bench.worker.put(camera, frame)
    assert hung.failure() == ''
    # Its frame is accounted for at once, whether it ever comes back or not.
    assert bench.cameras[0].ledger.counts == {'failed/too_late': 1}
    hung.close()  # does not wait
    # The change has its turn, and then the frame that waited; it hangs in the same segmenter.
    change_thread.join(DEADLINE)
    assert changed == [True]
    assert bench.segmenter.entered.wait(DEADLINE)
    bench.segmenter.gate.set()
    hung._thread.join(DEADLINE)
    bench.counts('published', 1)
    bench.counts('failed/too_late', 1)
    client.wait_for(lambda: labels, 'the labels')
    assert [message.header.stamp for message in labels] == [waiting.header.stamp]
    # Whoever comes late does not give away a lock that is another one's.
    assert bench.processing.lock.waiting == 0
    bench.put(0, image(street()))
    bench.counts('published', 2)


def test_who_takes_over_from_a_thread_that_hangs_renews_the_segmenter_first(bench):
    bench.subscribe('left/level_1/labels')
    bench.segmenter.gate.clear()
    bench.put(0, image(street()))
    assert bench.segmenter.entered.wait(DEADLINE)
    hung, before = bench.worker, bench.segmenter
    hung.abandon()
    assert bench.processing.hanging
    renewed = RecordingSegmenter(before._segmenter)

    def renew():
        bench.processing.segmenter = renewed
        bench.processing.hanging = False

    bench.worker = bench.start(renew)
    bench.put(0, image(street()))
    bench.counts('published', 1)
    assert (len(before.calls), len(renewed.calls)) == (1, 1)
    before.gate.set()
    hung.thread.join(DEADLINE)
    # Exactly one fate each: the late result adds none.
    assert bench.cameras[0].ledger.counts == {'published': 1, 'failed/too_late': 1}
    bench.worker.close()
    bench.worker = bench.start(lambda: pytest.fail('nothing hangs'))
    bench.put(0, image(street()))
    bench.counts('published', 2)


def test_a_model_that_cannot_be_renewed_ends_the_worker(bench):
    bench.worker.close()
    bench.processing.hanging = True

    def renew():
        raise HierSegError('model: is gone; bring it back')

    bench.worker = bench.start(renew)
    bench.worker.thread.join(DEADLINE)
    assert bench.worker.failure() == 'model: is gone; bring it back'


def test_a_frame_that_hangs_while_it_is_published_has_one_fate(bench, monkeypatch, client):
    labels = bench.subscribe('left/level_1/labels')
    outputs = bench.cameras[0].outputs
    entered, gate = threading.Event(), threading.Event()
    publish = outputs.publish

    def hang(segmented):
        entered.set()
        assert gate.wait(DEADLINE)
        publish(segmented)

    monkeypatch.setattr(outputs, 'publish', hang)
    bench.put(0, image(street()))
    assert entered.wait(DEADLINE)
    bench.worker.abandon()
    gate.set()
    bench.worker.thread.join(DEADLINE)
    client.wait_for(lambda: labels, 'the labels, which were under way')
    assert bench.cameras[0].ledger.counts == {'failed/too_late': 1}


def test_close_does_not_wait_for_ever(bench):
    bench.subscribe('left/level_1/labels')
    bench.segmenter.gate.clear()
    bench.put(0, image(street()))
    assert bench.segmenter.entered.wait(DEADLINE)
    thread = threading.Thread(target=bench.worker.close)
    thread.start()
    while not bench.worker._frames.closed:
        assert thread.is_alive()
    # Whoever watches finds nothing to replace, and the frame is left to itself all the same.
    assert bench.worker.failure() == ''
    bench.worker.abandon()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    bench.segmenter.gate.set()
    bench.counts('failed/too_late', 1)


def test_close_may_come_twice_and_later_frames_are_dropped(bench):
    bench.worker.close()
    bench.worker.close()
    bench.put(0, image(street()))
    assert bench.segmenter.calls == []
    assert bench.cameras[0].ledger.counts == {'stopped': 1}
