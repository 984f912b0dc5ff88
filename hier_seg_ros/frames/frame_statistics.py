# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rates, delays and losses of one camera's frames."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hier_seg_ros.frames.stamp_gaps import count_missing

# Seconds from header stamp to publication that can be a latency; anything else tells of a stamp by
# another clock. Slightly negative ones occur between machines, and where /clock is coarse.
PLAUSIBLE_LATENCY = (-1.0, 60.0)
# Frames whose stamps are searched for gaps; a number of frames, since cameras differ in rate.
GAP_FRAMES = 200
# Some drivers send frames a little out of order. A stamp that lies further back, in nanoseconds, is
# another camera's on the same topic, or a bag begins again.
DISORDER = 1_000_000_000


@dataclass(frozen=True)
class Durations:
    """Durations of the frames of a window, in seconds.

    Attributes
    ----------
    mean
        Their mean.
    percentile_95
        95 of 100 are at most this long.
    maximum
        The longest.
    count
        How many there are, at least 1.

    """

    mean: float
    percentile_95: float
    maximum: float
    count: int


@dataclass(frozen=True)
class FrameSummary:
    """One camera's frames over a window of time.

    Attributes
    ----------
    rate_in
        Frames that arrived per second.
    rate_out
        Frames that were published per second.
    latency
        From header stamp to publication by the node's clock; None where no frame was
        published, or none with a plausible stamp.
    processing
        From arrival to publication by the steady clock; None where no frame was
        published.
    silence
        Seconds since the last frame arrived, or since the last reset if none has.
    any_frame
        Whether a frame has arrived since the last reset.
    expected
        Frames that should have arrived by the rhythm of the header stamps, among the
        latest; 0 where there is no rhythm or there are too few frames to tell.
    missing
        Those of the expected that did not arrive.
    zero_stamps
        Frames that arrived with a stamp of zero.
    implausible_latency
        Where most of the latencies are none, since the stamps are by another
        clock: the newest, in seconds, negative for a stamp in the future; else None.

    """

    rate_in: float
    rate_out: float
    latency: Durations | None
    processing: Durations | None
    silence: float
    any_frame: bool
    expected: int
    missing: int
    zero_stamps: int = 0
    implausible_latency: float | None = None


class _Arrival(NamedTuple):
    time: float  # steady, seconds
    stamp: int  # nanoseconds


class _Publication(NamedTuple):
    time: float  # steady, seconds
    processing: float  # seconds
    latency: float | None  # seconds; None where the node's clock has jumped since its arrival


class FrameStatistics:
    """Statistics of one camera's frames, from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, window: float = 10.0) -> None:
        """Start empty.

        Parameters
        ----------
        clock
            Returns seconds and never jumps.
        window
            How many seconds the summary looks back.

        """
        self._clock = clock
        self._window = window
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget all frames: the camera begins anew."""
        with self._lock:
            self._begin = self._last_jump = self._clock()
            self._last_arrival: float | None = None
            self._arrivals: deque[_Arrival] = deque()
            self._publications: deque[_Publication] = deque()
            self._stamps: deque[int] = deque()

    def clock_jumped(self) -> None:
        """Forget stamps and latencies, since the node's clock has jumped: a bag begins again."""
        with self._lock:
            self._last_jump = self._clock()
            self._stamps.clear()
            self._publications = deque(
                publication._replace(latency=None) for publication in self._publications
            )

    def received(self, stamp: int) -> None:
        """Take note of a frame that has arrived, whatever becomes of it.

        Parameters
        ----------
        stamp
            Its header stamp in nanoseconds.

        """
        with self._lock:
            now = self._clock()
            self._last_arrival = now
            self._arrivals.append(_Arrival(now, stamp))
            self._forget(now)
            self._keep_stamp(stamp)

    def published(self, received_at: float, latency: float) -> None:
        """Take note of a frame whose outputs have been published.

        Parameters
        ----------
        received_at
            When it arrived, by this object's clock.
        latency
            Seconds from its header stamp to now, by the node's clock.

        """
        with self._lock:
            now = self._clock()
            same_clock = received_at >= self._last_jump
            self._publications.append(
                _Publication(now, now - received_at, latency if same_clock else None)
            )
            self._forget(now)

    def summary(self) -> FrameSummary:
        """Return the statistics of this moment."""
        with self._lock:
            now = self._clock()
            self._forget(now)
            arrivals = list(self._arrivals)
            publications = list(self._publications)
            stamps = list(self._stamps)
            begin = self._begin
            last_arrival = self._last_arrival
        # A second at least, or the first frame would be at a rate of thousands.
        seconds = max(1.0, min(self._window, now - begin))
        shortest, longest = PLAUSIBLE_LATENCY
        latencies = [
            publication.latency for publication in publications if publication.latency is not None
        ]
        plausible = [latency for latency in latencies if shortest <= latency <= longest]
        implausible = [latency for latency in latencies if not shortest <= latency <= longest]
        # Without a camera at work, its losses are a thing of the past.
        expected, missing = count_missing(stamps) if arrivals else (0, 0)
        return FrameSummary(
            rate_in=len(arrivals) / seconds,
            rate_out=len(publications) / seconds,
            latency=_durations(plausible),
            processing=_durations([publication.processing for publication in publications]),
            silence=now - (begin if last_arrival is None else last_arrival),
            any_frame=last_arrival is not None,
            expected=expected,
            missing=missing,
            zero_stamps=sum(arrival.stamp == 0 for arrival in arrivals),
            # A single one may be a frame that was on its way when the clock jumped.
            implausible_latency=implausible[-1] if len(implausible) > len(plausible) else None,
        )

    def _keep_stamp(self, stamp: int) -> None:
        """Put a stamp among those of the last frames, which rise; the lock is held."""
        stamps = self._stamps
        if stamps and stamp <= stamps[-1] - DISORDER:
            stamps.clear()
        place = bisect_left(stamps, stamp)
        # The same frame may have been sent twice.
        if place == len(stamps) or stamps[place] != stamp:
            stamps.insert(place, stamp)
        if len(stamps) > GAP_FRAMES:
            stamps.popleft()

    def _forget(self, now: float) -> None:
        """Drop what the window has passed; the lock is held."""
        for events in (self._arrivals, self._publications):
            while events and events[0].time <= now - self._window:
                events.popleft()


def _durations(seconds: list[float]) -> Durations | None:
    if not seconds:
        return None
    return Durations(
        mean=float(np.mean(seconds)),
        percentile_95=float(np.percentile(seconds, 95)),
        maximum=max(seconds),
        count=len(seconds),
    )
