# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Words as pixels, in the font that comes with Pillow."""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

# Pillow 9.0 has no Resampling; its type stubs leave this out.
_BICUBIC: int = Image.BICUBIC  # type: ignore[attr-defined]
# Height in pixels of the bitmap font that is all that Pillow before 10.1 has.
_BITMAP_HEIGHT = 11


class Lettering:
    """Writes lines of one height."""

    def __init__(self, height: int) -> None:
        """Load the font for lines of `height` pixels, with room for what reaches below them."""
        self._height = height
        try:
            # What reaches above and below the letters takes a quarter of a font's size more.
            self._font = ImageFont.load_default(size=height / 1.25)
            self._has_sizes = True
        except TypeError:
            self._font = ImageFont.load_default()
            self._has_sizes = False

    def mask(self, text: str) -> NDArray[np.uint8]:
        """Return a line of text.

        Parameters
        ----------
        text
            The font has the letters of ASCII; accents are left out, and other letters are written
            as question marks.

        Returns
        -------
        NDArray[np.uint8]
            (height, W): 255 where the letters are, 0 where they are not, between along their
            edges.

        """
        text = unicodedata.normalize('NFKD', text)
        text = ''.join(letter for letter in text if not unicodedata.combining(letter))
        text = text.encode('ascii', 'replace').decode()
        # The one way of asking that both kinds of font have had in all versions.
        width = max(1, int(self._font.getmask(text).size[0]))
        if self._has_sizes:
            picture = Image.new('L', (width, self._height))
            place = (0, self._height / 2)
            ImageDraw.Draw(picture).text(place, text, fill=255, font=self._font, anchor='lm')
        else:
            picture = Image.new('L', (width, _BITMAP_HEIGHT))
            ImageDraw.Draw(picture).text((0, 0), text, fill=255, font=self._font)
            width = max(1, width * self._height // _BITMAP_HEIGHT)
            picture = picture.resize((width, self._height), _BICUBIC)
        return np.asarray(picture)
