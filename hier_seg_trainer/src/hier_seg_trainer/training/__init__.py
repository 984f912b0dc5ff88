# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From an experiment to trained weights: the loop, its steps, teachers, scores and log.

For `export` and the commands; imports the rooms of data, `loss`, `evaluation` and `processes`.
"""
