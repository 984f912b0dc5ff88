# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings of every kind, sound ones; what is odd about them, and what is none."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
import zstandard
from mcap.writer import Writer as McapWriter
from recordings import (
    CONTENT,
    MCAP_OPTIONS,
    PERIOD,
    START,
    STRING,
    counted,
    delivered,
    write_folder,
    write_mcap,
    write_ros1,
)
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionMode, Reader, StoragePlugin, Writer

from hier_seg_ros.bags.bag import Bag
from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.messages import IMAGE, TYPES, image_message, string_message
from hier_seg_ros.bags.storage.damage import DamagedBagError
from hier_seg_ros.bags.storage.storage import BagMessage, in_order_of_time
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.errors import HierSegError

HALVES = CONTENT[: len(CONTENT) // 2], CONTENT[len(CONTENT) // 2 :]
STORAGES = [StoragePlugin.MCAP, StoragePlugin.SQLITE3]


def storage_file(bag: Path) -> Path:
    (file,) = (path for path in bag.iterdir() if path.name != 'metadata.yaml')
    return file


def zstd_file(path: Path) -> Path:
    packed = path.with_name(f'{path.name}.zstd')
    packed.write_bytes(zstandard.compress(path.read_bytes()))
    path.unlink()
    return packed


def two_files(folder: Path, storage: StoragePlugin, first: int = 0) -> Path:
    """Write a folder as of a recorder that was killed: two storage files and no metadata.yaml."""
    folder.mkdir()
    for number, half in enumerate(HALVES, first):
        part = write_folder(folder / f'run_{number}', storage, half)
        file = storage_file(part)
        file.rename(folder / file.name)
        shutil.rmtree(part)
    return folder


def write_in(folder: Path, storage: StoragePlugin, **options: Any) -> Path:
    return write_folder(folder / 'a', storage, **options)


KINDS: dict[str, Callable[[Path], Path]] = {
    **{
        f'MCAP, {name}': lambda folder, options=options: write_mcap(folder / 'a.mcap', **options)
        for name, options in MCAP_OPTIONS.items()
    },
    'MCAP, no profile': lambda folder: write_mcap(folder / 'a.mcap', profile=''),
    'MCAP, zstd file': lambda folder: zstd_file(write_mcap(folder / 'a.mcap')),
    **{
        f'{storage.name}, {mode.name}, {version}': partial(
            write_in, storage=storage, compression=mode, version=version
        )
        for storage in STORAGES
        for mode in (CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE)
        for version in (8, 9)
    },
    'SQLite file': lambda folder: storage_file(write_folder(folder / 'a', StoragePlugin.SQLITE3)),
    'MCAP, two files': lambda folder: two_files(folder / 'a', StoragePlugin.MCAP, 9),
    'SQLite, two files': lambda folder: two_files(folder / 'a', StoragePlugin.SQLITE3, 9),
    'named with ? and %': lambda folder: write_folder(folder / 'a', StoragePlugin.SQLITE3).rename(
        folder / 'a?b%20'
    ),
}


@pytest.mark.parametrize('kind', KINDS)
def test_recordings_of_every_kind_give_the_same(tmp_path: Path, kind: str) -> None:
    path = KINDS[kind](tmp_path)
    with Bag(path) as bag:
        assert {name: topic.type_name for name, topic in bag.topics.items()} == {
            '/image': IMAGE,
            '/text': STRING,
        }
        assert {topic.count for topic in bag.topics.values()} == {len(CONTENT) // 2}
        read = [
            (message.topic, message.time, message.data)
            for message in bag.messages(['/image', '/text'])
        ]
        assert read == [(topic, time, data) for topic, _, time, data in CONTENT]
        assert bag.warnings == [] and bag.damage is None


@pytest.mark.parametrize('kind', KINDS)
def test_a_topic_and_a_span_of_time_are_read_by_themselves(tmp_path: Path, kind: str) -> None:
    with Bag(KINDS[kind](tmp_path)) as bag:
        texts = [message.time for message in bag.messages(['/text'])]
        assert texts == [time for topic, _, time, _ in CONTENT if topic == '/text']
        start, stop = START + 7 * PERIOD, START + 9 * PERIOD
        assert [message.time for message in bag.messages(['/image'], start, stop)] == [
            start,
            start + PERIOD,
        ]
        assert list(bag.messages(['/image'], start + 1, start + 2)) == []
        assert [message.data for message in bag.messages(['/text'], start + 5, start + 6)] == [
            data for _, _, time, data in CONTENT if time == start + 5
        ]


@pytest.mark.parametrize('compression', ['', 'BZ2', 'LZ4'])
def test_ros1_bag_becomes_messages_of_ros2(tmp_path: Path, compression: str) -> None:
    path = write_ros1(tmp_path / 'old.bag', compression)
    with ImageBag(path) as bag, ImageBag(write_mcap(tmp_path / 'new.mcap')) as other:
        assert bag.topics.keys() == other.topics.keys()
        for ours, theirs in zip(bag.images('/image'), other.images('/image'), strict=True):
            assert (ours.stamp, ours.frame_id) == (theirs.stamp, theirs.frame_id)
            np.testing.assert_array_equal(ours.pixels, theirs.pixels)
        texts = [message.data for message in bag.deserialized('/text')]
        assert texts == [message.data for message in other.deserialized('/text')]
        assert bag.warnings == [] and bag.damage is None


def test_ros1_types_that_differ_and_types_of_its_own_are_converted(tmp_path: Path) -> None:
    from rosbags.rosbag1 import Writer as Ros1Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    types = get_typestore(Stores.ROS1_NOETIC)
    types.register(get_types_from_msg('Header header\nuint8 gear\n', 'own_msgs/msg/Gear'))
    noetic = types.types
    stamp = noetic['builtin_interfaces/msg/Time'](sec=5, nanosec=6)
    header = noetic['std_msgs/msg/Header'](seq=7, stamp=stamp, frame_id='car')
    with Ros1Writer(tmp_path / 'old.bag') as writer:
        # ROS 2 has no `goal_id` of that shape: field by field.
        for topic, message in {
            '/range': noetic['sensor_msgs/msg/Range'](
                header, radiation_type=1, field_of_view=0.5, min_range=1, max_range=3, range=2
            ),
            '/gear': noetic['own_msgs/msg/Gear'](header, gear=3),
        }.items():
            connection = writer.add_connection(topic, message.__msgtype__, typestore=types)
            data = types.serialize_ros1(message, message.__msgtype__)
            writer.write(connection, 9, data)
    with Bag(tmp_path / 'old.bag') as bag:
        found = {message.topic: message.data for message in bag.messages(bag.topics)}
        assert bag.topics['/gear'].type_name == 'own_msgs/msg/Gear'
    read = TYPES.deserialize_cdr(found['/range'], 'sensor_msgs/msg/Range')
    assert (read.header.stamp.sec, read.range, read.header.frame_id) == (5, 2, 'car')
    # Header, then the gear: stamp, length and text of the frame, one byte.
    assert found['/gear'][4:12] == struct.pack('<iI', 5, 6) and found['/gear'][-1] == 3


@pytest.mark.parametrize('damage', ['index', 'chunk'])
def test_damaged_ros1_bag_is_named(tmp_path: Path, damage: str) -> None:
    path = write_ros1(tmp_path / 'old.bag', 'BZ2')
    data = bytearray(path.read_bytes())
    at = data.index(b'BZh9') if damage == 'chunk' else len(data) - 100
    data[at : at + 60] = bytes(60)
    path.write_bytes(data)
    with (
        pytest.raises(DamagedBagError, match=f'^{path}: the bag is cut off or damaged'),
        Bag(path) as bag,
    ):
        assert sum(1 for _ in bag.messages(bag.topics)) < len(CONTENT)


@pytest.mark.parametrize('storage', STORAGES)
def test_messages_come_in_the_order_of_time(tmp_path: Path, storage: StoragePlugin) -> None:
    # As of two computers whose messages arrive late, across the borders of chunks.
    shuffled = [CONTENT[(index * 7) % len(CONTENT)] for index in range(len(CONTENT))]
    assert counted(shuffled) == counted()
    for path in (
        write_folder(tmp_path / 'a', storage, shuffled),
        write_mcap(tmp_path / 'a.mcap', shuffled, chunk_size=6000),
        write_mcap(tmp_path / 'b.mcap', shuffled, use_chunking=False),
    ):
        with Bag(path) as bag:
            times = [message.time for message in bag.messages(bag.topics)]
        assert times == sorted(times) and len(times) == len(CONTENT)


def test_parts_are_begun_when_their_time_has_come() -> None:
    begun: list[int] = []

    def part(number: int, *times: int) -> tuple[int, Callable[[], Any]]:
        def begin() -> Any:
            begun.append(number)
            return (BagMessage(str(number), time, b'') for time in times)

        return times[0], begin

    parts = [part(2, 20, 40), part(1, 10, 30), part(4, 99), part(3, 41)]
    merged = in_order_of_time(parts)
    seen = []
    for message in merged:
        seen.append((message.topic, message.time, len(begun)))
    assert seen == [
        ('1', 10, 1),
        ('2', 20, 2),
        ('1', 30, 2),
        ('2', 40, 2),
        ('3', 41, 3),
        ('4', 99, 4),
    ]


# ------------------------------------------------------------------------------- metadata.yaml


def edit_metadata(bag: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    path = bag / 'metadata.yaml'
    content = yaml.safe_load(path.read_text())
    edit(content['rosbag2_bagfile_information'])
    path.write_text(yaml.safe_dump(content))


def set_counts(count: int) -> Callable[[dict[str, Any]], None]:
    def edit(information: dict[str, Any]) -> None:
        for topic in information['topics_with_message_count']:
            topic['message_count'] = count

    return edit


def blank_qos(information: dict[str, Any]) -> None:
    for topic in information['topics_with_message_count']:
        topic['topic_metadata']['offered_qos_profiles'] = ''


@pytest.mark.parametrize('storage', STORAGES)
@pytest.mark.parametrize(
    ('edit', 'warning'),
    [
        (blank_qos, None),
        (set_counts(39), r'/image \(39 instead of 40\), /text \(39 instead of 40\); the storage'),
        (set_counts(41), r'/image \(41 instead of 40\)'),
        (lambda info: info.update(storage_identifier='tape', message_count=0), None),
        (lambda info: info.update(compression_mode='message', compression_format='fast'), None),
        (
            lambda info: info.update(relative_file_paths=['was_0.db3']),
            r'was_0\.db3; a\.\w+ is read',
        ),
    ],
)
def test_the_storage_counts_where_metadata_says_something_else(
    tmp_path: Path, storage: StoragePlugin, edit: Callable[[dict[str, Any]], None], warning: str
) -> None:
    path = write_folder(tmp_path / 'a', storage)
    edit_metadata(path, edit)
    assert delivered(path) == (counted(), None)
    with Bag(path) as bag:
        if warning is None:
            assert bag.warnings == []
        else:
            (text,) = bag.warnings
            assert text.startswith(f'{path}: metadata.yaml') and '\n' not in text
            assert re.search(warning, text)


@pytest.mark.parametrize('storage', STORAGES)
def test_a_storage_file_that_is_missing_is_named_and_its_messages_are_lost(
    tmp_path: Path, storage: StoragePlugin
) -> None:
    path = write_folder(tmp_path / 'a', storage)
    name = storage_file(path).name
    edit_metadata(path, lambda info: info['relative_file_paths'].append('a_1.mcap'))
    edit_metadata(path, set_counts(60))
    messages, error = delivered(path)
    assert messages == counted()
    assert 'a_1.mcap is missing' in str(error) and '40 messages are lost' in str(error)
    (path / name).unlink()
    with pytest.raises(DamagedBagError, match=f'{name}, a_1.mcap is missing.*120 messages'):
        Bag(path)


def test_a_storage_file_that_metadata_does_not_name_is_left_out(tmp_path: Path) -> None:
    path = write_folder(tmp_path / 'a', StoragePlugin.MCAP)
    write_mcap(path / 'edited.mcap')
    assert delivered(path) == (counted(), None)
    with Bag(path) as bag:
        assert 'does not name edited.mcap, which is left out' in bag.warnings[0]


def test_large_metadata_is_read(tmp_path: Path) -> None:
    path = write_folder(tmp_path / 'a', StoragePlugin.MCAP, version=9)
    files = [{'path': f'a_{number}.mcap', 'message_count': 9} for number in range(6000)]
    edit_metadata(path, lambda information: information.update(files=files))
    with Bag(path) as bag:
        assert bag.warnings == [] and bag.damage is None


@pytest.mark.parametrize(
    'text', ['', 'rosbag2_bagfile_information: {version: 8}\n', 'a: [', '\0\0\0\0', '- 1\n']
)
def test_messages_are_read_beside_a_damaged_metadata_file(tmp_path: Path, text: str) -> None:
    path = write_folder(tmp_path / 'a', StoragePlugin.MCAP)
    (path / 'metadata.yaml').write_text(text)
    messages, error = delivered(path)
    assert messages == counted()
    assert 'metadata.yaml' in str(error) and 'no message is lost' in str(error)


# -------------------------------------------------------------------------------- what is in it


def test_channels_of_other_encodings_are_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / 'a.mcap'
    with path.open('wb') as file:
        writer = McapWriter(file)
        writer.start('')
        text = TYPES.generate_msgdef(STRING, ros_version=2)[0].encode()
        schema = writer.register_schema('std_msgs/String', 'ros2msg', text)
        ours = writer.register_channel('/text', 'cdr', schema)
        scene = writer.register_schema('foxglove.SceneUpdate', 'protobuf', b'')
        others = [
            writer.register_channel('/scene', 'protobuf', scene),
            writer.register_channel('/state', 'json', 0),
        ]
        data = bytes(TYPES.serialize_cdr(string_message('hello'), STRING))
        for time in range(3):
            writer.add_message(ours, time, data, time)
            for channel in others:
                writer.add_message(channel, time, b'{}', time)
        writer.finish()
    with ImageBag(path) as bag:
        assert [message.data for message in bag.deserialized('/text')] == ['hello'] * 3
        assert bag.topics['/text'].type_name == STRING
        (warning,) = bag.warnings
    assert '/scene (protobuf), /state (json)' in warning and bag.damage is None


FOREVER = QosTime(9223372036, 854775807)


@pytest.mark.parametrize('version', [8, 9])
@pytest.mark.parametrize('storage', STORAGES)
def test_latched_topics_are_known(tmp_path: Path, storage: StoragePlugin, version: Any) -> None:
    with Writer(tmp_path / 'a', version=version, storage_plugin=storage) as writer:
        for durability in QosDurability:
            qos = Qos(
                QosHistory.KEEP_LAST,
                1,
                QosReliability.RELIABLE,
                durability,
                FOREVER,
                FOREVER,
                QosLiveliness.AUTOMATIC,
                FOREVER,
                False,
            )
            writer.add_connection(
                f'/{durability.name}', STRING, typestore=TYPES, offered_qos_profiles=[qos]
            )
    with Bag(tmp_path / 'a') as bag:
        assert [name for name, topic in bag.topics.items() if topic.latched] == ['/TRANSIENT_LOCAL']


def test_a_topic_of_two_types_is_named(tmp_path: Path) -> None:
    with Writer(tmp_path / 'a', version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        for type_name in (STRING, IMAGE):
            writer.add_connection('/both', type_name, typestore=TYPES)
    with pytest.raises(HierSegError, match='topic /both has two types') as error:
        Bag(tmp_path / 'a')
    assert '\n' not in str(error.value)


def test_a_missing_topic_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    with Bag(write_mcap(tmp_path / 'a.mcap')) as bag, pytest.raises(HierSegError) as error:
        bag.topic('/imaeg')
    assert str(error.value) == (
        f'{bag.path}: has no topic /imaeg; it has /image, /text; its image topics: /image'
    )


# ------------------------------------------------------------- SQLite with a write-ahead log


# As recorders of the first ROS 2 releases made them: no QoS, no index, nothing else.
TABLES = """
    CREATE TABLE topics (
        id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT);
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB);
"""


def running_recorder(folder: Path) -> Path:
    """Write a file as it lies there while, or after, a recorder is killed: most is in the log."""
    whole = storage_file(write_folder(folder / 'whole', StoragePlugin.SQLITE3, HALVES[0]))
    connection = sqlite3.connect(whole)
    assert connection.execute('PRAGMA journal_mode = WAL').fetchone() == ('wal',)
    topics = dict(connection.execute('SELECT name, id FROM topics'))
    connection.executemany(
        'INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)',
        [(topics[topic], time, data) for topic, _, time, data in HALVES[1]],
    )
    connection.commit()
    target = folder / 'killed'
    target.mkdir()
    for path in whole.parent.glob('whole.db3*'):
        if not path.name.endswith('-shm'):
            shutil.copy(path, target)
    connection.close()
    assert (target / 'whole.db3-wal').stat().st_size > 0
    return target


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


@pytest.mark.parametrize('log', ['as it is', 'empty', 'header only', 'cut off', 'none'])
def test_messages_in_a_write_ahead_log_are_read_and_nothing_is_written(
    tmp_path: Path, log: str
) -> None:
    folder = running_recorder(tmp_path)
    wal = folder / 'whole.db3-wal'
    size = {'empty': 0, 'header only': 32, 'cut off': wal.stat().st_size - 10}.get(log)
    if size is not None:
        with wal.open('r+b') as file:
            file.truncate(size)
    elif log == 'none':
        wal.unlink()
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    before = state(folder)
    try:
        messages, error = delivered(folder)
        assert state(folder) == before
    finally:
        folder.chmod(0o755)
    assert error is None
    # A transaction whose end is missing never was.
    assert messages == counted(CONTENT if log == 'as it is' else HALVES[0])


@pytest.mark.parametrize('place', ['database', 'log', 'header of the log'])
def test_of_a_damaged_log_or_file_with_a_log_all_that_is_there_is_read(
    tmp_path: Path, place: str
) -> None:
    folder = running_recorder(tmp_path)
    if place == 'database':
        # The log has the first page anew, and the last ones.
        damage, at = folder / 'whole.db3', 12 * 4096
    else:
        damage = folder / 'whole.db3-wal'
        at = 16 if place == 'header of the log' else damage.stat().st_size // 2
    with damage.open('r+b') as file:
        file.seek(at)
        file.write(bytes(8))
    messages, error = delivered(folder)
    assert error is not None
    assert (messages & counted()).total() > 0.8 * len(CONTENT)


def test_a_transaction_that_was_cut_off_is_named(tmp_path: Path) -> None:
    path = storage_file(write_folder(tmp_path / 'a', StoragePlugin.SQLITE3))
    journal = path.with_name(f'{path.name}-journal')
    journal.write_bytes(bytes(512))
    messages, error = delivered(path)
    assert messages == counted() and 'a transaction was cut off' in str(error)
    assert journal.is_file()


@pytest.mark.parametrize('copied', [True, False])
def test_messages_that_are_in_the_log_alone_are_read(tmp_path: Path, copied: bool) -> None:
    folder = tmp_path / 'killed'
    folder.mkdir()
    path = tmp_path / 'a.db3'
    connection = sqlite3.connect(path)
    connection.executescript(f'PRAGMA journal_mode = WAL; {TABLES}')
    connection.execute("INSERT INTO topics VALUES (1, '/text', ?, 'cdr')", (STRING,))
    texts = [(time, data) for topic, _, time, data in CONTENT if topic == '/text']
    connection.executemany('INSERT INTO messages VALUES (NULL, 1, ?, ?)', texts)
    connection.commit()
    shutil.copy(f'{path}-wal', folder)
    if copied:
        shutil.copy(path, folder)
    else:
        (folder / 'a.db3').touch()
    connection.close()
    before = state(folder)
    messages, error = delivered(folder / 'a.db3')
    assert (error is None) == copied
    assert messages == counted(each for each in CONTENT if each[0] == '/text')
    assert state(folder) == before


# ------------------------------------------------------------------------------------ no bags


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / 'pipe.mcap')
    return folder / 'pipe.mcap'


def text_file(folder: Path, name: str) -> Path:
    (folder / name).write_text('no recording\n' * 10)
    return folder / name


def empty_file(folder: Path, name: str) -> Path:
    (folder / name).touch()
    return folder / name


def metadata_itself(folder: Path) -> Path:
    return write_folder(folder / 'a', StoragePlugin.MCAP) / 'metadata.yaml'


def other_database(folder: Path) -> Path:
    connection = sqlite3.connect(folder / 'other.db3')
    connection.execute('CREATE TABLE music (id INTEGER PRIMARY KEY, title TEXT)')
    connection.commit()
    connection.close()
    return folder / 'other.db3'


def binary_file(folder: Path) -> Path:
    (folder / 'program').write_bytes(bytes(range(256)))
    return folder / 'program'


@pytest.mark.parametrize(
    ('make', 'text'),
    [
        (lambda folder: folder / 'gone', 'there is no such bag; give a rosbag2 folder'),
        (lambda folder: Path('/dev/null'), 'is no bag and no regular file at all; give'),
        (fifo, 'is no bag and no regular file at all; give'),
        (lambda folder: folder, 'the folder has no metadata.yaml and no storage file; give'),
        (metadata_itself, 'is no bag but its description; give the folder, /'),
        (lambda folder: text_file(folder, 'a.mcap'), 'is no bag but a text file; give'),
        (lambda folder: text_file(folder, 'a.db3'), 'is no bag but a text file; give'),
        (lambda folder: text_file(folder, 'notes.txt'), 'is no bag but a text file; give'),
        (binary_file, 'is no bag but nothing that is known; give'),
        (lambda folder: empty_file(folder, 'a.mcap'), 'cut off or damaged (the file is empty'),
        (lambda folder: empty_file(folder, 'a.db3'), 'cut off or damaged (the file is empty'),
        (lambda folder: empty_file(folder, 'a.bag'), 'cut off or damaged (the file is empty'),
        (other_database, 'no such table: topics'),
    ],
)
def test_what_is_no_bag_says_what_it_is(
    tmp_path: Path, make: Callable[[Path], Path], text: str
) -> None:
    path = make(tmp_path)
    with pytest.raises(HierSegError) as error:
        Bag(path)
    assert str(error.value).startswith(f'{path}: ') and '\n' not in str(error.value)
    assert text in str(error.value)


@pytest.mark.parametrize('kind', ['file', 'folder', 'long name'])
def test_what_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = write_mcap(tmp_path / 'a.mcap')
    if kind == 'long name':
        path = tmp_path / ('a' * 300)
    else:
        # As root may read anything: what the system says to others.
        def refuse(path: Path, *arguments: object) -> None:
            raise PermissionError(13, 'Permission denied')

        monkeypatch.setattr(Path, 'open' if kind == 'file' else 'iterdir', refuse)
        path = path if kind == 'file' else tmp_path
    with pytest.raises(HierSegError, match='cannot be read') as error:
        Bag(path)
    assert str(error.value).startswith(f'{path}: ') and '\n' not in str(error.value)


# ------------------------------------------------------------------------ sizes that are not true


def record(opcode: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack('<BQ', opcode, len(body) if length is None else length) + body


def chunk(size: int, packed: bytes, compression: bytes = b'zstd', length: int = -1) -> bytes:
    name = struct.pack('<I', len(compression)) + compression
    claimed = len(packed) if length < 0 else length
    return record(
        6, struct.pack('<QQQI', 0, 9, size, 0) + name + struct.pack('<Q', claimed) + packed
    )


LIES = {
    'a record of 2**60 bytes': record(3, b'', 2**60),
    'a chunk that unpacks to 2**62 bytes': chunk(2**62, zstandard.compress(bytes(100))),
    'a frame that unpacks to 2**40 bytes': chunk(
        100, b'\x28\xb5\x2f\xfd\xe0' + struct.pack('<Q', 2**40) + bytes(20)
    ),
    'a frame that unpacks to more than its chunk': chunk(2**20, zstandard.compress(bytes(2**29))),
    'a chunk of 2**50 bytes': chunk(9, b'', length=2**50),
    'a schema of 2**32 bytes': record(3, struct.pack('<HI', 1, 2**32 - 1)),
    'metadata of a channel of 2**32 bytes': record(4, struct.pack('<HHIII', 1, 1, 0, 0, 2**32 - 1)),
}


def test_sizes_that_are_not_true_take_no_memory(tmp_path: Path) -> None:
    for number, lie in enumerate(LIES.values()):
        (tmp_path / f'{number}.mcap').write_bytes(b'\x89MCAP0\r\n' + lie)
    # As much as the process has, and 400 MB.
    code = (
        'import pathlib, resource, sys\n'
        'from hier_seg_ros.bags.bag import Bag\n'
        'from hier_seg_ros.errors import HierSegError\n'
        'size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()\n'
        'resource.setrlimit(resource.RLIMIT_AS, (size + 400 * 2**20,) * 2)\n'
        'for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n'
        '    try:\n'
        '        bag = Bag(path)\n'
        '        sum(1 for _ in bag.messages(bag.topics))\n'
        '    except HierSegError as error:\n'
        '        print(error)\n'
    )
    result = subprocess.run(
        [sys.executable, '-c', code, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert result.stderr == ''
    lines = result.stdout.splitlines()
    assert len(lines) == len(LIES)
    for number, line in enumerate(lines):
        assert line.startswith(f'{tmp_path}/{number}.mcap: the bag is cut off or damaged')
        assert 'MemoryError' not in line


# ----------------------------------------------------------------------------------- writing


@pytest.mark.parametrize('latched', [False, True])
def test_what_was_written_is_read_by_the_libraries(tmp_path: Path, latched: bool) -> None:
    path = tmp_path / 'a'
    with BagWriter(path) as writer:
        writer.add_topic('/text', STRING, latched)
        for topic, _, time, data in CONTENT:
            if topic == '/image':
                writer.write(topic, TYPES.deserialize_cdr(data, IMAGE), time)
            else:
                writer.write_serialized(topic, data, time)
    assert delivered(path) == (counted(), None)
    information = yaml.safe_load((path / 'metadata.yaml').read_text())
    assert information['rosbag2_bagfile_information']['version'] == 8
    with Reader(path) as reader:
        read = [(connection.topic, time, data) for connection, time, data in messages_of(reader)]
        assert read == [(topic, time, data) for topic, _, time, data in CONTENT]
        qos = {connection.topic: connection.ext for connection in reader.connections}
    (profile,) = qos['/text'].offered_qos_profiles
    assert (profile.durability == QosDurability.TRANSIENT_LOCAL) == latched
    with Bag(path) as bag:
        assert (bag.topics['/text'].latched, bag.topics['/image'].latched) == (latched, False)


def messages_of(reader: Reader) -> Any:
    return reader.messages(reader.connections)


def test_every_changed_byte_of_what_was_written_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / 'a'
    with BagWriter(path) as writer:
        for time in range(3):
            writer.write('/text', string_message(f'text {time}'), time)
    file = storage_file(path)
    data = file.read_bytes()
    original, error = delivered(path)
    assert error is None and original.total() == 3
    for at in range(0, len(data), 23):
        content = bytearray(data)
        content[at] ^= 0x10
        file.write_bytes(content)
        _, error = delivered(path)
        assert error is not None, at


def test_times_before_1970_are_no_stamps(tmp_path: Path) -> None:
    path = tmp_path / 'a'
    stamps = [0, -5 * 10**9, 7]
    with BagWriter(path) as writer:
        for index, stamp in enumerate(stamps):
            image = image_message(np.full((2, 2), index, np.uint8), stamp, 'camera')
            writer.write('/image', image, START + index)
    with ImageBag(path) as bag:
        assert [image.stamp for image in bag.images('/image')] == [START, START + 1, 7]
        assert bag.stamps(['/image']) == {
            '/image': {START: START, START + 1: START + 1, 7: START + 2}
        }
        for image in bag.images('/image'):
            again = bag.image_at(
                '/image', image.stamp, bag.stamps(['/image'])['/image'][image.stamp]
            )
            np.testing.assert_array_equal(again.pixels, image.pixels)
        (warning,) = bag.warnings
    assert 'without a stamp (zero or negative)' in warning


def test_a_message_that_is_none_of_its_type_is_lost_and_named(tmp_path: Path) -> None:
    path = tmp_path / 'a'
    with BagWriter(path) as writer:
        for time in range(1, 4):
            writer.write('/image', image_message(np.zeros((2, 2), np.uint8), time, 'camera'), time)
        writer.write_serialized('/image', bytes([0, 1, 0, 0, 9]), 9)
    with ImageBag(path) as bag:
        assert set(bag.stamps(['/image'])['/image']) == {1, 2, 3}
        seen = []
        with pytest.raises(DamagedBagError, match=r'a message of /image.*1 message is lost'):
            for image in bag.images('/image'):
                seen.append(image.stamp)
    assert seen == [1, 2, 3]
