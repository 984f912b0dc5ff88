# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The outputs for an image, found in a bag by the image's stamp.

They are a dictionary by the names of `hier_seg_ros.segmenter.outputs`: ``overlay`` and ``color``
(H×W×3 uint8 rgb), ``level_1`` … ``level_N``, ``traffic_signs``, ``categories`` (H×W uint8 labels)
and ``confidence`` (H×W uint8, 255 = certain).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.outputs import ImageOutput

Outputs = dict[str, NDArray[np.uint8]]


class RecordedOutputs:
    """What some topics of an open bag hold, by output and stamp.

    Attributes
    ----------
    topics
        The topic of each output that is there, by the output's name.

    """

    def __init__(
        self, bag: ImageBag, topics: Mapping[str, str], outputs: Mapping[str, ImageOutput]
    ) -> None:
        """Read the stamps of `topics`; `outputs` holds, by name, at least those that these have."""
        self.topics = topics
        self._bag = bag
        self._outputs = outputs
        self._times = bag.stamps(list(topics.values())) if topics else {}

    def at(self, rgb: NDArray[np.uint8], stamp: int, rejected: list[str]) -> Outputs:
        """Return the outputs for an image.

        Parameters
        ----------
        rgb
            The image, H×W×3 uint8.
        stamp
            Its stamp in nanoseconds.
        rejected
            Gets a line for each output of another size than the image, and for each that makes no
            sense; these are left out.

        """
        found: Outputs = {}
        for name, topic in self.topics.items():
            recorded = self._times[topic].get(stamp)
            if recorded is None:
                continue
            try:
                pixels = self._bag.image_at(topic, stamp, recorded).pixels
                source = f'{self._bag.path}: {topic}: stamp {stamp}: {name}'
                _check_form(pixels, rgb, self._outputs[name], source)
            except HierSegError as error:
                rejected.append(str(error))
                continue
            found[name] = pixels
        return found


def _check_form(
    pixels: NDArray[np.uint8], rgb: NDArray[np.uint8], output: ImageOutput, source: str
) -> None:
    dimensions, wanted = (3, 'in colour') if output.encoding == 'rgb8' else (2, 'mono8')
    if pixels.ndim != dimensions:
        raise HierSegError(f'{source} is not {wanted}; record the node itself')
    if pixels.shape[:2] != rgb.shape[:2]:
        raise HierSegError(
            f'{source} is {pixels.shape[1]}×{pixels.shape[0]}, its image '
            f'{rgb.shape[1]}×{rgb.shape[0]}; record predictions for this very bag, with '
            f'output_scale 1.0'
        )
