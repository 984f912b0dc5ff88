# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores for people and programs: numbers by name, texts, tables, pictures, a page.

For `evaluation` and the command `hier-seg evaluate`; imports `scores`, `benchmarks` and `pages`.
"""
