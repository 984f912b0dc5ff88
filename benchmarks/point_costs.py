# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a labelled point cloud costs: a part of messages.py."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from hier_seg_ros.frames.frame import Frame, FrameSource, SegmentedFrame
from hier_seg_ros.resources import find_model
from hier_seg_ros.ros.cameras.points_output import PointsMessage
from hier_seg_ros.ros.topics.messages import image_message
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.settings import Settings

HEIGHT, WIDTH = 480, 640


def point_costs(model: str, frames: int) -> dict[str, Any]:
    """Return the median milliseconds to build a cloud, by the clock and of the processor alone.

    Parameters
    ----------
    model
        Whose labels the points have.
    frames
        How often it is built.

    """
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    (result,) = Segmenter.load(find_model(model), device='cpu').segment([rgb])
    millimetres = random.integers(0, 9000, (HEIGHT, WIDTH)).astype('<u2')
    millimetres[millimetres < 3000] = 0  # a third has no depth
    depth = image_message(millimetres.view(np.uint8), '16UC1', Header())
    depth.width = WIDTH
    camera_info = CameraInfo(height=HEIGHT, width=WIDTH)
    camera_info.k = [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0]
    source = FrameSource('', '/image', '/camera_info')
    segmented = SegmentedFrame(
        Frame(source, image_message(rgb, 'rgb8', Header()), 0.0),
        Settings(),
        rgb=rgb,
        result=result,
        camera_info=camera_info,
    )
    message = PointsMessage()
    clock, processor = [], []
    for _ in range(frames):
        began, used = time.perf_counter(), time.thread_time()
        cloud = message.of(segmented, depth)
        processor.append(time.thread_time() - used)
        clock.append(time.perf_counter() - began)
    return {
        'size': [WIDTH, HEIGHT],
        'bytes': len(cloud.data),
        'build_ms': round(1000 * statistics.median(clock), 2),
        'build_processor_ms': round(1000 * statistics.median(processor), 2),
    }
