# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node and replay_bag speak DDS and nothing else, unpickle nothing and run no data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from marked_data import (
    CAMERA,
    MARK,
    guarded_words,
    write_marked_bag,
    write_marked_model,
)
from PIL import Image
from ros_client import Client, Command
from std_srvs.srv import Trigger

from hier_seg_ros.hierarchy import Hierarchy

NODE = 'hier_seg_ros.ros.node.segmenter_node:main'
REPLAY = 'hier_seg_ros.ros.replay.replay_bag:main'


def test_commands_on_dds(client: Client, tmp_path: Path, street_tree: Hierarchy) -> None:
    model = write_marked_model(tmp_path / MARK, street_tree)
    mask = tmp_path / f'{MARK}.png'
    pixels = np.zeros((64, 96), np.uint8)
    pixels[60:] = 255
    Image.fromarray(pixels).save(mask)
    bag = write_marked_bag(tmp_path / 'bag' / MARK)
    captures = tmp_path / 'captures'
    parameters = {'model': model, 'device': 'cpu', 'mask': mask, 'capture_directory': captures}
    words = [word for name, value in parameters.items() for word in ('-p', f'{name}:={value}')]
    node = Command(
        *guarded_words(
            [0, NODE, '--ros-args', '-r', f'image:={CAMERA}', *words], options=('--middleware',)
        )
    )
    player = Command(
        *guarded_words(
            [0, REPLAY, bag, '--lockstep', '/segmenter/overlay', '--image-topic', CAMERA],
            options=('--middleware',),
        )
    )
    try:
        node.wait_for_output('is ready')
        assert player.wait() == 0, f'{player.output}\n{node.output}'
        response = client.call(Trigger, '/segmenter/capture', Trigger.Request())
        assert response.success, response.message
        node.wait_for_output(str(captures))
        assert node.stop() == 0, node.output
    finally:
        node.kill()
        player.kill()
    assert any(captures.rglob('*.mcap'))
