# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Steps that work at the same time: each runs somewhat ahead of the one that takes its results."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from threading import Condition, Thread, get_native_id
from typing import Generic, TypeVar

Item = TypeVar('Item')

# Added to the niceness of a thread that gives way: Linux lets it have a tenth of the time of one
# that does not.
GIVING_WAY = 10


class _Channel(Generic[Item]):
    """What a step has made and nobody has taken."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: deque[Item] = deque()
        self._changed = Condition()
        self._ended = False
        self._error: BaseException | None = None

    def put(self, item: Item) -> bool:
        """Wait for room and put an item in; return whether anybody still wants it."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(self._items) < self._most)
            if not self._ended:
                self._items.append(item)
                self._changed.notify_all()
            return not self._ended

    def take(self) -> Iterator[Item]:
        """Yield the items as they come; raise what ended them."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._items)
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def end(self, error: BaseException | None = None) -> None:
        with self._changed:
            self._ended = True
            self._error = error
            self._changed.notify_all()


def ahead(
    items: Iterator[Item], most: int = 2, *, gives_way: bool = False
) -> Generator[Item, None, None]:
    """Yield what an iterator yields, in its order; it runs in a thread of its own.

    Closing this one, as leaving its loop does, lets the iterator end what it is about and closes
    it; so a chain of them ends from its last one on.

    Parameters
    ----------
    items
        A generator; nobody else may use it.
    most
        How many items may wait to be taken.
    gives_way
        Whether other threads, of this process and of others, have the processors first.

    Raises
    ------
    BaseException
        Whatever the iterator raises, after the items before it.

    """
    channel: _Channel[Item] = _Channel(most)
    thread = Thread(target=_fill, args=(items, channel, gives_way), name='ahead', daemon=True)
    try:
        thread.start()
        yield from channel.take()
    finally:
        channel.end()
        if thread.ident is not None:
            thread.join()


def _fill(items: Iterator[Item], channel: _Channel[Item], gives_way: bool) -> None:
    if gives_way:
        # A thread has a priority of its own on Linux alone.
        with suppress(AttributeError, OSError):
            own = os.getpriority(os.PRIO_PROCESS, get_native_id())
            os.setpriority(os.PRIO_PROCESS, get_native_id(), own + GIVING_WAY)
    try:
        for item in items:
            if not channel.put(item):
                break
    # It is raised again where the items are taken.
    except BaseException as error:  # noqa: BLE001
        channel.end(error)
    else:
        channel.end()
    finally:
        close = getattr(items, 'close', None)
        if close is not None:
            close()
