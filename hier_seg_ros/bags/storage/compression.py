# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed files, chunks and messages, unpacked without believing the sizes that they name."""

from __future__ import annotations

from pathlib import Path

import lz4.frame
import zstandard

from hier_seg_ros.bags.storage.damage import Damage, reason

ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
# A message or a chunk: more than any sensor sends.
MOST_BYTES = 2**30
# What data may claim to unpack to, to be unpacked in one piece, which takes half the time.
MOST_AT_ONCE = 2**26
WRONG_SIZE = 'compressed data has another size than it says'


def unpack(data: bytes | bytearray, compression: str, size: int | None = None) -> bytes | bytearray:
    """Return what compressed data holds.

    Memory grows with what the data really unpacks to, not with what it claims.

    Parameters
    ----------
    data
        The compressed bytes.
    compression
        'zstd', 'lz4', or '' for none.
    size
        Bytes that it must unpack to; None where nobody knows.

    Raises
    ------
    ValueError
        It is of another size, or of another compression.
    zstandard.ZstdError, RuntimeError
        It is damaged.

    """
    most = MOST_BYTES if size is None else min(size, MOST_BYTES)
    content: bytes | bytearray
    if compression == '':
        content = bytes(data)
    elif compression == 'lz4':
        content = lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=most + 1)
    elif compression == 'zstd':
        content = _unpack_zstd(data, most)
    else:
        raise ValueError(f'compression {compression!r} is unknown')
    if len(content) > most or (size is not None and len(content) != size):
        raise ValueError(WRONG_SIZE)
    return content


def _unpack_zstd(data: bytes | bytearray, most: int) -> bytes | bytearray:
    # -1: the frame does not say.
    claimed = zstandard.frame_content_size(data)
    if 0 < claimed <= min(most, MOST_AT_ONCE):
        return zstandard.ZstdDecompressor().decompress(data)
    content = bytearray()
    if claimed <= most:
        for block in zstandard.ZstdDecompressor().read_to_iter(data):
            content += block
            if len(content) > most:
                break
    if claimed not in (-1, len(content)):
        raise ValueError(WRONG_SIZE)
    return content


def unpack_file(source: Path, target: Path, damage: Damage) -> None:
    """Unpack a file that was compressed with zstd, as far as it goes.

    Raises
    ------
    OSError
        The system does not let it be read, or the unpacked one be written.

    """
    with source.open('rb') as packed, target.open('wb') as unpacked:
        reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
        while True:
            try:
                block = reader.read(2**20)
            except (zstandard.ZstdError, MemoryError) as error:
                damage.add(source.name, 'zstd', 0, reason(error))
                return
            if not block:
                return
            unpacked.write(block)
