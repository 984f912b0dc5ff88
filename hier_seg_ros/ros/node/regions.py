# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the parameters `roi` and `mask` to the part of each camera's images that is segmented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.image_files import read_png
from hier_seg_ros.segmenter.region import Region
from hier_seg_ros.settings import Settings


def camera_regions(settings: Settings) -> dict[str, Region]:
    """Return the region of each camera by its name, '' for the only one without a name.

    Raises
    ------
    HierSegError
        A mask cannot be read, or marks no pixel.

    """
    masks: dict[str, NDArray[np.bool_]] = {}
    regions = {}
    for camera in settings.cameras or ('',):
        roi, path = settings.of_camera(camera, 'roi'), settings.of_camera(camera, 'mask')
        assert isinstance(roi, tuple) and isinstance(path, str)
        if path and path not in masks:
            masks[path] = _read_mask(path)
        regions[camera] = Region([int(entry) for entry in roi], masks.get(path), f'mask {path}')
    return regions


def _read_mask(path: str) -> NDArray[np.bool_]:
    try:
        pixels = read_png(Path(path).expanduser())
    except RuntimeError as error:  # a user whom nobody knows
        raise HierSegError(f'mask {path}: {error}; write the whole path') from error
    except HierSegError as error:
        raise HierSegError(f'mask {error}') from error
    mask: NDArray[np.bool_] = (pixels if pixels.ndim == 2 else pixels.max(axis=2)) > 0
    if not mask.any():
        raise HierSegError(
            f'mask {path}: is black, so it leaves out nothing; paint white what the camera sees of '
            f'its own car'
        )
    return mask
