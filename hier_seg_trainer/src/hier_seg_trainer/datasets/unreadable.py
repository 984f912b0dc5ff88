# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that cannot be read: few among many are left out, and said; more are an error."""

from __future__ import annotations

import sys

from tqdm import tqdm

from hier_seg_ros.errors import HierSegError

# Of this many images, one may be unreadable. A disk that is gone, or a data set that was copied in
# part, shall not pass for a few damaged files.
IMAGES_FOR_EACH = 100


class UnreadableImageError(HierSegError):
    """An image or label file of a data set is missing, damaged or no image."""


class UnreadableImages:
    """The files of one data set that could not be read, as far as this process has met them."""

    def __init__(self, title: str, images: int) -> None:
        """Begin with none.

        Parameters
        ----------
        title
            What the data set is called.
        images
            How many it has.

        """
        self._title = title
        self._most = images // IMAGES_FOR_EACH
        self._lines: set[str] = set()

    def leave_out(self, error: UnreadableImageError) -> None:
        """Enter a file that is left out, and say so once.

        Raises
        ------
        HierSegError
            Too many of the data set's files cannot be read; with a single one, what is wrong
            with it.

        """
        line = str(error)
        if line in self._lines:
            return
        self._lines.add(line)
        if len(self._lines) <= self._most:
            tqdm.write(f'{self._title}: left out: {line}', file=sys.stderr)
        elif len(self._lines) == 1:
            raise error
        else:
            raise HierSegError(
                f'{self._title}: {len(self._lines)} files cannot be read, more than one in '
                f'{IMAGES_FOR_EACH}; the last: {line}'
            ) from error
