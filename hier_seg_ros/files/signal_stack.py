# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stack for signal handlers that holds the registers of every processor.

Python's `faulthandler` (pytest, `PYTHONFAULTHANDLER=1`) lets signals be handled on a stack of its
own, of some 19 KiB. Where a network has used the matrix registers of a processor (AMX), one signal
frame holds 11 KiB of them, and the dynamic linker of glibc saves them once more: Ctrl-C then ends
in a segmentation fault, or writes over what lies below that stack.
"""

from __future__ import annotations

import ctypes
import sys

_BYTES = 256 * 1024
_DISABLED = 2


class _Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (
        ('address', ctypes.c_void_p),
        ('flags', ctypes.c_int),
        ('size', ctypes.c_size_t),
    )


def make_room_for_signals() -> None:
    """Replace this thread's alternate signal stack by one of 256 KiB, where it has a smaller one.

    A thread without such a stack handles signals on its own, which is large; it stays as it is.
    """
    if sys.platform != 'linux':
        return
    exchange = ctypes.CDLL(None).sigaltstack
    present = _Stack()
    if exchange(None, ctypes.byref(present)) != 0:
        return
    if present.flags & _DISABLED or present.size >= _BYTES:
        return
    # The kernel keeps the address for as long as the thread lives: it is never given back.
    memory = ctypes.create_string_buffer(_BYTES)
    wanted = _Stack(ctypes.addressof(memory), 0, _BYTES)
    if exchange(ctypes.byref(wanted), None) == 0:
        _kept.append(memory)


_kept: list[ctypes.Array[ctypes.c_char]] = []
