# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video in messages that are meant for single images: which codec it is."""

from __future__ import annotations

# By what a message's format may say, in small letters.
CODECS = {
    'h264': 'H.264',
    'avc': 'H.264',
    'h265': 'H.265',
    'hevc': 'H.265',
    'av1': 'AV1',
    'vp8': 'VP8',
    'vp9': 'VP9',
    'mpeg4': 'MPEG-4',
    'theora': 'Theora',
}
# What begins a unit of H.264 and of H.265.
START_CODES = (b'\0\0\1', b'\0\0\0\1')
# First byte after it, of H.265 alone: parameter sets, delimiter, supplementary information, and
# slices of a key frame and of others (ITU-T H.265, table 7-1; the type is in bits 1 to 6).
H265_UNITS = {kind << 1 for kind in (32, 33, 34, 35, 39, 19, 1)}


def video_codec(format_name: str, data: bytes) -> str | None:
    """Return the video codec of a message that is no image; None where it is no video either.

    Parameters
    ----------
    format_name
        The message's format, such as 'h264' or 'libx264; h264_nvenc', in any spelling.
    data
        The message's data.

    """
    letters = ''.join(filter(str.isalnum, format_name.lower()))
    for name, codec in CODECS.items():
        if name in letters:
            return codec
    for start in START_CODES:
        if data.startswith(start) and len(data) > len(start):
            return 'H.265' if data[len(start)] in H265_UNITS else 'H.264'
    return None
