# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros import transport
from hier_seg_ros.ros.transport import PROFILE_VARIABLES, use_dds_profile


@pytest.fixture
def free_bytes(monkeypatch):
    """Set how much shared memory is free."""

    def set_free(count):
        monkeypatch.setattr(transport, '_free_bytes', lambda folder: count)

    set_free(2**40)
    return set_free


def profile_of(environment):
    values = {environment.get(variable) for variable in PROFILE_VARIABLES}
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
