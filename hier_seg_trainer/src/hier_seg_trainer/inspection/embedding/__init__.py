# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pixel embeddings for TensorBoard's projector: chosen pixels, their features, the log.

For the command `hier-seg embed`; imports `datasets` alone.
"""
