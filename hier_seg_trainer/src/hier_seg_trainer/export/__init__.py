# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a run's weights to a model folder with its card, and from that to ONNX.

An ONNX file has the decision inside, or is a plain one for TensorRT.

For the commands `hier-seg train` and `hier-seg export`; imports `training` and `evaluation`.
"""
