# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Diagnostics of a real node over DDS, and the memory in them."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

import torch
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from hier_seg_ros.frames.frame_statistics import FrameSummary
from hier_seg_ros.ros.diagnostics.diagnostics import Diagnostics, memory_use
from hier_seg_ros.ros.diagnostics.reports import CameraReport, NodeReport, PipelineReport


def test_memory_of_the_process():
    before = int(memory_use('cpu')['process memory (MiB)'])
    ballast = torch.ones(64 * 1024 * 1024, dtype=torch.uint8)
    after = int(memory_use('cpu')['process memory (MiB)'])
    assert 60 <= after - before <= 80, len(ballast)
    assert list(memory_use('cpu')) == ['process memory (MiB)']


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_memory_of_the_gpu():
    ballast = torch.ones(64 * 1024 * 1024, dtype=torch.uint8, device='cuda:0')
    values = memory_use('cuda:0')
    assert int(values['GPU memory allocated (MiB)']) >= 64, len(ballast)
    assert int(values['GPU memory peak (MiB)']) >= int(values['GPU memory allocated (MiB)'])
    assert int(values['GPU memory reserved (MiB)']) >= 64


def report(number):
    """Return the report of a camera of whose frames so many have been rejected."""
    summary = FrameSummary(10.0, 0.0, None, None, 0.1, True, 0, 0)
    counts = {'received': number, 'rejected/step': number}
    camera = CameraReport('', '/camera/image_raw', True, counts, summary)
    pipeline = PipelineReport('street_lite0', 'cpu', cameras=(camera,))
    return NodeReport('active', '', '', 2.0, 10.0, pipeline)


def values_of(status):
    return {value.key: value.value for value in status.values}


@pytest.fixture
def node(client):
    """Return the node whose diagnostics are published, spun by the client's executor."""
    node = Node('segmenter', context=client.context, namespace='robot')
    client._executor.add_node(node)
    yield node
    client._executor.remove_node(node)
    node.destroy_node()


def test_over_dds_by_the_steady_clock_while_simulated_time_stands_still(client, node):
    node.set_parameters([Parameter('use_sim_time', value=True)])
    clock = client.node.create_publisher(Clock, '/clock', 1)
    client.wait_for(lambda: clock.get_subscription_count() == 1, 'a subscriber of /clock')
    simulated = Clock()
    simulated.clock.sec = 42
    clock.publish(simulated)
    client.wait_for(lambda: node.get_clock().now().nanoseconds == 42 * 10**9, 'the time')

    numbers = itertools.count(10, 10)
    diagnostics = Diagnostics(node, MutuallyExclusiveCallbackGroup(), lambda: report(next(numbers)))
    messages = client.collect('/diagnostics', DiagnosticArray)
    client.wait_for(lambda: len(messages) >= 3, 'messages')
    diagnostics.close()
    diagnostics.close()

    assert all(message.header.stamp.sec == 42 for message in messages)
    model, camera = messages[2].status
    assert model.name == 'robot/segmenter: model'
    assert int(values_of(model)['process memory (MiB)']) > 10
    assert camera.name == 'robot/segmenter: camera'
    assert camera.message == 'frames rejected: step 10', 'since the message before'
    client.wait_for(
        lambda: client.node.count_publishers('/diagnostics') == 0, 'the end of the publisher'
    )
