# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node under a lifecycle manager's bond, whose other end is bondpy's own."""

from __future__ import annotations

import signal

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from lifecycle_msgs.msg import Transition
from rclpy.duration import Duration
from ros_client import DEADLINE, Command, Lifecycle, parameter, set_parameters

from hier_seg_ros.ros.node.manager_bond import Bond, BondNode

# The other end's, in seconds: long enough for a machine that is busy.
HEARTBEAT_TIMEOUT = 8.0


@pytest.fixture
def node(own_ros_domain, varied_model):
    command = Command(
        'segmenter_node',
        *('--ros-args', '-p', f'model:={varied_model}', '-p', 'autostart:=false'),
    )
    yield command
    if command.process.poll() is None:
        command.process.send_signal(signal.SIGCONT)
    command.kill()
    print(command.output)


@pytest.fixture
def lifecycle(node, client):
    lifecycle = Lifecycle(client, '/segmenter')
    assert lifecycle.change(Transition.TRANSITION_CONFIGURE)
    return lifecycle


@pytest.fixture
def managers(client):
    """Return what makes the manager's end of a bond, as Nav2's manager makes it."""
    bondpy = pytest.importorskip('bondpy.bondpy', reason='needs bondpy')
    bonds = []

    def make():
        bond = bondpy.Bond(BondNode(client.node), 'bond', 'segmenter')
        bond.heartbeat_timeout = HEARTBEAT_TIMEOUT
        bond.heartbeat_period = 0.1
        bond.start()
        bonds.append(bond)
        return bond

    yield make
    for bond in bonds:
        bond.shutdown()


@pytest.fixture
def activate(client, lifecycle, managers):
    """Return what activates the node and returns the manager's end of the bond."""
    from bond.msg import Status

    heartbeats = client.collect('/bond', Status)

    def activate():
        assert lifecycle.change(Transition.TRANSITION_ACTIVATE)
        bond = managers()
        assert bond.wait_until_formed(Duration(seconds=DEADLINE))
        # bondpy watches for silence from the second heartbeat on.
        heartbeats.clear()
        client.wait_for(
            lambda: (
                sum(status.instance_id != bond.instance_id for status in heartbeats) >= 3
                and sum(status.instance_id == bond.instance_id for status in heartbeats) >= 3
            ),
            'heartbeats of both',
        )
        return bond

    return activate


def test_a_node_that_hangs_breaks_the_bond(node, activate):
    bond = activate()
    node.wait_for_output('a lifecycle manager watches this node')
    node.process.send_signal(signal.SIGSTOP)
    assert bond.wait_until_broken(Duration(seconds=DEADLINE))


def test_the_bond_lasts_from_activation_to_deactivation_again_and_again(
    node, client, lifecycle, activate
):
    assert client.node.count_publishers('/bond') == 0
    for _ in range(2):
        bond = activate()
        assert not bond.is_broken()
        assert lifecycle.change(Transition.TRANSITION_DEACTIVATE)
        assert bond.wait_until_broken(Duration(seconds=DEADLINE))
        bond.shutdown()
        client.wait_for(lambda: client.node.count_publishers('/bond') == 0, 'the end of the bond')
    assert 'is broken' not in node.output, 'that is for a manager that is gone'


@pytest.mark.parametrize('signal_number', [signal.SIGKILL, signal.SIGINT])
def test_a_node_that_ends_breaks_the_bond(node, activate, signal_number):
    bond = activate()
    node.stop(signal_number)
    assert bond.wait_until_broken(Duration(seconds=DEADLINE))


def test_managers_that_fall_silent_are_named_each_time(node, client, lifecycle, activate):
    text = 'the bond with the lifecycle manager is broken'
    for number in (1, 2):
        bond = activate()
        # Without a word of farewell, as when a process is killed.
        bond._publish = lambda active: None
        client.wait_for(lambda n=number: node.output.count(text) == n, text)
        assert lifecycle.change(Transition.TRANSITION_DEACTIVATE)
        bond.shutdown()
    assert 'Traceback' not in node.output


def test_zero_is_no_bond(node, client, lifecycle):
    pytest.importorskip('bondpy.bondpy', reason='needs bondpy')
    assert set_parameters(client, '/segmenter', parameter('bond_heartbeat_period', 0.0)).successful
    assert lifecycle.change(Transition.TRANSITION_ACTIVATE)
    assert client.node.count_publishers('/bond') == 0


@pytest.mark.skipif(Bond is not None, reason='bondpy is installed')
def test_without_bondpy_the_log_says_so_and_nothing_else_changes(node, client, lifecycle):
    node.wait_for_output('bondpy is not installed: no lifecycle manager can notice')
    assert lifecycle.change(Transition.TRANSITION_ACTIVATE)
    assert lifecycle.change(Transition.TRANSITION_DEACTIVATE)
    assert node.output.count('bondpy') == 1
