# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from ros_client import DEADLINE, Command, open_files

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros.process import dds_profile as transport
from hier_seg_ros.ros.process.dds_profile import (
    PROFILE_VARIABLES,
    SHARED_MEMORY_FOLDER,
    use_dds_profile,
)


@pytest.fixture
def free_bytes(monkeypatch):
    """Set how much shared memory is free."""

    def set_free(count):
        monkeypatch.setattr(transport, '_free_bytes', lambda folder: count)

    set_free(2**40)
    return set_free


def profile_of(environment):
    values = {environment[variable] for variable in PROFILE_VARIABLES if variable in environment}
    assert len(values) == 1
    return values.pop()


def test_the_profile_for_large_images_is_taken(free_bytes):
    environment = {}
    assert use_dds_profile('auto', environment) is None
    root = ElementTree.parse(profile_of(environment)).getroot()
    size = root.find('.//{*}segment_size')
    assert size is not None and int(size.text) == 64 * 1024 * 1024


def test_too_little_shared_memory_falls_back_to_udp_and_says_so(free_bytes):
    free_bytes(64 * 1024 * 1024)
    environment = {}
    line = use_dds_profile('auto', environment)
    assert '64 MB free' in line and '--shm-size' in line
    root = ElementTree.parse(profile_of(environment)).getroot()
    assert [element.text for element in root.iterfind('.//{*}type')] == ['UDPv4']


@pytest.mark.parametrize(
    'environment',
    [
        {'FASTRTPS_DEFAULT_PROFILES_FILE': '/mine.xml'},
        {'FASTDDS_DEFAULT_PROFILES_FILE': '/mine.xml'},
        {'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'},
        {'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'},
    ],
)
def test_what_the_user_has_chosen_stays(environment, free_bytes):
    before = dict(environment)
    assert use_dds_profile('auto', environment) is None
    assert environment == before


def test_none_changes_nothing(free_bytes):
    environment = {}
    assert use_dds_profile('none', environment) is None
    assert environment == {}


def test_a_file_goes_before_everything(tmp_path, free_bytes):
    profile = tmp_path / 'profile.xml'
    profile.write_text('<dds/>')
    environment = dict.fromkeys(PROFILE_VARIABLES, '/other.xml')
    use_dds_profile(str(profile), environment)
    assert profile_of(environment) == str(profile)

    with pytest.raises(HierSegError, match='no such DDS profile'):
        use_dds_profile(str(tmp_path / 'missing.xml'), environment)


def test_a_missing_shared_memory_folder_counts_as_none():
    assert transport._free_bytes(Path('/no/such/folder')) == 0
    assert transport._free_bytes(Path(os.sep)) > 0


def test_what_killed_processes_have_left_is_removed_and_nothing_else(tmp_path):
    def segment(name, seconds_old):
        """Make a segment and its lock file; return both."""
        files = [tmp_path / name, tmp_path / f'{name}_el']
        for path in files:
            path.write_bytes(b'content')
            os.utime(path, (time.time() - seconds_old,) * 2)
        return files

    dead = segment('fastrtps_0123456789abcdef', 3600) + segment('fastdds_fedcba9876543210', 3600)
    young = segment('fastrtps_1111111111111111', 0)
    port = segment('fastrtps_port7000', 3600)
    other = segment('another_0123456789abcdef', 3600)
    living = segment('fastrtps_2222222222222222', 3600)
    with living[1].open('ab') as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        use_dds_profile('auto', {}, tmp_path)
        assert not [path for path in dead if path.exists()]
        assert all(path.exists() for path in young + port + other + living)


def test_a_choice_of_the_user_leaves_the_shared_memory_alone(tmp_path):
    lock = tmp_path / 'fastrtps_0123456789abcdef_el'
    lock.write_bytes(b'')
    os.utime(lock, (0, 0))
    use_dds_profile('none', {}, tmp_path)
    use_dds_profile('auto', {'FASTDDS_DEFAULT_PROFILES_FILE': '/mine.xml'}, tmp_path)
    assert lock.exists()


PARTICIPANT = """
import sys, rclpy
from hier_seg_ros.ros.process.dds_profile import use_dds_profile
use_dds_profile()
rclpy.init()
node = rclpy.create_node('participant')
print('ready', flush=True)
sys.stdin.read()
"""


def segments_of(process_id):
    """Return a process's own segments: those whose lock files it holds open."""
    segments = [path.with_name(path.name.removesuffix('_el')) for path in open_files(process_id)]
    return [path for path in segments if transport.SEGMENT_NAME.fullmatch(path.name)]


def skip_without_segments(segments):
    import rclpy

    if 'fastrtps' not in rclpy.get_rmw_implementation_identifier():
        pytest.skip('needs Fast DDS')
    if not segments:
        pytest.skip('/dev/shm is too small for the profile')


def test_fast_dds_locks_its_segments_as_the_clean_up_expects():
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
    process = subprocess.Popen([sys.executable, '-c', PARTICIPANT], **pipes)
    try:
        assert process.stdout.readline() == 'ready\n'
        segments = segments_of(process.pid)
        skip_without_segments(segments)
        for segment in segments:
            os.utime(f'{segment}_el', (0, 0))
        transport._remove_leftovers(SHARED_MEMORY_FOLDER)
        assert all(segment.exists() for segment in segments)
    finally:
        process.kill()
        process.communicate()
    transport._remove_leftovers(SHARED_MEMORY_FOLDER)
    assert not any(segment.exists() for segment in segments)


def test_a_process_waits_until_its_shared_memory_is_removed():
    code = """
import gc, rclpy
from hier_seg_ros.ros.process import dds_profile
dds_profile.use_dds_profile()
rclpy.init()
node = rclpy.create_node('waits')
segments = dds_profile.own_segments()
print(len(segments), sum(segment.exists() for segment in segments))
# Of a participant that lives they would be waited for no longer than that.
dds_profile.wait_for_removal(segments, 0.01)
node.destroy_node()
rclpy.shutdown()
del node
gc.collect()
dds_profile.wait_for_removal(segments, 60.0)
print(sum(segment.exists() for segment in segments))
"""
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, timeout=DEADLINE
    )
    own, before, after = map(int, result.stdout.split())
    skip_without_segments(own)
    assert (before, after) == (own, 0)


# While it is being activated, and while it waits for frames.
@pytest.mark.parametrize('line', ['is ready on', 'no frame has come yet'])
@pytest.mark.parametrize('signal_number', [signal.SIGINT, signal.SIGTERM])
def test_a_node_that_ends_leaves_no_shared_memory(signal_number, line, untrained_model):
    node = Command('segmenter_node', '--ros-args', '-p', f'model:={untrained_model}')
    try:
        node.wait_for_output(line)
        segments = segments_of(node.process.pid)
        skip_without_segments(segments)
        assert node.stop(signal_number) == 0
    finally:
        node.kill()
    assert not any(segment.exists() for segment in segments)
