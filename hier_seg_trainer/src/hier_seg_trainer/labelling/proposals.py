# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Proposals: regions of images that wait for a label, and the file that lists them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError, shown
from hier_seg_ros.files.reading import parse_json

# As many as there are number keys.
MOST_GUESSES = 9
# Digits of what is written: more would say nothing, and 20,000 proposals shall open at once.
_DIGITS = 4


class Guess(NamedTuple):
    """A class that a region may be.

    Attributes
    ----------
    name
        The name of its node.
    probability
        0-1.

    """

    name: str
    probability: float


@dataclass(frozen=True)
class Proposal:
    """A region of an image that waits for a label.

    Attributes
    ----------
    id
        A number of its own, 0 or more.
    image
        The name of its image in the labelling folder.
    box
        Left, top, right and bottom in pixels, the last two exclusive.
    counts
        Its mask in the box: lengths of runs of pixels outside and inside it in turns, row by row,
        beginning outside.
    pixels
        How many pixels the mask has.
    parent
        The name of the node whose children are asked for.
    guesses
        The most probable classes, the first one first; at most 9, none where nothing is known.
    value
        How much its label would teach; see ``proposing.order``.

    """

    id: int
    image: str
    box: tuple[int, int, int, int]
    counts: tuple[int, ...]
    pixels: int
    parent: str
    guesses: tuple[Guess, ...] = ()
    value: float = 0.0

    @property
    def confidence(self) -> float:
        """The probability of the first guess, 0-1; 0 where there is none."""
        return self.guesses[0].probability if self.guesses else 0.0

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The region within its box, h×w bool."""
        left, top, right, bottom = self.box
        return mask_of_runs(self.counts, (bottom - top, right - left))

    def as_dict(self) -> dict[str, Any]:
        """Return the proposal as its line in the file has it."""
        left, top, right, bottom = self.box
        return {
            'id': self.id,
            'image': self.image,
            'box': [left, top, right, bottom],
            'mask': {'size': [bottom - top, right - left], 'counts': list(self.counts)},
            'pixels': self.pixels,
            'parent': self.parent,
            'guesses': [
                {'name': guess.name, 'probability': round(guess.probability, _DIGITS)}
                for guess in self.guesses
            ],
            'confidence': round(self.confidence, _DIGITS),
            'value': round(self.value, _DIGITS),
        }


def runs_of_mask(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the run lengths of a mask, h×w bool, as `Proposal.counts` has them."""
    values = np.concatenate([[False], mask.ravel(), [not mask.size or not mask.flat[-1]]])
    changes = np.flatnonzero(values[1:] != values[:-1])
    return tuple(np.diff(changes, prepend=0).tolist())


def mask_of_runs(counts: Iterable[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask, h×w bool, of run lengths; `size` is its (h, w)."""
    lengths = list(counts)
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(size)


def write_proposals(path: Path, proposals: Iterable[Proposal]) -> None:
    """Write a new file of proposals, in the order given.

    Raises
    ------
    OSError
        The system does not let it be written.

    """
    with path.open('w', encoding='utf-8') as file:
        for proposal in proposals:
            file.write(json.dumps(proposal.as_dict(), separators=(',', ':')) + '\n')


def read_proposals(path: Path) -> list[Proposal]:
    """Return the proposals of a file, in its order.

    Raises
    ------
    HierSegError
        It cannot be read, or a line is no proposal, or one with the number of another.

    """
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, ValueError) as error:
        raise HierSegError(f'{path}: cannot be read ({error}); write the folder anew') from error
    proposals = []
    seen: set[int] = set()
    for number, line in enumerate(lines, start=1):
        where = f'{path}: line {number}'
        proposal = _proposal(parse_json(line, where), where)
        if proposal.id in seen:
            raise HierSegError(f'{where}: the id {proposal.id} is there twice; write it anew')
        seen.add(proposal.id)
        proposals.append(proposal)
    return proposals


def _proposal(entry: Any, where: str) -> Proposal:
    """Return what a line holds."""
    if not isinstance(entry, Mapping):
        raise HierSegError(f'{where}: is no proposal but {shown(entry)}; write the folder anew')
    try:
        proposal = Proposal(
            id=_whole(entry['id']),
            image=_text(entry['image']),
            box=_box(entry['box']),
            counts=_counts(entry['mask']['counts']),
            pixels=_whole(entry['pixels']),
            parent=_text(entry['parent']),
            guesses=tuple(
                Guess(_text(guess['name']), float(guess['probability']))
                for guess in entry['guesses'][:MOST_GUESSES]
            ),
            value=float(entry['value']),
        )
        _check_mask(proposal, entry['mask']['size'])
    except KeyError as error:
        raise HierSegError(f'{where}: has no {error.args[0]}; write the folder anew') from error
    except (TypeError, ValueError) as error:
        raise HierSegError(f'{where}: is no proposal ({error}); write the folder anew') from error
    return proposal


def _check_mask(proposal: Proposal, size: object) -> None:
    left, top, right, bottom = proposal.box
    if size != [bottom - top, right - left]:
        raise ValueError('its mask has not the size of its box')
    area, inside = sum(proposal.counts), sum(proposal.counts[1::2])
    if area != (bottom - top) * (right - left) or inside != proposal.pixels or not inside:
        raise ValueError('its mask has not the pixels that it should have')


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise ValueError(f'{shown(value)} is no whole number from 0 on')
    return value


def _counts(value: object) -> tuple[int, ...]:
    # Checked all at once: 20,000 proposals have millions of them.
    if not isinstance(value, list) or set(map(type, value)) != {int} or min(value) < 0:
        raise ValueError(f'{shown(value)} is no list of run lengths')
    return tuple(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'{shown(value)} is no text')
    return value


def _box(value: object) -> tuple[int, int, int, int]:
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError(f'{shown(value)} is no box')
    left, top, right, bottom = map(_whole, value)
    if left >= right or top >= bottom:
        raise ValueError(f'{shown(value)} is an empty box')
    return left, top, right, bottom
