# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that both launch files have, and the values of all: read, or refused in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import parse_yaml
from hier_seg_ros.resources import share_folder

NAMES = re.compile(r'/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*')
LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')

# Name, default, description.
PARAMS_FILE = (
    'params_file',
    str(share_folder() / 'config' / 'segmenter.yaml'),
    'Parameter file of the node',
)
DDS_PROFILE = (
    'dds_profile',
    'auto',
    'Fast DDS profile: auto (made for large images), none, or the path of a file',
)


def params_file(values: Mapping[str, str]) -> str:
    """Return the path of the parameter file; HierSegError if there is none."""
    path = Path(values['params_file']).expanduser()
    if not path.is_file():
        raise HierSegError(f'params_file:={values["params_file"]}: no such file')
    return str(path)


def boolean(name: str, values: Mapping[str, str]) -> bool:
    """Return the value of an argument that is true or false; HierSegError if it is neither."""
    value = values[name].lower()
    if value not in ('true', 'false', '1', '0'):
        raise HierSegError(f'{name}:={values[name]}: must be true or false')
    return value in ('true', '1')


def seconds(name: str, values: Mapping[str, str]) -> str:
    """Return the value of an argument that is a time; HierSegError if it is no number above 0."""
    try:
        positive = float(values[name]) > 0
    except ValueError:
        positive = False
    if not positive:
        raise HierSegError(f'{name}:={values[name]}: must be a number of seconds above 0')
    return values[name]


def camera_names(values: Mapping[str, str]) -> list[str]:
    """Return the names in the argument `cameras`, a YAML list or names with commas or spaces.

    Raises
    ------
    HierSegError
        It is no list of names.

    """
    text = values['cameras']
    try:
        names = parse_yaml(text, 'cameras') if text else []
    except HierSegError:
        names = None
    if isinstance(names, str):
        names = names.replace(',', ' ').split()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise HierSegError(f'cameras:={text}: must be a list of names such as [front, left]')
    return names


def check_names(values: Mapping[str, str]) -> None:
    """Check what launch would take as it is, and the node would report in rcl's words.

    Raises
    ------
    HierSegError
        The log level is none; namespace or topics are no names, or, with several cameras, the
        topics are full names.

    """
    if values['log_level'].lower() not in LOG_LEVELS:
        raise HierSegError(
            f'log_level:={values["log_level"]}: must be one of {", ".join(LOG_LEVELS)}'
        )
    for name in ('namespace', 'image_topic', 'camera_info_topic'):
        value = values[name]
        no_namespace = name == 'namespace' and value in ('', '/')
        if not no_namespace and not NAMES.fullmatch(value):
            raise HierSegError(
                f'{name}:={value}: must be names of letters, digits and underscores with a slash '
                f'between them'
            )
        if name != 'namespace' and values['cameras'] and value.startswith('/'):
            raise HierSegError(
                f'{name}:={value}: with cameras, give what follows the name of each camera, such '
                f'as image_raw'
            )
