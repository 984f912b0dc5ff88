# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label images in a folder, whose names say which image of a recording each belongs to.

A name holds the image's stamp (``1403636579763555584.png`` in nanoseconds, also in micro- or
milliseconds; ``1403636579.763555584.png`` in seconds, with up to nine decimals, also with ``_`` for
the point) or its number (``000012.png``), which is its place in the recording, from 0 on. Other
text may stand around it: the longest number of a name counts, of equally long ones the last.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.label_images import LabelPixels, label_file

SUFFIXES = ('.png', '.tif', '.tiff')
# A smaller whole number is a place in the recording: 10⁷ images take days, 10⁷ ns no time.
LEAST_STAMP = 10**7
_SECONDS = re.compile(r'(?<!\d)(\d{1,10})\.(\d{1,9})(?!\d)|(?<!\d)(\d{9,10})[_-](\d{1,9})(?!\d)')
_NUMBER = re.compile(r'\d+')


@dataclass(frozen=True)
class FileName:
    """Which image a file's name means.

    Attributes
    ----------
    value
        The number in the name; of seconds with decimals, all digits as one number.
    decimals
        How many of its digits are decimals of seconds; None where the name has no seconds.

    """

    value: int
    decimals: int | None

    @property
    def is_number(self) -> bool:
        """Whether it is a place in the recording, not a stamp."""
        return self.decimals is None and self.value < LEAST_STAMP


def parse_name(stem: str) -> FileName | None:
    """Return which image a file's name means, given without its suffix; None where it says none."""
    seconds = _SECONDS.search(stem)
    if seconds is not None:
        whole, decimals = (part for part in seconds.groups() if part is not None)
        return FileName(int(whole + decimals), len(decimals))
    numbers = _NUMBER.findall(stem)
    if not numbers:
        return None
    longest = max(map(len, numbers))
    number = [each for each in numbers if len(each) == longest][-1]
    return FileName(int(number), None) if longest <= 19 else None


class TruthFolder:
    """The label images in a folder, found by the stamp and number of an image.

    Attributes
    ----------
    shown, name
        The folder: as the report shows it, and what lines about it begin with.
    repeated
        Empty: two files that mean one image are refused.
    faults
        Lines about what is odd in it.

    """

    def __init__(self, path: Path, first_stamp: int, images: int) -> None:
        """List the files.

        Parameters
        ----------
        path
            The folder.
        first_stamp
            The stamp of the recording's first image in nanoseconds, by which the unit of whole
            numbers is told.
        images
            How many images the recording has.

        Raises
        ------
        HierSegError
            It has no label images, or two files mean the same image.

        """
        self._path = path
        self.shown = self.name = str(path)
        self.repeated: list[int] = []
        self.faults: list[str] = []
        self._files = self._listed()
        numbers = [name.value for name in self._files if name.is_number]
        # A folder that has a number for the last image and one more counts from 1.
        self._first = 1 if numbers and min(numbers) > 0 and max(numbers) == images else 0
        if self._first:
            self.faults.append(
                f'{path}: its numbers reach {images}, the number of images, so they are taken to '
                f'count from 1'
            )
        self._decimals = {name.decimals for name in self._files} - {None}
        whole = [n.value for n in self._files if n.decimals is None and not n.is_number]
        self._unit = _unit(whole, first_stamp) if whole else 0

    @property
    def count(self) -> int:
        """How many label images there are."""
        return len(self._files)

    def key(self, stamp: int, number: int) -> FileName | None:
        """Return the name of an image's file; None where there is none.

        Parameters
        ----------
        stamp
            The image's, in nanoseconds.
        number
            Its place in the recording.

        """
        # Decimals that a name lacks may have been rounded or cut off.
        candidates = [FileName(number + self._first, None)]
        for divisor, decimals in self._divisors():
            rounded = (stamp + divisor // 2) // divisor
            candidates += [FileName(stamp // divisor, decimals), FileName(rounded, decimals)]
        return next((name for name in candidates if name in self._files), None)

    def no_keys(self) -> set[FileName]:
        """Return a set without any key."""
        return set()

    def pixels(self, key: FileName) -> LabelPixels:
        """Return a file's labels.

        Raises
        ------
        HierSegError
            It cannot be read, or is no label image.

        """
        return label_file(self._files[key])

    def label(self, key: FileName) -> str:
        """Return what errors call a file."""
        return str(self._files[key])

    def unmatched(self, matched: Collection[FileName], stamps: Collection[int]) -> str:
        """Return in words why files belong to no image.

        Parameters
        ----------
        matched
            The names that did belong to one.
        stamps
            Those of all images.

        """
        files = [path for name, path in self._files.items() if name not in matched]
        if any(name.is_number for name in self._files):
            reason = (
                f'numbers are places in the recording, {self._first} to '
                f'{len(stamps) - 1 + self._first}'
            )
        else:
            reason = 'the stamps in their names are those of no image'
        return f'the first is {files[0].name}; {reason}'

    def _divisors(self) -> list[tuple[int, int | None]]:
        known: list[tuple[int, int | None]] = [
            (10 ** (9 - decimals), decimals) for decimals in self._decimals if decimals is not None
        ]
        return [*known, (10**self._unit, None)]

    def _listed(self) -> dict[FileName, Path]:
        try:
            entries = sorted(self._path.iterdir())
        except OSError as error:
            raise HierSegError(
                f'{self._path}: cannot be read ({error.strerror}); give a folder of label images'
            ) from error
        files = [
            entry
            for entry in entries
            if entry.suffix.lower() in SUFFIXES and not entry.name.startswith('.')
        ]
        if not files:
            raise HierSegError(
                f'{self._path}: has no PNG; give the folder that holds the label images itself'
            )
        named: dict[FileName, Path] = {}
        nameless = []
        for file in files:
            name = parse_name(file.stem)
            if name is None:
                nameless.append(file.name)
            elif name in named:
                raise HierSegError(
                    f'{self._path}: {named[name].name} and {file.name} mean the same image; put '
                    f'label images of one kind into a folder of their own'
                )
            else:
                named[name] = file
        if not named:
            raise HierSegError(
                f'{self._path}: no file says by its name which image it belongs to '
                f'({nameless[0]}); name them by the stamp or the number of the image, such as '
                f'000012.png'
            )
        if nameless:
            self.faults.append(
                f'{self._path}: {len(nameless)} files have neither a stamp nor a number in their '
                f'name and are left out; the first is {nameless[0]}'
            )
        return named


def _unit(values: list[int], stamp: int) -> int:
    """Return the power of ten of nanoseconds that whole numbers count: 0, 3 or 6."""
    middle = sorted(values)[len(values) // 2]
    ratio = math.log10(max(stamp, 1) / middle)
    return min((0, 3, 6), key=lambda power: abs(ratio - power))
