# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='only Linux is served')

SIZES = """
import ctypes, signal
from hier_seg_ros.files import signal_stack
def size():
    stack = signal_stack._Stack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack)) == 0
    return 0 if stack.flags & 2 else stack.size
before = size()
signal_stack.make_room_for_signals()
first = size()
signal_stack.make_room_for_signals()
signal.signal(signal.SIGTERM, lambda *arguments: print(before, first, size()))
signal.raise_signal(signal.SIGTERM)
"""


def sizes(*options: str) -> list[int]:
    command = [sys.executable, *options, '-c', SIZES]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return [int(size) for size in result.stdout.split()]


def test_a_small_stack_for_signals_is_replaced_once() -> None:
    before, first, second = sizes('-X', 'faulthandler')
    assert 0 < before < 256 * 1024 == first == second


def test_a_thread_without_one_stays_without() -> None:
    assert sizes() == [0, 0, 0]


def test_the_faults_of_a_process_are_still_told() -> None:
    code = """
import ctypes
from hier_seg_ros.files.signal_stack import make_room_for_signals
make_room_for_signals()
ctypes.string_at(0)
"""
    command = [sys.executable, '-X', 'faulthandler', '-c', code]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert 'Segmentation fault' in result.stderr and 'string_at' in result.stderr
