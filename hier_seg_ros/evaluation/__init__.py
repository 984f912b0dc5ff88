# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags in, scores and a report out; runs with no ROS installed.

`evaluate_bag` is the command. For each image of a bag it takes `predictions` and its `truth`, which
are `recorded_outputs` of a bag unless a segmenter runs here. It gathers `scores`, and leaves
the files of each frame and a page of them by `report`, and a bag by `prediction_writer`, all in one
`output_folder`; `running` is how, and `afterwards` what is made of that. `comparison` is about two
such folders.
"""
