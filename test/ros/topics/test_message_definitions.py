# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Definitions of message types, against those that rosbags knows and those of other packages."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from rclpy.serialization import serialize_message
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from hier_seg_ros.bags.bag import Bag
from hier_seg_ros.bags.messages import TYPES
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros.topics import message_definitions
from hier_seg_ros.ros.topics.message_definitions import message_class, message_definition

# Python does not tell char from uint8.
WITH_CHAR = {'std_msgs/msg/Char'}
PACKAGES = ('diagnostic_msgs', 'geometry_msgs', 'rcl_interfaces', 'sensor_msgs', 'std_msgs')


def store_of(type_name):
    types = get_typestore(Stores.EMPTY)
    types.register(get_types_from_msg(message_definition(type_name), type_name))
    return types


@pytest.mark.parametrize('package', PACKAGES)
def test_definitions_are_those_of_the_interfaces(package):
    compared = 0
    for name in sorted(TYPES.fielddefs):
        if not name.startswith(f'{package}/msg/') or message_class(name) is None:
            continue
        # The hash is of the names and types of all fields, of those within them, too.
        if name not in WITH_CHAR:
            assert store_of(name).hash_rihs01(name) == TYPES.hash_rihs01(name), name
        compared += 1
    assert compared >= 3


def test_a_type_that_is_not_installed_has_no_class():
    assert message_class('nowhere_msgs/msg/Thing') is None
    assert message_class('std_msgs/msg/Thing') is None
    assert message_class('std_msgs/Empty') is None


def test_every_kind_of_field(monkeypatch):
    fields = {
        'a': 'sequence<double, 5>',
        'b': 'string<10>',
        'c': 'wstring',
        'd': 'sequence<string<3>>',
        'e': 'boolean[2]',
        'f': 'octet',
        'g': 'float',
        'h': 'sequence<other_msgs/Inner, 4>',
        'i': 'int8',
    }
    classes = {
        'own_msgs/msg/Outer': SimpleNamespace(get_fields_and_field_types=lambda: fields),
        'other_msgs/msg/Inner': SimpleNamespace(get_fields_and_field_types=lambda: {}),
    }
    monkeypatch.setattr(message_definitions, 'message_class', classes.__getitem__)
    assert message_definition('own_msgs/msg/Outer').splitlines() == [
        'float64[<=5] a',
        'string<=10 b',
        'wstring c',
        'string<=3[] d',
        'bool[2] e',
        'byte f',
        'float32 g',
        'other_msgs/Inner[<=4] h',
        'int8 i',
        '=' * 80,
        'MSG: other_msgs/Inner',
    ]


@pytest.mark.parametrize(
    'type_name',
    [
        'vision_msgs/msg/Detection2DArray',
        'vision_msgs/msg/LabelInfo',
        'foxglove_msgs/msg/ImageAnnotations',
        'foxglove_msgs/msg/PackedElementField',
    ],
)
def test_types_of_other_packages_are_recorded(type_name, tmp_path):
    kind = message_class(type_name)
    if kind is None:
        pytest.skip(f'{type_name} is not installed')
    data = serialize_message(kind())
    with BagWriter(tmp_path / 'bag') as recording:
        recording.add_topic('/a', type_name, definition=message_definition(type_name))
        recording.add_topic('/b', type_name, True, message_definition(type_name))
        recording.write_serialized('/a', data, 5)
    with Bag(tmp_path / 'bag') as bag:
        assert {topic.type_name for topic in bag.topics.values()} == {type_name}
        assert [message.data for message in bag.messages(['/a'])] == [data]
    assert type_name not in TYPES.fielddefs


def test_a_type_without_a_definition_is_refused(tmp_path):
    recording = BagWriter(tmp_path / 'bag')
    with pytest.raises(HierSegError, match='none_msgs/msg/Thing is not one of the common'):
        recording.add_topic('/a', 'none_msgs/msg/Thing')
    recording.discard()
