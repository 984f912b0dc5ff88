# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files for RViz, Foxglove, QoS and Nav2: they name what the node offers, and all of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.class_groups import ClassGroups
from hier_seg_ros.segmenter.outputs import image_outputs

REPOSITORY = Path(__file__).resolve().parents[3]
CONFIG = REPOSITORY / 'config'
EXAMPLES = REPOSITORY / 'examples'

LEGEND = '/segmenter/legend'
INPUTS = {'/camera/image_raw', '/camera/camera_info'}

# What rviz_default_plugins/plugins_description.xml and PanelFactory's constructor in rviz_common
# (github.com/ros2/rviz, 14.3) offer of the kinds that we use.
RVIZ_IMAGE, RVIZ_POINTS = 'rviz_default_plugins/Image', 'rviz_default_plugins/PointCloud2'
RVIZ_DISPLAYS = {RVIZ_IMAGE, RVIZ_POINTS}
RVIZ_PANELS = {'rviz_common/Displays', 'rviz_common/Time'}
RVIZ_TOOLS = {'rviz_default_plugins/MoveCamera'}
RVIZ_VIEWS = {'rviz_default_plugins/Orbit'}
# The words of rviz_common/properties/qos_profile_property.cpp.
RVIZ_QOS = {
    'Depth': range(1, 1000),
    'History Policy': ('Keep Last', 'Keep All'),
    'Reliability Policy': ('Reliable', 'Best Effort'),
    'Durability Policy': ('Volatile', 'Transient Local'),
}

# Panel types and the names of their settings, from panels/index.ts and each panel's configuration
# type in github.com/lichtblick-suite/lichtblick, which goes on from the last public sources of
# Foxglove Studio.
FOXGLOVE_PANELS = {
    'Image': {'imageMode'},
    '3D': {'followMode', 'topics'},
    'DiagnosticSummary': {
        *('minLevel', 'pinnedIds', 'topicToRender', 'hardwareIdFilter', 'sortByLevel'),
    },
    'DiagnosticStatusPanel': {'topicToRender'},
    'RosOut': {'searchTerms', 'minLogLevel', 'topicToRender'},
    'RawMessages': {
        *('topicPath', 'diffEnabled', 'diffMethod', 'diffTopicPath', 'showFullMessageForDiff'),
    },
    'Parameters': set(),
    'Tab': {'activeTabIdx', 'tabs'},
}
FOXGLOVE_IMAGE_MODE = {
    *('imageTopic', 'calibrationTopic', 'annotations', 'synchronize', 'rotation'),
    *('colorMode', 'colorMap', 'minValue', 'maxValue'),
}
FOXGLOVE_POINTS = {'visible', 'colorMode', 'colorField', 'pointSize'}
FOXGLOVE_TITLE = 'foxglovePanelTitle'

# The parameters that semantic_segmentation_layer.cpp declares
# (github.com/kiwicampus/semantic_segmentation_layer; the same on its branches humble, jazzy and
# rolling, but for use_approximate_time_sync, which humble lacks).
LAYER_PARAMETERS = {
    *('plugin', 'enabled', 'combination_method', 'observation_sources'),
    *('publish_debug_topics', 'use_approximate_time_sync'),
}
SOURCE_PARAMETERS = {
    *('segmentation_topic', 'confidence_topic', 'labels_topic', 'pointcloud_topic'),
    *('observation_persistence', 'expected_update_rate', 'class_types', 'max_obstacle_distance'),
    *('min_obstacle_distance', 'tile_map_decay_time', 'visualize_tile_map', 'use_cost_selection'),
}
CLASS_TYPE_PARAMETERS = {
    *('classes', 'base_cost', 'max_cost', 'mark_confidence', 'samples_to_max_cost'),
    'dominant_priority',
}


@pytest.fixture(scope='module')
def images(street_tree: Hierarchy) -> dict[str, str]:
    """Return the encoding of each image topic that the node offers for the default tree."""
    groups = ClassGroups({'person': ['Person']}, street_tree)
    outputs = image_outputs(street_tree, [node.name for node in street_tree.nodes], groups=groups)
    return {f'/segmenter/{output.topic}': output.encoding for output in outputs}


def camera_info(topic: str) -> str:
    return f'{topic.rsplit("/", 1)[0]}/camera_info'


def test_rviz_shows_every_image(images: dict[str, str]) -> None:
    config = yaml.safe_load((CONFIG / 'segment.rviz').read_text())
    manager = config['Visualization Manager']
    assert {panel['Class'] for panel in config['Panels']} <= RVIZ_PANELS
    assert {tool['Class'] for tool in manager['Tools']} <= RVIZ_TOOLS
    assert manager['Views']['Current']['Class'] in RVIZ_VIEWS

    displays = manager['Displays']
    assert {display['Class'] for display in displays} <= RVIZ_DISPLAYS
    names = Counter(display['Name'] for display in displays)
    assert max(names.values()) == 1, names
    for display in displays:
        qos = dict(display['Topic'])
        del qos['Value']
        assert qos.keys() == RVIZ_QOS.keys()
        assert all(value in RVIZ_QOS[name] for name, value in qos.items()), display['Name']
        # A display is switched on by both.
        assert display['Enabled'] == display['Value']
    # Qt's saved places of the windows, which it finds by the names of what is shown in a window of
    # its own.
    places = bytes.fromhex(config['Window Geometry']['QMainWindow State'])
    windows = [display for display in displays if display['Class'] == RVIZ_IMAGE]
    assert all(display['Name'].encode('utf-16-be') in places for display in windows)
    topics = [display['Topic']['Value'] for display in windows]
    assert sorted(topics) == sorted({*images, '/camera/image_raw', LEGEND})
    (points,) = (display for display in displays if display['Class'] == RVIZ_POINTS)
    assert points['Topic']['Value'] == '/segmenter/points'
    # The field that holds the overlay's colours.
    assert points['Color Transformer'] == 'RGB8'


def panels_of(layout: Any, panels: dict[str, Any]) -> Iterator[str]:
    """Yield the panels in a tree of them, those in tabs included."""
    if isinstance(layout, dict):
        assert layout.keys() == {'direction', 'first', 'second', 'splitPercentage'}
        assert layout['direction'] in ('row', 'column')
        assert 0 < layout['splitPercentage'] < 100
        yield from panels_of(layout['first'], panels)
        yield from panels_of(layout['second'], panels)
    else:
        yield layout
        if layout.startswith('Tab!'):
            for tab in panels[layout]['tabs']:
                assert tab.keys() == {'title', 'layout'}
                yield from panels_of(tab['layout'], panels)


def test_foxglove_shows_every_output(images: dict[str, str]) -> None:
    layout = json.loads((CONFIG / 'foxglove_layout.json').read_text())
    assert layout.keys() == {
        *('configById', 'globalVariables', 'userNodes', 'playbackConfig', 'layout'),
    }
    panels = layout['configById']
    placed = Counter(panels_of(layout['layout'], panels))
    assert placed == Counter(list(panels)), 'each panel has one place'
    for name, panel in panels.items():
        settings = FOXGLOVE_PANELS[name.split('!')[0]]
        assert panel.keys() <= {*settings, FOXGLOVE_TITLE}, name

    modes = [panel['imageMode'] for name, panel in panels.items() if name.startswith('Image!')]
    topics = [mode['imageTopic'] for mode in modes]
    assert sorted(topics) == sorted({*images, '/camera/image_raw', LEGEND})
    for mode in modes:
        assert mode.keys() <= FOXGLOVE_IMAGE_MODE
        if mode['imageTopic'] == LEGEND:
            assert 'calibrationTopic' not in mode
            continue
        assert mode['calibrationTopic'] == camera_info(mode['imageTopic'])
        # Labels are told apart by colours, colours are shown as they are.
        assert ('colorMap' in mode) == (images.get(mode['imageTopic']) == 'mono8')
        assert mode.get('colorMap', 'turbo') in ('turbo', 'rainbow')
    annotations = {
        topic: mode['imageTopic'] for mode in modes for topic in mode.get('annotations', {})
    }
    assert annotations == {'/segmenter/traffic_signs/annotations': '/camera/image_raw'}
    (topics,) = (panel['topics'] for name, panel in panels.items() if name.startswith('3D!'))
    ((topic, settings),) = topics.items()
    assert topic == '/segmenter/points'
    assert settings.keys() <= FOXGLOVE_POINTS
    assert settings['colorMode'] == settings['colorField'] == 'rgb'
    others = {
        panel.get('topicToRender', panel.get('topicPath'))
        for name, panel in panels.items()
        if 'topicToRender' in panel or 'topicPath' in panel
    }
    assert others == {
        *('/diagnostics', '/rosout', '/segmenter/hierarchy', '/segmenter/level_1/label_info'),
        '/segmenter/traffic_signs/detections',
    }


def semantic_layer() -> dict[str, Any]:
    parameters = yaml.safe_load((EXAMPLES / 'nav2_semantic_layer.yaml').read_text())
    costmap = parameters['local_costmap']['local_costmap']['ros__parameters']
    (name,) = (
        name
        for name, value in costmap.items()
        if isinstance(value, dict) and 'SemanticSegmentationLayer' in value['plugin']
    )
    assert costmap['plugins'].index(name) < costmap['plugins'].index('inflation_layer')
    return costmap[name]


def test_the_semantic_layer_knows_every_category(street_tree: Hierarchy) -> None:
    layer = semantic_layer()
    sources = layer.pop('observation_sources').split()
    for name in sources:
        source = layer.pop(name)
        types = source['class_types']
        classes = [label for kind in types for label in source[kind]['classes']]
        # The layer reports an error for each name in the label_info that it has no costs for.
        assert sorted(classes) == sorted(street_tree.categories)
        for kind in types:
            costs = source.pop(kind)
            assert costs.keys() <= CLASS_TYPE_PARAMETERS
            assert 0 <= costs['base_cost'] <= costs['max_cost'] <= 254
            assert 0 <= costs.get('mark_confidence', 0) < 255
        assert source.keys() <= SOURCE_PARAMETERS
    assert layer.keys() <= LAYER_PARAMETERS
    assert layer['plugin'] == 'semantic_segmentation_layer::SemanticSegmentationLayer'


def test_the_semantic_layer_reads_topics_that_the_node_offers(images: dict[str, str]) -> None:
    layer = semantic_layer()
    source = layer[layer['observation_sources']]
    for name in ('segmentation_topic', 'confidence_topic'):
        assert images[source[name]] == 'mono8'
    assert source['segmentation_topic'].endswith('/categories/labels')
    assert source['labels_topic'] == source['segmentation_topic'].replace('/labels', '/label_info')
    assert source['pointcloud_topic'] == '/segmenter/points'


def overrides() -> dict[str, dict[str, dict[str, Any]]]:
    parameters = yaml.safe_load((CONFIG / 'qos_overrides.yaml').read_text())
    return parameters['/**']['ros__parameters']['qos_overrides']


def test_qos_overrides_name_topics_that_there_are(images: dict[str, str]) -> None:
    for topic, entities in overrides().items():
        assert topic in (INPUTS if 'subscription' in entities else images)
        assert len(entities) == 1


@pytest.mark.skipif(find_spec('rclpy') is None, reason='needs ROS 2 (rclpy)')
def test_qos_overrides_take_effect(
    own_ros_domain: None, client: Any, untrained_model: Path
) -> None:
    from rcl_interfaces.srv import GetParameters
    from rclpy.parameter import parameter_value_to_python
    from ros_client import Command

    command = Command(
        'segmenter_node',
        *('--ros-args', '--params-file', str(CONFIG / 'qos_overrides.yaml')),
        *('-p', f'model:={untrained_model}', '-p', 'device:=cpu'),
        *('-r', 'image:=/camera/image_raw', '-r', 'camera_info:=/camera/camera_info'),
    )
    try:
        for topic, entities in overrides().items():
            ((kind, policies),) = entities.items()
            find = {
                'subscription': client.node.get_subscriptions_info_by_topic,
                'publisher': client.node.get_publishers_info_by_topic,
            }[kind]
            (endpoint,) = client.wait_for(partial(find, topic), f'the {kind} of {topic}')
            assert endpoint.qos_profile.reliability.name == policies['reliability'].upper()
            # History and depth are no part of what DDS tells others.
            names = [f'qos_overrides.{topic}.{kind}.{policy}' for policy in policies]
            values = client.call(
                GetParameters, '/segmenter/get_parameters', GetParameters.Request(names=names)
            ).values
            assert [parameter_value_to_python(value) for value in values] == [*policies.values()]
    finally:
        command.kill()
