# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lists that grow with the frames of a recording, in a tenth of the memory of Python's own."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

from hier_seg_ros.scoring.detection_scores import (
    DetectedBox,
    DetectionScores,
    TrueBox,
    detection_scores,
)


class NameList:
    """Names of frames, one after the other; none has a line break."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Begin with some names."""
        self._lines = bytearray()
        self.extend(names)

    def extend(self, names: Iterable[str]) -> None:
        """Add names."""
        for name in names:
            self._lines += name.encode() + b'\n'

    def __iter__(self) -> Iterator[str]:
        """Yield the names in the order in which they came."""
        return iter(self._lines.decode().split('\n')[:-1])


class BoxList:
    """Boxes of signs, 29 bytes each: image, class, box, and one more number.

    The number is the score of a `DetectedBox`, or whether a `TrueBox` is ignored.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._images = array('i')
        self._classes = array('B')
        self._edges = array('i')  # four for each box
        self._numbers = array('d')

    def add(self, box: TrueBox | DetectedBox, first_image: int) -> None:
        """Add a box; `first_image` is added to its image."""
        number = float(box.ignored) if isinstance(box, TrueBox) else box.score
        self.add_row([first_image + box.image, box.class_id, *box.box, number])

    def add_row(self, row: Sequence[float]) -> None:
        """Add a box as `rows` yields it; a ValueError says that it is none."""
        image, class_id, left, top, right, bottom, number = row
        self._images.append(int(image))
        self._classes.append(int(class_id))
        self._edges.extend((int(left), int(top), int(right), int(bottom)))
        self._numbers.append(number)

    def extend(self, other: BoxList, first_image: int) -> None:
        """Add the boxes of another list; `first_image` is added to their images."""
        self._images.extend(first_image + image for image in other._images)
        self._classes.extend(other._classes)
        self._edges.extend(other._edges)
        self._numbers.extend(other._numbers)

    def rows(self) -> Iterator[list[float]]:
        """Yield image, class, left, top, right, bottom and number of each box."""
        for place, image in enumerate(self._images):
            yield [image, self._classes[place], *self._box(place), self._numbers[place]]

    def classes(self) -> set[int]:
        """Return the classes that occur."""
        return set(self._classes)

    def true_boxes(self, class_id: int) -> list[TrueBox]:
        """Return the boxes of a class, where they are true ones."""
        return [
            TrueBox(self._images[place], class_id, self._box(place), bool(self._numbers[place]))
            for place in self._places(class_id)
        ]

    def detected_boxes(self, class_id: int) -> list[DetectedBox]:
        """Return the boxes of a class, where they are detected ones."""
        return [
            DetectedBox(self._images[place], class_id, self._box(place), self._numbers[place])
            for place in self._places(class_id)
        ]

    def _places(self, class_id: int) -> Iterator[int]:
        return (place for place, one in enumerate(self._classes) if one == class_id)

    def _box(self, place: int) -> tuple[int, int, int, int]:
        left, top, right, bottom = self._edges[4 * place : 4 * place + 4]
        return left, top, right, bottom


def scores_of_boxes(truths: BoxList, detections: BoxList) -> DetectionScores:
    """Return `detection_scores` of boxes, of which those of one class are unpacked at a time."""
    parts = [
        detection_scores(truths.true_boxes(class_id), detections.detected_boxes(class_id))
        for class_id in sorted(truths.classes() | detections.classes())
    ]
    return DetectionScores(
        truths=sum(part.truths for part in parts),
        detections=sum(part.detections for part in parts),
        right=sum(part.right for part in parts),
        classes=tuple(one for part in parts for one in part.classes),
    )
