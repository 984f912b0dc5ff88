# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The processes of a training run: what they tell one another, and the wish to stop.

For `loss`, `training` and the command `hier-seg train`; imports no other room.
"""
