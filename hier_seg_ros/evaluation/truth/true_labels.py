# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The truth for each image, as outputs in the tree's ids, and an account of what does not fit."""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.recorded_outputs import Outputs
from hier_seg_ros.evaluation.truth.likely_spaces import SpaceCheck
from hier_seg_ros.evaluation.truth.true_outputs import TrueOutputs
from hier_seg_ros.images.label_images import LabelPixels
from hier_seg_ros.label_spaces.label_space import LabelSpace, check_space
from hier_seg_ros.label_spaces.node_sets import NodeSet

Ids = NDArray[np.uint8]
NAMED = 5  # unknown ids that a line lists
# Of an unknown id that is named: fewer are bytes that a recording without checksums has changed.
LEAST_PIXELS = 4


class Source(Protocol):
    """Where label images come from: `TruthTopic` or `TruthFolder`."""

    shown: str
    name: str
    repeated: list[int]
    faults: list[str]

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def key(self, stamp: int, number: int) -> Any:
        """Return what finds the labels of an image; None where there are none."""
        ...

    def no_keys(self) -> Any:
        """Return a set without any key, which has only to add them, to have and to count them."""
        ...

    def pixels(self, key: Any) -> LabelPixels:
        """Return the labels; a HierSegError says what is wrong with them."""
        ...

    def label(self, key: Any) -> str:
        """Return what errors call the labels."""
        ...

    def unmatched(self, matched: Any, stamps: Any) -> str:
        """Return in words why labels belong to no image; '' where that is said elsewhere."""
        ...


class TrueLabels:
    """The label images of one source, and what became of them.

    Attributes
    ----------
    source
        Where they come from.
    used
        How many of them were compared with an image.
    reason
        Why the first that could not be used could not; '' for none.

    """

    def __init__(self, source: Source, space: LabelSpace, outputs: TrueOutputs) -> None:
        """Take label images whose ids are those of `space` and that are truth for `outputs`."""
        self.source = source
        self.used = 0
        self.reason = ''
        self._space = space
        self._outputs = outputs
        self._matched = source.no_keys()
        # Images are seen by one thread and compared by another.
        self._noting = threading.Lock()
        self._check = SpaceCheck(space, outputs.hierarchy)
        self._unknown: Counter[str] = Counter()
        self._with_unknown = 0

    def at(
        self, size: tuple[int, int], stamp: int, number: int, rejected: list[str]
    ) -> tuple[Outputs, NDArray[Any] | None]:
        """Return the truth for an image, and its values before they were mapped.

        Parameters
        ----------
        size
            The image's height and width.
        stamp, number
            Its time in nanoseconds and its place in the recording.
        rejected
            Takes a line where its labels cannot be used.

        """
        key = self.source.key(stamp, number)
        if key is None:
            return {}, None
        self._note(key)
        try:
            pixels = self.source.pixels(key)
            if pixels.size != size:
                raise HierSegError(
                    f'{self.source.label(key)} is {pixels.size[1]}×{pixels.size[0]}, its image '
                    f'{size[1]}×{size[0]}; make label images of the size of their image'
                )
            ids, unknown, values = self._ids(pixels)
        except HierSegError as error:
            rejected.append(str(error))
            self.reason = self.reason or str(error)
            return {}, None
        self.used += 1
        self._unknown.update(unknown)
        self._with_unknown += bool(unknown)
        if unknown and values is None and pixels.colors is not None:
            self._check.add_colors(pixels.colors)
        return self._outputs.of(ids), values

    def compare(self, values: NDArray[Any] | None, outputs: Outputs) -> None:
        """Note how an image's values, from `at`, agree with what was predicted."""
        if values is not None:
            self._check.add(values, outputs)

    def saw(self, stamp: int, number: int) -> None:
        """Note an image that is there, whether or not it is compared."""
        key = self.source.key(stamp, number)
        if key is not None:
            self._note(key)

    def _note(self, key: Any) -> None:
        with self._noting:
            self._matched.add(key)

    def state(self) -> dict[str, Any]:
        """Return what `merge` takes, as JSON holds it."""
        return {
            'used': self.used,
            'reason': self.reason,
            'unknown': dict(self._unknown),
            'with_unknown': self._with_unknown,
            'check': self._check.state(),
        }

    def forget(self) -> None:
        """Begin anew, for another part of the recording."""
        self.used, self.reason = 0, ''
        self._unknown.clear()
        self._with_unknown = 0
        self._check = SpaceCheck(self._space, self._outputs.hierarchy)

    def merge(self, state: Mapping[str, Any]) -> None:
        """Add what became of label images in another part of the recording; of `saw` nothing."""
        self.used += state['used']
        self.reason = self.reason or state['reason']
        self._unknown.update(state['unknown'])
        self._with_unknown += state['with_unknown']
        self._check.merge(state['check'])

    def faults(self, stamps: Sequence[int]) -> list[str]:
        """Return a line for each kind of thing that does not fit, once all images were seen.

        Parameters
        ----------
        stamps
            Those of all images.

        """
        name, lines = self.source.name, list(self.source.faults)
        left = self.source.count - len(self._matched)
        reason = self.source.unmatched(self._matched, stamps) if left and stamps else ''
        if reason:
            lines.append(
                f'{name}: {left} of {self.source.count} label images belong to no image; {reason}'
            )
        repeated = self.source.repeated
        if repeated:
            lines.append(
                f'{name}: has {len(repeated)} label images whose stamp came before, the first at '
                f'{repeated[0]}; the last of each stamp counts, so record it once'
            )
        unknown = [(v, n) for v, n in self._unknown.most_common() if n >= LEAST_PIXELS]
        if unknown:
            listed = ', '.join(f'{value} ({pixels} pixels)' for value, pixels in unknown[:NAMED])
            more = len(unknown) - NAMED
            lines.append(
                f'{name}: {self._with_unknown} label images have ids that {self._space.name} lacks '
                f'and that are not scored: {listed}{f" and {more} more" if more > 0 else ""}; say '
                f'whose ids they are with --truth-space'
            )
        likely = self._check.likely()
        if likely is not None:
            lines.append(f'{name}: {likely}')
        return lines

    def _ids(self, pixels: LabelPixels) -> tuple[Ids, dict[str, int], NDArray[Any] | None]:
        """Return the ids of an image, what is unknown of it, and the values that were read."""
        space = self._space
        if pixels.colors is not None and (space.colors or pixels.values is None):
            check_space(space, colors=True)
            ids, unknown = space.from_colors(pixels.colors)
            # A palette's colours, and equal channels, may as well be there to show values.
            if not unknown or pixels.values is None or not space.ids:
                return ids, unknown, None
        check_space(space, colors=False)
        assert pixels.values is not None
        return *space.from_values(pixels.values), pixels.values


class Truth:
    """The truth of a recording, from one source or several.

    Attributes
    ----------
    topics
        Where it comes from, by what it is truth for.
    where
        The same in one text; None where there is none.
    space
        The name of the label space, None for the tree's own.
    counts_as
        What a predicted value counts as beside each true one, (256, 256), by the name of each
        level's output.
    node_sets
        The sets of nodes that its labels may be, whose ids are no nodes'.

    """

    def __init__(
        self,
        labels: Mapping[str, TrueLabels],
        counts_as: Mapping[str, Ids],
        *,
        space: str | None = None,
        asked_for: str | None = None,
        faults: Sequence[str] = (),
        node_sets: tuple[NodeSet, ...] = (),
    ) -> None:
        """Take what `open_truth` has found; `asked_for` is what the user named, if anything."""
        self.topics = {name: each.source.shown for name, each in labels.items()}
        self.where = ', '.join(self.topics.values()) or None
        self.space = space
        self.counts_as = counts_as
        self.node_sets = node_sets
        self._labels = list(labels.values())
        self._asked_for = asked_for
        self._faults = list(faults)
        self._stamps = array('q')

    def saw(self, stamp: int, number: int) -> None:
        """Note an image of the recording: its time in nanoseconds and its place."""
        self._stamps.append(stamp)
        for labels in self._labels:
            labels.saw(stamp, number)

    def at(self, outputs: Outputs, stamp: int, number: int, rejected: list[str]) -> Outputs:
        """Return the true label images for an image, by the names of the outputs.

        Parameters
        ----------
        outputs
            What was predicted for it.
        stamp, number
            Its time in nanoseconds and its place in the recording.
        rejected
            Takes a line for each label image that cannot be used.

        """
        size = next(iter(outputs.values())).shape[:2]
        truth: Outputs = {}
        for labels in self._labels:
            found, values = labels.at(size, stamp, number, rejected)
            labels.compare(values, outputs)
            truth |= found
        return truth

    def state(self) -> list[dict[str, Any]]:
        """Return what `merge` takes, as JSON holds it."""
        return [labels.state() for labels in self._labels]

    def forget(self) -> None:
        """Begin anew, for another part of the recording."""
        for labels in self._labels:
            labels.forget()

    def merge(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Add what became of label images in another part of the recording; of `saw` nothing."""
        for labels, one in zip(self._labels, state, strict=True):
            labels.merge(one)

    def faults(self) -> list[str]:
        """Return a line for each kind of thing that does not fit, once all images were seen.

        Raises
        ------
        HierSegError
            A truth was asked for, and none of it could be used.

        """
        lines = [
            *self._faults,
            *(line for labels in self._labels for line in labels.faults(self._stamps)),
        ]
        if self._asked_for and not any(labels.used for labels in self._labels):
            reasons = [labels.reason for labels in self._labels if labels.reason]
            raise HierSegError(
                f'--truth {self._asked_for}: none of its label images can be compared with an '
                f'image: {"; ".join([*reasons, *lines][:1])}'
            )
        return lines
