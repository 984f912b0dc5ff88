# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the programs that these tests run in short lie."""

from __future__ import annotations

import sys
from pathlib import Path

# pytest's importlib mode leaves modules beside the tests unfindable.
sys.path.append(str(Path(__file__).parent))
