# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The mapping files of the published data sets, which come with the package."""

from __future__ import annotations

from pathlib import Path

from hier_seg_ros.resources import share_folder


def mapping_folder() -> Path:
    """Return the folder of the mapping files that come with the package."""
    return share_folder() / 'config' / 'label_spaces'


def bundled_mapping(name: str) -> Path:
    """Return the path of a mapping file that comes with the package."""
    return mapping_folder() / f'{name}.yaml'
