# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of ``hier-seg label``: a server on this machine, and what it shows in the browser."""

from __future__ import annotations
