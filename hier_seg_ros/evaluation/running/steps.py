# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of an evaluation, which each frame goes through: read, predict, count.

Where a network runs here, it has the processors first: whatever else is done takes what it leaves,
and never keeps it waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.bags.messages import StampedImage
from hier_seg_ros.bags.storage.damage import DamagedBagError
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.recorded_outputs import Outputs
from hier_seg_ros.evaluation.running.ahead import ahead
from hier_seg_ros.evaluation.running.source import Source
from hier_seg_ros.evaluation.scores.frame_counts import FrameCounter, FrameCounts
from hier_seg_ros.images.image_files import as_rgb

# In which the frame before a part is looked for, before all of them are.
NEAR = 8


class _End:
    """What follows the last image."""


END = _End()


@dataclass(frozen=True)
class Part:
    """Some images of a bag, which one process evaluates.

    Attributes
    ----------
    bag
        The bag's place among those that are named.
    first, stop
        The first image and the one after the last, by their places in the bag from 0; None for
        all that come.
    begin, begin_time
        Where reading may begin so as to have the frame before, too: the place of an image and the
        time of its recording in nanoseconds. None for the beginning of the bag.
    images_before
        How many images the bags before this one have.

    """

    bag: int
    first: int = 0
    stop: int | None = None
    begin: int = 0
    begin_time: int | None = None
    images_before: int = 0

    @property
    def name(self) -> str:
        """What the folder of its results is called."""
        return f'{self.bag}_{self.first}_{"end" if self.stop is None else self.stop}'


@dataclass
class Frame:
    """An image on its way through the steps.

    Attributes
    ----------
    number, place
        Its place in the bag, and among all images of all bags, from 0.
    image, rgb
        As it was read, and its pixels, H×W×3 uint8; None where it cannot be used.
    found
        What its predictions are made of; None for no prediction.
    truth, outputs
        What is true and what was predicted; None for no prediction.
    counts
        What was counted of them.
    image_rejected, truth_rejected, outputs_rejected
        Why the image, or some of the others, cannot be used.
    milliseconds
        How long each step took, and the answer where it was recorded of a live replay.

    """

    number: int
    place: int
    image: StampedImage | None = None
    rgb: NDArray[np.uint8] | None = None
    found: Any = None
    truth: Outputs = field(default_factory=dict)
    outputs: Outputs | None = None
    counts: FrameCounts | None = None
    image_rejected: list[str] = field(default_factory=list)
    truth_rejected: list[str] = field(default_factory=list)
    outputs_rejected: list[str] = field(default_factory=list)
    milliseconds: dict[str, float] = field(default_factory=dict)

    @property
    def rejected(self) -> list[str]:
        """Why this and that cannot be used."""
        return [*self.image_rejected, *self.outputs_rejected, *self.truth_rejected]


def evaluated_frames(
    source: Source, part: Part, min_sign_pixels: int
) -> Generator[Frame, None, None]:
    """Yield each frame of a part, counted; the steps work at the same time."""
    counter = FrameCounter(source.hierarchy, min_sign_pixels, source.truth.counts_as)
    if part.first:
        _begin_after_frame_before(source, part, counter)
    gives_way = source.recorded is None
    read = ahead(_seen(_read(source, part), source), gives_way=gives_way)
    return ahead(_counted(ahead(_predicted(read, source)), source, counter), gives_way=gives_way)


def _read(source: Source, part: Part) -> Iterator[Frame]:
    """Yield the images; what is damaged is noted in the bag."""
    with suppress(DamagedBagError):
        images = source.bag.each_image(
            source.topic,
            # A part of a bag is one of a bag whose stamps all differ.
            distinct=part.begin_time is None,
            skip=part.first - part.begin,
            start=part.begin_time,
        )
        for number in count(part.first):
            begun = perf_counter()
            with source.reading:
                image = next(images, END)
            if isinstance(image, _End) or (part.stop is not None and number >= part.stop):
                break
            frame = Frame(number, part.images_before + number)
            if isinstance(image, HierSegError):
                frame.image_rejected.append(str(image))
            elif isinstance(image, StampedImage):
                frame.image, frame.rgb = image, as_rgb(image.pixels)
                frame.milliseconds['read'] = _since(begun)
            yield frame


def _seen(frames: Iterator[Frame], source: Source) -> Iterator[Frame]:
    """Let the truth know of each image."""
    for frame in frames:
        if frame.image is not None:
            source.truth.saw(frame.image.stamp, frame.number)
        yield frame


def _predicted(frames: Iterator[Frame], source: Source) -> Iterator[Frame]:
    for frame in frames:
        if frame.image is not None and frame.rgb is not None:
            begun = perf_counter()
            frame.found = source.predictions.found(
                frame.rgb, frame.image.stamp, frame.outputs_rejected
            )
            frame.milliseconds['segment'] = _since(begun)
            if source.replay is not None:
                frame.milliseconds |= source.replay.milliseconds(frame.image.stamp)
        yield frame


def _counted(frames: Iterator[Frame], source: Source, counter: FrameCounter) -> Iterator[Frame]:
    for frame in frames:
        if frame.rgb is not None and frame.found is not None:
            begun = perf_counter()
            frame.outputs = source.predictions.outputs(frame.rgb, frame.found)
            frame.found = None
            if source.recorded is None:
                frame.milliseconds['draw'] = _since(begun)
        if frame.image is not None and frame.rgb is not None and frame.outputs is not None:
            begun = perf_counter()
            with source.reading:
                frame.truth = source.truth.at(
                    frame.outputs, frame.image.stamp, frame.number, frame.truth_rejected
                )
            frame.milliseconds['truth'] = _since(begun)
            begun = perf_counter()
            frame.counts = counter.count(frame.rgb, frame.image.stamp, frame.outputs, frame.truth)
            frame.milliseconds['score'] = _since(begun)
        yield frame


def _begin_after_frame_before(source: Source, part: Part, counter: FrameCounter) -> None:
    """Let the counter know the frame before the part, which nothing else is made of."""
    for near in (NEAR, part.first):
        first = max(part.first - near, part.begin)
        before = Part(part.bag, first, part.first, part.begin, part.begin_time)
        for frame in reversed(deque(_read(source, before), NEAR)):
            if frame.image is None or frame.rgb is None:
                continue
            outputs = source.predictions.at(frame.rgb, frame.image.stamp, [])
            if outputs is not None:
                counter.begin_after(frame.rgb, frame.image.stamp, outputs)
                return
        if first == part.begin:
            return


def _since(begun: float) -> float:
    return 1000 * (perf_counter() - begun)
