# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command on recordings that are damaged, or odd."""

from __future__ import annotations

import io
import re

import numpy as np
import PIL.Image
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from recordings import (
    CONTENT,
    START,
    counted,
    damaged,
    delivered,
    write_folder,
    write_mcap,
    write_ros1,
)
from ros_client import Command
from rosbags.rosbag2 import CompressionMode, StoragePlugin
from sensor_msgs.msg import Image

from hier_seg_ros.bags.messages import COMPRESSED_IMAGE, TYPES, deserialize, header

FAST = ('--rate', 1000)


def played(output):
    return int(re.search(r'(\d+) messages played', output)[1])


@pytest.mark.parametrize('kind', ['mcap', 'db3', 'message', 'ros1'])
def test_recordings_of_every_kind_are_played(tmp_path, replay, kind):
    if kind == 'ros1':
        bag = write_ros1(tmp_path / 'a.bag')
    elif kind == 'mcap':
        bag = write_mcap(tmp_path / 'a.mcap', profile='')
    else:
        mode = CompressionMode.MESSAGE if kind == 'message' else CompressionMode.NONE
        bag = write_folder(tmp_path / 'a', StoragePlugin.SQLITE3, compression=mode)
    code, output, errors = replay(bag, *FAST)
    assert (code, errors) == (0, '')
    assert played(output) == len(CONTENT)


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize('kind', ['mcap', 'db3'])
def test_of_a_damaged_recording_what_can_be_read_is_played(tmp_path, replay, kind, seed):
    if kind == 'mcap':
        bag = file = write_mcap(tmp_path / 'a.mcap', chunk_size=6000)
    else:
        bag = write_folder(tmp_path / 'a', StoragePlugin.SQLITE3)
        file = bag / 'a.db3'
    file.write_bytes(damaged(file.read_bytes(), seed))
    messages, error = delivered(bag)
    code, output, errors = replay(bag, *FAST)
    assert code == (error is not None)
    assert 'Traceback' not in errors
    if messages:
        assert played(output) == messages.total()
    lines = [line for line in errors.splitlines() if line.startswith('replay_bag: ')]
    if error is None:
        assert errors == '' and (kind == 'db3' or messages == counted())
    else:
        assert lines == [f'replay_bag: {error}'] and 'lost' in lines[0]


def test_a_loop_over_a_damaged_recording_goes_on_and_fails_in_the_end(tmp_path, client):
    bag = write_mcap(tmp_path / 'a.mcap', chunk_size=6000)
    data = bag.read_bytes()
    bag.write_bytes(data[: len(data) // 2])
    images = client.collect('/image', Image)
    command = Command('replay_bag', str(bag), '--loop', '--rate', '20')
    try:
        client.wait_for(lambda: len(images) > 100, 'several rounds')
        assert command.stop() == 1
    finally:
        command.kill()
    assert command.output.count('what can be read is played') == 1
    assert f'replay_bag: {bag}: the bag is cut off or damaged' in command.output


def test_times_that_cannot_be_are_not_waited_for(tmp_path, replay):
    (_, type_name, _, data), *_ = CONTENT
    times = [5, START, START + 10**6, START + 400 * 86_400 * 10**9, 2**63 - 1]
    bag = write_mcap(tmp_path / 'a.mcap', [('/image', type_name, time, data) for time in times])
    code, output, errors = replay(bag, '--clock')
    assert code == 0 and played(output) == len(times)
    assert '399 days without a message are skipped' in errors


def test_topics_whose_names_cannot_be_are_skipped(tmp_path, replay):
    (_, type_name, _, data), *_ = CONTENT
    names = ['/image', '/im\nage', '/im age', '/9', 'no//name', '']
    bag = write_mcap(tmp_path / 'a.mcap', [(name, type_name, START, data) for name in names])
    code, output, errors = replay(bag, *FAST)
    assert code == 0 and played(output) == 1 and 'Traceback' not in errors
    assert len(errors.splitlines()) == errors.count('is skipped') == len(names) - 1
    code, output, errors = replay(bag, '--topics', '/nothing')
    assert code == 1 and len(errors.splitlines()) == 1


def test_wrong_metadata_is_a_warning(tmp_path, replay):
    bag = write_folder(tmp_path / 'a', StoragePlugin.MCAP)
    path = bag / 'metadata.yaml'
    path.write_text(path.read_text().replace('message_count: 40', 'message_count: 50'))
    code, output, errors = replay(bag, *FAST)
    assert code == 0 and played(output) == len(CONTENT)
    assert 'metadata.yaml has another number of messages than the storage' in errors


def test_images_that_cannot_be_decoded_are_left_out_and_counted(tmp_path, replay, client):
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(buffer, 'TIFF')
    good = buffer.getvalue()
    contents = [good, good[:100], b'\0\0\0\1\x67' + bytes(50), b'', bytes(100), good]
    messages = []
    for index, content in enumerate(contents):
        stamp = START + index
        message = TYPES.types[COMPRESSED_IMAGE](
            header(stamp, 'camera'), format='jpeg', data=np.frombuffer(content, np.uint8)
        )
        data = bytes(TYPES.serialize_cdr(message, COMPRESSED_IMAGE))
        messages.append(('/camera/compressed', COMPRESSED_IMAGE, stamp, data))
    assert deserialize(messages[0][3], COMPRESSED_IMAGE).format == 'jpeg'
    # One that is no message of its type at all.
    messages.append(('/camera/compressed', COMPRESSED_IMAGE, START + 9, bytes([0, 1, 0, 0, 7])))
    bag = write_mcap(tmp_path / 'a.mcap', messages)
    code, output, errors = replay(bag, '--decompress', *FAST)
    assert code == 1 and played(output) == 2
    assert errors.splitlines()[-1] == (
        'replay_bag: 5 images could not be decoded and were left out'
    )
    assert 'is H.264 video' in errors and 'Traceback' not in errors


def test_a_missing_topic_is_named_with_the_image_topics(tmp_path, replay):
    bag = write_mcap(tmp_path / 'a.mcap')
    code, _, errors = replay(bag, '--topics', '/imaeg')
    assert code == 1
    assert errors == (
        f'replay_bag: {bag}: has no topic /imaeg; it has /image, /text; its image topics: /image\n'
    )
