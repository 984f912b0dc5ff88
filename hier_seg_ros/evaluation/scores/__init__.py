# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is counted in the images of a recording, and the scores that follow from it.

For `evaluation` and its rooms. `FrameCounter` counts one image, `BagScores` adds up and merges,
`score_summary` computes every number of scores.json anew from the sums.
"""
