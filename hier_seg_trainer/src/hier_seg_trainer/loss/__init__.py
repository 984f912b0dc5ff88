# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The hierarchical loss: one for each classifier, from pixels, boxes, image labels and teachers.

For `configuration` (its options) and `training`; imports `batches` and `processes`.
"""
