# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frames whose pictures are in the report: the worst, evenly spread ones, and named ones.

A recording may have 100,000 frames and a page must stay small, so while the frames pass only those
are kept, with their pictures made, that may be shown in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

WORST_FRAMES = 20
# At least so many evenly spread frames, where there are as many, and less than twice as many.
SPREAD_FRAMES = 12


@dataclass(frozen=True)
class SignCard:
    """A sign on the page: its verdict, what was predicted, what is true, and a picture of it."""

    verdict: str
    predicted: str
    truth: str
    pixels: int
    confidence: float | None
    cutout: str


@dataclass
class FramePictures:
    """A frame that the report may show; pictures are data URIs.

    Attributes
    ----------
    index
        Its place among the evaluated frames, from 0.
    place
        Its place among all images of all bags, from 0.
    name
        What its files are called by.
    stamp
        Nanoseconds.
    seconds
        Since the first frame of its bag.
    rank
        The lower, the worse; see `badness_rank`.
    photograph
        The image as the camera sent it, with the signs marked.
    labels
        By the name of the output: its 'prediction', and its 'truth' where there is one.
    files
        Links to the full pictures, relative to the report, by their title; empty if none were
        written.
    signs
        The signs that are shown.
    more_signs
        How many more there are.

    """

    index: int
    place: int
    name: str
    stamp: int
    seconds: float
    rank: tuple[int, float]
    photograph: str
    labels: dict[str, dict[str, str]]
    files: dict[str, str] = field(default_factory=dict)
    signs: list[SignCard] = field(default_factory=list)
    more_signs: int = 0


def badness_rank(record: Mapping[str, Any]) -> tuple[int, float]:
    """Return what frames are ordered by, the worst first.

    Frames with ground truth come first, by the mean mIoU of their levels. Without, it is the mean
    confidence; frames of which nothing is known come last.

    Parameters
    ----------
    record
        A frame's line of frames.jsonl.

    """
    scores = record.get('scores') or {}
    found = [one['mIoU'] for name, one in scores.items() if name.startswith('level_')]
    known = [
        value for value in found or (one['mIoU'] for one in scores.values()) if value is not None
    ]
    if known:
        return 0, sum(known) / len(known)
    confidence = record.get('confidence')
    return (2, 0.0) if confidence is None else (1, confidence)


class PictureSelection:
    """Keeps the frames that the report shows, while all frames pass one after the other.

    Which these are depends on the frames alone, and not on the parts in which they are evaluated.

    Attributes
    ----------
    reached
        The place of the last image that has passed, among all images of all bags; -1 for none.
    dropped
        The names of frames that were kept once and are no more; whoever uses it empties it.

    """

    def __init__(self, named: Collection[str] = ()) -> None:
        """Take the names of frames that are shown in any case."""
        self.reached = -1
        self.dropped: set[str] = set()
        self._named = frozenset(named)
        self._kept: dict[int, FramePictures] = {}

    def reach(self, place: int) -> None:
        """Note that the images up to a place, as in `FramePictures`, have passed."""
        before, self.reached = self._stride, max(self.reached, place)
        if self._stride != before:
            self._drop()

    def offer(
        self,
        place: int,
        name: str,
        rank: tuple[int, float],
        make: Callable[[], FramePictures],
    ) -> None:
        """Keep a frame if it may be among those that are shown.

        Parameters
        ----------
        place, name, rank
            As in `FramePictures`; `reach` was told of the place.
        make
            Makes the pictures; called only if the frame is kept.

        """
        worst = self._worst()
        among_worst = len(worst) < WORST_FRAMES or rank < worst[-1].rank
        is_spread = place // self._stride not in self._spread()
        if among_worst or is_spread or name in self._named:
            self.dropped.discard(name)
            frame = make()
            self._kept[frame.index] = frame
            self._drop()

    def merge(self, frames: Iterable[FramePictures]) -> None:
        """Keep also what another selection kept of other frames of the same run."""
        self._kept |= {frame.index: frame for frame in frames}
        self._drop()

    def frames(self) -> list[FramePictures]:
        """Return the frames to show, the worst first."""
        return sorted(self._kept.values(), key=_order)

    def unknown(self) -> list[str]:
        """Return a line for each name that no frame has."""
        names = {frame.name for frame in self._kept.values()}
        return [
            f'--show {name}: no frame of this name was evaluated; frames.jsonl lists them'
            for name in sorted(self._named - names)
        ]

    @property
    def _stride(self) -> int:
        """Of so many images that follow one another, one is an evenly spread one."""
        stride = 1
        while self.reached // stride + 1 >= 2 * SPREAD_FRAMES:
            stride *= 2
        return stride

    def _worst(self) -> list[FramePictures]:
        return self.frames()[:WORST_FRAMES]

    def _drop(self) -> None:
        shown = {frame.index for frame in self._worst()}.union(self._spread().values())
        kept = {
            index: frame
            for index, frame in self._kept.items()
            if index in shown or frame.name in self._named
        }
        self.dropped |= {self._kept[index].name for index in self._kept.keys() - kept.keys()}
        self._kept = kept

    def _spread(self) -> dict[int, int]:
        """Return the first frame, by its index, of each `_stride` images that has one."""
        stride = self._stride
        found: dict[int, int] = {}
        for index in sorted(self._kept):
            found.setdefault(self._kept[index].place // stride, index)
        return found


def _order(frame: FramePictures) -> tuple[tuple[int, float], int]:
    return frame.rank, frame.index


def frame_as_json(frame: FramePictures) -> dict[str, Any]:
    """Return a frame as JSON can hold it, for a run that goes on later or elsewhere."""
    return asdict(frame)


def frame_of_json(value: Mapping[str, Any]) -> FramePictures:
    """Return the frame that `frame_as_json` returned."""
    rank = (int(value['rank'][0]), float(value['rank'][1]))
    signs = [SignCard(**sign) for sign in value['signs']]
    return FramePictures(**{**value, 'rank': rank, 'signs': signs})
