# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading

import pytest

from hier_seg_ros.frames.frame_lock import FrameLock

DEADLINE = 60.0


def test_the_lock_is_given_in_the_order_in_which_it_was_asked_for():
    lock = FrameLock()
    order = []

    def wait(name):
        with lock:
            order.append(name)

    threads = []
    with lock:
        for number, name in enumerate(('frame', 'change', 'another frame', 'capture')):
            threads.append(threading.Thread(target=wait, args=(name,)))
            threads[-1].start()
            while lock.waiting == number:
                assert threads[-1].is_alive()
    # Whoever comes back at once has to wait for those.
    with lock:
        order.append('the next frame')
    for thread in threads:
        thread.join(DEADLINE)
    assert order == ['frame', 'change', 'another frame', 'capture', 'the next frame']
    assert lock.waiting == 0


def test_the_lock_is_free_again_after_an_exception():
    lock = FrameLock()
    with pytest.raises(KeyError), lock:
        raise KeyError
    with lock:
        pass


def test_only_one_holds_the_lock():
    lock = FrameLock()
    holders = []
    most = []

    def work():
        for _ in range(300):
            with lock:
                holders.append(1)
                most.append(len(holders))
                holders.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert set(most) == {1}
    assert len(most) == 1200


def test_a_lock_is_taken_from_a_thread_that_hangs_and_from_no_other():
    lock = FrameLock()
    holds, gate = threading.Event(), threading.Event()
    order = []

    def hang():
        with lock:
            holds.set()
            assert gate.wait(DEADLINE)
        order.append('late')

    def wait():
        with lock:
            order.append('next')

    hanging = threading.Thread(target=hang)
    hanging.start()
    assert holds.wait(DEADLINE)
    waiting = threading.Thread(target=wait)
    waiting.start()
    while not lock.waiting:
        assert waiting.is_alive()
    lock.take_away(waiting.ident)
    lock.take_away(None)
    assert lock.waiting == 1
    lock.take_away(hanging.ident)
    waiting.join(DEADLINE)
    with lock:
        gate.set()
        hanging.join(DEADLINE)
        assert order == ['next', 'late']
        # It has not given away what is ours.
        assert lock.waiting == 0
        after = threading.Thread(target=wait)
        after.start()
        while not lock.waiting:
            assert after.is_alive()
        assert order == ['next', 'late']
    after.join(DEADLINE)
    assert order == ['next', 'late', 'next']
