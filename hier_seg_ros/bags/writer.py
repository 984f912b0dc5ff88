# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording that is being written: a rosbag2 folder with one MCAP file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from mcap.writer import Writer as McapWriter
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from hier_seg_ros.bags.messages import TYPES
from hier_seg_ros.bags.storage.opening import METADATA
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import WrittenFolder, not_written

ADVICE = 'make room there or choose another folder'
CHUNK_BYTES = 2**16
FOREVER = QosTime(9223372036, 854775807)


class BagWriter:
    """A recording that is being written; it appears whole or not at all.

    As a context manager it appears at the end of the block, unless an exception leaves it.

    Attributes
    ----------
    path
        Where it will be.

    """

    def __init__(self, path: str | Path, overwrite: bool = False) -> None:
        """Start a recording beside its final place.

        Parameters
        ----------
        path
            The folder.
        overwrite
            Whether it may take the place of another recording.

        Raises
        ------
        HierSegError
            The folder exists, or cannot be made.

        """
        self.path = Path(path)
        try:
            if self.path.exists() and not (overwrite and (self.path / METADATA).is_file()):
                raise HierSegError(
                    f'{self.path}: exists already; choose another folder'
                    + ('' if overwrite else ' or add --overwrite')
                )
        except OSError as error:
            raise not_written(self.path, error, ADVICE) from error
        self._folder = WrittenFolder(self.path, ADVICE)
        # Version 9 writes QoS in a form that Humble cannot parse (rosbag2 issue 2013).
        self._writer = _FolderWriter(
            self._folder.partial, version=8, storage_plugin=StoragePlugin.MCAP
        )
        try:
            self._writer.open()
        except OSError as error:
            self._folder.discard()
            raise not_written(self.path, error, ADVICE) from error
        self._connections: dict[str, Connection] = {}

    def add_topic(
        self, topic: str, type_name: str, latched: bool = False, definition: str | None = None
    ) -> None:
        """Add a topic.

        Parameters
        ----------
        topic
            Its name.
        type_name
            For example sensor_msgs/msg/Image.
        latched
            Whether its publisher keeps the last message for late subscribers.
        definition
            The type's definition with those of the types within it, in the form of .msg files; None
            for the common interfaces, of which it is known.

        Raises
        ------
        HierSegError
            Its type is not one of the common interfaces and has no definition.

        """
        if type_name not in TYPES.fielddefs and definition is None:
            raise HierSegError(
                f'{topic}: the type {type_name} is not one of the common interfaces and cannot be '
                f'recorded; leave the topic out'
            )
        self._connections[topic] = self._writer.add_connection(
            topic,
            type_name,
            typestore=TYPES if definition is None else _types_of(type_name, definition),
            offered_qos_profiles=[_qos(latched)],
        )

    def write(self, topic: str, message: Any, time: int) -> None:
        """Write a message, as recorded at `time` nanoseconds.

        Parameters
        ----------
        topic
            Its topic, which is added where it is new.
        message
            An object of `TYPES`.
        time
            Nanoseconds, not negative.

        Raises
        ------
        HierSegError
            The disk is full, or the like.

        """
        if topic not in self._connections:
            self.add_topic(topic, message.__msgtype__)
        self.write_serialized(topic, TYPES.serialize_cdr(message, message.__msgtype__), time)

    def write_serialized(self, topic: str, data: bytes | memoryview, time: int) -> None:
        """Write a serialized message of a topic that was added; else as `write`."""
        try:
            self._writer.write(self._connections[topic], time, data)
        except OSError as error:
            raise not_written(self.path, error, ADVICE) from error

    @property
    def topics(self) -> frozenset[str]:
        """The topics that were added."""
        return frozenset(self._connections)

    def flushed_bytes(self) -> int:
        """Return how many bytes of the storage file are with the system, which a kill leaves.

        Messages wait until they are a chunk: once this number has grown, all that were written
        before are among them.
        """
        storage = self._writer.storage
        assert isinstance(storage, _McapStorage)
        return storage.flushed_bytes()

    def finish(self) -> None:
        """Put the recording in its place.

        Raises
        ------
        HierSegError
            The disk is full, or the like.

        """
        try:
            # As a with block does, which also closes the file where the rest cannot be written.
            self._writer.__exit__(None, None, None)
        except OSError as error:
            self._folder.discard()
            raise not_written(self.path, error, ADVICE) from error
        self._folder.finish()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._writer.__exit__(WriterError, None, None)
        self._folder.discard()

    def __enter__(self) -> BagWriter:
        """Return the recording."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the recording, or discard it where an exception leaves the block."""
        if kind is None:
            self.finish()
        else:
            self.discard()


class _McapStorage:
    """The file in the folder, as rosbags wants it of a storage.

    By the mcap library, for rosbags' own MCAP files have no checksums: damage would go unseen.
    """

    def __init__(self, folder: Path, compression: CompressionMode) -> None:
        self.path = folder / f'{folder.name}.mcap'
        self._file = self.path.open('xb')
        # Chunks are compressed with zstd. Small ones, so that little is lost with a process that is
        # killed; a label image of a usual camera is one by itself.
        self._writer = McapWriter(self._file, chunk_size=CHUNK_BYTES, enable_data_crcs=True)
        self._writer.start('ros2')
        self._schemas: dict[str, int] = {}
        self._channels: dict[int, int] = {}

    def add_msgtype(self, connection: Connection) -> None:
        definition = connection.msgdef
        encoding = f'ros2{definition.format.name.lower()}'
        self._schemas[connection.msgtype] = self._writer.register_schema(
            connection.msgtype, encoding, definition.data.encode()
        )

    def add_connection(self, connection: Connection, offered_qos_profiles: str) -> None:
        self._channels[connection.id] = self._writer.register_channel(
            connection.topic,
            'cdr',
            self._schemas[connection.msgtype],
            {
                'offered_qos_profiles': offered_qos_profiles,
                'topic_type_hash': connection.digest,
            },
        )

    def write(self, connection: Connection, timestamp: int, data: bytes | memoryview) -> None:
        self._writer.add_message(self._channels[connection.id], timestamp, bytes(data), timestamp)

    def flushed_bytes(self) -> int:
        self._file.flush()
        return self._file.tell()

    def close(self, version: int, metadata: str) -> None:
        self._writer.add_metadata('rosbag2', {'serialized_metadata': metadata})
        self._writer.finish()
        self._file.close()

    def abort(self) -> None:
        # What is still to be written goes nowhere: the folder is removed.
        with suppress(OSError):
            self._file.close()


class _FolderWriter(Writer):
    """The writer of rosbags, with the storage above."""

    STORAGE_PLUGINS = {StoragePlugin.MCAP: _McapStorage}  # noqa: RUF012  (rosbags' own name)


def _types_of(type_name: str, definition: str) -> Typestore:
    # Apart from TYPES: what one recording brings along must not reach those that are read.
    types = get_typestore(Stores.EMPTY)
    types.register(get_types_from_msg(definition, type_name))
    return types


def _qos(latched: bool) -> Qos:
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 5,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=FOREVER,
        lifespan=FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=FOREVER,
        avoid_ros_namespace_conventions=False,
    )
