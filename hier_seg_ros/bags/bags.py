# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads images from ROS 2 bags and writes MCAP bags, with no ROS installed."""

from __future__ import annotations

import io
import shutil
import sqlite3
import struct
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rosbags.interfaces import Connection
from rosbags.rosbag2 import (
    CompressionFormat,
    CompressionMode,
    Reader,
    ReaderError,
    StoragePlugin,
    Writer,
)
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.encodings import ENCODINGS, InvalidFrameError
from hier_seg_ros.images.messages import (
    RawMessage,
    rgb_from_compressed_image,
    rgb_from_raw_image,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
GROUND_TRUTH = '/ground_truth/'

# The messages used here are the same in every ROS 2 release since Foxy, so one store reads all.
TYPES = get_typestore(Stores.ROS2_JAZZY)

# What the reader of a damaged file raises, besides its own error: a bit flipped in a length, an
# offset, an opcode or compressed data shows up as any of these.
_DAMAGE = (
    ReaderError,
    SerdeError,
    OSError,
    EOFError,
    MemoryError,
    OverflowError,
    AssertionError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    apsw.Error,
    sqlite3.Error,
    struct.error,
    zstd.ZstdError,
)


@dataclass(frozen=True)
class StampedImage:
    """One image of a bag.

    ``stamp`` is the header's time in nanoseconds; ``pixels`` is H×W×3 uint8 (rgb) or H×W uint8
    (raw mono8 and 8UC1: label images).
    """

    topic: str
    stamp: int
    frame_id: str
    pixels: NDArray[np.uint8]


class Bag:
    """A recorded bag: a rosbag2 folder, or a single .mcap or .db3 file.

    To be used as a context manager. Every failure to open or read it is a HierSegError that names
    the bag.
    """

    def __init__(self, path: str | Path) -> None:
        """Name the bag; nothing is read before it is entered."""
        self.path = Path(path)
        self._reader: Reader | None = None

    def __enter__(self) -> Bag:
        """Open the bag and read its index; HierSegError if it is missing or damaged."""
        if not self.path.exists():
            raise HierSegError(
                f'{self.path}: there is no such bag; give a rosbag2 folder or an .mcap file'
            )
        if self.path.is_dir() and not (self.path / 'metadata.yaml').exists():
            raise HierSegError(
                f'{self.path}: is no bag, or was cut off: it has no metadata.yaml; '
                'give the .mcap file itself, or run: ros2 bag reindex'
            )
        if self.path.is_file() and self.path.suffix not in ('.mcap', '.db3'):
            raise HierSegError(
                f'{self.path}: is no bag; give a rosbag2 folder, an .mcap or a .db3 file'
            )
        try:
            self._reader = Reader(self.path)
            self._reader.open()
        except _DAMAGE as error:
            raise self._damaged(error) from error
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the bag."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    @property
    def topics(self) -> dict[str, str]:
        """Message type by topic, for all topics that have messages."""
        return {
            connection.topic: connection.msgtype
            for connection in self._open_reader().connections
            if connection.msgcount
        }

    @property
    def image_topics(self) -> tuple[str, ...]:
        """The topics of Image and CompressedImage messages, sorted."""
        return tuple(
            sorted(
                topic
                for topic, message_type in self.topics.items()
                if message_type in (IMAGE, COMPRESSED_IMAGE)
            )
        )

    def choose_image_topic(self, *, leave_out: Collection[str] = ()) -> str:
        """Return the only topic of colour images; HierSegError if there is none, or several.

        Topics below ``/ground_truth/`` and those that start with a text in `leave_out` do not
        count.
        """
        prefixes = (GROUND_TRUTH, *leave_out)
        candidates = [topic for topic in self.image_topics if not topic.startswith(prefixes)]
        colored = [topic for topic in candidates if self._is_color(topic)]
        if len(colored) == 1:
            return colored[0]
        if colored:
            raise HierSegError(
                f'{self.path}: has several topics of colour images ({", ".join(colored)}); '
                'choose one with --image-topic'
            )
        if candidates:
            raise HierSegError(
                f'{self.path}: has no topic of 8-bit colour images, only {", ".join(candidates)}; '
                'choose one of them with --image-topic if it is the camera'
            )
        found = ', '.join(sorted(self.topics)) or 'no messages at all'
        raise HierSegError(
            f'{self.path}: has no image topic (it has {found}); '
            'record one with: ros2 bag record -s mcap /camera/image_raw'
        )

    def messages(self, topic: str) -> Iterator[Any]:
        """Yield the messages of `topic` in the order of the recording.

        HierSegError if the bag has no such topic or is damaged.
        """
        for message_type, data in self._raw(topic):
            yield self._deserialize(data, message_type)

    def message_count(self, topic: str) -> int:
        """Return how many messages `topic` has."""
        return sum(connection.msgcount for connection in self._connections(topic))

    def images(
        self, topic: str, rejected: list[str] | None = None, *, distinct: bool = False
    ) -> Iterator[StampedImage]:
        """Yield the images of `topic` in the order of the recording.

        An image that makes no sense (size, step, length of the data, encoding, a corrupt JPEG)
        raises HierSegError, or, if `rejected` is given, is left out with a line added to it.
        With `distinct`, so is an image whose stamp has been seen before.
        """
        seen: set[int] = set()
        for message_type, data in self._raw(topic):
            try:
                image = self._image(topic, message_type, data)
                if distinct and image.stamp in seen:
                    raise HierSegError(
                        f'{self.path}: {topic}: a second image with stamp {image.stamp}; '
                        'stamps must differ to match images with predictions'
                    )
            except HierSegError as error:
                if rejected is None:
                    raise
                rejected.append(str(error))
                continue
            seen.add(image.stamp)
            yield image

    def stamps(self, topic: str) -> dict[int, int]:
        """Return recording time by header stamp, both in nanoseconds, for `image_at`.

        If a stamp occurs twice, the later recording counts.
        """
        return {
            self._header_stamp(data): time
            for time, _, data in self._timed(self._connections(topic))
        }

    def image_at(self, topic: str, stamp: int, recorded: int) -> StampedImage:
        """Return the image of `topic` that has `stamp` and was recorded at that time.

        Both are in nanoseconds and from `stamps`. Raises HierSegError if the image makes no
        sense.
        """
        connections = self._connections(topic)
        for _, message_type, data in self._timed(connections, recorded, recorded + 1):
            if self._header_stamp(data) == stamp:
                return self._image(topic, message_type, data)
        raise HierSegError(f'{self.path}: {topic}: has no image with stamp {stamp}')

    def _open_reader(self) -> Reader:
        if self._reader is None:
            raise RuntimeError('the bag is not open')
        return self._reader

    def _connections(self, topic: str) -> list[Connection]:
        reader = self._open_reader()
        connections = [
            connection
            for connection in reader.connections
            if connection.topic == topic and connection.msgcount
        ]
        if not connections:
            known = ', '.join(sorted(self.topics)) or 'no messages at all'
            raise HierSegError(f'{self.path}: has no topic {topic}; it has {known}')
        return connections

    def _raw(self, topic: str) -> Iterator[tuple[str, bytes]]:
        for _, message_type, data in self._timed(self._connections(topic)):
            yield message_type, data

    def _timed(
        self, connections: list[Connection], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[int, str, bytes]]:
        messages = self._open_reader().messages(connections, start, stop)
        count = 0
        while True:
            # Only the reader's own step is guarded: what the caller does must not look like damage.
            try:
                connection, time, data = next(messages)
            except StopIteration:
                break
            except _DAMAGE as error:
                raise self._damaged(error) from error
            count += 1
            yield time, connection.msgtype, data
        promised = sum(connection.msgcount for connection in connections)
        if start is None and count < promised:
            topic = connections[0].topic
            raise self._damaged(EOFError(f'{topic} has {count} of {promised} messages'))

    def _deserialize(self, data: bytes, message_type: str) -> Any:
        try:
            return TYPES.deserialize_cdr(data, message_type)
        except _DAMAGE as error:
            raise self._damaged(error) from error

    def _header_stamp(self, data: bytes) -> int:
        """Return the stamp in nanoseconds of a serialized message that begins with a Header.

        Reading it from its fixed place spares deserializing whole images to find one.
        """
        if len(data) < 12:
            raise self._damaged(ValueError('a message is too short for its header'))
        little_endian = bool(data[1])
        seconds, nanoseconds = struct.unpack_from('<iI' if little_endian else '>iI', data, 4)
        return int(seconds) * 10**9 + int(nanoseconds)

    def _image(self, topic: str, message_type: str, data: bytes) -> StampedImage:
        if message_type not in (IMAGE, COMPRESSED_IMAGE):
            raise HierSegError(f'{self.path}: {topic}: is of type {message_type}, no image')
        message = self._deserialize(data, message_type)
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        try:
            if message_type == IMAGE:
                pixels = image_pixels(message)
            else:
                pixels = rgb_from_compressed_image(message)
        except InvalidFrameError as error:
            raise HierSegError(
                f'{self.path}: {topic}: image with stamp {stamp}: {error}'
            ) from error
        return StampedImage(topic, stamp, message.header.frame_id, pixels)

    def _is_color(self, topic: str) -> bool:
        message_type = self.topics[topic]
        data = next(self._raw(topic))[1]
        message = self._deserialize(data, message_type)
        if message_type == IMAGE:
            encoding = ENCODINGS.get(message.encoding)
            return encoding is not None and not encoding.gray
        # image_transport writes "<encoding>; jpeg compressed bgr8", other drivers just "jpeg";
        # depth and mono images have an encoding that says so.
        source = message.format.split(';')[0].strip().lower()
        return not source.startswith(('mono', '16uc', '32fc', '8uc1'))

    def _damaged(self, error: BaseException) -> HierSegError:
        reason = ' '.join(str(error).split()) or type(error).__name__
        return HierSegError(
            f'{self.path}: the bag is cut off or damaged ({reason}); '
            'record it again, or repair it with: mcap recover'
        )


def image_pixels(message: RawMessage) -> NDArray[np.uint8]:
    """Return the pixels of a sensor_msgs/Image: H×W uint8 of mono8 and 8UC1, else H×W×3 (rgb).

    Grey of 16 bits is no label image and becomes rgb, too. Raises InvalidFrameError for an image
    that makes no sense or is in an encoding that ENCODINGS lacks.
    """
    rgb = rgb_from_raw_image(message)
    encoding = ENCODINGS[message.encoding]
    labels = encoding.gray and encoding.sample_bytes == 1
    return np.ascontiguousarray(rgb[:, :, 0] if labels else rgb)


class BagWriter:
    """Writes a rosbag2 folder: MCAP storage, chunks compressed with zstd.

    To be used as a context manager. The folder appears at `path` only when everything has been
    written; HierSegError if something is there already or it cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        """Name the folder to write; nothing is written before it is entered."""
        self.path = Path(path)
        self._temporary: Path | None = None
        self._writer: Writer | None = None
        self._connections: dict[str, Connection] = {}

    def __enter__(self) -> BagWriter:
        """Start writing beside the final place."""
        if self.path.exists():
            raise HierSegError(f'{self.path}: exists already; remove it or choose another name')
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary = Path(
                tempfile.mkdtemp(prefix=f'.{self.path.name}-', dir=self.path.parent)
            )
            # The storage file is named after its folder, hence a folder of the final name.
            # Version 8 of the format is the older of the two on offer, for older readers.
            self._writer = Writer(
                self._temporary / self.path.name, version=8, storage_plugin=StoragePlugin.MCAP
            )
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        except OSError as error:
            self._clean_up()
            raise HierSegError(f'{self.path}: cannot be written ({error.strerror})') from error
        return self

    def write(self, topic: str, message: Any, time: int) -> None:
        """Write `message`, of one of the types in `TYPES`, as recorded at `time` nanoseconds."""
        assert self._writer is not None
        message_type = message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, message_type, typestore=TYPES
            )
        data = TYPES.serialize_cdr(message, message_type)
        try:
            self._writer.write(self._connections[topic], time, data)
        except OSError as error:
            raise HierSegError(f'{self.path}: cannot be written ({error.strerror})') from error

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the finished bag in its place, or remove what a failure has left."""
        assert self._writer is not None and self._temporary is not None
        try:
            self._writer.__exit__(exc_type, exc_value, traceback)
            if exc_type is None:
                (self._temporary / self.path.name).replace(self.path)
        except OSError as error:
            raise HierSegError(f'{self.path}: cannot be written ({error.strerror})') from error
        finally:
            self._clean_up()

    def _clean_up(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None


def header(stamp: int, frame_id: str) -> Any:
    """Return a std_msgs/Header; `stamp` in nanoseconds."""
    time = TYPES.types['builtin_interfaces/msg/Time'](sec=stamp // 10**9, nanosec=stamp % 10**9)
    return TYPES.types['std_msgs/msg/Header'](stamp=time, frame_id=frame_id)


def image_message(pixels: NDArray[np.uint8], stamp: int, frame_id: str) -> Any:
    """Return `pixels`, H×W (mono8) or H×W×3 (rgb8) uint8, as a tight sensor_msgs/Image."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else 3
    return TYPES.types[IMAGE](
        header=header(stamp, frame_id),
        height=height,
        width=width,
        encoding='mono8' if channels == 1 else 'rgb8',
        is_bigendian=0,
        step=width * channels,
        data=np.ascontiguousarray(pixels).reshape(-1),
    )


def jpeg_message(rgb: NDArray[np.uint8], stamp: int, frame_id: str) -> Any:
    """Return `rgb`, H×W×3 uint8, as a sensor_msgs/CompressedImage."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, 'JPEG', quality=90)
    return compressed_image_message(buffer.getvalue(), stamp, frame_id)


def compressed_image_message(jpeg: bytes, stamp: int, frame_id: str) -> Any:
    """Return the bytes of a colour JPEG file as a sensor_msgs/CompressedImage."""
    return TYPES.types[COMPRESSED_IMAGE](
        header=header(stamp, frame_id),
        # What image_transport writes: the source's encoding, then that of the JPEG's content.
        format='rgb8; jpeg compressed bgr8',
        data=np.frombuffer(jpeg, np.uint8),
    )


def string_message(text: str) -> Any:
    """Return `text` as a std_msgs/String."""
    return TYPES.types['std_msgs/msg/String'](data=text)
