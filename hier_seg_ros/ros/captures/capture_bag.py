# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames with what was made of them, written to a bag: to be looked at and labelled later."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.frames.frame import SegmentedFrame
from hier_seg_ros.images.compression import JPEG_QUALITY, MAX_JPEG_SIZE
from hier_seg_ros.images.messages import rgb_of
from hier_seg_ros.ros.topics.messages import compressed_image_message, image_message
from hier_seg_ros.segmenter.outputs import outputs_by_name

if TYPE_CHECKING:
    from hier_seg_ros.bags.writer import BagWriter

Message: TypeAlias = Image | CompressedImage | CameraInfo | String


def write_capture(
    directory: str | Path,
    frames: Sequence[SegmentedFrame],
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

    Parameters
    ----------
    directory
        The folder of all captures; made where it is missing; a leading ~ is the home of the user.
    frames
        At least one.
    node_name
        The node's full name, for example /robot/segmenter.
    now
        For the bag's name; the present where it is None.
    abandoned
        Asked before each message; True ends the writing.

    Returns
    -------
    Path
        The bag's folder, `directory`/NODE_YYYY_MM_DD-HH_MM_SS_mmm.

    Raises
    ------
    HierSegError
        There are no frames, or the bag cannot be written.

    """
    if not frames:
        raise HierSegError(
            'capture: no frame is kept; see that images arrive and that capture_frames is above 0'
        )
    folder = _new_folder(directory, node_name, now or datetime.now())
    try:
        with _bag_writer(folder) as recording:
            tree_topic = f'{node_name}/hierarchy'
            topics: set[str] = set()
            for topic, stamp, message in _messages(frames, node_name):
                if abandoned():
                    raise HierSegError(f'{folder}: was abandoned; capture again')
                if topic not in topics:
                    topics.add(topic)
                    recording.add_topic(topic, _type_name(message), latched=topic == tree_topic)
                recording.write_serialized(topic, serialize_message(message), stamp)
    except MemoryError as error:
        raise HierSegError(f'{folder}: out of memory; set capture_frames lower') from error
    return folder


def _bag_writer(folder: Path) -> BagWriter:
    # Late: rosdep knows no mcap, and a node that cannot write captures can do all the rest.
    try:
        from hier_seg_ros.bags.writer import BagWriter
    except ImportError as error:
        package = (error.name or 'mcap').partition('.')[0]
        raise HierSegError(
            f'capture: the Python package {package!r} is not installed; pip install {package}'
        ) from error
    return BagWriter(folder)


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
    frames: Sequence[SegmentedFrame], node_name: str
) -> Iterator[tuple[str, int, Message]]:
    """Yield topic, time in nanoseconds and message of all that a bag holds, in its order."""
    tree = ''
    for frame in sorted(frames, key=_time):
        stamp, source = _time(frame), frame.frame.source
        if frame.result is not None:
            # A model with another tree may have taken over in between.
            text = json.dumps(frame.result.hierarchy.as_dict())
            if text != tree:
                tree = text
                yield f'{node_name}/hierarchy', stamp, String(data=text)
        if frame.camera_info is not None:
            yield source.camera_info_topic, stamp, frame.camera_info
        yield source.image_topic, stamp, frame.frame.message
        yield f'{node_name}/capture/settings', stamp, String(data=json.dumps(_description(frame)))
        outputs = f'{node_name}/{source.camera}'.rstrip('/')
        for topic, message in _predictions(frame):
            yield f'{outputs}/{topic}', stamp, message


def _time(frame: SegmentedFrame) -> int:
    """Return the time to record a frame under; a bag cannot hold one before 1970."""
    return max(0, frame.frame.stamp)


def _description(frame: SegmentedFrame) -> dict[str, Any]:
    source, result = frame.frame.source, frame.result
    return {
        'camera': source.camera,
        'image_topic': source.image_topic,
        'stamp': frame.frame.stamp,
        'level': 0 if result is None else result.max_level,
        'finite': None if result is None else result.finite,
        'flags': [asdict(flag) for flag in frame.flags],
        'settings': asdict(frame.settings),
    }


def _predictions(frame: SegmentedFrame) -> Iterator[tuple[str, Image | CompressedImage]]:
    """Yield the topic below the camera's, and the message, of each output."""
    result = frame.result
    if result is None:
        return
    header = frame.frame.message.header
    rgb = rgb_of(frame.frame.message)
    alpha = frame.settings.overlay_alpha
    outputs = outputs_by_name(result.hierarchy)
    for output in outputs.values():
        if output.encoding == 'mono8' and output.can_be_made_of(result):
            pixels = output.render(rgb, result, alpha)
            yield output.topic, image_message(pixels, output.encoding, header)
    if max(rgb.shape) > MAX_JPEG_SIZE:
        return
    # It can be drawn anew from the labels, so that losses do not matter: raw, it would be half of
    # the bag.
    overlay = outputs['overlay']
    pixels = overlay.render(rgb, result, alpha)
    yield (
        overlay.compressed_topic,
        compressed_image_message(pixels, overlay.encoding, header, JPEG_QUALITY),
    )


def _type_name(message: Message) -> str:
    package = type(message).__module__.partition('.')[0]
    return f'{package}/msg/{type(message).__name__}'
