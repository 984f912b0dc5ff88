# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Street scenes drawn by seed, written in the layouts of the published data sets.

For the command `hier-seg synthesize`; imports `datasets`. Drawing functions name the class of what
they draw, by the readable names of street_108: that a shape is a bench is something that no file
could say. What a data set calls it, and whether it counts its instances, comes from the mapping
files and from the label lists in `layouts`.
"""
