# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The way of a batch through a GPU: images up, label maps down, and one wait in between.

For `segmenter`, which imports all but the interface only for a CUDA device.
"""

from __future__ import annotations
