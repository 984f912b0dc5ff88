# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who takes over from a worker, and when nobody does any more."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from ros_client import DEADLINE, Command, Lifecycle, image, parameter, set_parameters, street
from sensor_msgs.msg import Image

from hier_seg_ros.frames.ledger import FrameLedger
from hier_seg_ros.frames.watchdog import (
    MOST_HANGING_THREADS,
    MOST_RESTARTS,
    RESTART_SECONDS,
    RestartLimit,
)
from hier_seg_ros.ros.node.supervised_worker import SupervisedWorker


class Log:
    def __init__(self):
        self.errors = []

    def error(self, text):
        self.errors.append(text)


class StubWorker:
    """Fails when told to, and notes what it is given."""

    out_of_memory = ''
    backing_off = 0.0

    def __init__(self):
        self.why = ''
        self.frames = []
        self.calls = []
        self.looks = 0
        self.hung = threading.Event()
        self.thread = threading.Thread(target=self.hung.wait, daemon=True)

    def look(self):
        self.looks += 1

    def failure(self):
        return self.why

    def put(self, camera, frame):
        self.frames.append((camera, frame))

    def abandon(self):
        self.calls.append('abandon')
        self.why = ''
        return self.frames

    def close(self, patience):
        self.calls.append('close' if patience is None else f'close {patience}')

    def forget_failures(self):
        self.calls.append('forget')


@pytest.fixture
def bench():
    """Return a supervised worker, whose workers are stubs."""
    bench = SimpleNamespace(workers=[], now=0.0, log=Log(), refuse=False)

    def start():
        if bench.refuse:
            raise RuntimeError("can't start new thread")
        bench.workers.append(StubWorker())
        return bench.workers[-1]

    bench.camera = SimpleNamespace(ledger=FrameLedger('front', bench.log))
    bench.limit = RestartLimit(lambda: bench.now)
    bench.worker = SupervisedWorker(start, bench.limit, bench.log)
    yield bench
    for worker in bench.workers:
        worker.hung.set()


def test_a_worker_that_is_well_is_left_alone(bench):
    assert bench.worker.watch() == ''
    bench.worker.forget_failures()
    bench.worker.close()
    assert len(bench.workers) == 1
    assert bench.workers[0].calls == ['forget', 'close']
    assert bench.workers[0].looks == 1
    assert bench.worker.report().restarts == ''


def test_another_worker_takes_over_with_the_frames_that_wait(bench):
    bench.worker.put(bench.camera, 'waiting')
    bench.workers[0].why = 'its thread has died'
    assert bench.worker.watch() == ''
    assert bench.log.errors == ['another worker takes over: its thread has died']
    assert bench.workers[0].calls == ['abandon']
    assert bench.workers[1].frames == [(bench.camera, 'waiting')]
    bench.worker.put(bench.camera, 'next')
    assert bench.workers[1].frames[1:] == [(bench.camera, 'next')]
    assert bench.worker.watch() == ''
    assert len(bench.workers) == 2
    assert bench.worker.report().restarts.endswith('lately: 1')
    bench.now = RESTART_SECONDS
    assert bench.worker.report().restarts == ''


def test_after_some_restarts_the_worker_is_given_up(bench):
    for number in range(MOST_RESTARTS):
        bench.workers[-1].why = 'it hangs'
        assert bench.worker.watch() == ''
        assert len(bench.workers) == number + 2
    bench.worker.put(bench.camera, 'waiting')
    bench.workers[-1].why = 'it hangs'
    text = bench.worker.watch()
    assert text.startswith('the worker was given up: it hangs, and 3 others have taken over')
    assert '\n' not in text
    assert bench.camera.ledger.counts == {'stopped': 1}
    assert len(bench.log.errors) == MOST_RESTARTS
    # Said once, and no loop.
    bench.workers[-1].why = 'it hangs'
    assert bench.worker.watch() == ''
    assert len(bench.workers) == MOST_RESTARTS + 1


def test_restarts_that_are_far_apart_go_on_for_ever(bench):
    for _ in range(3 * MOST_RESTARTS):
        bench.now += RESTART_SECONDS / 2
        bench.workers[-1].why = 'it hangs'
        assert bench.worker.watch() == ''
    assert len(bench.workers) == 1 + 3 * MOST_RESTARTS


def test_threads_that_hang_are_limited_however_far_apart_they_are(bench):
    for _ in range(MOST_HANGING_THREADS):
        bench.now += RESTART_SECONDS
        bench.workers[-1].thread.start()
        bench.workers[-1].why = 'it hangs'
        assert bench.worker.watch() == ''
    bench.now += RESTART_SECONDS
    bench.workers[-1].thread.start()
    bench.workers[-1].why = 'it hangs'
    assert f'{MOST_HANGING_THREADS + 1} threads hang' in bench.worker.watch()
    bench.worker.close()
    assert bench.limit.hanging == MOST_HANGING_THREADS + 1
    # Those that came back after all count no more.
    for worker in bench.workers[:2]:
        worker.hung.set()
        worker.thread.join(DEADLINE)
    assert bench.limit.hanging == MOST_HANGING_THREADS - 1
    assert bench.limit.enter()


def test_closing_is_as_patient_as_it_is_told_to_be(bench):
    bench.worker.close(4.0)
    assert bench.workers[0].calls == ['close 4.0']


def test_where_no_thread_can_be_started_it_is_tried_again_and_then_given_up(bench):
    bench.workers[0].why = 'it hangs'
    bench.refuse = True
    assert bench.worker.watch() == ''
    assert "can't start new thread" in bench.log.errors[-1]
    bench.refuse = False
    assert bench.worker.watch() == ''
    assert len(bench.workers) == 2
    bench.refuse = True
    bench.workers[1].why = 'it hangs'
    assert bench.worker.watch() == ''
    assert bench.worker.watch() != ''


def test_a_worker_that_is_closed_is_not_replaced(bench):
    bench.worker.close()
    bench.workers[0].why = 'its thread has died'
    assert bench.worker.watch() == ''
    assert len(bench.workers) == 1


# Black frames hang for ever, and the watchdog of a thread that hangs has lost its patience at once.
# White ones end the thread.
HANGING_NODE = """
import threading
from hier_seg_ros.frames.watchdog import Watchdog
from hier_seg_ros.ros.node.segmenter_node import main
from hier_seg_ros.segmenter import Segmenter
hanging = set()
begin, segment = Watchdog.begin, Segmenter.segment
def begin_of_thread(self, *arguments):
    self.thread = threading.get_ident()
    begin(self, *arguments)
Watchdog.begin = begin_of_thread
Watchdog.busy = property(lambda self: 1e6 if getattr(self, 'thread', None) in hanging else 0.0)
def hang(self, images, **options):
    if all(not image.any() for image in images):
        hanging.add(threading.get_ident())
        threading.Event().wait()
    if all((image == 255).all() for image in images):
        raise SystemExit
    return segment(self, images, **options)
Segmenter.segment = hang
main()
"""


def test_a_node_whose_worker_hangs_or_dies_goes_on_until_it_is_of_no_use(
    own_ros_domain, client, varied_model
):
    command = Command(
        *('-c', HANGING_NODE, '--ros-args', '-r', '__ns:=/hanging'),
        *('-p', f'model:={varied_model}', '-p', 'device:=cpu'),
    )
    try:
        node = '/hanging/segmenter'
        labels = client.collect(f'{node}/level_1/labels', Image)
        arrays = client.collect('/diagnostics', DiagnosticArray)
        camera = client.publisher('/hanging/image', Image)

        def model_status():
            for message in reversed(arrays):
                for status in message.status:
                    if status.name == 'hanging/segmenter: model':
                        return status
            return None

        def restarted(number):
            status = model_status()
            return status is not None and f'lately: {number}' in status.message

        client.ask(camera, image(street()), [labels])
        black, white = (np.full((48, 64, 3), value, np.uint8) for value in (0, 255))
        for number, pixels in enumerate((black, white, black), 1):
            # Once: another one would strike the next worker. It arrives, being reliable.
            camera.publish(image(pixels))
            # A change waits for the frame that hangs, and has its turn when that is left behind.
            assert set_parameters(client, node, parameter('overlay_alpha', 0.1 * number)).successful
            client.wait_for(
                lambda number=number: restarted(number), f'restart {number}: {model_status()}'
            )
            assert model_status().level == DiagnosticStatus.WARN
            client.ask(camera, image(street()), [labels])

        camera.publish(image(black))
        client.wait_for(
            lambda: model_status().level == DiagnosticStatus.ERROR, 'the error in diagnostics'
        )
        assert 'the worker was given up: it has been busy' in model_status().message
        lifecycle = Lifecycle(client, node)
        client.wait_for(
            lambda: lifecycle.state() == State.PRIMARY_STATE_INACTIVE, 'the deactivation'
        )
        assert command.process.poll() is None
        # Whoever activates it again has a worker again.
        assert lifecycle.change(Transition.TRANSITION_ACTIVATE)
        client.ask(camera, image(street()), [labels])
        assert command.stop() == 0
        assert command.output.count('another worker takes over') == MOST_RESTARTS
        assert command.output.count('the worker was given up') == 1
    finally:
        command.kill()
        print(command.output)
