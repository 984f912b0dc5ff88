# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The values of launch arguments, where launch need not be installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros.launching.arguments import (
    LOG_LEVELS,
    PARAMS_FILE,
    boolean,
    camera_names,
    check_names,
    params_file,
    seconds,
)

GOOD = {
    'log_level': 'info',
    'namespace': '',
    'image_topic': '/camera/image_raw',
    'camera_info_topic': 'camera_info',
    'depth_topic': 'depth',
    'compressed_topic': '',
    'image_transport': '',
    'cameras': '',
}


@pytest.mark.parametrize(
    'values',
    [
        *({'log_level': level} for level in (*LOG_LEVELS, 'DEBUG')),
        *(
            {'namespace': namespace}
            for namespace in ('/', 'robot', '/robot', '/fleet/robot_2', '/car2/')
        ),
        {'cameras': '[front]', 'image_topic': 'color/image_raw'},
    ],
)
def test_good_names_pass(values: dict[str, str]) -> None:
    check_names(GOOD | values)


@pytest.mark.parametrize(
    ('name', 'value', 'text'),
    [
        ('log_level', 'loud', 'must be one of debug'),
        ('namespace', 'my robot', 'must be names'),
        ('namespace', 'robot//arm', 'must be names'),
        ('compressed_topic', 'a b', 'must be names'),
        ('image_topic', '', 'must be names'),
        ('image_topic', '/', 'must be names'),
        ('image_topic', '/camera//image', 'must be names'),
        ('camera_info_topic', '2nd/camera_info', 'must be names'),
        ('depth_topic', 'depth image', 'must be names'),
    ],
)
def test_bad_names_are_refused(name: str, value: str, text: str) -> None:
    with pytest.raises(HierSegError) as caught:
        check_names(GOOD | {name: value})
    assert str(caught.value).startswith(f'{name}:={value}: {text}')


def test_topics_of_several_cameras_lie_below_their_names() -> None:
    with pytest.raises(HierSegError, match='image_topic:=/camera/image_raw: with cameras'):
        check_names(GOOD | {'cameras': 'front left'})


@pytest.mark.parametrize(
    ('text', 'names'),
    [
        ('', []),
        ('[]', []),
        ('front', ['front']),
        ('front, left', ['front', 'left']),
        ('front left', ['front', 'left']),
        ('[front, left]', ['front', 'left']),
        ("['front']", ['front']),
    ],
)
def test_cameras_are_a_list_or_words(text: str, names: list[str]) -> None:
    assert camera_names({'cameras': text}) == names


@pytest.mark.parametrize('text', ['[front, 3]', '{front: left}', 'front: x: y', '[front', '7'])
def test_what_is_no_list_of_cameras_is_refused(text: str) -> None:
    with pytest.raises(HierSegError) as caught:
        camera_names({'cameras': text})
    assert str(caught.value).startswith(f'cameras:={text}: must be a list of names')


@pytest.mark.parametrize(('text', 'value'), [('true', True), ('1', True), ('False', False)])
def test_true_and_false(text: str, value: bool) -> None:
    assert boolean('rviz', {'rviz': text}) is value


@pytest.mark.parametrize('text', ['', 'yes', 'maybe'])
def test_what_is_neither_true_nor_false_is_refused(text: str) -> None:
    with pytest.raises(HierSegError, match=f'rviz:={text}: must be true or false'):
        boolean('rviz', {'rviz': text})


@pytest.mark.parametrize('text', ['soon', '0', '-1', 'nan', 'inf', ''])
def test_what_is_no_time_is_refused(text: str) -> None:
    assert seconds('timeout', {'timeout': '1.5'}) == '1.5'
    with pytest.raises(HierSegError, match=f'timeout:={text}: must be a number of seconds'):
        seconds('timeout', {'timeout': text})


def test_the_parameter_file_is_there() -> None:
    name, default, _ = PARAMS_FILE
    assert Path(params_file({name: default})).is_file()
    with pytest.raises(HierSegError, match=r'params_file:=/no/such\.yaml: no such file'):
        params_file({'params_file': '/no/such.yaml'})


@pytest.mark.parametrize(
    'text',
    [
        '', '# nothing\n', '/**: {ros__parameters: {}}', '/**: {ros__parameters: {device: cpu}}',
        'car: {segmenter: {ros__parameters: {a: {b: 1}}}}', '/**/segmenter: {ros__parameters: {}}',
    ],
)  # fmt: skip
def test_a_parameter_file_is_taken(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'a.yaml'
    path.write_text(text)
    assert params_file({'params_file': str(path)}) == str(path)


@pytest.mark.parametrize(
    'text',
    [
        'device: cpu', 'segmenter: {device: cpu}', 'ros__parameters: {device: cpu}', '[1, 2]',
        'hello', '/**:', '/**: {ros__parameters: }', '/**: {ros__parameters: [1]}',
        '/**: {ros__parameters: {device: }}', '/**: {ros__parameters: {a: {b: }}}',
        '{/**: {ros__parameters: {}}, other: 3}', '1: {ros__parameters: {}}',
    ],
)  # fmt: skip
def test_yaml_that_rcl_does_not_read_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'a.yaml'
    path.write_text(text)
    with pytest.raises(HierSegError, match=f'params_file:={path}: is no parameter file; below'):
        params_file({'params_file': str(path)})
