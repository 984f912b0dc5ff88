# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Regions for people to label: found, guessed at, and put in the order in which they teach most.

For `disagreement` and the commands; imports `datasets`, `evaluation` and `labelling`.
"""
