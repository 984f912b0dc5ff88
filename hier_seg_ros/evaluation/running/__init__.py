# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How an evaluation runs: overlapping steps, parts on several processes or machines, going on.

For `evaluation` alone. A `Source` is an opened bag; its frames go through `steps`, which run at the
same time by `ahead`, into the `Results` in a `RunFolder`.
"""
