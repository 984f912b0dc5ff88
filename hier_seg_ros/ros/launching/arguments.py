# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that both launch files have, and the values of all: read, or refused in one line."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import parse_yaml, read_yaml
from hier_seg_ros.resources import share_folder
from hier_seg_ros.settings import Settings, changed_settings

DEVICES = re.compile(r'auto|cpu|cuda(:[0-9]+)?')
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
    """Return the path of the parameter file.

    Raises
    ------
    HierSegError
        There is no such file, or it holds no YAML or no parameters of nodes.

    """
    path = Path(values['params_file']).expanduser()
    if not path.is_file():
        raise HierSegError(f'params_file:={values["params_file"]}: no such file')
    # rcl takes a file without any content.
    if not _names_nodes(read_yaml(path) or {}):
        raise HierSegError(
            f'params_file:={values["params_file"]}: is no parameter file; below the names of nodes '
            f'it has ros__parameters, and below that parameters, as config/segmenter.yaml has'
        )
    return str(path)


def _names_nodes(content: object, top: bool = True) -> bool:
    """Return whether rcl reads `content`: names of nodes, in namespaces or not, down to theirs."""
    return isinstance(content, Mapping) and all(
        not top and isinstance(below, Mapping) and _has_values(below)
        if name == 'ros__parameters'
        else isinstance(name, str) and _names_nodes(below, top=False)
        for name, below in content.items()
    )


def _has_values(parameters: Mapping[object, object]) -> bool:
    return all(
        _has_values(value) if isinstance(value, Mapping) else value is not None
        for value in parameters.values()
    )


def check_dds_profile(values: Mapping[str, str]) -> None:
    """Check that the argument `dds_profile` is a file or one of the words.

    Raises
    ------
    HierSegError
        It is neither.

    """
    profile = values['dds_profile']
    if profile not in ('auto', 'none') and not Path(profile).expanduser().is_file():
        raise HierSegError(f'dds_profile:={profile}: is neither auto, none nor a file that exists')


def check_device(values: Mapping[str, str]) -> None:
    """Check that the argument `device` names one; whether it is there, the node finds out.

    Raises
    ------
    HierSegError
        It is no name of a device.

    """
    if not DEVICES.fullmatch(values['device']):
        raise HierSegError(
            f'device:={values["device"]}: must be auto, cpu, cuda or cuda:N, such as cuda:0'
        )


def check_image_topic(bag: Path, topic: str) -> str:
    """Return the topic on which a bag has some images, as they are or compressed.

    Parameters
    ----------
    bag
        A recording.
    topic
        Without /compressed.

    Raises
    ------
    HierSegError
        It is no recording, or has no such images; the line names its image topics.

    """
    # Only an evaluation needs what reads bags.
    from hier_seg_ros.bags.image_bag import ImageBag

    with ImageBag(bag) as recording:
        for name in (f'{topic}/compressed', topic):
            if name in recording.image_topics:
                return name
        found = ', '.join(recording.image_topics) or 'none'
    raise HierSegError(
        f'image_topic:={topic}: {bag} has no such images; its image topics are {found}'
    )


def boolean(name: str, values: Mapping[str, str]) -> bool:
    """Return the value of an argument that is true or false; HierSegError if it is neither."""
    value = values[name].lower()
    if value not in ('true', 'false', '1', '0'):
        raise HierSegError(f'{name}:={values[name]}: must be true or false')
    return value in ('true', '1')


def seconds(name: str, values: Mapping[str, str]) -> str:
    """Return the value of an argument that is a time; HierSegError if it is no number above 0."""
    try:
        positive = 0 < float(values[name]) < math.inf
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
        The log level, transport, engine or a camera's name is none; namespace or topics are no
        names, or, with several cameras, the topics are full names.

    """
    changed_settings(Settings(), {'cameras': camera_names(values)})
    for name in ('image_transport', 'engine'):
        if values.get(name):
            changed_settings(Settings(), {name: values[name]})
    if values['log_level'].lower() not in LOG_LEVELS:
        raise HierSegError(
            f'log_level:={values["log_level"]}: must be one of {", ".join(LOG_LEVELS)}'
        )
    topics = ('image_topic', 'compressed_topic', 'camera_info_topic', 'depth_topic')
    for name in ('namespace', *topics):
        value = values[name]
        if name == 'namespace':
            value = value.strip('/')
        not_given = name in ('namespace', 'compressed_topic') and not value
        if not not_given and not NAMES.fullmatch(value):
            raise HierSegError(
                f'{name}:={values[name]}: must be names of letters, digits and underscores with a '
                f'slash between them'
            )
        if name != 'namespace' and values['cameras'] and value.startswith('/'):
            raise HierSegError(
                f'{name}:={value}: with cameras, give what follows the name of each camera, such '
                f'as image_raw'
            )
