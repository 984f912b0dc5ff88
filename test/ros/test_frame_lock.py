# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import threading

import pytest

from hier_seg_ros.ros.frame_lock import FrameLock

DEADLINE = 60.0


def test_a_waiting_change_comes_before_the_next_frame():
    lock = FrameLock()
    order = []

    def change():
        with lock.change():
            order.append('change')

    with lock.frame():
        thread = threading.Thread(target=change)
        thread.start()
        while not lock.change_waiting:
            assert thread.is_alive()
    # Whoever asks first, the frame that comes now has to wait.
    with lock.frame():
        order.append('frame')
    thread.join(DEADLINE)
    assert order == ['change', 'frame']


@pytest.mark.parametrize('kind', ['frame', 'change'])
def test_the_lock_is_free_again_after_an_exception(kind):
    lock = FrameLock()
    with pytest.raises(KeyError), getattr(lock, kind)():
        raise KeyError
    with lock.frame():
        pass
    with lock.change():
        pass


def test_only_one_holds_the_lock():
    lock = FrameLock()
    holders = []
    most = []

    def work(hold):
        for _ in range(300):
            with hold():
                holders.append(1)
                most.append(len(holders))
                holders.pop()

    threads = [
        threading.Thread(target=work, args=(hold,)) for hold in (lock.frame, lock.change) * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert set(most) == {1}
    assert len(most) == 1200
