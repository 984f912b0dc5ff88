# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation in parts, each of which another process can do: their plan, and one of them."""

from __future__ import annotations

import argparse
from array import array
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path

import numpy as np

from hier_seg_ros.bags.storage.damage import DamagedBagError
from hier_seg_ros.evaluation.running.results import Results
from hier_seg_ros.evaluation.running.run_folder import STATE
from hier_seg_ros.evaluation.running.source import Source, kept_source, namespace_of
from hier_seg_ros.evaluation.running.steps import NEAR, Part, evaluated_frames
from hier_seg_ros.files.writing import written_folder

# Images in a part: few, so that little is lost with a process; many, so that beginning one costs
# little beside them.
FEWEST_IMAGES, MOST_IMAGES = 8, 256
# Parts for each process, so that all of them end at about the same time.
PARTS_EACH = 4


class PartStoppedError(Exception):
    """A part was told to stop; nothing of it is left."""


def plan_parts(source: Source, first: int, workers: int, *, images_before: int = 0) -> list[Part]:
    """Return the parts of a bag from an image on.

    All of the bag is read once, which shows what is damaged. A bag whose stamps repeat is one part,
    because only one process can tell which of its images came first; so is a video stream, which
    can only be decoded in its order.

    Parameters
    ----------
    source
        The open bag.
    first
        The place of the first image, from 0.
    workers
        How many processes there are.
    images_before
        How many images the bags before this one have.

    """
    times, distinct = array('q'), True
    # It is in the bag's `damage`.
    with suppress(DamagedBagError):
        for number, (time, stamp, is_new) in enumerate(source.bag.image_times(source.topic)):
            times.append(time)
            distinct &= is_new
            if stamp is not None:
                source.truth.saw(stamp, number)
    count = len(times)
    if first >= count:
        return []
    if not distinct or source.bag.is_stream(source.topic):
        return [Part(source.index, first, images_before=images_before)]
    size = min(max(-(-source.total // (PARTS_EACH * workers)), FEWEST_IMAGES), MOST_IMAGES)
    # At places that do not depend on where a run goes on, so that it can use what others have done.
    borders = [first, *range((first // size + 1) * size, count, size), count]
    recorded = np.array(times)
    parts = []
    for begin, end in pairwise(borders):
        time = int(recorded[max(0, begin - NEAR)])
        # Several images may have been recorded at the same time.
        place = int(np.searchsorted(recorded, time))
        parts.append(Part(source.index, begin, end, place, time if place else None, images_before))
    return parts


def see_images_before(source: Source, first: int) -> None:
    """Let the truth know of the images before one, which are not looked at again."""
    if first and source.truth.where:
        with suppress(DamagedBagError):
            for number, (_, stamp, _) in enumerate(source.bag.image_times(source.topic)):
                if number >= first:
                    return
                if stamp is not None:
                    source.truth.saw(stamp, number)


def evaluate_part(
    options: argparse.Namespace,
    part: Part,
    folder: Path,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Evaluate a part into a folder, which appears whole or not at all.

    Parameters
    ----------
    options
        What the parser returned.
    part
        The part.
    folder
        Where its results go. Another process may do the same; the last one counts.
    stopped
        Asked after each frame; once it is true, the part is given up.

    Raises
    ------
    HierSegError
        The bag or the model is not there, or the folder cannot be written.
    PartStoppedError
        It was told to stop.

    """
    with ExitStack() as stack:
        source = kept_source(options, part.bag)
        source.truth.forget()
        partial = stack.enter_context(
            written_folder(folder, 'give --out and the bags in a place that all machines share')
        )
        results = Results(
            partial,
            source.hierarchy,
            min_sign_pixels=options.min_sign_pixels,
            namespace=namespace_of(options),
            named=options.show,
            pictures=options.pictures,
        )
        stack.callback(results.discard)
        results.begin_bag(source)
        for frame in evaluated_frames(source, part, options.min_sign_pixels):
            results.add(source, frame)
            if stopped():
                raise PartStoppedError
        results.finish()


def is_done(folder: Path) -> bool:
    """Return whether the results of a part are there."""
    return (folder / STATE).is_file()
