# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RViz's configuration, with the topics of a launch file's arguments."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence

import yaml

from hier_seg_ros.files.reading import read_yaml
from hier_seg_ros.resources import share_folder

# One topic for all cameras.
LEGEND = '/segmenter/legend'


def write_display_config(values: Mapping[str, str], cameras: Sequence[str]) -> str:
    """Write config/segment.rviz, which names the topics of one camera without a namespace, anew.

    Parameters
    ----------
    values
        The arguments of segment.launch.py.
    cameras
        The names of several cameras; empty for one without a name.

    Returns
    -------
    str
        The path of the file, which is temporary: nobody but RViz needs it.

    """
    config = read_yaml(share_folder() / 'config' / 'segment.rviz')
    manager = config['Visualization Manager']
    namespace = values['namespace'].strip('/')
    namespace = f'/{namespace}' if namespace else ''
    displays = []
    for camera in cameras or ['']:
        prefix = f'{camera}/' if camera else ''
        image_topic = values['image_topic'].removesuffix('/compressed')
        if not image_topic.startswith('/'):
            image_topic = f'{namespace}/{prefix}{image_topic}'
        if values['image_transport'] == 'compressed':
            image_topic += '/compressed'
        for display in manager['Displays']:
            topic = display['Topic']['Value']
            if topic == LEGEND:
                continue
            if topic.startswith('/segmenter/'):
                topic = f'{namespace}/segmenter/{prefix}{topic.removeprefix("/segmenter/")}'
            else:
                topic = image_topic
            displays.append(
                {
                    **display,
                    'Name': f'{camera} {display["Name"]}'.lstrip(),
                    'Topic': {**display['Topic'], 'Value': topic},
                }
            )
    for display in manager['Displays']:
        if display['Topic']['Value'] == LEGEND:
            displays.append(
                {**display, 'Topic': {**display['Topic'], 'Value': f'{namespace}{LEGEND}'}}
            )
    manager['Displays'] = displays
    with tempfile.NamedTemporaryFile(
        'w', encoding='utf-8', prefix='segment_', suffix='.rviz', delete=False
    ) as file:
        yaml.safe_dump(config, file, sort_keys=False)
    return file.name
