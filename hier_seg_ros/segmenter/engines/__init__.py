# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines: what runs the network. Each library but torch is imported only where it is chosen.

For `segmenter`. Every engine takes the same prepared images and gives the same things: the shared
features and the root classifier's logits. PyTorch in float32 is the form that all others are
compared with.
"""

from __future__ import annotations
