# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the diagnostics find is in the log: once when it begins, once when it ends."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from diagnostic_msgs.msg import DiagnosticArray
from ros_client import Command, image, street
from sensor_msgs.msg import CompressedImage, Image

from hier_seg_ros.ros.diagnostics.findings_log import (
    REPORTS_TO_BEGIN,
    REPORTS_TO_END,
    FindingsLog,
)
from hier_seg_ros.ros.diagnostics.judgement import ERROR, WARN, Finding, Judgement


class Log:
    def __init__(self):
        self.lines = []

    def info(self, line):
        self.lines.append(('info', line))

    def warning(self, line):
        self.lines.append(('warning', line))

    def error(self, line):
        self.lines.append(('error', line))


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def enter(log):
    """Return a function that enters reports with these findings, and returns the new lines."""
    findings_log = FindingsLog(log)

    def enter(*findings, reports=1, at_work=True, undecided=()):
        before = len(log.lines)
        for _ in range(reports):
            findings_log.enter(
                [
                    Judgement('model', 'model', True, (), 'active', 'cpu', {}),
                    Judgement(
                        'camera',
                        '/image',
                        at_work,
                        findings,
                        'well',
                        'cpu',
                        {},
                        frozenset(undecided),
                    ),
                ]
            )
        return log.lines[before:]

    return enter


def silence(seconds=2, level=WARN):
    return Finding(level, f'no frame for {seconds} s', 'silence')


def test_a_beginning_and_an_end_whatever_the_numbers_in_between(enter):
    assert enter(silence(2), reports=REPORTS_TO_BEGIN - 1) == []
    assert enter(silence(3)) == [('warning', '/image: no frame for 3 s')]
    assert [enter(silence(number)) for number in range(4, 40)] == [[]] * 36
    assert enter(reports=REPORTS_TO_END - 1) == []
    assert enter() == [('info', '/image: silence is over')]
    assert enter(reports=50) == []
    # It may come again.
    assert enter(silence(2), reports=REPORTS_TO_BEGIN) == [('warning', '/image: no frame for 2 s')]


def test_what_begins_together_is_one_line_of_the_worst_level(enter):
    why = Finding(WARN, 'nobody publishes /image', 'lack of a publisher')
    assert enter(silence(12, ERROR), why, reports=REPORTS_TO_BEGIN) == [
        ('error', '/image: no frame for 12 s; nobody publishes /image')
    ]
    # Another reason is news, and the silence is none.
    other = Finding(WARN, 'nothing arrives', 'silence of a publisher')
    assert enter(silence(15, ERROR), other, reports=REPORTS_TO_BEGIN) == [
        ('warning', '/image: nothing arrives')
    ]


def test_what_comes_and_goes_is_said_once(enter):
    lines = []
    for _ in range(30):
        lines += enter(silence(), reports=2)
        lines += enter(reports=REPORTS_TO_END - 1)
    assert lines == [('warning', '/image: no frame for 2 s')]
    # And what never lasts is not said at all.
    falling = Finding(WARN, 'falling behind: 12 %', 'falling behind')
    assert enter(falling, silence()) == []
    assert [enter(silence(), *([falling] * (number % 2))) for number in range(20)] == [[]] * 20


def test_what_nothing_can_be_said_of_lasts(enter):
    clocks = Finding(WARN, 'header stamps are zero', 'difference of clocks')
    assert len(enter(clocks, reports=REPORTS_TO_BEGIN)) == 1
    # Without frames nobody knows of their stamps.
    assert len(enter(silence(), reports=50, undecided=['difference of clocks'])) == 1
    assert enter(clocks, reports=9) == [('info', '/image: silence is over')]
    assert enter(reports=REPORTS_TO_END) == [('info', '/image: difference of clocks is over')]


def test_whose_beginning_is_in_the_log_already_has_its_end_there_too(enter):
    memory = Finding(ERROR, 'cpu: out of memory', 'lack of memory', logged=True)
    assert enter(memory) == []
    assert enter(reports=REPORTS_TO_END) == [('info', '/image: lack of memory is over')]


def test_what_has_no_kind_is_not_said(enter):
    assert enter(Finding(WARN, 'frames rejected: step 3'), reports=50) == []
    assert enter(reports=50) == []


def test_what_is_not_looked_at_is_not_over(enter):
    enter(silence(), reports=REPORTS_TO_BEGIN)
    assert enter(at_work=False, reports=50) == []
    assert enter(reports=50) == []
    assert enter(silence(), reports=REPORTS_TO_BEGIN) != []


def test_cameras_are_told_apart(log):
    findings_log = FindingsLog(log)
    judgements = [
        Judgement(f'camera {name}', f'camera {name}', True, (silence(),), 'well', 'cpu', {})
        for name in ('front', 'left')
    ]
    for _ in range(REPORTS_TO_BEGIN):
        findings_log.enter(judgements)
    for _ in range(REPORTS_TO_END):
        findings_log.enter([judgements[0]])
    # The left one is not there any more.
    assert log.lines == [
        ('warning', 'camera front: no frame for 2 s'),
        ('warning', 'camera left: no frame for 2 s'),
    ]


@contextmanager
def sending(camera):
    """Send frames as long as it lasts, faster than anybody misses one."""
    stop = threading.Event()

    def send():
        while not stop.wait(0.1):
            camera.publish(image(street()))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_the_log_of_a_node_says_what_is_wrong_with_its_camera(own_ros_domain, client, varied_model):
    command = Command(
        *('segmenter_node', '--ros-args', '-r', '__ns:=/logging', '-r', 'image:=camra/image'),
        *('-p', f'model:={varied_model}', '-p', 'device:=cpu', '-p', 'stall_warn_seconds:=1.0'),
    )
    arrays = client.collect('/diagnostics', DiagnosticArray)
    client.collect('/logging/segmenter/level_1/labels', Image)
    topic = '/logging/camra/image'

    def lines(text):
        return [line for line in command.output.splitlines() if text in line]

    try:
        # A name that is misspelt.
        client.node.create_publisher(Image, '/logging/camera/image', 10)
        command.wait_for_output('nobody publishes')
        (line,) = lines('nobody publishes')
        assert 'WARN' in line
        assert f'{topic}: no frame has come yet, after ' in line
        assert 'sensor_msgs/msg/Image is published on /logging/camera/image' in line

        camera = client.publisher(topic, Image)
        with sending(camera):
            command.wait_for_output(f'{topic}: silence is over')
            command.wait_for_output(f'{topic}: lack of a publisher is over')
            # The frames bear the first seconds of 1970.
            command.wait_for_output(f'{topic}: header stamps are')
            reports = len(arrays)
            client.wait_for(lambda: len(arrays) >= reports + 8, 'further reports')
        client.node.destroy_publisher(camera)
        (line,) = lines('header stamps are')
        assert "behind the node's clock" in line

        # The camera sends JPEG only.
        camera = client.node.create_publisher(CompressedImage, f'{topic}/compressed', 10)
        text = f'but {topic}/compressed is there: set image_transport to compressed'
        command.wait_for_output(text)
        client.node.destroy_publisher(camera)

        # Another type on the very topic.
        camera = client.node.create_publisher(CompressedImage, topic, 10)
        text = (
            'publishes sensor_msgs/msg/CompressedImage, this node subscribes sensor_msgs/msg/Imag'
        )
        command.wait_for_output(text)
        client.node.destroy_publisher(camera)
        command.wait_for_output(f'{topic}: mismatch is over')
        assert len(lines(text)) == 1
        assert len(lines('no frame')) == 2
        assert command.stop() == 0
    finally:
        command.kill()
        print(command.output)
