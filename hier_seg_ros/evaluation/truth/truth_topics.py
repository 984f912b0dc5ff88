# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label images on a topic of a recording, found by the stamp of their image."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Container

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.stamp_index import StampSet
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.label_images import LabelPixels, label_message


class TruthTopic:
    """The label images on a topic.

    Attributes
    ----------
    shown
        Its name, as the report shows it.
    name
        What lines about it begin with.
    repeated
        The stamps that had been there before; the later image counts.
    faults
        Empty; see `TruthFolder`.

    """

    def __init__(self, bag: ImageBag, topic: str) -> None:
        """Read the stamps of a topic of an open bag.

        Raises
        ------
        HierSegError
            There is no such topic, or it is not one of images.

        """
        self.shown = topic
        self.name = f'{bag.path}: {topic}'
        self.repeated: list[int] = []
        self.faults: list[str] = []
        self._bag = bag
        self._times = bag.stamps([topic], self.repeated)[topic]

    @property
    def count(self) -> int:
        """How many label images there are, of one stamp one."""
        return len(self._times)

    def key(self, stamp: int, number: int) -> int | None:
        """Return the stamp in nanoseconds where the topic has it; the image's number is no help."""
        return stamp if stamp in self._times else None

    def no_keys(self) -> StampSet:
        """Return a set without any key."""
        return StampSet()

    def pixels(self, key: int) -> LabelPixels:
        """Return the labels of a stamp.

        Raises
        ------
        HierSegError
            The message cannot be read, or is no label image.

        """
        message = self._bag.message_at(self.shown, key, self._times[key])
        try:
            return label_message(message)
        except InvalidFrameError as error:
            raise HierSegError(f'{self.label(key)}: {error}') from error

    def label(self, key: int) -> str:
        """Return what errors call the image of a stamp."""
        return f'{self.name}: stamp {key}'

    def unmatched(self, matched: Container[int], stamps: Collection[int]) -> str:
        """Return in words why label images belong to no image.

        Of a recording that is damaged, the images may be lost, which its damage says: then ''.

        Parameters
        ----------
        matched
            The stamps that did belong to one.
        stamps
            Those of all images.

        """
        if self._bag.damage is not None:
            return ''
        left = [stamp for stamp in self._times if stamp not in matched]
        ordered = sorted(stamps)
        offsets = [_offset(stamp, ordered) for stamp in left]
        nearest = min(offsets, key=abs)
        said = f'the first has stamp {left[0]}'
        if len(set(offsets)) == 1 and len(offsets) > 1:
            said += f'; all are {abs(nearest) / 1e6:g} ms {"later" if nearest > 0 else "earlier"}'
            said += ' than an image'
        else:
            said += f'; the nearest is {abs(nearest) / 1e6:g} ms from an image'
        return f'{said}, and stamps must be the same to the nanosecond'


def _offset(stamp: int, ordered: list[int]) -> int:
    """Return by how many nanoseconds a stamp is later than the nearest of sorted ones."""
    place = bisect_left(ordered, stamp)
    near = ordered[max(place - 1, 0) : place + 1]
    return min((stamp - other for other in near), key=abs)
