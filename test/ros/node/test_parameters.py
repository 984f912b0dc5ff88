# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from array import array
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from rclpy.parameter import Parameter

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.ros.node.parameters import with_declared_types
from hier_seg_ros.settings import (
    PARAMETERS,
    Settings,
    changed_settings,
    same_model,
    same_regions,
)

REPOSITORY = Path(__file__).resolve().parents[3]


def test_the_parameter_file_lists_every_parameter_with_its_default():
    content = yaml.safe_load((REPOSITORY / 'config' / 'segmenter.yaml').read_text())
    listed = content['/**']['ros__parameters']
    expected = {
        parameter.name: list(parameter.default)
        if isinstance(parameter.default, tuple)
        else parameter.default
        for parameter in PARAMETERS
    }
    assert listed == expected


def test_settings_hold_every_parameter():
    # `of_cameras` holds the values of parameters that single cameras have for themselves.
    assert {field.name for field in fields(Settings)} == {
        'of_cameras',
        *(parameter.name for parameter in PARAMETERS),
    }
    assert all(parameter.description for parameter in PARAMETERS)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('overlay_alpha', -0.1),
        ('overlay_alpha', 1.1),
        ('overlay_alpha', float('nan')),
        ('min_confidence', 2.0),
        ('input_long_side', -1),
        ('max_rate_hz', -1.0),
        ('max_void_share', 1.5),
        ('capture_frames', -1),
        ('capture_directory', ''),
        ('capture_flagged', 1),
        ('stall_error_seconds', 1.0),
        ('input_long_side', True),
        ('void_decisions', 'drop'),
        ('image_transport', 'theora'),
        ('model', 3),
        ('cameras', ['front', 'front']),
        ('cameras', ['front/left']),
        ('cameras', ['2nd']),
        ('allowed_classes', ['Car', 'Car']),
        ('roi', [0, 0, 640]),
        ('roi', [0, 0, 640, 480, 0]),
        ('roi', [-1, 0, 640, 480]),
        ('roi', [0, -1, 640, 480]),
        ('roi', [0, 0, 0, 480]),
        ('roi', [0, 0, 640, 0]),
        ('roi', [0, 0, -640, 480]),
        ('roi', [0.0, 0, 640, 480]),
        ('roi', [False, 0, 640, 480]),
        ('mask', 3),
        ('front.roi', [0, 0, 640]),
        ('front.mask', ['front.png']),
        ('output_scale', 0.3),
        ('output_scale', float('nan')),
        ('output_scale', 1),
        ('jpeg_quality', 0),
        ('jpeg_quality', 101),
        ('jpeg_quality', 90.0),
        ('overlay_sign_names', 'yes'),
        ('class_groups', ['free']),
        ('class_groups', ['free: Road', 'free: Sky']),
        ('class_groups', ['free: Road', 'free: Road']),
    ],
)
def test_bad_values_are_refused_by_name(name, value):
    with pytest.raises(HierSegError, match=f'parameter {name}: ') as caught:
        changed_settings(Settings(), {name: value})
    assert '\n' not in str(caught.value)


def test_one_bad_value_refuses_all():
    settings = Settings()
    with pytest.raises(HierSegError):
        changed_settings(settings, {'overlay_alpha': 0.2, 'void_decisions': 'drop'})
    assert settings == Settings()


def test_what_configure_uses_changes_only_before():
    settings = changed_settings(Settings(), {'cameras': ['left']}, configured=False)
    assert settings.cameras == ('left',)
    with pytest.raises(HierSegError, match='clean it up first'):
        changed_settings(settings, {'cameras': ['right']}, configured=True)
    assert changed_settings(settings, {'cameras': ['left']}, configured=True) == settings
    assert changed_settings(settings, {'model': 'mine'}, configured=True).model == 'mine'


def test_a_model_is_another_one_if_anything_that_it_is_loaded_with_changes():
    settings = Settings()
    assert same_model(settings, changed_settings(settings, {'overlay_alpha': 0.1}))
    for name, value in (('model', 'mine'), ('device', 'cpu'), ('input_long_side', 320)):
        assert not same_model(settings, changed_settings(settings, {name: value})), name


def test_parameters_of_others_are_passed_over():
    assert changed_settings(Settings(), {'use_sim_time': True}) == Settings()


@pytest.mark.parametrize('value', [[], [''], (), None])
def test_an_empty_list_can_be_written_in_several_ways(value):
    settings = changed_settings(Settings(), {'allowed_classes': ['Car']})
    assert settings.allowed_classes == ('Car',)
    assert changed_settings(settings, {'allowed_classes': value}).allowed_classes == ()


def test_an_empty_list_of_any_type_becomes_one_of_names():
    empty = Parameter('allowed_classes', Parameter.Type.BOOL_ARRAY, [])
    other = Parameter('overlay_alpha', Parameter.Type.DOUBLE, 0.5)
    converted = with_declared_types([empty, other])
    assert converted[0].type_ == Parameter.Type.STRING_ARRAY
    assert converted[0].value == []
    assert converted[1] is other


def test_an_empty_list_for_a_roi_is_one_of_whole_numbers():
    (converted,) = with_declared_types([Parameter('front.roi', Parameter.Type.STRING_ARRAY, [])])
    assert converted.type_ == Parameter.Type.INTEGER_ARRAY
    assert changed_settings(Settings(), {'front.roi': converted.value}).roi == ()


def test_a_camera_has_its_own_values_or_the_general_ones():
    changes = {'roi': [0, 0, 6, 4], 'mask': 'all.png', 'left.roi': array('q', [1, 2, 3, 4])}
    settings = changed_settings(Settings(), changes)
    assert settings.of_camera('left', 'roi') == (1, 2, 3, 4)
    assert settings.of_camera('left', 'mask') == 'all.png'
    assert settings.of_camera('front', 'roi') == settings.of_camera('', 'roi') == (0, 0, 6, 4)
    again = changed_settings(settings, {'left.roi': []})
    assert again.of_camera('left', 'roi') == (0, 0, 6, 4)
    assert settings.of_camera('left', 'roi') == (1, 2, 3, 4), 'settings never change'
    assert same_regions(settings, changed_settings(settings, {'overlay_alpha': 0.1}))
    for change in ({'roi': [0, 0, 5, 4]}, {'mask': ''}, {'left.mask': 'left.png'}):
        assert not same_regions(settings, changed_settings(settings, change))


def test_cameras_have_no_other_parameters_of_their_own():
    settings = changed_settings(Settings(), {'left.overlay_alpha': 0.1, 'left.front.roi': 'x'})
    assert settings == Settings()


def test_a_whole_number_may_stand_for_one_with_a_fraction():
    whole = Parameter('overlay_alpha', Parameter.Type.INTEGER, 1)
    count = Parameter('capture_frames', Parameter.Type.INTEGER, 3)
    converted = with_declared_types([whole, count])
    assert converted[0].type_ == Parameter.Type.DOUBLE
    assert converted[0].value == 1.0
    assert converted[1] is count
