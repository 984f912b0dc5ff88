# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""RViz's configuration, which names the topics in use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.ros.launching.display_config import write_display_config
from hier_seg_ros.segmenter.class_groups import ClassGroups
from hier_seg_ros.segmenter.outputs import image_outputs


def written(cameras: list[str], **values: str) -> dict[str, str]:
    """Return the topic of each display, by its name."""
    given = {'namespace': '', 'image_topic': 'image', 'image_transport': '', **values}
    path = Path(write_display_config(given, cameras))
    config = yaml.safe_load(path.read_text(encoding='utf-8'))
    path.unlink()
    displays = config['Visualization Manager']['Displays']
    return {display['Name']: display['Topic']['Value'] for display in displays}


@pytest.mark.parametrize(
    ('cameras', 'namespace', 'above'),
    [
        ([], '', ['/segmenter']),
        ([], '/robot/', ['/robot/segmenter']),
        (['front', 'left'], 'fleet/a', ['/fleet/a/segmenter/front', '/fleet/a/segmenter/left']),
    ],
)
def test_every_output_of_every_camera_is_shown(
    street_tree: Hierarchy, cameras: list[str], namespace: str, above: list[str]
) -> None:
    shown = written(cameras, namespace=namespace)
    offered = image_outputs(street_tree, groups=ClassGroups({'person': ['Person']}, street_tree))
    topics = [*(output.topic for output in offered), 'points']
    outputs = {f'{folder}/{topic}' for folder in above for topic in topics}
    # The node's own, whatever its cameras.
    outputs.add(f'{above[0].partition("segmenter")[0]}segmenter/legend')
    inputs = {topic for name, topic in shown.items() if name.endswith('Input')}
    assert set(shown.values()) - inputs == outputs
    assert len(shown) == len(outputs) + len(above)


@pytest.mark.parametrize(
    ('cameras', 'values', 'inputs'),
    [
        ([], {'image_topic': '/camera/image_raw/compressed'}, ['/camera/image_raw']),
        ([], {'image_topic': '/image', 'namespace': 'robot'}, ['/image']),
        ([], {'image_topic': 'image', 'namespace': 'robot'}, ['/robot/image']),
        ([], {'image_transport': 'compressed'}, ['/image/compressed']),
        (['front', 'left'], {}, ['/front/image', '/left/image']),
    ],
)
def test_the_input_is_the_one_that_the_node_takes(
    cameras: list[str], values: dict[str, str], inputs: list[str]
) -> None:
    shown = written(cameras, **values)
    assert [topic for name, topic in shown.items() if re.search(r'\bInput$', name)] == inputs
