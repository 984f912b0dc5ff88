# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frames of video files; needs OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.numpy_faults import numpy_faults_named
from hier_seg_ros.images.image_files import MOST_PIXELS, check_regular_file


def video_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a video, (H, W, 3) uint8 RGB, turned upright.

    Raises
    ------
    HierSegError
        OpenCV is missing or cannot read the file, or frames are missing at its end; that comes
        after those that are there.

    """
    check_regular_file(path)
    cv2 = _opencv(path)
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise HierSegError(f'{path}: is no video that OpenCV can read; convert it to MP4')
        width, height, promised = (
            int(max(capture.get(what), 0))
            for what in (
                cv2.CAP_PROP_FRAME_WIDTH,
                cv2.CAP_PROP_FRAME_HEIGHT,
                cv2.CAP_PROP_FRAME_COUNT,
            )
        )
        if width * height > MOST_PIXELS:
            raise HierSegError(
                f'{path}: its frames have {width} x {height} pixels, and the limit is '
                f'{MOST_PIXELS}; scale it down'
            )
        count = 0
        with tqdm(total=promised or None, unit='frame', leave=False, disable=None) as progress:
            while (read := capture.read())[0]:
                yield np.ascontiguousarray(read[1][..., ::-1])
                count += 1
                progress.update()
    finally:
        capture.release()
    if count == 0:
        raise HierSegError(f'{path}: has no frame that OpenCV can read; convert it to MP4')
    # Some containers do not store the number, so that it is reckoned from the duration.
    if promised - count > max(1, promised // 50):
        raise HierSegError(
            f'{path}: {count} of {promised} frames can be read, and are segmented; it is cut off '
            'or damaged after them: copy it again'
        )


def _opencv(video: Path) -> ModuleType:
    # Otherwise OpenCV and FFmpeg print what is wrong with a file in lines of their own.
    os.environ.setdefault('OPENCV_LOG_LEVEL', 'SILENT')
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    try:
        with numpy_faults_named():
            import cv2
    except ImportError as error:
        raise HierSegError(
            f'{video}: videos need OpenCV; install it with: pip install opencv-python-headless'
        ) from error
    module: ModuleType = cv2
    return module
