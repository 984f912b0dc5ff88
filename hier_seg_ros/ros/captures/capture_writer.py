# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last frames, with what was made of them, into a bag: to be looked at and labelled later."""

import io
import json
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import PIL.Image
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header, String

from hier_seg_ros.bags.bag_file import BagRecording
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros.topics.messages import image_message, rgb_of, stamp_nanoseconds
from hier_seg_ros.segmenter import SegmentationResult
from hier_seg_ros.segmenter.drawing import overlay
from hier_seg_ros.segmenter.guards import Flag
from hier_seg_ros.segmenter.outputs import image_outputs

Message: TypeAlias = Image | CompressedImage | CameraInfo | String


# JPEG_MAX_DIMENSION of libjpeg, in pixels.
MAX_JPEG_SIZE = 65500


@dataclass(frozen=True)
class CapturedFrame:
    """A frame, and what was made of it.

    Attributes:
        camera: the camera's name; '' for the only camera, whose topics bear no name.
        image_topic: the full name, after remapping, of the topic that `message` came on.
        message: the image as it came.
        camera_info_topic: the full name of the CameraInfo's topic.
        camera_info: the CameraInfo that belongs to the image; None where none has come.
        result: the segmenter's; None where nobody wanted any output of the frame.
        level: the deepest level that the segmenter was asked for (`max_level`).
        confidence: whether it was asked for the confidence.
        overlay_alpha: share of the colours in the overlay, 0 to 1.
        flags: what the guards say about the result.
        settings: model, device and parameters at that moment, as JSON can hold them.

    """

    camera: str
    image_topic: str
    message: Image | CompressedImage
    camera_info_topic: str
    camera_info: CameraInfo | None
    result: SegmentationResult | None
    level: int
    confidence: bool
    overlay_alpha: float
    flags: tuple[Flag, ...]
    settings: Mapping[str, Any]


class FrameHistory:
    """The last frames of each camera; it may be used from several threads.

    It holds on to messages and results and copies nothing. A frame keeps its message and two bytes
    a pixel: 4.6 MB for one of 1280 x 720 pixels in rgb8, so ten frames of a camera 46 MB.
    """

    def __init__(self, frames_per_camera: int) -> None:
        """Keep so many frames of each camera; 0 keeps none."""
        self._lock = threading.Lock()
        self._frames_per_camera = frames_per_camera
        self._frames: dict[str, deque[CapturedFrame]] = {}

    def add(self, frame: CapturedFrame) -> None:
        """Add a frame; the oldest one of its camera goes where there are too many."""
        with self._lock:
            if frame.camera not in self._frames:
                self._frames[frame.camera] = deque(maxlen=self._frames_per_camera)
            self._frames[frame.camera].append(frame)

    def frames(self) -> list[CapturedFrame]:
        """Return the frames of all cameras, the oldest first."""
        with self._lock:
            frames = [frame for camera in self._frames.values() for frame in camera]
        return sorted(frames, key=_time)

    def resize(self, frames_per_camera: int) -> None:
        """Change how many frames of each camera are kept; the newest stay."""
        with self._lock:
            self._frames_per_camera = frames_per_camera
            self._frames = {
                camera: deque(frames, maxlen=frames_per_camera)
                for camera, frames in self._frames.items()
            }

    def clear(self) -> None:
        """Let go of all frames."""
        with self._lock:
            self._frames.clear()


def write_capture(
    directory: str | Path,
    frames: Sequence[CapturedFrame],
    node_name: str,
    *,
    now: datetime | None = None,
    abandoned: Callable[[], bool] = lambda: False,
) -> Path:
    """Write frames to a new bag (MCAP, compressed), which appears whole or not at all.

    Each frame's messages are recorded under the stamp of its image: the image and its CameraInfo
    as they came; on the node's output topics the labels that were computed, and the overlay as
    JPEG (`~/overlay/compressed`; none where the image is too long for JPEG); settings and flags as
    JSON on `~/capture/settings` (std_msgs/String). The tree is there as the node publishes it,
    latched on `~/hierarchy`.

    Args:
        directory: the folder of all captures; made where it is missing; a leading ~ is the home
            of the user.
        frames: at least one.
        node_name: the node's full name, for example /robot/segmenter.
        now: for the bag's name; the present where it is None.
        abandoned: asked before each message; True ends the writing.

    Returns:
        The bag's folder, `directory`/NODE_YYYY_MM_DD-HH_MM_SS_mmm.

    Raises:
        HierSegError: there are no frames, or the bag cannot be written.

    """
    if not frames:
        raise HierSegError(
            'capture: no frame is kept; see that images arrive and that capture_frames is above 0'
        )
    folder = _new_folder(directory, node_name, now or datetime.now())
    try:
        with BagRecording(folder, compressed=True) as recording:
            tree_topic = f'{node_name}/hierarchy'
            topics: set[str] = set()
            for topic, stamp, message in _messages(frames, node_name):
                if abandoned():
                    raise HierSegError(f'{folder}: was abandoned; capture again')
                if topic not in topics:
                    topics.add(topic)
                    recording.add_topic(topic, _type_name(message), latched=topic == tree_topic)
                recording.write(topic, stamp, serialize_message(message))
    except MemoryError as error:
        raise HierSegError(f'{folder}: out of memory; set capture_frames lower') from error
    return folder


def _new_folder(directory: str | Path, node_name: str, now: datetime) -> Path:
    """Return the path of a folder that is not there yet."""
    # Milliseconds: a flagged frame and a service call may come in the same second.
    milliseconds = now.microsecond // 1000
    name = '_'.join(node_name.strip('/').split('/'))
    name = f'{name}_{now:%Y_%m_%d-%H_%M_%S}_{milliseconds:03}'
    try:
        captures = Path(directory).expanduser()
        if captures.exists() and not captures.is_dir():
            raise HierSegError(f'{captures}: is no folder; set capture_directory to one')
        folder = captures / name
        number = 1
        while folder.exists():
            number += 1
            folder = captures / f'{name}_{number}'
    # A user whom nobody knows, or a folder that may not be looked into.
    except (RuntimeError, OSError) as error:
        raise HierSegError(
            f'{directory}: cannot be used ({error}); set capture_directory to another folder'
        ) from error
    return folder


def _messages(
    frames: Sequence[CapturedFrame], node_name: str
) -> Iterator[tuple[str, int, Message]]:
    """Yield topic, time in nanoseconds and message of all that a bag holds, in its order."""
    tree = ''
    for frame in sorted(frames, key=_time):
        stamp = _time(frame)
        if frame.result is not None:
            # A model with another tree may have taken over in between.
            text = json.dumps(frame.result.hierarchy.as_dict())
            if text != tree:
                tree = text
                yield f'{node_name}/hierarchy', stamp, String(data=text)
        if frame.camera_info is not None:
            yield frame.camera_info_topic, stamp, frame.camera_info
        yield frame.image_topic, stamp, frame.message
        yield f'{node_name}/capture/settings', stamp, String(data=json.dumps(_description(frame)))
        if frame.result is not None:
            outputs = f'{node_name}/{frame.camera}'.rstrip('/')
            for topic, message in _predictions(frame, frame.result):
                yield f'{outputs}/{topic}', stamp, message


def _time(frame: CapturedFrame) -> int:
    """Return the time to record a frame under; a bag cannot hold one before 1970."""
    return max(0, stamp_nanoseconds(frame.message.header))


def _description(frame: CapturedFrame) -> dict[str, Any]:
    return {
        'camera': frame.camera,
        'image_topic': frame.image_topic,
        'stamp': stamp_nanoseconds(frame.message.header),
        'level': frame.level,
        'finite': None if frame.result is None else frame.result.finite,
        'flags': [{'reason': flag.reason, 'text': flag.text} for flag in frame.flags],
        'settings': dict(frame.settings),
    }


def _predictions(
    frame: CapturedFrame, result: SegmentationResult
) -> Iterator[tuple[str, Image | CompressedImage]]:
    """Yield the topic below the camera's, and the message, of each output."""
    header = frame.message.header
    rgb = rgb_of(frame.message)
    for output in image_outputs(result.hierarchy, ()):
        computed = output.level <= frame.level and (frame.confidence or not output.confidence)
        if computed and output.encoding == 'mono8':
            pixels = output.render(rgb, result, frame.overlay_alpha)
            yield output.topic, image_message(pixels, output.encoding, header)
    if max(rgb.shape) > MAX_JPEG_SIZE:
        return
    # It can be drawn anew from the labels, so that losses do not matter: raw, it would be half of
    # the bag.
    blended = overlay(rgb, result.finest, result.hierarchy, frame.overlay_alpha)
    yield 'overlay/compressed', _jpeg_message(blended, header)


def _jpeg_message(rgb: np.ndarray, header: Header) -> CompressedImage:
    buffer = io.BytesIO()
    PIL.Image.fromarray(rgb).save(buffer, 'JPEG', quality=90)
    return CompressedImage(
        header=header, format='rgb8; jpeg compressed bgr8', data=array('B', buffer.getvalue())
    )


def _type_name(message: Message) -> str:
    package = type(message).__module__.partition('.')[0]
    return f'{package}/msg/{type(message).__name__}'


class CaptureWriter:
    """Writes captures of flagged frames on a thread of its own, not too many.

    Attributes:
        written: number of captures that were written.
        failed: number of captures that could not be written.
        dropped: number of requests that were not granted.
        error: why the last capture could not be written; '' where it could.

    """

    def __init__(
        self,
        node_name: str,
        on_written: Callable[[Path], None],
        on_failed: Callable[[str], None],
        *,
        min_interval: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[..., Path] = write_capture,
    ) -> None:
        """Start the thread.

        Args:
            node_name: the node's full name.
            on_written: called, from the thread, with every bag.
            on_failed: called, from the thread, with one line where a bag could not be written.
            min_interval: seconds between two requests that are granted.
            clock: seconds on a clock that never jumps.
            write: `write_capture`, or what takes its place in a test.

        """
        self.written = 0
        self.failed = 0
        self.dropped = 0
        self.error = ''
        self._node_name = node_name
        self._on_written = on_written
        self._on_failed = on_failed
        self._min_interval = min_interval
        self._clock = clock
        self._write = write
        self._granted_at: float | None = None
        self._changed = threading.Condition()
        self._waiting: tuple[str | Path, Sequence[CapturedFrame]] | None = None
        self._closed = False
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name='capture', daemon=True)
        self._thread.start()

    def request(self, directory: str | Path, frames: Sequence[CapturedFrame]) -> bool:
        """Ask for a capture of `frames`; returns at once, whether it is granted.

        It is not where the last request that was granted is less than the interval ago, or another
        one still waits for a slow disk.
        """
        with self._changed:
            now = self._clock()
            too_soon = self._granted_at is not None and now - self._granted_at < self._min_interval
            if self._closed or too_soon or self._waiting is not None:
                self.dropped += 1
                return False
            self._granted_at = now
            self._waiting = (directory, frames)
            self._changed.notify()
            return True

    def close(self, patience: float = 2.0) -> None:
        """End the thread; calling it again does nothing.

        What waits is let go; what is being written has `patience` seconds to finish and is
        abandoned then, with nothing left behind.
        """
        with self._changed:
            self._closed = True
            self._waiting = None
            self._changed.notify()
        self._thread.join(patience)
        self._abandoned.set()
        self._thread.join()

    def _run(self) -> None:
        while self._write_next():
            pass

    def _write_next(self) -> bool:
        """Wait for a request and write it; return False where the thread is to end.

        What a request holds is let go with the return, and not when the next one comes.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting is not None)
            request, self._waiting = self._waiting, None
        if request is None:
            return False
        directory, frames = request
        try:
            path = self._write(directory, frames, self._node_name, abandoned=self._abandoned.is_set)
        except HierSegError as error:
            self.failed += 1
            self.error = str(error)
            self._on_failed(self.error)
        else:
            self.written += 1
            self.error = ''
            self._on_written(path)
        return True
