# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of ROS 1, whose messages become those of ROS 2."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

from rosbags.convert.converter import STATIC_MSGTYPE_RENAMES, is_same_wireformat, migrate_bytes
from rosbags.interfaces import Connection, ConnectionExtRosbag1
from rosbags.interfaces.typing import Typesdict
from rosbags.rosbag1 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from hier_seg_ros.bags.storage.damage import READ_ERRORS, Damage, reason
from hier_seg_ros.bags.storage.storage import BagMessage, BagTopic, printable

MAGIC = b'#ROSBAG V'


class Ros1File:
    """A bag file of ROS 1; the attributes are those of `Storage`."""

    def __init__(self, path: Path, damage: Damage) -> None:
        """Open the bag; of one whose index is damaged nothing can be read.

        Raises
        ------
        OSError
            The system does not let the file be read.

        """
        self._path = path
        self._damage = damage
        self._reader = Reader(path)
        self._types = get_typestore(Stores.EMPTY)
        self._ros2_types = get_typestore(Stores.ROS2_JAZZY)
        self._converters: dict[str, Callable[[bytes], memoryview]] = {}
        self.topics = []
        self.left_out: dict[str, str] = {}
        self.counted = True
        self.first_time = 2**63 - 1
        try:
            self._reader.open()
            self._register_types()
        except PermissionError:
            raise
        except READ_ERRORS as error:
            self.counted = False
            self._note('open', path.stat().st_size, reason(error))
            return
        self.first_time = self._reader.start_time
        self.topics = [
            BagTopic(
                printable(connection.topic),
                _ros2_name(connection.msgtype),
                connection.msgcount,
                isinstance(connection.ext, ConnectionExtRosbag1) and bool(connection.ext.latching),
            )
            for connection in self._reader.connections
        ]

    def messages(
        self, topics: Collection[str], start: int | None, stop: int | None
    ) -> Iterator[BagMessage]:
        """Yield messages, as `Storage` does."""
        connections = [each for each in self._reader.connections if printable(each.topic) in topics]
        # The library ends at a chunk that it cannot read; it goes on with the next one.
        beginnings = sorted({chunk.start_time for chunk in self._reader.chunk_infos})
        read_to = -1
        for beginning in (start or 0, *beginnings) if connections else ():
            if read_to >= beginning:
                continue
            read_to = beginning
            try:
                for connection, time, data in self._reader.messages(connections, beginning, stop):
                    read_to = time
                    yield from self._converted(connection, time, data)
                return
            except READ_ERRORS as error:
                self._note(beginning, 0, reason(error))

    def check(self) -> None:
        """Do nothing: these files have no checksums."""

    def close(self) -> None:
        """Close the file."""
        if self._reader.bio is not None:
            self._reader.close()

    def _note(self, place: object, size: int, what: str) -> None:
        self._damage.add(self._path.name, place, size, what)

    def _register_types(self) -> None:
        """Take the types from their definitions in the bag; those that ROS 2 has are its own."""
        definitions: Typesdict = {}
        for connection in self._reader.connections:
            definitions |= get_types_from_msg(connection.msgdef.data, connection.msgtype)
        self._types.register(definitions)
        known = {*self._ros2_types.fielddefs, *STATIC_MSGTYPE_RENAMES}
        self._ros2_types.register(
            {name: fields for name, fields in definitions.items() if name not in known}
        )

    def _converted(self, connection: Connection, time: int, data: bytes) -> Iterator[BagMessage]:
        name = connection.msgtype
        try:
            if name not in self._converters:
                self._converters[name] = self._converter(name, _ros2_name(name))
            converted = bytes(self._converters[name](data))
        except READ_ERRORS as error:
            self._note(
                (connection.topic, time), 0, f'{printable(connection.topic)}: {reason(error)}'
            )
        else:
            yield BagMessage(printable(connection.topic), time, converted)

    def _converter(self, name: str, ros2_name: str) -> Callable[[bytes], memoryview]:
        """Return what makes CDR of a type's messages: at once, or field by field."""
        if is_same_wireformat(self._types, self._ros2_types, name, ros2_name):
            return partial(self._ros2_types.ros1_to_cdr, typename=ros2_name)
        cache: dict[str, object] = {}
        return lambda data: migrate_bytes(
            self._types, self._ros2_types, name, ros2_name, cache, data, src_is2=False, dst_is2=True
        )


def _ros2_name(name: str) -> str:
    return printable(STATIC_MSGTYPE_RENAMES.get(name, name))
