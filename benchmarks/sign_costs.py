# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the signs of a frame cost as objects, on the demo's photographs: a part of messages.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from std_msgs.msg import Header

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.ros.cameras.sign_output import (
    Detection2DArray,
    ImageAnnotations,
    annotations_message,
    detections_message,
)
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.settings import Settings
from hier_seg_ros.signs.finding import find_signs, sign_node_ids

BAG = Path(__file__).resolve().parent.parent / 'demo' / 'street'
RUNS = 9  # of each frame, of which the median counts


def sign_costs(segmenter: Segmenter) -> dict[str, Any]:
    """Return the processor's milliseconds to find the signs of a frame and to build each message.

    Of a message whose package is missing there is none.
    """
    tree = segmenter.hierarchy
    is_sign, least, header = sign_node_ids(tree), Settings().min_sign_pixels, Header()
    times: dict[str, list[float]] = {}
    found = 0
    with ImageBag(BAG) as bag:
        for photograph in bag.images('/camera/image_raw/compressed'):
            (result,) = segmenter.segment([photograph.pixels])
            finest, confidence = result.finest, result.confidence
            signs = find_signs(finest, is_sign, confidence, least)
            found += len(signs)
            steps = {'find': partial(find_signs, finest, is_sign, confidence, least)}
            if Detection2DArray is not None:
                steps['detections'] = partial(detections_message, signs, tree, header)
            if ImageAnnotations is not None:
                steps['annotations'] = partial(
                    annotations_message, signs, tree, header, finest.shape
                )
            for name, step in steps.items():
                times.setdefault(name, []).append(_median_ms(step))
    return {
        'frames': len(times['find']),
        'signs': found,
        **{
            name: {
                'median_ms': round(float(np.median(each)), 2),
                '95_percent_ms': round(float(np.percentile(each, 95)), 2),
                'most_ms': round(max(each), 2),
            }
            for name, each in times.items()
        },
    }


def _median_ms(step: Callable[[], Any]) -> float:
    """Return the time of the median run; the thread's own, which other programs hardly disturb."""
    times = []
    for _ in range(RUNS):
        began = time.thread_time()
        step()
        times.append(time.thread_time() - began)
    return 1000 * float(np.median(times))
