# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames the report has pictures of: the same, however they are cut into parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hier_seg_ros.evaluation.report.frame_pictures import (
    SPREAD_FRAMES,
    WORST_FRAMES,
    FramePictures,
    PictureSelection,
)


def offer(
    selection: PictureSelection, places: Sequence[int], ranks: Sequence[float], first: int
) -> None:
    for index, place in enumerate(places, first):
        rank = 0, ranks[place]
        selection.reach(place)
        selection.offer(
            place,
            str(place),
            rank,
            lambda index=index, place=place, rank=rank: FramePictures(
                index, place, str(place), place, 0.0, rank, 'photograph', {}
            ),
        )


def shown(selection: PictureSelection) -> list[int]:
    return [frame.place for frame in selection.frames()]


@pytest.mark.parametrize('part', [1, 7, 100, 256, 1000])
@pytest.mark.parametrize('step', [1, 2])  # every image has a prediction, or every other one
@pytest.mark.parametrize('seed', [1, 2, 3])
def test_parts_show_what_the_whole_shows(seed: int, step: int, part: int) -> None:
    # Only a few ranks, so that many frames are equally bad.
    ranks = np.random.default_rng(seed).integers(0, 40, 700).tolist()
    places = range(step - 1, 700, step)
    whole = PictureSelection(['17', '401'])
    offer(whole, places, ranks, 0)
    merged = PictureSelection(['17', '401'])
    for begin in range(0, len(places), part):
        one = PictureSelection(['17', '401'])
        offer(one, places[begin : begin + part], ranks, begin)
        merged.reach(one.reached)
        merged.merge(one.frames())
    assert shown(merged) == shown(whole)
    worst = sorted(places, key=lambda place: ranks[place])[:WORST_FRAMES]
    assert shown(whole)[:WORST_FRAMES] == worst
    others = sorted(set(shown(whole)[WORST_FRAMES:]) - {17, 401})
    assert len(others) <= 2 * SPREAD_FRAMES
    # Evenly spread: nowhere is a longer gap than two of their distances.
    assert max(np.diff(sorted([0, *shown(whole), 699]))) <= 2 * 32


def test_frames_that_are_shown_no_more_are_named() -> None:
    selection = PictureSelection()
    offer(selection, range(500), [500 - place for place in range(500)], 0)
    names = set(map(str, range(500)))
    assert selection.dropped and selection.dropped <= names
    assert not selection.dropped & {frame.name for frame in selection.frames()}
