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


# What no video begins with: JPEG, PNG and TIFF, whatever a message's format says.
_IMAGE_STARTS = (b'\xff\xd8', b'\x89PNG', b'II*\0', b'MM\0*')
# Types of units that a decoder can begin with. H.264 (ITU-T H.264, table 7-1): the slice of a key
# frame, and the sequence parameters that encoders send before one. H.265: the same.
_H264_KEYS = {5, 7}
_H265_KEYS = {*range(16, 22), 33}
_LONGEST_HEAD = 2**16  # bytes of a packet in which its first units are looked for


def stream_codec(format_name: str, data: bytes) -> str | None:
    """Return the codec of a message of a video stream; None where it may be an image by itself.

    The parameters are those of `video_codec`.
    """
    return None if data.startswith(_IMAGE_STARTS) else video_codec(format_name, data)


def is_key_frame(codec: str, data: bytes) -> bool:
    """Return whether a decoder can begin with a packet.

    Parameters
    ----------
    codec
        As `video_codec` names it. Of other codecs than H.264 and H.265 the decoder itself knows, so
        that any packet will do.
    data
        The packet.

    """
    if codec not in ('H.264', 'H.265'):
        return True
    position = data.find(START_CODES[0], 0, _LONGEST_HEAD)
    while 0 <= position < len(data) - 3:
        first = data[position + 3]
        if codec == 'H.264' and first & 31 in _H264_KEYS:
            return True
        if codec == 'H.265' and first >> 1 & 63 in _H265_KEYS:
            return True
        position = data.find(START_CODES[0], position + 3, _LONGEST_HEAD)
    return False
