# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The offline trainer of hier_seg_ros: street data sets in, a model folder out."""

from __future__ import annotations

__version__ = '0.1.0'
