# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adds up what was counted in the images of one or several recordings.

Everything is an integer, or a box with its score: sums of parts are those of the whole, whatever
the parts were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.scores.compact_lists import BoxList, NameList, scores_of_boxes
from hier_seg_ros.evaluation.scores.frame_counts import FrameCounts
from hier_seg_ros.evaluation.scores.score_summary import (
    detections_summary,
    label_summary,
    shares,
    signs_summary,
)
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.scoring.calibration import calibration_summary
from hier_seg_ros.scoring.sign_scores import SignScores
from hier_seg_ros.segmenter.outputs import label_values

STATE_VERSION = 1
Counts = NDArray[np.int64]
SIGN_SUMS = ('signs', 'found', 'right', 'predicted_pixels', 'far_pixels', 'too_small')


class BagScores:
    """What was counted so far.

    Attributes
    ----------
    hierarchy
        The tree of the predictions.
    frames
        How many images.
    received
        How many images each output came for, by the output's name.
    pixels
        How often each node id occurs, (256,), by the name of each level's output.
    flagged
        The names of the images that are flagged.

    """

    def __init__(
        self, hierarchy: Hierarchy, min_sign_pixels: int, *, motion_removed: bool = False
    ) -> None:
        """Begin with nothing.

        Parameters
        ----------
        hierarchy
            The tree of the predictions.
        min_sign_pixels
            What the counter of the frames was given.
        motion_removed
            Whether flicker is counted without the camera's motion.

        """
        self.hierarchy = hierarchy
        self.frames = 0
        self.received: Counter[str] = Counter()
        self.pixels: dict[str, Counts] = {}
        self.flagged = NameList()
        self._min_sign_pixels = min_sign_pixels
        self._motion_removed = motion_removed
        self._confusion: dict[str, Counts] = {}
        self._calibration: dict[str, Counts] = {}
        self._confidence = np.zeros(256, np.int64)
        self._flicker: dict[str, Counts] = {}
        self._signs_scored = False
        self._sign_sums = dict.fromkeys(SIGN_SUMS, 0)
        self._set_names: dict[int, str] = {}
        self._true_boxes = BoxList()
        self._detected_boxes = BoxList()

    def add(self, counts: FrameCounts, flagged: str | None = None) -> None:
        """Add one image, whose name is `flagged` if it is to be listed among those."""
        signs = counts.signs
        # Before it is counted: images are told apart by how many there were.
        for true_box in signs.true_boxes:
            self._true_boxes.add(true_box, self.frames)
        for detected_box in signs.detected_boxes:
            self._detected_boxes.add(detected_box, self.frames)
        self.frames += 1
        self.received.update(counts.received)
        _add_all(self.pixels, counts.pixels)
        _add_all(self._confusion, counts.confusion)
        _add_all(self._calibration, counts.calibration)
        if counts.confidence is not None:
            self._confidence += counts.confidence
        if counts.flicker is not None:
            _add_all(self._flicker, {name: np.array(pair) for name, pair in counts.flicker.items()})
        if flagged is not None:
            self.flagged.extend([flagged])
        self._signs_scored |= signs.scored
        for name in SIGN_SUMS:
            self._sign_sums[name] += getattr(signs, name)

    def name_sets(self, names: Mapping[int, str]) -> None:
        """Take the names of labels that are sets of nodes, by their ids in the ground truth.

        Raises
        ------
        HierSegError
            An id has another name already.

        """
        for set_id, name in names.items():
            known = self._set_names.setdefault(set_id, name)
            if known != name:
                raise HierSegError(
                    f'scores: the ground truth calls a set of nodes {known!r} in one part and '
                    f'{name!r} in another; evaluate both with the same mapping file'
                )

    def merge(self, other: BagScores) -> None:
        """Add what was counted elsewhere, in images that come after those counted here.

        Raises
        ------
        HierSegError
            It was counted for another tree or with other settings.

        """
        self._check_same(other)
        self.name_sets(other._set_names)
        self._true_boxes.extend(other._true_boxes, self.frames)
        self._detected_boxes.extend(other._detected_boxes, self.frames)
        self.frames += other.frames
        self.received.update(other.received)
        _add_all(self.pixels, other.pixels)
        _add_all(self._confusion, other._confusion)
        _add_all(self._calibration, other._calibration)
        _add_all(self._flicker, other._flicker)
        self._confidence += other._confidence
        self._signs_scored |= other._signs_scored
        for name in SIGN_SUMS:
            self._sign_sums[name] += other._sign_sums[name]
        self.flagged.extend(other.flagged)

    def summary(self) -> dict[str, Any]:
        """Return the scores, as they go into scores.json."""
        values = label_values(self.hierarchy)
        signs, objects = None, None
        if self._signs_scored:
            sums = self._sign_sums
            signs = signs_summary(
                SignScores(
                    sums['signs'],
                    sums['found'],
                    sums['right'],
                    sums['predicted_pixels'],
                    sums['far_pixels'],
                )
            )
            texts = values['traffic_signs'].texts
            found = scores_of_boxes(self._true_boxes, self._detected_boxes)
            objects = detections_summary(found, texts)
        return {
            'scores': {
                name: label_summary(matrix, {**self._set_names, **values[name].texts})
                for name, matrix in self._confusion.items()
            },
            'signs': signs,
            'detections': objects,
            'areas_too_small_to_list': self._sign_sums['too_small'],
            'calibration': {
                name: calibration_summary(counts) for name, counts in self._calibration.items()
            }
            or None,
            'without_truth': self._without_truth(),
            'state': self.state(),
        }

    def _without_truth(self) -> dict[str, Any]:
        pixels = int(self._confidence.sum())
        certain = int((self._confidence * np.arange(256)).sum())
        return {
            'flicker': {
                name: int(changed) / int(compared) if compared else None
                for name, (changed, compared) in self._flicker.items()
            },
            'motion_removed': self._motion_removed,
            'class_shares': {name: shares(counts) for name, counts in self.pixels.items()},
            'confidence': certain / (255 * pixels) if pixels else None,
            'flagged': list(self.flagged),
        }

    def state(self) -> dict[str, Any]:
        """Return everything that was counted, as JSON holds it; `from_state` takes it again."""
        return {
            'version': STATE_VERSION,
            'hierarchy': self.hierarchy.as_dict(),
            'min_sign_pixels': self._min_sign_pixels,
            'motion_removed': self._motion_removed,
            'frames': self.frames,
            'received': dict(self.received),
            'pixels': {name: _sparse(counts) for name, counts in self.pixels.items()},
            'confusion': {name: _sparse(counts) for name, counts in self._confusion.items()},
            'calibration': {name: _sparse(counts) for name, counts in self._calibration.items()},
            'confidence': _sparse(self._confidence),
            'flicker': {name: counts.tolist() for name, counts in self._flicker.items()},
            'signs_scored': self._signs_scored,
            'sign_sums': dict(self._sign_sums),
            'true_boxes': [[*row, int(ignored)] for *row, ignored in self._true_boxes.rows()],
            'detected_boxes': list(self._detected_boxes.rows()),
            'flagged': list(self.flagged),
            'set_names': {str(set_id): name for set_id, name in self._set_names.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], source: str = 'scores.json') -> BagScores:
        """Return what `state` was taken of.

        Parameters
        ----------
        state
            What `state` returned, written to JSON and read again or not.
        source
            What names it in errors.

        Raises
        ------
        HierSegError
            It is nothing that `state` returned.

        """
        try:
            return cls._from_state(state, source)
        except (
            AttributeError,
            IndexError,
            KeyError,
            OverflowError,
            TypeError,
            ValueError,
        ) as error:
            raise HierSegError(
                f'{source}: its state cannot be used ({type(error).__name__}: {error}); evaluate '
                f'the recording again'
            ) from error

    @classmethod
    def _from_state(cls, state: Mapping[str, Any], source: str) -> BagScores:
        if state['version'] != STATE_VERSION:
            raise HierSegError(
                f'{source}: its state has version {state["version"]}, this package reads '
                f'{STATE_VERSION}; evaluate the recording again'
            )
        hierarchy = Hierarchy(state['hierarchy'], f'{source}: state: hierarchy')
        scores = cls(
            hierarchy, int(state['min_sign_pixels']), motion_removed=bool(state['motion_removed'])
        )
        scores.frames = int(state['frames'])
        scores.received = Counter({name: int(n) for name, n in state['received'].items()})
        scores.pixels = _dense_all(state['pixels'], (256,))
        scores._confusion = _dense_all(state['confusion'], (256, 256))
        scores._calibration = _dense_all(state['calibration'], (2, 256))
        scores._confidence = _dense(state['confidence'], (256,))
        scores._flicker = {name: np.array(pair) for name, pair in state['flicker'].items()}
        scores._signs_scored = bool(state['signs_scored'])
        scores._sign_sums = {name: int(state['sign_sums'][name]) for name in SIGN_SUMS}
        for row in state['true_boxes']:
            scores._true_boxes.add_row(row)
        for row in state['detected_boxes']:
            scores._detected_boxes.add_row(row)
        scores.flagged.extend(state['flagged'])
        # Scores from before there were sets have none.
        scores.name_sets({int(i): str(name) for i, name in state.get('set_names', {}).items()})
        return scores

    def _check_same(self, other: BagScores) -> None:
        if self.hierarchy != other.hierarchy:
            raise HierSegError(
                f'scores: those of tree {other.hierarchy.name} cannot be added to those of tree '
                f'{self.hierarchy.name}, which differs; evaluate both with one model'
            )
        for what, ours, theirs in (
            ('--min-sign-pixels', self._min_sign_pixels, other._min_sign_pixels),
            ('OpenCV to remove motion', self._motion_removed, other._motion_removed),
        ):
            if ours != theirs and self.frames and other.frames:
                raise HierSegError(
                    f'scores: {what} was {theirs} in one part and {ours} in another; evaluate '
                    f'both in the same way'
                )


def _add_all(sums: dict[str, Counts], more: Mapping[str, Counts]) -> None:
    for name, counts in more.items():
        sums[name] = sums[name] + counts if name in sums else counts


def _sparse(counts: Counts) -> list[list[int]]:
    """Return the numbers that are not 0, each after its place."""
    return [[*map(int, place), int(counts[tuple(place)])] for place in np.argwhere(counts)]


def _dense(entries: list[list[int]], shape: tuple[int, ...]) -> Counts:
    counts = np.zeros(shape, np.int64)
    for *place, count in entries:
        counts[tuple(place)] = count
    return counts


def _dense_all(state: Mapping[str, list[list[int]]], shape: tuple[int, ...]) -> dict[str, Counts]:
    return {name: _dense(entries, shape) for name, entries in state.items()}
