# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: steps, optimisation, teachers, validation and the log.

For the command `hier-seg train`; imports `runs`, `batches`, `loss` and `evaluation`.
"""
