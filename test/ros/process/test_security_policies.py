# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SROS2 policies, held against the graph of the running programs: all of it and no more."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from lifecycle_msgs.msg import Transition
from ros_client import REPOSITORY, Client, Command, Lifecycle
from sensor_msgs.msg import PointCloud2

from hier_seg_ros.ros.cameras.camera_outputs import LabelInfo
from hier_seg_ros.ros.cameras.sign_output import Detection2DArray, ImageAnnotations

POLICIES = REPOSITORY / 'config' / 'sros2'
# What a name is to a program: (kind, rule, name).
Right = tuple[str, str, str]


def allowed(policy: Path, node: str) -> set[Right]:
    """Return what a policy allows a node of the root namespace."""
    profile = ElementTree.parse(policy).find(f"enclaves/enclave/profiles/profile[@node='{node}']")
    assert profile is not None and profile.get('ns') == '/'
    rights = set()
    for group in profile:
        for rule in ('publish', 'subscribe', 'reply', 'request'):
            assert group.get(rule) in (None, 'ALLOW')
            if group.get(rule) == 'ALLOW':
                rights |= {(group[0].tag, rule, full_name(each.text, node)) for each in group}
    return rights


def full_name(name: str, node: str) -> str:
    """Return what SROS2 makes of a name in a policy, in the root namespace."""
    if name.startswith('~'):
        return f'/{node}{name[1:]}'
    return name if name.startswith('/') else f'/{name}'


def used(client: Client, node: str) -> set[Right]:
    """Return what a running node of the root namespace has in the graph."""
    graph = client.node
    found = {
        ('topic', 'publish'): graph.get_publisher_names_and_types_by_node(node, '/'),
        ('topic', 'subscribe'): graph.get_subscriber_names_and_types_by_node(node, '/'),
        ('service', 'reply'): graph.get_service_names_and_types_by_node(node, '/'),
        ('service', 'request'): graph.get_client_names_and_types_by_node(node, '/'),
    }
    return {(*right, name) for right, names in found.items() for name, _ in names}


def settled(client: Client, node: str, awaited: set[Right]) -> set[Right]:
    """Return what a node uses once it is there with all that is awaited of it."""

    def ready() -> set[Right] | None:
        rights = used(client, node) if node in client.node.get_node_names() else set()
        return rights if rights >= awaited else None

    return client.wait_for(ready, f'{awaited}')


def left_out() -> set[str]:
    """Return what is missing in names because a package is."""
    packages = {'label_info': LabelInfo, 'detections': Detection2DArray}
    packages |= {'annotations': ImageAnnotations, 'bond': find_spec('bondpy')}
    return {name for name, package in packages.items() if package is None}


def test_the_policy_of_the_node(client, untrained_model):
    granted = {
        right
        for right in allowed(POLICIES / 'segmenter.policy.xml', 'segmenter')
        if right[2].rpartition('/')[2] not in left_out()
    }
    rights = set()
    # Nobody subscribes to a depth image as long as nobody wants the points.
    client.collect('/segmenter/points', PointCloud2)
    groups = "class_groups:=['all: Driveable']"
    for arguments, inputs in (
        (['use_sim_time:=true', groups], {'/image', '/depth', '/clock'}),
        (['image_transport:=compressed'], {'/image/compressed'}),
        (['autostart:=false'], {'/bond'} - {f'/{name}' for name in left_out()}),
    ):
        words = [
            word for each in (f'model:={untrained_model}', *arguments) for word in ('-p', each)
        ]
        command = Command('segmenter_node', '--ros-args', *words)
        try:
            if 'autostart:=false' in arguments:
                lifecycle = Lifecycle(client, '/segmenter')
                assert lifecycle.change(Transition.TRANSITION_CONFIGURE)
                assert lifecycle.change(Transition.TRANSITION_ACTIVATE)
            inputs |= {'/camera_info'}
            rights |= settled(
                client, 'segmenter', {('topic', 'subscribe', name) for name in inputs}
            )
        finally:
            command.stop()
        client.wait_for(lambda: 'segmenter' not in client.node.get_node_names(), 'its end')
    assert granted == rights


def test_the_policy_of_the_player(client):
    granted = allowed(POLICIES / 'replay_bag.policy.xml', 'replay_bag')
    command = Command('replay_bag', str(REPOSITORY / 'demo' / 'street'), '--clock', '--loop')
    try:
        assert settled(client, 'replay_bag', granted) == granted
    finally:
        command.stop()
