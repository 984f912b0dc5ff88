# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags as they lie on disk: serialized messages in and out."""

import os
import shutil
import struct
import tempfile
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import (
    CompressionFormat,
    CompressionMode,
    Reader,
    ReaderError,
    StoragePlugin,
    Writer,
    WriterError,
)
from rosbags.typesys import Stores, get_typestore

from hier_seg_ros.errors import HierSegError

# What rosbags raises, besides its own error, where a file is damaged: a wrong byte in a length, an
# offset or compressed data comes out as any of these.
_DAMAGE = (
    ReaderError,
    AssertionError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class BagTopic:
    """A topic of a bag.

    Attributes:
        name: the topic.
        type_name: for example sensor_msgs/msg/Image.
        count: its number of messages.
        latched: whether its publisher kept the last message for late subscribers.

    """

    name: str
    type_name: str
    count: int
    latched: bool


@dataclass(frozen=True)
class BagMessage:
    """A serialized message and the time, in nanoseconds, at which it was recorded."""

    topic: str
    time: int
    data: bytes


class BagReader:
    """A rosbag2 folder or MCAP file, open until `close` or the end of the with block."""

    def __init__(self, path: Path) -> None:
        """Open the bag.

        Raises:
            HierSegError: it does not exist or is damaged.

        """
        self.path = path
        if not path.exists():
            raise HierSegError(f'{path}: no such bag; give a rosbag2 folder or an .mcap file')
        if path.is_dir() and not (path / 'metadata.yaml').is_file():
            raise HierSegError(
                f'{path}: has no metadata.yaml and so is no rosbag2 folder; give the .mcap file '
                f'itself or another folder'
            )
        try:
            self._reader = Reader(path)
            self._reader.open()
        except _DAMAGE as error:
            raise self._damaged(error) from error
        topics: dict[str, BagTopic] = {}
        for connection in self._reader.connections:
            known = topics.get(connection.topic)
            if known is not None and known.type_name != connection.msgtype:
                self.close()
                raise HierSegError(
                    f'{path}: topic {connection.topic} has two types, {known.type_name} and '
                    f'{connection.msgtype}; record it again'
                )
            topics[connection.topic] = BagTopic(
                connection.topic,
                connection.msgtype,
                connection.msgcount + (known.count if known is not None else 0),
                _is_latched(connection) or (known is not None and known.latched),
            )
        self.topics = topics

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """Yield the messages of some topics in the order of time.

        Raises:
            HierSegError: the bag is damaged.

        """
        connections = [
            connection for connection in self._reader.connections if connection.topic in topics
        ]
        messages = self._reader.messages(connections)
        while True:
            try:
                connection, time, data = next(messages)
            except StopIteration:
                return
            except _DAMAGE as error:
                raise self._damaged(error) from error
            yield BagMessage(connection.topic, time, bytes(data))

    def close(self) -> None:
        """Close the bag."""
        self._reader.close()

    def __enter__(self) -> 'BagReader':
        """Return the open bag."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the bag."""
        self.close()

    def _damaged(self, error: BaseException) -> HierSegError:
        reason = ' '.join(str(error).split()) or type(error).__name__
        return HierSegError(
            f'{self.path}: the bag is cut off or damaged ({reason}); record or copy it again'
        )


def _is_latched(connection: Connection) -> bool:
    extension = connection.ext
    return isinstance(extension, ConnectionExtRosbag2) and any(
        qos.durability == QosDurability.TRANSIENT_LOCAL for qos in extension.offered_qos_profiles
    )


class BagRecording:
    """A bag that is being written, as MCAP; it appears whole or not at all.

    As a context manager it appears at the end of the block, unless an exception leaves it.
    """

    def __init__(self, folder: Path, overwrite: bool = False, compressed: bool = False) -> None:
        """Start a bag in a temporary folder beside its final one.

        Args:
            folder: where the bag will be.
            overwrite: whether it may take the place of another bag.
            compressed: whether to compress it with zstd, which every reader of MCAP undoes.

        Raises:
            HierSegError: the folder exists, or cannot be made.

        """
        self.folder = folder
        try:
            if folder.exists() and not (overwrite and (folder / 'metadata.yaml').is_file()):
                raise HierSegError(
                    f'{folder}: exists already; choose another folder'
                    + ('' if overwrite else ' or add --overwrite')
                )
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._temporary = Path(tempfile.mkdtemp(prefix=f'.{folder.name}.', dir=folder.parent))
        except OSError as error:
            raise self._not_written(error) from error
        # Version 9 writes QoS in a form that Humble cannot parse (rosbag2 issue 2013).
        self._writer = Writer(
            self._temporary / folder.name, version=8, storage_plugin=StoragePlugin.MCAP
        )
        if compressed:
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        try:
            self._writer.open()
        except (OSError, WriterError) as error:
            shutil.rmtree(self._temporary, ignore_errors=True)
            raise self._not_written(error) from error
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._connections: dict[str, Connection] = {}

    def add_topic(self, topic: str, type_name: str, latched: bool) -> None:
        """Add a topic.

        Raises:
            HierSegError: its type is not one of the common interfaces.

        """
        if type_name not in self._types.fielddefs:
            raise HierSegError(
                f'{topic}: the type {type_name} is not one of the common interfaces and cannot be '
                f'recorded; leave the topic out'
            )
        self._connections[topic] = self._writer.add_connection(
            topic,
            type_name,
            typestore=self._types,
            offered_qos_profiles=[_recorded_qos(latched)],
        )

    def write(self, topic: str, time: int, data: bytes) -> None:
        """Write a serialized message under a time in nanoseconds.

        Raises:
            HierSegError: the disk is full, or the like.

        """
        try:
            self._writer.write(self._connections[topic], time, data)
        except OSError as error:
            raise self._not_written(error) from error

    def finish(self) -> None:
        """Put the bag in its place.

        Raises:
            HierSegError: the disk is full, or the like.

        """
        try:
            # As a with block does, which also closes the file where the rest cannot be written.
            self._writer.__exit__(None, None, None)
            written = self._temporary / self.folder.name
            _flush(written)
            if self.folder.exists():
                self.folder.rename(self._temporary / 'replaced')
            written.rename(self.folder)
        except OSError as error:
            raise self._not_written(error) from error
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def discard(self) -> None:
        """Leave nothing behind."""
        # The file is complete or the disk is full; it goes either way.
        with suppress(OSError):
            self._writer.__exit__(WriterError, None, None)
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _not_written(self, error: OSError | WriterError) -> HierSegError:
        reason = (isinstance(error, OSError) and error.strerror) or ' '.join(str(error).split())
        return HierSegError(
            f'{self.folder}: cannot be written ({reason}); make room there or choose another folder'
        )

    def __enter__(self) -> 'BagRecording':
        """Return the recording."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the bag, or discard it where an exception leaves the block."""
        if kind is None:
            self.finish()
        else:
            self.discard()


def _flush(folder: Path) -> None:
    """Bring a folder's files to the disk: after a power cut a bag is there whole or not at all."""
    for path in folder.iterdir():
        with path.open('rb') as file:
            os.fsync(file.fileno())


def _recorded_qos(latched: bool) -> Qos:
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    forever = QosTime(9223372036, 854775807)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 5,
        reliability=QosReliability.RELIABLE,
        durability=durability,
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )
