# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings of every kind that hold the same messages, and damage by seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from hier_seg_ros.bags.bag import Bag
from hier_seg_ros.bags.messages import IMAGE, TYPES, image_message, string_message
from hier_seg_ros.bags.storage.damage import DamagedBagError

STRING = 'std_msgs/msg/String'
START = 1_700_000_000 * 10**9
FRAMES = 40
PERIOD = 10**8

# Topic, type, time and data of a message.
Message = tuple[str, str, int, bytes]
# What counts as the same message.
Delivered = Counter[tuple[str, int, bytes]]


def _content() -> list[Message]:
    generator = np.random.default_rng(3)
    messages = []
    for index in range(FRAMES):
        time = START + index * PERIOD
        # Some that fit into a page of SQLite, some that do not, some that compress well.
        shape = (8, 16) if index % 2 else (60, 100)
        pixels = generator.integers(0, 256 if index % 3 else 1, shape, np.uint8)
        image = image_message(pixels, time, 'camera')
        messages.append(('/image', IMAGE, time, bytes(TYPES.serialize_cdr(image, IMAGE))))
        text = TYPES.serialize_cdr(string_message(f'text {index}'), STRING)
        messages.append(('/text', STRING, time + 5, bytes(text)))
    return messages


CONTENT = _content()


def counted(messages: Iterable[Message] = CONTENT) -> Delivered:
    """Return messages as `delivered` does."""
    return Counter((topic, time, data) for topic, _, time, data in messages)


def delivered(path: Path) -> tuple[Delivered, DamagedBagError | None]:
    """Return all that a recording gives, and what it says at the end."""
    messages: Delivered = Counter()
    try:
        with Bag(path) as bag:
            for message in bag.messages(bag.topics):
                messages[message.topic, message.time, message.data] += 1
    except DamagedBagError as error:
        return messages, error
    return messages, None


# Ways to write an MCAP file; chunks are small, so that there are many.
MCAP_OPTIONS: dict[str, dict[str, Any]] = {
    'zstd': {'chunk_size': 6000},
    'lz4': {'chunk_size': 6000, 'compression': CompressionType.LZ4},
    'uncompressed': {'chunk_size': 6000, 'compression': CompressionType.NONE},
    'all checksums': {'chunk_size': 6000, 'enable_data_crcs': True},
    'one chunk': {},
    'no index': {
        'chunk_size': 6000,
        'index_types': IndexType.NONE,
        'repeat_channels': False,
        'repeat_schemas': False,
        'use_statistics': False,
        'use_summary_offsets': False,
        'enable_data_crcs': True,
    },
    'no chunks': {'use_chunking': False, 'enable_data_crcs': True},
}


def write_mcap(path: Path, messages: Iterable[Message] = CONTENT, **options: Any) -> Path:
    """Write an MCAP file with the mcap library; `options` are those of its writer."""
    profile = options.pop('profile', 'ros2')
    with path.open('wb') as file:
        writer = McapWriter(file, **options)
        writer.start(profile)
        channels: dict[str, int] = {}
        for topic, type_name, time, data in messages:
            if topic not in channels:
                definition, _ = TYPES.generate_msgdef(type_name, ros_version=2)
                schema = writer.register_schema(type_name, 'ros2msg', definition.encode())
                channels[topic] = writer.register_channel(topic, 'cdr', schema)
            writer.add_message(channels[topic], time, data, time)
        writer.finish()
    return path


def write_folder(
    path: Path,
    storage: StoragePlugin,
    messages: Iterable[Message] = CONTENT,
    compression: CompressionMode = CompressionMode.NONE,
    version: Any = 8,
) -> Path:
    """Write a rosbag2 folder with the rosbags library."""
    writer = Writer(path, version=version, storage_plugin=storage)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for topic, type_name, time, data in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, type_name, typestore=TYPES)
            writer.write(connections[topic], time, data)
    return path


def write_ros1(path: Path, compression: str = '') -> Path:
    """Write the same messages as a bag of ROS 1."""
    types = get_typestore(Stores.ROS1_NOETIC)
    writer = Ros1Writer(path)
    if compression:
        writer.set_compression(Ros1Writer.CompressionFormat[compression])
    with writer:
        connections: dict[str, Any] = {}
        for number, (topic, type_name, time, data) in enumerate(CONTENT):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, type_name, typestore=types)
            raw = bytearray(TYPES.cdr_to_ros1(data, type_name))
            if type_name == IMAGE:
                raw[:4] = number.to_bytes(4, 'little')  # the header's `seq`
            writer.write(connections[topic], time, bytes(raw))
    return path


def damaged(data: bytes, seed: int) -> bytes:
    """Return data of which something is changed, missing, or too much."""
    numbers = random.Random(seed)
    content = bytearray(data)
    at = numbers.randrange(len(content))
    length = numbers.randrange(1, max(2, len(content) // 4))
    kind = seed % 6
    if kind == 0:
        content[at] ^= 1 << numbers.randrange(8)
    elif kind == 1:
        for _ in range(4):
            content[numbers.randrange(len(content))] ^= numbers.randrange(1, 256)
    elif kind == 2:
        content[at : at + length] = bytes(len(content[at : at + length]))
    elif kind == 3:
        del content[at:]
    elif kind == 4:
        content[at:at] = numbers.randbytes(length % 300 + 1)
    else:
        del content[at : at + length % 300 + 1]
    return bytes(content)
