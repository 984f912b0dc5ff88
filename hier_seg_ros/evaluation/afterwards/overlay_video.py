# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A video of the overlays of an evaluation; needs PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.report.frame_records import FRAMES_FILE, frame_records
from hier_seg_ros.files.writing import make_folder, not_written, written_file
from hier_seg_ros.images.image_files import read_image

TICKS = 1000  # of a second: stamps in a video are whole numbers
# Seconds: a longer gap in a recording is not waited for, nor a change from one bag to the next.
LONGEST_GAP = 1.0
BETWEEN_BAGS = 0.1
# The codecs that are tried, with what makes a file that is small and looks well.
CODECS = {
    'libx264': {'crf': '20', 'preset': 'veryfast'},
    'mpeg4': {'qscale': '3'},
}
ADVICE = 'choose another file with --video'


def write_video(folder: Path, path: Path, total: int) -> None:
    """Write the overlays of an evaluation as an MP4 file, at the pace of the recording.

    Parameters
    ----------
    folder
        That of the evaluation, with its overlays.
    path
        The file, which appears whole or not at all.
    total
        How many frames were evaluated, for the progress bar.

    Raises
    ------
    HierSegError
        An overlay is not there, or the file cannot be written.

    """
    import av

    make_folder(path.parent, ADVICE)
    with written_file(path, ADVICE) as partial:
        try:
            with av.open(
                str(partial), 'w', format='mp4', options={'movflags': '+faststart'}
            ) as container:
                _encode(container, folder, total)
        except av.error.FFmpegError as error:
            raise not_written(path, error, ADVICE) from error


def _encode(container: Any, folder: Path, total: int) -> None:
    import av

    stream = None
    records = tqdm(
        _timed(frame_records(folder / FRAMES_FILE)),
        total=total,
        unit='image',
        desc='video',
        disable=None,
    )
    for tick, name in records:
        rgb = read_image(folder / 'overlays' / f'{name}.png')
        if stream is None:
            stream = _stream(container, rgb.shape[1], rgb.shape[0])
        frame = av.VideoFrame.from_ndarray(_fitted(rgb, stream.width, stream.height), 'rgb24')
        frame.pts, frame.time_base = tick, Fraction(1, TICKS)
        container.mux(stream.encode(frame))
    if stream is None:
        raise HierSegError(f'{folder}: has no frame for a video; evaluate the bag again')
    container.mux(stream.encode(None))


def _timed(records: Iterator[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    """Yield for each frame its time in the video and its name."""
    tick, before = 0, None
    for record in records:
        if before is not None:
            same = record['bag'] == before['bag']
            gap = record['seconds'] - before['seconds'] if same else BETWEEN_BAGS
            # Frames of a recording may come in another order than that of their stamps.
            tick += max(1, round(min(gap, LONGEST_GAP) * TICKS))
        before = record
        yield tick, record['frame']


def _stream(container: Any, width: int, height: int) -> Any:
    import av

    codec = next(name for name in CODECS if name in av.codecs_available)
    stream = container.add_stream(codec, rate=TICKS, options=CODECS[codec])
    # Colours have half the resolution, so that both edges must be even.
    stream.width, stream.height = width + width % 2, height + height % 2
    stream.pix_fmt = 'yuv420p'
    stream.codec_context.time_base = Fraction(1, TICKS)
    return stream


def _fitted(rgb: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return an image of a size; one that is a pixel too small gets another row or column."""
    rows, columns = height - rgb.shape[0], width - rgb.shape[1]
    if rows in (0, 1) and columns in (0, 1):
        return np.pad(rgb, ((0, rows), (0, columns), (0, 0)), 'edge')
    return np.asarray(Image.fromarray(rgb).resize((width, height)))
